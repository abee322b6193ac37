"""Send readings to the Kinesis data stream when they are due, each one once as far as the sender can tell.

PutRecords is not atomic (Kinesis API reference): its response names the records that were refused, and only those are
sent again. After a call without a response, such as a broken connection, nobody knows whether its records were
accepted: they are sent again, and the stream may then hold them twice.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's

from iot_stream.errors import IotStreamError
from iot_stream.generator.ledger import Accepted, digest_of
from iot_stream.generator.rates import Due, Pace
from iot_stream.generator.series import Reading, Series

__all__ = ["SendError", "Sent", "put", "send"]

MAX_RECORDS = 500  # of one PutRecords
_MAX_BYTES = 5 * 1024 * 1024  # of one PutRecords, with partition keys; AWS raised it to 10 MiB in October 2025
_RETRY_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TICK = 0.25  # seconds between batches where the rate fills none
_LAST_BATCH_SECONDS = 1.0  # for what is due when the time is over
# What no retry changes (Kinesis API reference, PutRecords and "Common errors"); everything else is tried again.
_PERMANENT = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidArgumentException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "KMSNotFoundException",
    "KMSOptInRequired",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
    "ValidationException",
}


class SendError(IotStreamError):
    """Records could not be put into the stream."""


@dataclass
class Sent:
    """What was sent so far.

    Attributes:
        records: records that the stream accepted.
        retried: records that were refused and sent again, once for each time.
        abandoned: records still refused when the time was over or somebody stopped.
        calls: PutRecords calls.
        due: how many were to be sent until the last batch.
        asked_rate: records per second that this is.
        seconds: how long it has taken.
    """

    records: int = 0
    retried: int = 0
    abandoned: int = 0
    calls: int = 0
    due: float = 0.0
    asked_rate: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Return the accepted records per second."""
        return self.records / self.seconds if self.seconds else 0.0


type OnAccepted = Callable[[list[Accepted]], None]


def send(
    kinesis: Any,
    stream: str,
    readings: Series,
    *,
    due: Due,
    count: int | None = None,
    seconds: float | None = None,
    on_accepted: OnAccepted = lambda _: None,
    on_sent: Callable[[Sent], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Sent:
    """Send the readings that are due, until `count` are sent, `seconds` are over, or `stop()` returns true.

    Full batches go at once, the rest four times a second. The times of a batch are spread over the time since the last
    one, as if each reading had been taken when it was due, so that every second has its share of them.

    Args:
        kinesis: a boto3 Kinesis client.
        stream: the stream's name.
        readings: where readings come from.
        due: how many readings are due when; what the stream can't take is not caught up with after `seconds`.
        count: number of readings, None for no limit.
        seconds: time limit, None for no limit; the last request may end later, by the client's timeouts at most.
        on_accepted: called with what each request added to the stream.
        on_sent: called after each batch.
        stop: asked before each batch and while refused records wait.

    Returns:
        What was sent; `records` were accepted by the stream.

    Raises:
        SendError: the stream does not exist, or refused records for a minute; says how many were accepted.
    """
    sent = Sent()
    begun = time.monotonic()
    end = math.inf if seconds is None else begun + seconds
    pace = Pace(due, math.inf if count is None else count, time.time())
    tick = begun

    def over() -> bool:
        return stop() or time.monotonic() >= end + _LAST_BATCH_SECONDS

    while not over() and not pace.complete:
        now = time.monotonic()
        ticked, last = now >= tick, now >= end
        if ticked:
            tick = begun + ((now - begun) // _TICK + 1) * _TICK
        size = pace.waiting(min(now, end) - begun)
        if size >= MAX_RECORDS or (size and (ticked or last or pace.ends_with(size))):
            times = pace.take(min(size, MAX_RECORDS), time.time())
            for batch in _requests(readings.take(times)):
                put(kinesis, stream, batch, sent, on_accepted=on_accepted, over=over, until=end + _LAST_BATCH_SECONDS)
            sent.due, sent.asked_rate, sent.seconds = pace.due, pace.rate, time.monotonic() - begun
            on_sent(sent)
        elif last:
            break
        else:
            time.sleep(max(0.0, min(tick, end) - now))
    sent.seconds = time.monotonic() - begun
    return sent


def _requests(readings: list[Reading]) -> list[list[Reading]]:
    """Return readings in batches that fit into a request: one, unless they are large."""
    sizes = [len(data) + len(key) for key, data in readings]
    if sum(sizes) <= _MAX_BYTES:
        return [readings]
    batches: list[list[Reading]] = []
    size = _MAX_BYTES
    for reading, more in zip(readings, sizes, strict=True):
        size += more
        if size > _MAX_BYTES:
            batches.append([])
            size = more
        batches[-1].append(reading)
    return batches


def put(
    kinesis: Any,
    stream: str,
    batch: list[Reading],
    sent: Sent,
    *,
    on_accepted: OnAccepted = lambda _: None,
    over: Callable[[], bool] = lambda: False,
    until: float = math.inf,
) -> None:
    """Put `batch` (at most 500) into `stream`; send refused records again, alone, with growing pauses.

    Args:
        kinesis: a boto3 Kinesis client.
        stream: the stream's name.
        batch: the readings.
        sent: counts, which are kept up to date.
        on_accepted: called with what each request added to the stream.
        over: asked before each retry; once true, what is still refused is abandoned.
        until: when `over` will be true at the latest, by the monotonic clock; no pause is longer.

    Raises:
        SendError: some were still refused after a minute, or the stream can't be written to.
    """
    deadline = time.monotonic() + _RETRY_SECONDS
    pause = _FIRST_PAUSE
    while True:
        refused, reason = _put_once(kinesis, stream, batch, sent, on_accepted)
        sent.calls += 1
        if not refused:
            return
        batch = refused
        if over():
            sent.abandoned += len(batch)
            return
        if time.monotonic() > deadline:
            raise SendError(
                f"stream {stream} refused {len(batch)} records for {_RETRY_SECONDS:.0f} s ({reason}); "
                f"{sent.records} were accepted: lower the rate, or give the stream more shards"
            )
        sent.retried += len(batch)
        time.sleep(max(0.0, min(pause, until - time.monotonic())))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _put_once(
    kinesis: Any, stream: str, batch: list[Reading], sent: Sent, on_accepted: OnAccepted
) -> tuple[list[Reading], str]:
    """Return the readings that one PutRecords did not accept, and the last reason."""
    records = [{"Data": reading.data, "PartitionKey": reading.key} for reading in batch]
    try:
        response = kinesis.put_records(StreamName=stream, Records=records)
    except (ClientError, BotoCoreError) as error:
        if _is_retryable(error):
            return batch, str(error)
        raise SendError(
            f"could not put records into stream {stream}: {error}; {sent.records} were accepted before"
        ) from error
    accepted: list[Accepted] = []
    refused: list[Reading] = []
    reason = ""
    for reading, result in zip(batch, response["Records"], strict=True):
        if "ErrorCode" in result:
            refused.append(reading)
            reason = result["ErrorCode"]
        else:
            accepted.append(Accepted(result["ShardId"], result["SequenceNumber"], digest_of(reading.data)))
    sent.records += len(accepted)
    on_accepted(accepted)
    return refused, reason


def _is_retryable(error: ClientError | BotoCoreError) -> bool:
    """Return whether a later attempt may succeed: throttling, a key's state, an internal failure, the network."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") not in _PERMANENT
    return isinstance(error, ConnectionError | HTTPClientError)
