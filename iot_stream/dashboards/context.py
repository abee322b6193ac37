"""Fill in a panel's query as OpenSearch Dashboards does: time range, filters and bucket width.

The rules are those of its Vega plugin's query parser (`vis_type_vega`, "OpenSearchQueryParser"), so that a panel sends
the local OpenSearch exactly the query that it sends on AWS. Pure: the clock comes as an argument.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from iot_stream.dashboards.definition import Query
from iot_stream.errors import IotStreamError

__all__ = ["Context", "TimeRange", "TimeRangeError", "resolve"]

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LONG_UNITS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
_RELATIVE = re.compile(r"now(?:-(\d{1,6})([smhdw]))?")

# Upper bound of the exact width in milliseconds → the width that is used.
_WIDTHS = (
    (500, "100ms"),
    (5_000, "1s"),
    (7_500, "5s"),
    (15_000, "10s"),
    (45_000, "30s"),
    (180_000, "1m"),
    (450_000, "5m"),
    (1_200_000, "10m"),
    (2_700_000, "30m"),
    (7_200_000, "1h"),
    (21_600_000, "3h"),
    (86_400_000, "12h"),
    (604_800_000, "24h"),
    (1_814_400_000, "1w"),
    (3_628_799_999, "30d"),
)
_DEFAULT_BUCKETS = 50


class TimeRangeError(IotStreamError):
    """A time range that can't be read, or that ends before it begins."""


@dataclass(frozen=True)
class TimeRange:
    """From and to, both included, in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, start: str, end: str, now: datetime) -> "TimeRange":
        """Read two ends, each `now`, `now-15m` (s, m, h, d, w) or an ISO 8601 time.

        Raises TimeRangeError for anything else and for an end that is not after the start.
        """
        parsed = cls(_instant(start, now), _instant(end, now))
        if parsed.end <= parsed.start:
            raise TimeRangeError(f"the time range ends ({end}) before it begins ({start}): swap the two")
        return parsed

    @property
    def seconds(self) -> float:
        """The length of the range in seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Context:
    """The selection on the dashboard: a time range and a query clause for each filter."""

    time: TimeRange
    filters: Sequence[Mapping[str, Any]] = ()


def resolve(query: Query, context: Context) -> dict[str, Any]:
    """Return the body of the search that a panel's query becomes under a context.

    `%context%` adds the filters, `%timefield%` the time range, `{"%autointerval%": n}` becomes a width that gives
    about n buckets, `{"%timefilter%": "min" | "max"}` an end of the range in epoch milliseconds.

    Raises:
        ValueError: OpenSearch Dashboards would reject the query.
    """
    body: dict[str, Any] = copy.deepcopy(dict(query.body))
    if "query" in body and (query.use_filters or query.time_field):
        raise ValueError("%context% and %timefield% must not be used when body.query is set")
    clauses: list[Any] = []
    if query.use_filters:
        clauses += [dict(clause) for clause in context.filters]
    if query.time_field:
        ends = {"gte": _iso(context.time.start), "lte": _iso(context.time.end)}
        clauses.append({"range": {query.time_field: {**ends, "format": "strict_date_optional_time"}}})
    if clauses:
        body["query"] = {"bool": {"filter": clauses}}
    if "aggs" in body:
        body["aggs"] = _fill(body["aggs"], context.time)
    return body


def _fill(node: Any, time: TimeRange) -> Any:
    if isinstance(node, list):
        return [_fill(item, time) for item in node]
    if not isinstance(node, dict):
        return node
    filled = {}
    for key, value in node.items():
        if key == "interval" and isinstance(value, dict) and "%autointerval%" in value:
            filled[key] = _width(value["%autointerval%"], time)
        elif isinstance(value, dict) and "%timefilter%" in value:
            filled[key] = _bound(value, time)
        else:
            filled[key] = _fill(value, time)
    return filled


def _width(buckets: Any, time: TimeRange) -> str:
    if buckets is True:
        buckets = _DEFAULT_BUCKETS
    exact = time.seconds * 1000 / int(buckets)
    return next((width for limit, width in _WIDTHS if exact <= limit), "1y")


def _bound(value: Mapping[str, Any], time: TimeRange) -> Any:
    kind = value["%timefilter%"]
    unit = str(value.get("unit", "d"))
    seconds = _UNITS[_LONG_UNITS.get(unit, unit)]
    shift = timedelta(seconds=value.get("shift", 0) * seconds)
    start, end = time.start + shift, time.end + shift
    if kind is True:
        return {"gte": _iso(start), "lte": _iso(end), "format": "strict_date_optional_time"}
    if kind not in {"min", "max"}:
        raise ValueError(f'%timefilter% must be true, "min" or "max", not {kind!r}')
    return int((start if kind == "min" else end).timestamp() * 1000)


def _instant(text: str, now: datetime) -> datetime:
    if match := _RELATIVE.fullmatch(text):
        amount, unit = match.groups()
        try:
            return now - timedelta(seconds=int(amount or 0) * _UNITS[unit or "s"])
        except OverflowError as error:
            raise TimeRangeError(f"{text!r} is before the year 1: choose a shorter range") from error
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeRangeError(
            f"{text!r} is not a valid time: write now, now-15m (s, m, h, d, w) or 2026-11-22T10:15:00"
        ) from error
    try:
        return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise TimeRangeError(f"{text!r} is outside the years 1 to 9999: choose another time") from error


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
