"""Fetch everything that the dashboard shows from OpenSearch, in one multi-search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from iot_stream.dashboards.context import Context, resolve
from iot_stream.dashboards.definition import Dashboard, Query
from iot_stream.errors import IotStreamError

__all__ = ["BadQueryError", "Body", "Responses", "Search", "SearchError", "fetch", "terms_filter"]

_LATEST = 12
_CHOICES = 200

type Body = Mapping[str, Any]


class SearchError(IotStreamError):
    """OpenSearch does not respond, or rejects a search; says what to do."""


class BadQueryError(SearchError):
    """OpenSearch can't interpret the query, e.g. a filter value that doesn't fit its field's type."""


class Search(Protocol):
    """Run searches, as `iot_stream.live.reader.Reader` does."""

    def __call__(self, searches: Sequence[tuple[str, Body]]) -> list[dict[str, Any]]:
        """Return the response to each (index, body), in order; raises SearchError."""
        ...


@dataclass(frozen=True)
class Responses:
    """OpenSearch's responses to everything that the dashboard shows.

    Attributes:
        panels: the search response for each panel, by the panel's name.
        latest: the newest readings, newest first.
        choices: the values of each filter's field in the time range, regardless of filters.
        has_index: whether any index exists.
    """

    panels: Mapping[str, dict[str, Any]]
    latest: list[dict[str, Any]]
    choices: Mapping[str, list[Any]]
    has_index: bool


def fetch(search: Search, dashboard: Dashboard, context: Context) -> Responses:
    """Run the queries of all panels, of the newest readings and of the filters' choices under a context.

    Raises:
        SearchError: OpenSearch does not respond, or rejects a query.
    """
    queries = [panel.query for panel in dashboard.panels]
    queries += [_latest(dashboard), _choices(dashboard)]
    *panels, latest, choices = search([(query.index, resolve(query, context)) for query in queries])
    counts = choices.get("aggregations", {})
    return Responses(
        panels={panel.name: response for panel, response in zip(dashboard.panels, panels, strict=True)},
        latest=[hit["_source"] for hit in latest["hits"]["hits"]],
        choices={
            entry["field"]: sorted(map(_choice, counts[entry["field"]]["buckets"])) if counts else []
            for entry in dashboard.filters
        },
        has_index=bool(counts),
    )


def terms_filter(field: str, values: Sequence[str]) -> Body:
    """Return a query clause for documents whose `field` has one of `values`."""
    return {"terms": {field: list(values)}}


def _choice(bucket: Mapping[str, Any]) -> Any:
    """Return a bucket's value for a filter; a boolean's key is 0 or 1, which OpenSearch rejects in a query."""
    return bucket.get("key_as_string", bucket["key"])


def _latest(dashboard: Dashboard) -> Query:
    body = {
        "size": _LATEST,
        "sort": [{dashboard.time_field: {"order": "desc", "unmapped_type": "date"}}],
        "_source": [dashboard.time_field, *dashboard.latest_columns],
        "track_total_hits": False,
    }
    return Query(dashboard.index_pattern, body, use_filters=True, time_field=dashboard.time_field)


def _choices(dashboard: Dashboard) -> Query:
    fields = [entry["field"] for entry in dashboard.filters]
    aggs = {field: {"terms": {"field": field, "size": _CHOICES}} for field in fields}
    body = {"size": 0, "track_total_hits": False, "aggs": aggs}
    return Query(dashboard.index_pattern, body, use_filters=False, time_field=dashboard.time_field)
