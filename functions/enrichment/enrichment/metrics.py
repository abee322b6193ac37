"""A batch's figures as JSON lines that CloudWatch reads as metrics.

Contract: Amazon CloudWatch User Guide, "Specification: Embedded metric format". The figures are top-level keys of
a JSON line in the function's log; `_aws` says which of them are metrics.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, Final

import msgspec

from enrichment.firehose import Batch
from enrichment.settings import Settings

__all__ = ["describe_batch", "describe_failures"]

_IDS_A_LINE: Final = 200  # of about 160 characters each: far below the 256 KB of a log event
_MILLISECOND: Final = timedelta(milliseconds=1)


def describe_batch(batch: Batch, now: datetime, milliseconds: float, settings: Settings) -> str:
    """Return the line that every batch has: JSON with its end.

    Args:
        batch: what the invocation made.
        now: aware; against it the delay since the devices' own times is counted, so a device whose clock is ahead
            has a negative one.
        milliseconds: how long the batch took.
        settings: namespace and dimension of the metrics.
    """
    failed = sum(map(len, batch.failures.values()))
    figures: dict[str, tuple[float, str]] = {
        "RecordsIn": (len(batch.results), "Count"),
        "RecordsOk": (len(batch.results) - failed, "Count"),
        "RecordsFailed": (failed, "Count"),
        "BytesIn": (batch.bytes_in, "Bytes"),
        "BytesOut": (batch.bytes_out, "Bytes"),
        "BatchDuration": (round(milliseconds, 3), "Milliseconds"),
    }
    if batch.timestamps:
        oldest_first = sorted(batch.timestamps)  # the text sorts as time does
        figures["DelayP50"] = (_delay(oldest_first[len(oldest_first) // 2], now), "Milliseconds")
        figures["DelayMax"] = (_delay(oldest_first[0], now), "Milliseconds")
    line = {"message": "batch", **_embed(figures, {"FunctionName": settings.function_name}, now, settings)}
    return msgspec.json.encode(line).decode() + "\n"


def describe_failures(batch: Batch, now: datetime, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield a warning's fields for each reason and field to blame; more of them where its ids would be too many."""
    for cause, record_ids in batch.failures.items():
        for some_ids in batched(record_ids, _IDS_A_LINE, strict=False):
            dimensions = {"FunctionName": settings.function_name, "Reason": str(cause.reason)}
            figures: dict[str, tuple[float, str]] = {"RecordsFailed": (len(some_ids), "Count")}
            blamed = {"field": cause.field} if cause.field else {}
            yield {**blamed, "recordIds": some_ids, **_embed(figures, dimensions, now, settings)}


def _delay(timestamp: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(timestamp).replace(tzinfo=UTC)) // _MILLISECOND


def _embed(
    figures: dict[str, tuple[float, str]], dimensions: dict[str, str], now: datetime, settings: Settings
) -> dict[str, Any]:
    return {
        **dimensions,
        **{name: value for name, (value, _) in figures.items()},
        "_aws": {
            "Timestamp": int(now.timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": settings.metrics_namespace,
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in figures.items()],
                }
            ],
        },
    }
