"""Source: reads the stream with one thread for each shard, as fast as Kinesis allows and memory permits."""

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
from iot_stream.delivery.edges.aws import AWS_ERRORS, JsonApi, error_code

__all__ = ["ShardBatch", "Source"]

_log = logging.getLogger(__name__)

# A shard allows 5 reads a second for all its readers ("Quotas and limits"); leave one to others.
_PAUSE: Final = 0.25
_LIST_PAUSE: Final = 5.0
_LIMIT: Final = 10_000  # records of one GetRecords …
_BYTES: Final = 10 * 1024 * 1024  # … and bytes: Kinesis enforces it, ministack does not
_FIRST_LIMIT: Final = 100  # while the records' size is unknown
_THROTTLED: Final = {"ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException"}
_NOT_FOUND: Final = "ResourceNotFoundException"
_INVALID: Final = {"InvalidArgumentException", "ValidationException"}
_FINER_UNIT = 1e11


class _KinesisRecord(msgspec.Struct):
    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: str
    PartitionKey: str


class _ListedShard(msgspec.Struct):
    ShardId: str
    ParentShardId: str | None = None
    AdjacentParentShardId: str | None = None


class _ListShardsResponse(msgspec.Struct):
    Shards: list[_ListedShard]
    NextToken: str | None = None


class _GetShardIteratorResponse(msgspec.Struct):
    ShardIterator: str


class _GetRecordsResponse(msgspec.Struct):
    Records: list[_KinesisRecord]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


_parse_shards = msgspec.json.Decoder(_ListShardsResponse).decode
_parse_iterator = msgspec.json.Decoder(_GetShardIteratorResponse).decode
_parse_records = msgspec.json.Decoder(_GetRecordsResponse).decode


class ShardBatch(NamedTuple):
    """The result of one GetRecords.

    Attributes:
        shard: the shard's id.
        records: its user records, in order.
        behind: MillisBehindLatest.
        ended: whether the shard is closed and these are its last records.
        throttled: the operation that Kinesis throttled (GetRecords or GetShardIterator), with nothing read.
        restarted: whether the shard has no record at its saved position, so that it is read from the start again.
    """

    shard: str
    records: list[Record]
    behind: int
    ended: bool
    throttled: str | None = None
    restarted: bool = False


