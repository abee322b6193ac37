"""Where replayed records go: readings into the stream, documents into their index.

A document has an id, so indexing it again changes nothing. A record that is put into a stream twice is there twice. So
each record gets a unique partition key; if a response was lost, the stream is searched for these keys.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException, TransportError

from iot_stream.errors import IotStreamError
from iot_stream.failures.pace import Pace

__all__ = ["DestinationError", "IndexDestination", "Item", "Sent", "StreamDestination", "partition_key"]

_GIVE_UP_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 5.0  # a request whose response was lost may still be under way
_SKEW_MS: Final = 60_000  # between this machine's clock and the stream's
_LONGEST_PUT_MS: Final = 900_000
_THROTTLED: Final = {
    "ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException", "KMSThrottlingException",
}  # fmt: skip
_SERVER_ERROR: Final = 500
_RETRYABLE: Final = {408, 429}
_NO_PERMISSION: Final = {401, 403}
_SUCCESS: Final = range(200, 300)


class DestinationError(IotStreamError):
    """The stream or the domain can't be written to; what was confirmed before is kept."""


@dataclass(frozen=True, slots=True)
class Item:
    """A record to send: its line in the object, its bytes, and for a document its index and id."""

    line: int
    data: bytes
    index: str = ""
    document_id: str = ""


@dataclass
class Sent:
    """The result of a batch: the confirmed lines, and why others were rejected permanently."""

    confirmed: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)


def partition_key(key: str, line: int) -> str:
    """Return a partition key that is unique to one record of one object."""
    return f"replay-{hashlib.sha256(key.encode()).hexdigest()[:20]}-{line}"


