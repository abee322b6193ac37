"""Reading the stream: one thread a shard, at the pace that Kinesis allows and the buffers have room for."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from iot_stream.delivery.core import backoff, kpl
from iot_stream.delivery.core.checkpoint import footprint
from iot_stream.delivery.core.progress import ShardProgress
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.shards import Shard, readable
from iot_stream.delivery.edges.aws import AWS_ERRORS, JsonApi, code_of

__all__ = ["ShardBatch", "Source"]

_log = logging.getLogger(__name__)

# A shard gives 5 reads a second to all its readers ("Quotas and limits"): one is left to others.
_PAUSE: Final = 0.25
_LIST_PAUSE: Final = 5.0
_LIMIT: Final = 10_000  # records of one GetRecords …
_BYTES: Final = 10 * 1024 * 1024  # … and bytes: Kinesis keeps to it, ministack does not
_FIRST_LIMIT: Final = 100  # while nothing is known of the records
_THROTTLED: Final = {"ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException"}
_GONE: Final = "ResourceNotFoundException"


class _KinesisRecord(msgspec.Struct):
    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: str
    PartitionKey: str


class _ListedShard(msgspec.Struct):
    ShardId: str
    ParentShardId: str | None = None
    AdjacentParentShardId: str | None = None


class _Listed(msgspec.Struct):
    Shards: list[_ListedShard]
    NextToken: str | None = None


class _Begun(msgspec.Struct):
    ShardIterator: str


class _Answer(msgspec.Struct):
    Records: list[_KinesisRecord]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


_read = msgspec.json.Decoder(_Answer).decode
_read_listed = msgspec.json.Decoder(_Listed).decode
_read_begun = msgspec.json.Decoder(_Begun).decode


class ShardBatch(NamedTuple):
    """What one GetRecords returned.

    Attributes:
        shard: the shard's id.
        records: its user records, in order.
        behind: MillisBehindLatest.
        ended: whether the shard is closed and these are its last records.
        throttled: the operation that Kinesis throttled (GetRecords or GetShardIterator), with nothing read.
    """

    shard: str
    records: list[Record]
    behind: int
    ended: bool
    throttled: str | None = None


def to_records(shard: str, answer: _Answer) -> list[Record]:
    """The user records in an answer, with what the KPL aggregated taken apart."""
    records: list[Record] = []
    for kinesis in answer.Records:
        sequence, data = kinesis.SequenceNumber, kinesis.Data
        arrived = round(kinesis.ApproximateArrivalTimestamp * 1000)
        users = kpl.deaggregate(data) if kpl.looks_aggregated(data) else None
        if users is None:
            size = len(data) // 4 * 3 - data.count("=", -2)
            name = record_id(shard, sequence, None)
            records.append(Record(shard, sequence, None, kinesis.PartitionKey, arrived, data, name, size))
            continue
        for number, user in enumerate(users):
            text, name = kpl.encode(user.data), record_id(shard, sequence, number)
            records.append(Record(shard, sequence, number, user.partition_key, arrived, text, name, len(user.data)))
    return records


class Source:
    """All shards of a stream, read by threads that hand over what they get.

    Args:
        api: Kinesis, as the delivery role.
        stream_arn: the stream; every call names it (ministack denies GetRecords to a role otherwise).
        start: epoch seconds from which a shard without progress is read.
        progress: by shard id.
        post: takes a Reading; returns an event that is set when it is taken, after which the shard is read on.
        spawn: runs a function in a thread of its own, and lets no error of it pass unseen.
    """

    def __init__(
        self,
        api: JsonApi,
        stream_arn: str,
        start: float,
        progress: dict[str, ShardProgress],
        *,
        post: Callable[[ShardBatch], threading.Event],
        spawn: Callable[..., None],
    ) -> None:
        self._api = api
        self._stream_arn = stream_arn
        self._start = start
        self._progress = progress
        self._post = post
        self._spawn = spawn
        self._read = {name for name, shard in progress.items() if shard.ended}
        self._readers: set[str] = set()
        self._stopped = threading.Event()
        self._changed = threading.Event()
        self._room = 0
        self._has_room = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        self._spawn(self._watch)

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()
        self._changed.set()
        self._has_room.set()

    def make_room(self, size: int) -> None:
        """Read on while `size`, bytes of memory for records, is above 0; no more at once than fits in."""
        self._room = size
        if size > 0:
            self._has_room.set()
        else:
            self._has_room.clear()

    def _watch(self) -> None:
        attempt = 0
        while not self._stopped.is_set():
            self._changed.clear()
            try:
                shards = self._list()
                attempt = 0
            except AWS_ERRORS as error:
                attempt += 1
                _log.warning("ListShards failed (%s): trying again", code_of(error))
                self._stopped.wait(backoff.READ.wait(attempt) / 1000)
                continue
            for name in readable(shards, self._progress, self._read):
                if name not in self._readers:
                    self._readers.add(name)
                    self._spawn(self._follow, name)
            self._changed.wait(_LIST_PAUSE)

    def _list(self) -> list[Shard]:
        shards: list[Shard] = []
        request: dict[str, Any] = {"StreamARN": self._stream_arn}
        while True:
            answer = self._api.call("ListShards", request, _read_listed)
            for shard in answer.Shards:
                parents = filter(None, (shard.ParentShardId, shard.AdjacentParentShardId))
                shards.append(Shard(shard.ShardId, tuple(parents)))
            if not answer.NextToken:
                return shards
            request = {"StreamARN": self._stream_arn, "NextToken": answer.NextToken}

    def _follow(self, shard: str) -> None:
        """Read one shard to its end."""
        kept = self._progress.get(shard)
        after = kept.position if kept else None
        iterator: str | None = None
        attempt, limit = 0, _FIRST_LIMIT
        while not self._stopped.is_set():
            if not self._has_room.wait(1) or self._stopped.is_set():
                continue
            began = time.monotonic()
            try:
                iterator = iterator or self._iterator(shard, after)
                request = {"ShardIterator": iterator, "Limit": limit, "StreamARN": self._stream_arn}
                answer = self._api.call("GetRecords", request, _read)
                attempt = 0
            except AWS_ERRORS as error:
                code = code_of(error)
                if code == _GONE and self._is_gone(shard):
                    _log.warning("%s is gone", shard)
                    answer = _Answer([])
                else:
                    attempt += 1
                    iterator = None  # it may have expired: the next one goes on behind the last record
                    if code in _THROTTLED:
                        self._post(ShardBatch(shard, [], 0, ended=False, throttled=_operation(error))).wait()
                    _log.warning("reading %s failed (%s): trying again", shard, code)
                    self._stopped.wait(backoff.READ.wait(attempt) / 1000)
                    continue
            iterator = answer.NextShardIterator
            if answer.Records:
                after = answer.Records[-1].SequenceNumber
            if iterator is None:
                self._read.add(shard)
            records = to_records(shard, answer)
            taken = self._post(ShardBatch(shard, records, answer.MillisBehindLatest, ended=iterator is None))
            if records:
                limit = self._next_limit(answer, records)
            while not taken.wait(1):
                if self._stopped.is_set():
                    return
            if iterator is None:
                self._changed.set()
                return
            self._stopped.wait(_PAUSE - (time.monotonic() - began))

    def _is_gone(self, shard: str) -> bool:
        """Whether the stream has no such shard: it is past its retention. One answer alone is no proof of that."""
        try:
            return shard not in {each.name for each in self._list()}
        except AWS_ERRORS:
            return False

    def _next_limit(self, answer: _Answer, records: list[Record]) -> int:
        """How many Kinesis records like the last ones fit into one answer, and into memory once taken apart."""
        count = len(answer.Records)
        in_answer = _BYTES * count // max(1, sum(len(record.Data) for record in answer.Records))
        in_memory = self._room * count // sum(map(footprint, records))
        return max(1, min(_LIMIT, in_answer, in_memory))

    def _iterator(self, shard: str, after: str | None) -> str:
        request: dict[str, Any] = {"StreamARN": self._stream_arn, "ShardId": shard}
        if after is None:
            # LATEST at the moment the delivery stream became ACTIVE, whenever this worker came up.
            request |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._start}
        else:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        return self._api.call("GetShardIterator", request, _read_begun).ShardIterator


def _operation(error: Exception) -> str:
    return error.operation_name if isinstance(error, ClientError) else "GetRecords"
