"""A batch's figures as log lines in CloudWatch's embedded metric format.

Contract: Amazon CloudWatch User Guide, "Specification: Embedded metric format". The figures are top-level keys of
a JSON line in the function's log; `_aws` says which of them are metrics.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import batched
from typing import Any, Final

import msgspec

from enrichment.firehose import Batch
from enrichment.reasons import ADVICE, Reason
from enrichment.settings import Settings

__all__ = ["describe_batch", "describe_failures"]

_IDS_A_LINE: Final = 200  # of about 160 characters each: far below the 256 KB of a log event
_MILLISECOND: Final = timedelta(milliseconds=1)
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

_encode = msgspec.json.Encoder().encode


def describe_batch(batch: Batch, now: datetime, milliseconds: float, settings: Settings) -> str:
    """Return a batch's log line: JSON, newline-terminated.

    Args:
        batch: the result of the invocation.
        now: aware; delays are measured from the devices' own times to it, so a device whose clock is ahead has a
            negative delay.
        milliseconds: how long the batch took.
        settings: namespace and dimension of the metrics.
    """
    figures: dict[str, float] = {
        "RecordsIn": len(batch.results),
        "RecordsOk": len(batch.results) - batch.failed,
        "RecordsFailed": batch.failed,
        "BytesIn": batch.bytes_in,
        "BytesOut": batch.bytes_out,
        "BatchDuration": round(milliseconds, 3),
    }
    if batch.dropped:
        figures["FieldsDropped"] = sum(batch.dropped.values())
    if batch.timestamps:
        oldest_first = sorted(batch.timestamps)  # the text sorts as time does
        utc = now.astimezone(UTC).replace(tzinfo=None)
        figures["DelayP50"] = _delay(oldest_first[len(oldest_first) // 2], utc)
        figures["DelayMax"] = _delay(oldest_first[0], utc)
    line: dict[str, Any] = {
        "message": "batch",
        "FunctionName": settings.function_name,
        **figures,
        "_aws": {
            "Timestamp": int(now.timestamp() * 1000),
            "CloudWatchMetrics": _declare_as_json(settings.metrics_namespace, ("FunctionName",), tuple(figures)),
        },
    }
    if batch.dropped:
        line["droppedFields"] = _most_dropped(batch.dropped)
    return _encode(line).decode() + "\n"


def describe_failures(batch: Batch, now: datetime, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the fields of a warning for each cause; several warnings where there are too many recordIds for one.

    A record is in the warning of each of its causes. The metric counts it once for each reason, however many fields
    have it: so the sum over reasons is more than the failed records where some have several, and no single reason's is.
    """
    counted: dict[Reason, set[str]] = {}
    for cause, record_ids in batch.failures.items():
        seen = counted.setdefault(cause.reason, set())
        for some_ids in batched(record_ids, _IDS_A_LINE, strict=False):
            dimensions = {"FunctionName": settings.function_name, "Reason": str(cause.reason)}
            blamed = {"field": cause.field} if cause.field else {}
            advice = {"advice": ADVICE[cause.reason]}
            new = len({*some_ids} - seen)
            seen.update(some_ids)
            metric = _embed({"RecordsFailed": new}, dimensions, now, settings)
            yield {**blamed, **advice, "recordIds": some_ids, **metric}


def _most_dropped(dropped: Mapping[str, int]) -> dict[str, int]:
    """Return the undescribed fields that were dropped most often, few and short enough for a log line."""
    most = sorted(dropped.items(), key=lambda item: -item[1])[:_MOST_NAMES]
    return {name.encode(errors="replace").decode()[:_LONGEST_NAME]: count for name, count in most}


def _delay(timestamp: str, now: datetime) -> int:
    return (now - datetime.fromisoformat(timestamp)) // _MILLISECOND


def _embed(
    figures: Mapping[str, float], dimensions: Mapping[str, str], now: datetime, settings: Settings
) -> dict[str, Any]:
    declared = _declare(settings.metrics_namespace, tuple(dimensions), tuple(figures))
    return {
        **dimensions,
        **figures,
        "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": declared},
    }


@lru_cache(maxsize=8)  # the same for every batch, and half of the time that a line takes
def _declare_as_json(namespace: str, dimensions: tuple[str, ...], figures: tuple[str, ...]) -> msgspec.Raw:
    return msgspec.Raw(_encode(_declare(namespace, dimensions, figures)))


@lru_cache(maxsize=8)
def _declare(namespace: str, dimensions: tuple[str, ...], figures: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return which keys of a line are metrics; shared between lines: do not change it."""
    metrics = [{"Name": name, "Unit": _UNITS[name]} for name in figures]
    return [{"Namespace": namespace, "Dimensions": [list(dimensions)], "Metrics": metrics}]
