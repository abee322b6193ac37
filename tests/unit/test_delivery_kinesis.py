"""Reading the stream, with a fake Kinesis that closes shards, throttles and lets iterators expire."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from iot_stream.delivery.core.progress import ShardProgress
from iot_stream.delivery.core.record import NOT_JSON, Record
from iot_stream.delivery.edges import kinesis as kinesis_module
from iot_stream.delivery.edges.aws import ResponseError
from iot_stream.delivery.edges.kinesis import ShardBatch, Source
from tests.kpl import UserRecord, aggregate

STREAM = "arn:aws:kinesis:eu-west-1:000000000000:stream/s"


class FakeKinesis:
    """Shards that are lists of data; a shard in `closed` has no iterator behind its end."""

    def __init__(self, shards: dict[str, list[bytes]], parents: dict[str, list[str]], closed: set[str]) -> None:
        self.shards = shards
        self.parents = parents
        self.closed = closed
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[str] = []
        self.strangers = 0  # answers of somebody else before it answers itself

    def call(self, operation: str, parameters: dict[str, Any], read: Callable[[bytes], Any]) -> Any:
        """Answer like Kinesis, or with the next of `errors` when records are asked for."""
        try:
            return read(self._answer(operation, parameters))
        except NOT_JSON as error:  # as JsonApi does
            raise ResponseError from error

    def _answer(self, operation: str, parameters: dict[str, Any]) -> bytes:
        self.calls.append((operation, parameters))
        if self.strangers:
            self.strangers -= 1
            return b'{"message": "hello from a proxy"}'
        assert parameters["StreamARN"] == STREAM
        if operation == "ListShards":
            return json.dumps({"Shards": [self._describe(name) for name in self.shards]}).encode()
        if operation == "GetShardIterator":
            start = int(parameters.get("StartingSequenceNumber", 0))
            return json.dumps({"ShardIterator": f"{parameters['ShardId']}:{start}"}).encode()
        if self.errors:
            code = self.errors.pop(0)
            raise ResponseError if code == "no JSON" else ClientError({"Error": {"Code": code}}, operation)
        assert parameters["Limit"] <= 10_000
        shard, start = parameters["ShardIterator"].split(":")
        taken = self.shards[shard][int(start) : int(start) + 2]
        after = int(start) + len(taken)
        answer: dict[str, Any] = {
            "Records": [
                {
                    "SequenceNumber": str(int(start) + n + 1),
                    "ApproximateArrivalTimestamp": 1_700_000_000.1234,
                    "Data": base64.b64encode(data).decode(),
                    "PartitionKey": "key",
                }
                for n, data in enumerate(taken)
            ],
            "MillisBehindLatest": 5,
        }
        if not (shard in self.closed and after == len(self.shards[shard])):
            answer["NextShardIterator"] = f"{shard}:{after}"
        return json.dumps(answer).encode()

    def _describe(self, name: str) -> dict[str, Any]:
        keys = ("ParentShardId", "AdjacentParentShardId")
        return {"ShardId": name} | dict(zip(keys, self.parents.get(name, []), strict=False))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads follow one another at once."""
    monkeypatch.setattr(kinesis_module, "_PAUSE", 0.0)
    monkeypatch.setattr(kinesis_module, "_LIST_PAUSE", 0.01)


def spawn(work: Callable[..., None], *arguments: object) -> None:
    """Run it in a thread."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


@contextmanager
def reading(
    kinesis: FakeKinesis, until: Any, progress: dict[str, ShardProgress] | None = None
) -> Iterator[list[ShardBatch]]:
    """Everything that is read until `until(readings)` holds."""
    readings: list[ShardBatch] = []
    done = threading.Event()

    def post(item: ShardBatch) -> threading.Event:
        readings.append(item)
        taken = threading.Event()
        taken.set()
        if until(readings):
            done.set()
        return taken

    source = Source(kinesis, STREAM, 1_700_000_000.5, progress or {}, post=post, spawn=spawn)  # type: ignore[arg-type]
    source.make_room(2**20)
    source.start()
    try:
        assert done.wait(10)
        yield readings
    finally:
        source.stop()


def records(readings: list[ShardBatch]) -> list[Record]:
    """All records, in the order of their arrival."""
    return [record for item in readings for record in item.records]


def test_closed_shards_are_read_to_their_end_and_then_their_children() -> None:
    """A merge after a split: no child before its parents' last record; each end is told once."""
    kinesis = FakeKinesis(
        {"1": [b"a", b"b", b"c"], "2": [b"d"], "3": [b"e"], "4": [b"f", b"g"]},
        {"2": ["1"], "3": ["1"], "4": ["2", "3"]},
        {"1", "2", "3", "4"},
    )
    with reading(kinesis, lambda items: sum(item.ended for item in items) == 4) as readings:
        order = [record.shard for record in records(readings)]
        assert order[:3] == ["1", "1", "1"]
        assert sorted(order[3:5]) == ["2", "3"]
        assert order[5:] == ["4", "4"]
        assert sorted(item.shard for item in readings if item.ended) == ["1", "2", "3", "4"]


