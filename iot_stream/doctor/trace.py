"""Send one marked reading and follow it until it is searchable or has failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException

from iot_stream.doctor.finding import Finding, State
from iot_stream.failure_objects import FailedRecord, FailureObjects, FailureReadError
from iot_stream.generator.ledger import Accepted, digest_of
from iot_stream.target import Target

__all__ = ["Followed", "Station", "follow"]

_POLL = 0.5
_LOOK_FOR_FAILURES = 10  # polls between two listings of the bucket
_CLOCKS = timedelta(minutes=5)  # by which S3's clock and this one may differ


@dataclass(frozen=True)
class Station:
    """A step that a marked reading reached, and the milliseconds after sending at which it was seen there."""

    name: str
    milliseconds: int


@dataclass(frozen=True)
class Followed:
    """The steps that one reading reached, and the finding."""

    stations: tuple[Station, ...]
    finding: Finding


def follow(
    target: Target,
    index: Callable[[], Client],
    data: bytes,
    identity: tuple[str, str | int],
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Followed:
    """Put one reading into the stream and wait until it is searchable, is in a failure object, or time runs out.

    The reading is not deleted. On the local stack it is recorded in the ledger, so that `status` and `run` account
    for it.

    Args:
        target: the stack.
        index: returns an OpenSearch client that may read the index.
        data: the reading.
        identity: the field of the document that holds its mark, and the mark.
        seconds: how long to wait.
        clock: returns seconds; injected.
        sleep: waits for seconds; injected.

    Raises:
        ClientError: the stream refuses it.
    """
    stack, begun, started = target.stack, clock(), datetime.now(UTC)
    stations: list[Station] = []

    def reach(name: str) -> None:
        stations.append(Station(name, round((clock() - begun) * 1000)))

    kinesis, stream = target.client("kinesis"), stack.output("StreamName")
    put = kinesis.put_record(StreamName=stream, Data=data, PartitionKey=str(identity[1]))
    reach("accepted by the stream")
    if target.ledger is not None:
        accepted = Accepted(put["ShardId"], put["SequenceNumber"], digest_of(data))
        target.ledger.append(f"doctor-{identity[1]}", [accepted])
    _read_back(kinesis, stream, put)
    reach("readable in the stream")
    failures = FailureObjects.of(stack, target.client("s3"))
    client, polls = index(), 0
    while clock() - begun < seconds:
        if _searchable(client, f"{stack.output('IndexName')}*", identity):
            reach("searchable in the index")
            total = stations[-1].milliseconds
            what = f"{identity[1]} is searchable, {total:,} ms after it was sent"
            return Followed(tuple(stations), Finding("reading", State.OK, what))
        polls += 1
        if polls % _LOOK_FOR_FAILURES == 0 and (failed := _failure(failures, identity[1], started)):
            reach("a failure object in the bucket")
            return Followed(tuple(stations), _failed(failed))
        sleep(_POLL)
    if failed := _failure(failures, identity[1], started):
        reach("a failure object in the bucket")
        return Followed(tuple(stations), _failed(failed))
    text = f"{identity[1]} is neither in the index nor in the bucket after {seconds:,.0f} s"
    cure = "wait longer (--wait), then check the delivery stream's errors"
    return Followed(tuple(stations), Finding("reading", State.REFUSES, text, cure, "deliverydelayalarm"))


def _read_back(kinesis: Any, stream: str, put: dict[str, Any]) -> None:
    """Read the record from its shard, where it was put."""
    iterator = kinesis.get_shard_iterator(
        StreamName=stream,
        ShardId=put["ShardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=put["SequenceNumber"],
    )["ShardIterator"]
    kinesis.get_records(ShardIterator=iterator, Limit=1)


def _searchable(client: Client, pattern: str, identity: tuple[str, str | int]) -> bool:
    try:
        query = {"query": {"term": {identity[0]: identity[1]}}, "size": 0, "track_total_hits": True}
        response = client.search(index=pattern, body=query, params={"ignore_unavailable": "true"})
    except OpenSearchException:
        return False  # may be temporary: the caller retries until its deadline
    return int(response["hits"]["total"]["value"]) > 0


def _failure(failures: FailureObjects, mark: str | int, since: datetime) -> FailedRecord | None:
    """Return the failed record, reading or document, that holds the mark, of the objects written since; else None."""
    wanted = str(mark).encode()
    try:
        new = (entry for entry in failures.objects() if entry.modified >= since - _CLOCKS)
        return next((record for record in failures.records_of(new) if wanted in (record.data or b"")), None)
    except FailureReadError:
        return None


def _failed(record: FailedRecord) -> Finding:
    text = f"it failed with {record.code}: see {record.key}, line {record.line}"
    cure = f"iot-stream failures show {record.key}"
    return Finding("reading", State.REFUSES, text, cure, "failureobjectalarm")
