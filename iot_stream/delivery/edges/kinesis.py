"""Source: reads the stream with one thread for each shard, as fast as Kinesis allows and memory permits."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from iot_stream.delivery.core import backoff
from iot_stream.delivery.core.checkpoint import footprint
from iot_stream.delivery.core.get_records import GetRecordsResponse
from iot_stream.delivery.core.progress import ShardProgress
from iot_stream.delivery.core.record import Record
from iot_stream.delivery.core.shard_reader import ShardBatch, ShardReader
from iot_stream.delivery.core.shards import Shard, readable
from iot_stream.delivery.edges.aws import AWS_ERRORS, JsonApi, error_code

__all__ = ["Source"]

_log = logging.getLogger(__name__)

# A shard allows 5 reads a second for all its readers ("Quotas and limits"); leave one to others.
_PAUSE: Final = 0.25
_LIST_PAUSE: Final = 5.0
_LIMIT: Final = 10_000  # records of one GetRecords …
_BYTES: Final = 10 * 1024 * 1024  # … and bytes: Kinesis enforces it, ministack does not
_THROTTLED: Final = {"ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException"}
_NOT_FOUND: Final = "ResourceNotFoundException"
_INVALID: Final = {"InvalidArgumentException", "ValidationException"}


class _ListedShard(msgspec.Struct):
    ShardId: str
    ParentShardId: str | None = None
    AdjacentParentShardId: str | None = None


class _ListShardsResponse(msgspec.Struct):
    Shards: list[_ListedShard]
    NextToken: str | None = None


class _GetShardIteratorResponse(msgspec.Struct):
    ShardIterator: str


_parse_shards = msgspec.json.Decoder(_ListShardsResponse).decode
_parse_iterator = msgspec.json.Decoder(_GetShardIteratorResponse).decode
_parse_records = msgspec.json.Decoder(GetRecordsResponse).decode


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
        reader = ShardReader(shard, progress.position if progress else None)
        while not self._stopped.is_set():
            if not self._has_room.wait(1) or self._stopped.is_set():
                continue
            began = time.monotonic()
            response = self._get_records(reader)
            if response is None or not reader.accept(response, _now()):
                continue
            if reader.iterator is None:
                self._finished.add(shard)
            batch = reader.batch(response)
            if batch.restarted:
                _log.warning(
                    "%s has no record at its saved position, which is wrong or past the retention: "
                    "reading from the delivery stream's start",
                    shard,
                )
            processed = self._post(batch)
            if batch.records:
                reader.limit = self._next_limit(response, batch.records)
            while not processed.wait(1):
                if self._stopped.is_set():
                    return
            if reader.iterator is None:
                self._changed.set()
                return
            self._stopped.wait(_PAUSE - (time.monotonic() - began))

    def _get_records(self, reader: ShardReader) -> GetRecordsResponse | None:
        """Get the next records; if that fails and must be retried, wait and return None."""
        try:
            reader.iterator = reader.iterator or self._get_iterator(reader)
            request = {"ShardIterator": reader.iterator, "Limit": reader.limit, "StreamARN": self._stream_arn}
            response = self._api.call("GetRecords", request, _parse_records)
        except AWS_ERRORS as error:
            code = error_code(error)
            if code in _INVALID and not reader.verified:
                reader.reject(_now())
                return None
            if code == _NOT_FOUND and self._has_expired(reader.shard):
                _log.warning("%s is past the stream's retention", reader.shard)
                reader.expire(_now())
                return GetRecordsResponse([])
            reader.attempt += 1
            reader.lose_iterator()  # it may have expired
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

    def _next_limit(self, response: GetRecordsResponse, records: list[Record]) -> int:
        """Return how many Kinesis records of the last size fit into one response and into memory."""
        count = len(response.Records)
        in_response = _BYTES * count // max(1, sum(len(record.Data) for record in response.Records))
        in_memory = self._room * count // sum(map(footprint, records))
        return max(1, min(_LIMIT, in_response, in_memory))

    def _get_iterator(self, reader: ShardReader) -> str:
        request: dict[str, Any] = {"StreamARN": self._stream_arn, "ShardId": reader.shard}
        if reader.after is None:
            # LATEST at the moment the delivery stream became ACTIVE, whenever this worker started.
            request |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._start}
        else:
            kind = "AFTER_SEQUENCE_NUMBER" if reader.verified else "AT_SEQUENCE_NUMBER"
            request |= {"ShardIteratorType": kind, "StartingSequenceNumber": reader.after}
        return self._api.call("GetShardIterator", request, _parse_iterator).ShardIterator


def _operation(error: Exception) -> str:
    return error.operation_name if isinstance(error, ClientError) else "GetRecords"


def _now() -> int:
    return time.time_ns() // 1_000_000