class Source:
    """All shards of a stream, read by threads that hand over each batch.

    Args:
        api: Kinesis, as the delivery role.
        stream_arn: the stream; every call names it (otherwise ministack denies GetRecords to a role).
        start: epoch seconds from which a shard without progress is read.
        progress: by shard id.
        post: takes a ShardBatch and returns an event that is set when it is processed; then the shard is read on.
        spawn: runs a function in a thread of its own, and reports any error it raises.
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
        self._finished = {name for name, shard in progress.items() if shard.ended}
        self._being_read: set[str] = set()
        self._stopped = threading.Event()
        self._changed = threading.Event()
        self._room = 0
        self._has_room = threading.Event()

    def start(self) -> None:
        """Start reading."""
        self._spawn(self._watch_shards)

    def stop(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._changed.set()
        self._has_room.set()

    def set_room(self, size: int) -> None:
        """Allow `size` bytes of memory for further records; reading pauses at 0."""
        self._room = size
        if size > 0:
            self._has_room.set()
        else:
            self._has_room.clear()

    def _watch_shards(self) -> None:
        attempt, known = 0, set(self._progress)
        while not self._stopped.is_set():
            self._changed.clear()
            try:
                shards = self._list_shards()
                attempt = 0
            except AWS_ERRORS as error:
                attempt += 1
                _log.warning("ListShards failed (%s): retrying", error_code(error))
                self._stopped.wait(backoff.READ.wait(attempt) / 1000)
                continue
            for name in sorted(known - {shard.id for shard in shards} - self._finished):
                _log.warning(
                    "%s has progress but is not listed: past the stream's retention, or another stream's", name
                )
            known = set()
            for name in readable(shards, self._progress, self._finished):
                if name not in self._being_read:
                    self._being_read.add(name)
                    self._spawn(self._read_shard, name)
            self._changed.wait(_LIST_PAUSE)

    def _list_shards(self) -> list[Shard]:
        shards: list[Shard] = []
        request: dict[str, Any] = {"StreamARN": self._stream_arn}
        while True:
            response = self._api.call("ListShards", request, _parse_shards)
            for shard in response.Shards:
                parents = filter(None, (shard.ParentShardId, shard.AdjacentParentShardId))
                shards.append(Shard(shard.ShardId, tuple(parents)))
            if not response.NextToken:
                return shards
            request = {"StreamARN": self._stream_arn, "NextToken": response.NextToken}

    def _read_shard(self, shard: str) -> None:
        """Read one shard to its end."""
        progress = self._progress.get(shard)
        reader = _Reader(shard, progress.position if progress else None)
        while not self._stopped.is_set():
            if not self._has_room.wait(1) or self._stopped.is_set():
                continue
            began = time.monotonic()
            response = self._get_records(reader)
            if response is None or not reader.accept(response):
                continue
            if reader.iterator is None:
                self._finished.add(shard)
            records = _to_records(shard, response)
            processed = self._post(reader.batch(records, response.MillisBehindLatest))
            if records:
                reader.limit = self._next_limit(response, records)
            while not processed.wait(1):
                if self._stopped.is_set():
                    return
            if reader.iterator is None:
                self._changed.set()
                return
            self._stopped.wait(_PAUSE - (time.monotonic() - began))

    def _get_records(self, reader: "_Reader") -> _GetRecordsResponse | None:
        """Read on; return None, after a wait, when that failed and has to be retried."""
        try:
            reader.iterator = reader.iterator or self._get_iterator(reader)
            request = {"ShardIterator": reader.iterator, "Limit": reader.limit, "StreamARN": self._stream_arn}
            response = self._api.call("GetRecords", request, _parse_records)
        except AWS_ERRORS as error:
            code = error_code(error)
            if code in _INVALID and not reader.verified:
                return _GetRecordsResponse([])
            if code == _NOT_FOUND and self._has_expired(reader.shard):
                _log.warning("%s is past the stream's retention", reader.shard)
                reader.verified = True
                return _GetRecordsResponse([])
            reader.attempt += 1
            reader.iterator = None  # it may have expired: a new one continues after the last record
            if code in _THROTTLED:
                self._post(ShardBatch(reader.shard, [], 0, ended=False, throttled=_operation(error))).wait()
            _log.warning("reading %s failed (%s): retrying", reader.shard, code)
            self._stopped.wait(backoff.READ.wait(reader.attempt) / 1000)
            return None
        reader.attempt = 0
        return response

    def _has_expired(self, shard: str) -> bool:
        """Return whether the stream no longer lists the shard: one ResourceNotFoundException does not prove it."""
        try:
            return shard not in {listed.id for listed in self._list_shards()}
        except AWS_ERRORS:
            return False

    def _next_limit(self, response: _GetRecordsResponse, records: list[Record]) -> int:
        """Return how many Kinesis records like the last ones fit into one response, and into memory."""
        count = len(response.Records)
        in_response = _BYTES * count // max(1, sum(len(record.Data) for record in response.Records))
        in_memory = self._room * count // sum(map(footprint, records))
        return max(1, min(_LIMIT, in_response, in_memory))

    def _get_iterator(self, reader: "_Reader") -> str:
        request: dict[str, Any] = {"StreamARN": self._stream_arn, "ShardId": reader.shard}
        if reader.after is None:
            # LATEST at the moment the delivery stream became ACTIVE, whenever this worker started.
            request |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._start}
        else:
            kind = "AFTER_SEQUENCE_NUMBER" if reader.verified else "AT_SEQUENCE_NUMBER"
            request |= {"ShardIteratorType": kind, "StartingSequenceNumber": reader.after}
        return self._api.call("GetShardIterator", request, _parse_iterator).ShardIterator


class _Reader:
    """How far the reading of one shard is.

    A saved position is verified by reading its record again: Kinesis accepts any position, and what lies before a wrong
    one would be skipped in silence. Where the record is past the stream's retention, the start reads the same as the
    position would; where the position is wrong, records are repeated under the same ids.
    """

    def __init__(self, shard: str, after: str | None) -> None:
        self.shard = shard
        self.after = after
        self.verified = after is None
        self.iterator: str | None = None
        self.limit = _FIRST_LIMIT
        self.attempt = 0
        self._restarted = False

    def accept(self, response: _GetRecordsResponse) -> bool:
        """Take a response's position, and drop the record at the saved position from it.

        Returns:
            False when the shard has no record at the saved position: then it is read from the start.
        """
        self.iterator = response.NextShardIterator
        if not self.verified:
            if response.Records and response.Records[0].SequenceNumber == self.after:
                self.verified = True
                del response.Records[0]
            elif response.Records or response.MillisBehindLatest == 0:
                _log.warning(
                    "%s has no record at its saved position, which is wrong or past the retention: "
                    "reading from the delivery stream's start",
                    self.shard,
                )
                self.after, self.iterator, self.verified, self._restarted = None, None, True, True
                return False
        if response.Records:
            self.after = response.Records[-1].SequenceNumber
        return True

    def batch(self, records: list[Record], behind: int) -> ShardBatch:
        """Return what was read."""
        restarted, self._restarted = self._restarted, False
        return ShardBatch(self.shard, records, behind, self.iterator is None, restarted=restarted)


def _to_records(shard: str, response: _GetRecordsResponse) -> list[Record]:
    """Return the user records in a response, with aggregated KPL records deaggregated."""
    records: list[Record] = []
    for kinesis in response.Records:
        sequence, data = kinesis.SequenceNumber, kinesis.Data
        arrived = _epoch_ms(kinesis.ApproximateArrivalTimestamp)
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


def _epoch_ms(timestamp: float) -> int:
    """Return a timestamp in milliseconds; AWS's are in seconds, those of other implementations in finer units too.

    More than 100 billion seconds would be beyond the year 5000, as many milliseconds are in 1973.
    """
    while abs(timestamp) >= _FINER_UNIT:
        timestamp /= 1000
    return round(timestamp * 1000)


def _operation(error: Exception) -> str:
    return error.operation_name if isinstance(error, ClientError) else "GetRecords"
