"""Send: readings into the Kinesis data stream at a steady rate, each one once as far as the sender can know.

PutRecords is not atomic (Kinesis API reference): its answer names the records that were refused, and only
those are sent again.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import IotStreamError
from iot_stream.generator.readings import Reading, Readings

__all__ = ["SendError", "Sent", "put", "send"]

MAX_RECORDS = 500  # of one PutRecords
_PATIENCE_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_TICK = 0.25  # seconds between batches where the rate fills none


class SendError(IotStreamError):
    """Records could not be put into the stream."""


@dataclass
class Sent:
    """What was sent so far: accepted records, refused ones that were sent again, and PutRecords calls."""

    records: int = 0
    retried: int = 0
    calls: int = 0


def send(
    kinesis: Any,
    stream: str,
    readings: Readings,
    *,
    rate: float,
    count: int | None = None,
    seconds: float | None = None,
    on_sent: Callable[[Sent], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Sent:
    """Send `rate` readings a second until `count` are sent, `seconds` are over, or `stop()` says so.

    Returns:
        What was sent, every record of it accepted by the stream.

    Raises:
        SendError: the stream is not there, or refused records for a minute; says how many were accepted.
    """
    sent = Sent()
    begun = time.monotonic()
    while not stop():
        elapsed = time.monotonic() - begun
        if seconds is not None:
            elapsed = min(elapsed, seconds)
        due = int(elapsed * rate)
        if count is not None:
            due = min(due, count)
        for size in _batches(due - sent.records):
            if stop():
                break
            now = dt.datetime.now(dt.UTC)
            put(kinesis, stream, [readings.next(now) for _ in range(size)], sent)
            on_sent(sent)
        if (count is not None and sent.records >= count) or (seconds is not None and elapsed >= seconds):
            break
        time.sleep(_TICK)
    return sent


def put(kinesis: Any, stream: str, batch: list[Reading], sent: Sent) -> None:
    """Put `batch` (at most 500) into `stream`; refused records are sent again, alone, with growing pauses.

    Raises:
        SendError: some were still refused after a minute, or the stream can't be written to.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = _FIRST_PAUSE
    while batch:
        refused, reason = _put_once(kinesis, stream, batch)
        sent.calls += 1
        sent.records += len(batch) - len(refused)
        sent.retried += len(refused)
        batch = refused
        if batch:
            if time.monotonic() > deadline:
                raise SendError(
                    f"stream {stream} refused {len(batch)} records for {_PATIENCE_SECONDS:.0f} s ({reason}); "
                    f"{sent.records} were accepted: lower the rate, or give the stream more shards"
                )
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _put_once(kinesis: Any, stream: str, batch: list[Reading]) -> tuple[list[Reading], str]:
    """The readings that one PutRecords did not accept, and the last reason."""
    records = [{"Data": reading.data, "PartitionKey": reading.uuid} for reading in batch]
    try:
        answer = kinesis.put_records(StreamName=stream, Records=records)
    except (ClientError, BotoCoreError) as error:
        raise SendError(f"could not put records into stream {stream}: {error}") from error
    if not answer.get("FailedRecordCount"):
        return [], ""
    results = zip(batch, answer["Records"], strict=True)
    refused = [(reading, result["ErrorCode"]) for reading, result in results if "ErrorCode" in result]
    return [reading for reading, _ in refused], refused[-1][1]


def _batches(due: int) -> Iterator[int]:
    while due > 0:
        yield min(due, MAX_RECORDS)
        due -= MAX_RECORDS
