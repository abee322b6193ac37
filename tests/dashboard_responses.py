"""What the dashboard asks of an index, for tests that compare its figures with the documents."""

from datetime import UTC, datetime, timedelta
from typing import Any

from iot_stream.dashboards.context import Context, TimeRange
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import Responses, Search, fetch

__all__ = ["responses_of"]


def responses_of(search: Search, index: str, *filters: Any) -> Responses:
    """Return the responses to the dashboard's queries over the last 15 minutes, with these filters."""
    now = datetime.now(UTC)
    return fetch(search, load().for_index(index), Context(TimeRange(now - timedelta(minutes=15), now), filters))