def test_a_shard_without_progress_is_read_from_the_delivery_streams_start() -> None:
    """AT_TIMESTAMP of the moment it became ACTIVE: not the latest record, when the worker starts after it."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    with reading(kinesis, records):
        asked = next(parameters for operation, parameters in kinesis.calls if operation == "GetShardIterator")
        assert (asked["ShardIteratorType"], asked["Timestamp"]) == ("AT_TIMESTAMP", 1_700_000_000.5)


def test_a_restart_goes_on_behind_the_position() -> None:
    """Finished shards are not read again, others from behind their position."""
    kinesis = FakeKinesis({"1": [b"a"], "2": [b"b", b"c"]}, {"2": ["1"]}, {"1"})
    progress = {"1": ShardProgress("1", ended=True), "2": ShardProgress("1")}
    with reading(kinesis, records, progress) as readings:
        assert [(record.shard, record.data) for record in records(readings)] == [("2", "Yw==")]


def test_throttling_and_expired_iterators_lose_nothing() -> None:
    """Whatever GetRecords fails with, reading goes on behind the last record, and throttling is told."""
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c"]}, {}, set())
    kinesis.errors = ["ProvisionedThroughputExceededException", "ExpiredIteratorException", "no JSON"]
    with reading(kinesis, lambda items: len(records(items)) == 3) as readings:
        assert [record.sequence for record in records(readings)] == ["1", "2", "3"]
        assert [item.throttled for item in readings if item.throttled] == ["GetRecords"]


def test_somebody_elses_answers_end_nothing() -> None:
    """A proxy that answers 200 with words of its own, to whatever is asked first: asked again until Kinesis answers."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    kinesis.strangers = 3
    with reading(kinesis, records) as readings:
        assert [record.sequence for record in records(readings)] == ["1"]


def test_a_shard_that_is_still_listed_is_not_gone() -> None:
    """One ResourceNotFoundException ends nothing: the stream may be away, or made anew."""
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c"]}, {}, set())
    kinesis.errors = ["ResourceNotFoundException"]
    with reading(kinesis, lambda items: len(records(items)) == 3) as readings:
        assert not any(item.ended for item in readings)


def test_a_shard_that_the_stream_has_forgotten_is_at_its_end() -> None:
    """Past its retention it is neither readable nor listed: whatever waits for it need not."""

    class Forgetful(FakeKinesis):
        def _answer(self, operation: str, parameters: dict[str, Any]) -> bytes:
            if operation == "GetRecords":
                self.shards = {}
                self.errors = ["ResourceNotFoundException"]
            return super()._answer(operation, parameters)

    with reading(Forgetful({"1": [b"a"]}, {}, set()), lambda items: items[-1].ended) as readings:
        assert [item.shard for item in readings] == ["1"]


def test_kpl_records_are_taken_apart() -> None:
    """Each user record has its own key, data, subsequence number and id; others have none."""
    users = [UserRecord("k1", b"one"), UserRecord("k2", b"two")]
    kinesis = FakeKinesis({"shardId-000000000003": [aggregate(users), b"plain"]}, {}, set())
    with reading(kinesis, records) as readings:
        found = [(r.id, r.partition_key, r.subsequence, base64.b64decode(r.data), r.size) for r in records(readings)]
    assert found == [
        ("3.1.0", "k1", 0, b"one", 3),
        ("3.1.1", "k2", 1, b"two", 3),
        ("3.2.0", "key", None, b"plain", 5),
    ]
    assert {record.arrived for record in records(readings)} == {1_700_000_000_123}


def test_nothing_is_read_without_room() -> None:
    """While the buffers are full no GetRecords is sent."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    taken = threading.Event()
    source = Source(kinesis, STREAM, 0, {}, post=lambda _: taken, spawn=spawn)  # type: ignore[arg-type]
    source.start()
    try:
        assert not taken.wait(0.2)
        assert "GetRecords" not in [operation for operation, _ in kinesis.calls]
    finally:
        source.stop()


def test_no_more_is_asked_for_than_fits() -> None:
    """The limit follows the size of the last records: into 10 MB, into memory, and never more than 10,000."""
    kinesis = FakeKinesis({"1": [b"x" * 50_000] * 4}, {}, set())
    with reading(kinesis, lambda items: len(records(items)) == 4):
        limits = [parameters["Limit"] for operation, parameters in kinesis.calls if operation == "GetRecords"]
    assert limits[0] == 100
    assert limits[1] == 2**20 // (50_000 + 1024)
