"""The live page's data about alerts and single devices: what is wrong, the table of the fleet, one device over time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iot_stream.dashboards.context import Context, TimeRange, resolve
from iot_stream.dashboards.definition import Dashboard
from iot_stream.dashboards.fleet import (
    alert_counts,
    alert_rows,
    alerts_body,
    alerts_index,
    device_id,
    fleet_body,
    fleet_page,
    series_query,
    series_rows,
)
from iot_stream.dashboards.search import BadQueryError, Search

__all__ = ["Devices"]

_OPEN, _CLOSED = 20, 20
_MOST_COMPARED = 2


@dataclass(frozen=True)
class Devices:
    """Asks OpenSearch about devices.

    Attributes:
        search: runs searches on OpenSearch.
        dashboard: which indices, and what a reading is.
        clock: the time.
    """

    search: Search
    dashboard: Dashboard
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def _index(self) -> str:
        return alerts_index(self.dashboard.index_pattern.removesuffix("*"))

    def alerts(self) -> dict[str, Any]:
        """Return the open alerts, how many there are by rule, and those that closed last."""
        reading = self.dashboard.reading
        bodies = (alerts_body("open", _OPEN), alerts_body("closed", _CLOSED))
        open_ones, closed = self.search([(self._index, body) for body in bodies])
        return {
            "open": alert_rows(open_ones, reading),
            "counts": alert_counts(open_ones),
            "closed": alert_rows(closed, reading),
            "closed_total": closed["hits"]["total"]["value"],
        }

    def fleet(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of the table of the fleet.

        Args:
            query: `sort`, `order` (asc, desc), `search` and `after`, all optional.

        Raises:
            BadQueryError: one of them makes no sense.
        """
        reading = self.dashboard.reading
        body = fleet_body(
            reading,
            sort=query.get("sort", ""),
            descending=query.get("order", "desc") == "desc",
            search=query.get("search", ""),
            after=query.get("after", ""),
        )
        [response] = self.search([(self._index, body)])
        return fleet_page(response, reading)

    def over_time(self, texts: Sequence[str], start: str, end: str) -> dict[str, Any]:
        """Return each measure of one or two devices over time.

        Raises:
            BadQueryError: no device, too many, or one that can't be an id.
            TimeRangeError: the range can't be read.
        """
        reading = self.dashboard.reading
        ids = [known for text in texts if (known := device_id(reading, text)) is not None]
        if len(ids) != len(texts) or not 1 <= len(ids) <= _MOST_COMPARED:
            raise BadQueryError(f"choose one device, or {_MOST_COMPARED} to compare, by id")
        context = Context(TimeRange.parse(start, end, self.clock()))
        query = series_query(reading, self.dashboard.index_pattern, ids)
        [response] = self.search([(query.index, resolve(query, context))])
        ends = {"from": context.time.start.isoformat(), "to": context.time.end.isoformat()}
        return {**ends, "rows": series_rows(response, reading)}
