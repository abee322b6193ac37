"""A batch's figures as log lines in CloudWatch's embedded metric format.

Contract: Amazon CloudWatch User Guide, "Specification: Embedded metric format". The figures are top-level keys of
a JSON line in the function's log; `_aws` says which of them are metrics.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import batched
from typing import Any, Final

import msgspec

from enrichment.firehose import Batch
from enrichment.reasons import ADVICE, Reason
from enrichment.settings import Settings

__all__ = ["describe_batch", "describe_failures"]

_IDS_A_LINE: Final = 200  # of about 160 characters each: far below the 256 KB of a log event
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400  # seconds
_MOST_NAMES: Final = 20  # of undescribed fields in a line
_LONGEST_NAME: Final = 100  # characters
_UNITS: Final = {
    "RecordsIn": "Count",
    "RecordsOk": "Count",
    "RecordsFailed": "Count",
    "BytesIn": "Bytes",
    "BytesOut": "Bytes",
    "BatchDuration": "Milliseconds",
    "FieldsDropped": "Count",
    "DelayP50": "Milliseconds",
    "DelayMax": "Milliseconds",
}
_ALWAYS: Final = ("RecordsIn", "RecordsOk", "RecordsFailed", "BytesIn", "BytesOut", "BatchDuration")
_OF_DROPPED_FIELDS: Final = ("FieldsDropped",)
_OF_DOCUMENTS: Final = ("DelayP50", "DelayMax")
_BY_VERSION: Final = ("RecordsIn", "RecordsFailed")

_encode = msgspec.json.Encoder().encode


class _Metadata(msgspec.Struct, rename="pascal", gc=False):
    timestamp: int
    """Epoch milliseconds."""
    cloud_watch_metrics: msgspec.Raw


class _Line(msgspec.Struct, rename="pascal", omit_defaults=True, kw_only=True, gc=False):
    """A batch's line, without what is None. A struct is encoded in a fraction of the time that a dict takes."""

    message: str = msgspec.field(name="message")
    function_name: str
    function_version: str | None = None
    records_in: int
    records_ok: int
    records_failed: int
    bytes_in: int
    bytes_out: int
    batch_duration: float
    fields_dropped: int | None = None
    delay_p50: int | None = None
    delay_max: int | None = None
    metadata: _Metadata | None = msgspec.field(name="_aws", default=None)
    dropped_fields: dict[str, int] | None = msgspec.field(name="droppedFields", default=None)


def describe_batch(batch: Batch, now: int, microseconds: int, settings: Settings) -> str:
    """Return a batch's log line: JSON, newline-terminated.

    Args:
        batch: the result of the invocation.
        now: epoch milliseconds; delays are measured from the devices' own times to it, so a device whose clock is
            ahead has a negative delay.
        microseconds: how long the batch took.
        settings: namespace and dimensions of the metrics; with a version, its readings are counted by it as well.
    """
    figures: tuple[str, ...] = _ALWAYS
    line = _Line(
        message="batch",
        function_name=settings.function_name,
        function_version=settings.function_version or None,
        records_in=len(batch.results),
        records_ok=len(batch.results) - batch.failed,
        records_failed=batch.failed,
        bytes_in=batch.bytes_in,
        bytes_out=batch.bytes_out,
        batch_duration=microseconds / 1000,
    )
    if batch.dropped:
        figures += _OF_DROPPED_FIELDS
        line.fields_dropped = sum(batch.dropped.values())
        line.dropped_fields = _most_dropped(batch.dropped)
    if batch.timestamps:
        figures += _OF_DOCUMENTS
        oldest_first = sorted(batch.timestamps)  # the text sorts as time does
        line.delay_p50 = _delay(oldest_first[len(oldest_first) // 2], now)
        line.delay_max = _delay(oldest_first[0], now)
    by_version = _BY_VERSION if settings.function_version else ()
    line.metadata = _Metadata(now, _declare_as_json(settings.metrics_namespace, figures, by_version))
    return _encode(line).decode() + "\n"


def describe_failures(batch: Batch, now: int, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the fields of a warning for each cause; several warnings where there are too many recordIds for one.

    A record is in the warning of each of its causes. The metric counts it once for each reason, however many fields
    have it: so the sum over reasons is more than the failed records where some have several, and no single reason's is.
    """
    counted: dict[Reason, set[str]] = {}
    for cause, record_ids in batch.failures.items():
        seen = counted.setdefault(cause.reason, set())
        for some_ids in batched(record_ids, _IDS_A_LINE, strict=False):
            blamed = {"field": cause.field} if cause.field else {}
            new = len({*some_ids} - seen)
            seen.update(some_ids)
            declared = _declare(settings.metrics_namespace, ["FunctionName", "Reason"], ["RecordsFailed"])
            yield {
                **blamed,
                "advice": ADVICE[cause.reason],
                "recordIds": some_ids,
                "FunctionName": settings.function_name,
                "Reason": str(cause.reason),
                "RecordsFailed": new,
                "_aws": {"Timestamp": now, "CloudWatchMetrics": declared},
            }


def _most_dropped(dropped: Mapping[str, int]) -> dict[str, int]:
    """Return the undescribed fields that were dropped most often, few and short enough for a log line."""
    counts: dict[str, int] = {}
    for name, count in dropped.items():
        shown = name.encode(errors="replace").decode()[:_LONGEST_NAME]
        counts[shown] = counts.get(shown, 0) + count
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:_MOST_NAMES])


def _delay(timestamp: str, now: int) -> int:
    since_epoch = datetime.fromisoformat(timestamp + "Z") - _EPOCH
    # In whole numbers, as they are kept: a division by a timedelta takes three times as long.
    return now - (since_epoch.days * _DAY + since_epoch.seconds) * 1000 - since_epoch.microseconds // 1000


@lru_cache(maxsize=4)  # the same for almost every batch, and most of what a line says
def _declare_as_json(namespace: str, figures: tuple[str, ...], by_version: tuple[str, ...]) -> msgspec.Raw:
    declared = _declare(namespace, ["FunctionName"], figures)
    if by_version:
        declared += _declare(namespace, ["FunctionName", "FunctionVersion"], by_version)
    return msgspec.Raw(_encode(declared))


def _declare(namespace: str, dimensions: list[str], figures: Iterable[str]) -> list[dict[str, Any]]:
    """Return which keys of a line are metrics."""
    metrics = [{"Name": name, "Unit": _UNITS[name]} for name in figures]
    return [{"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics}]