class StreamDestination:
    """Puts records into a Kinesis data stream (API reference, PutRecords).

    Args:
        kinesis: a boto3 client; its retries are disabled, because a repeated PutRecords puts its records twice. Read
            calls are retried here.
        stream: the stream's name.
        pace: how fast.
        clock: seconds since the epoch.
        sleep: waits so many seconds.
    """

    most_records: Final = 500
    most_bytes: Final = 4_500_000  # 5 MiB with partition keys
    largest: Final = 1_048_576 - 64  # a record with its key

    def __init__(
        self, kinesis: Any, stream: str, pace: Pace, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        kinesis.meta.events.unregister("needs-retry.kinesis", unique_id="retry-config-kinesis")
        self._kinesis = kinesis
        self._stream = stream
        self._pace = pace
        self._clock = clock
        self._sleep = sleep

    def send(self, key: str, items: Sequence[Item], since_ms: int) -> Sent:
        """Put the records of object `key` into the stream, each once.

        Args:
            key: the object.
            items: at most `most_records` and `most_bytes` of them.
            since_ms: when the batch was written down as pending (epoch milliseconds).

        Raises:
            DestinationError: the stream returns an error, or does not respond for a minute.
        """
        sent = Sent()
        left = {item.line: item for item in items}
        deadline = self._clock() + _GIVE_UP_SECONDS
        while left:
            self._pace.wait_for(len(left))
            accepted, reason = self._put(key, [*left.values()], since_ms)
            sent.confirmed |= accepted
            left = {line: item for line, item in left.items() if line not in accepted}
            if not left:
                self._pace.accepted()
            elif self._clock() > deadline:
                sent.refused |= dict.fromkeys(left, f"the stream refused it for a minute: {reason}")
                break
            else:
                self._pace.refused()
                self._sleep(_PAUSE_SECONDS)
        return sent

    def find(self, key: str, lines: Iterable[int], since_ms: int) -> set[int]:
        """Return the lines of object `key` that were put into the stream since `since_ms`.

        Raises:
            DestinationError: the stream can't be read, or no longer holds what was put then.
        """
        wanted = {partition_key(key, line): line for line in lines}
        try:
            summary = self._summary()
            if self._clock() - since_ms / 1000 > summary["RetentionPeriodHours"] * 3600:
                raise DestinationError(
                    f"an earlier replay was interrupted while sending {len(wanted)} records of {key}, and stream"
                    f" {self._stream} no longer shows whether they arrived: choose --unsure send or --unsure skip"
                )
            found: set[int] = set()
            for shard in self._asked(self._shards):
                found |= self._find_in(shard, summary["StreamARN"], wanted, since_ms)
            return found
        except (ClientError, BotoCoreError) as error:
            raise DestinationError(f"stream {self._stream} can't be read: {error}") from error

    def _find_in(self, shard: str, arn: str, wanted: dict[str, int], since_ms: int) -> set[int]:
        found: set[int] = set()
        begin = (since_ms - _SKEW_MS) / 1000
        iterator = self._asked(
            lambda: self._kinesis.get_shard_iterator(
                StreamName=self._stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=begin
            )["ShardIterator"]
        )
        while iterator:
            page = self._asked(partial(self._kinesis.get_records, ShardIterator=iterator, StreamARN=arn))
            records = page["Records"]
            found |= {wanted[each["PartitionKey"]] for each in records if each["PartitionKey"] in wanted}
            late = (
                records and records[-1]["ApproximateArrivalTimestamp"].timestamp() * 1000 > since_ms + _LONGEST_PUT_MS
            )
            if late or (not records and not page.get("MillisBehindLatest")):
                break
            iterator = page.get("NextShardIterator")
            self._sleep(_PAUSE_SECONDS / 4)  # of five reads a second, which Firehose shares
        return found

    def _summary(self) -> dict[str, Any]:
        ask = partial(self._kinesis.describe_stream_summary, StreamName=self._stream)
        return dict(self._asked(ask)["StreamDescriptionSummary"])

    def _shards(self) -> list[str]:
        pages = self._kinesis.get_paginator("list_shards").paginate(StreamName=self._stream)
        return [shard["ShardId"] for page in pages for shard in page["Shards"]]

    def _asked[T](self, ask: Callable[[], T]) -> T:
        """Return the result of a read call; retry it for a minute, because Firehose shares the read limits."""
        deadline = self._clock() + _GIVE_UP_SECONDS
        while True:
            try:
                return ask()
            except (ConnectionError, HTTPClientError):
                if self._clock() > deadline:
                    raise
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                passing = error.response.get("Error", {}).get("Code", "") in _THROTTLED or status >= _SERVER_ERROR
                if not passing or self._clock() > deadline:
                    raise
            self._sleep(_PAUSE_SECONDS)

    def _put(self, key: str, items: list[Item], since_ms: int) -> tuple[set[int], str]:
        """Return the lines that are in the stream after one PutRecords, and why others are not."""
        records = [{"Data": item.data, "PartitionKey": partition_key(key, item.line)} for item in items]
        try:
            results = self._kinesis.put_records(StreamName=self._stream, Records=records)["Records"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _THROTTLED:
                return set(), code
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < _SERVER_ERROR:
                raise DestinationError(f"stream {self._stream} refuses records: {error}") from error
            return self._look(key, items, since_ms), code
        except BotoCoreError as error:  # no response: whether they arrived only the stream knows
            return self._look(key, items, since_ms), str(error)
        pairs = list(zip(items, results, strict=True))
        reasons = [result["ErrorCode"] for _, result in pairs if result.get("ErrorCode")]
        return {item.line for item, result in pairs if not result.get("ErrorCode")}, reasons[-1] if reasons else ""

    def _look(self, key: str, items: list[Item], since_ms: int) -> set[int]:
        self._sleep(_LATE_SECONDS)
        return self.find(key, [item.line for item in items], since_ms)


class IndexDestination:
    """Indexes documents by their own ids (OpenSearch, "Bulk"), so that indexing twice is safe.

    Args:
        client: an OpenSearch client that may write to the indices.
        pace: how fast.
        clock: seconds that only grow.
        sleep: waits so many seconds.
    """

    most_records: Final = 500
    most_bytes: Final = 5_000_000  # below the 10 MiB that small nodes accept

    def __init__(self, client: Client, pace: Pace, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._client = client
        self._pace = pace
        self._clock = clock
        self._sleep = sleep

    def send(self, items: Sequence[Item]) -> Sent:
        """Index documents; return the error type of each document that the domain rejects permanently.

        Raises:
            DestinationError: the domain rejects the sign-in, or does not respond for a minute.
        """
        sent = Sent()
        left: dict[int, tuple[str, str]] = {}
        for item in items:
            document = _one_line(item.data)
            if document is None:
                sent.refused[item.line] = "not a JSON object"
            else:
                action = {"index": {"_index": item.index, "_id": item.document_id}}
                left[item.line] = (json.dumps(action), document)
        deadline = self._clock() + _GIVE_UP_SECONDS
        while left:
            self._pace.wait_for(len(left))
            reason = self._bulk(left, sent)
            if not left:
                self._pace.accepted()
            elif self._clock() > deadline:
                raise DestinationError(f"the domain did not accept {len(left)} documents within a minute: {reason}")
            else:
                self._pace.refused()
                self._sleep(_PAUSE_SECONDS)
        return sent

    def _bulk(self, left: dict[int, tuple[str, str]], sent: Sent) -> str:
        """Send the remaining items, remove those with a final result, and return why the others are left."""
        lines = list(left)
        body = "".join(f"{action}\n{document}\n" for action, document in left.values())
        try:
            results = self._client.bulk(body=body)["items"]
        except TransportError as error:
            if error.status_code in _NO_PERMISSION:
                raise DestinationError(
                    f"the domain denies access to the user who signed in: {error.status_code} {error.error}"
                ) from None
            if isinstance(error.status_code, int) and not _retryable(error.status_code):
                raise DestinationError(f"the domain rejects the request: {error.status_code} {error.error}") from None
            return str(error.error)
        except OpenSearchException as error:
            return type(error).__name__
        reason = ""
        for line, item in zip(lines, results, strict=True):
            result = item["index"]
            error_type = (result.get("error") or {}).get("type", "")
            if result["status"] in _SUCCESS:
                sent.confirmed.add(line)
            elif _retryable(result["status"]):
                reason = f"{result['status']} {error_type}"
                continue
            else:
                sent.refused[line] = f"{result['status']} {error_type}"
            del left[line]
        return reason


def _retryable(status: int) -> bool:
    return status in _RETRYABLE or status >= _SERVER_ERROR


def _one_line(data: bytes) -> str | None:
    """Return a document as one line, because a line break would shift all following lines of a bulk request."""
    try:
        text = data.decode()
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    stripped = text.strip()
    return json.dumps(document) if "\n" in stripped or "\r" in stripped else stripped
