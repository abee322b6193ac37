"""Ask OpenSearch everything that the dashboard shows, in one multi-search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from iot_stream.dashboards.context import Context, resolve
from iot_stream.dashboards.definition import Dashboard, Query
from iot_stream.errors import IotStreamError

__all__ = ["Answers", "Body", "QuestionError", "Search", "SearchError", "ask", "terms_filter"]

_LATEST = 12
_CHOICES = 200

type Body = Mapping[str, Any]


class SearchError(IotStreamError):
    """OpenSearch does not answer, or refuses a search; says what to do."""


class QuestionError(SearchError):
    """The search itself makes no sense to OpenSearch, e.g. a filter's value that is none of its field's type."""


class Search(Protocol):
    """Whatever can run searches, e.g. `iot_stream.live.reader.Reader`."""

    def __call__(self, searches: Sequence[tuple[str, Body]]) -> list[dict[str, Any]]:
        """Answer the response to each (index, body), in order; raises SearchError."""
        ...


@dataclass(frozen=True)
class Answers:
    """What OpenSearch said.

    Attributes:
        panels: the search response for each panel, by its name.
        latest: the newest readings, newest first.
        choices: the values of each filter's field in the time range, whatever is filtered.
        has_index: whether any index exists.
    """

    panels: Mapping[str, dict[str, Any]]
    latest: list[dict[str, Any]]
    choices: Mapping[str, list[Any]]
    has_index: bool


def ask(search: Search, dashboard: Dashboard, context: Context) -> Answers:
    """Ask all panels' questions, the newest readings and the filters' choices under a context.

    Raises SearchError when OpenSearch does not answer or refuses.
    """
    questions = [panel.query for panel in dashboard.panels]
    questions += [_latest(dashboard), _choices(dashboard)]
    *panels, latest, choices = search([(query.index, resolve(query, context)) for query in questions])
    counts = choices.get("aggregations", {})
    return Answers(
        panels={panel.name: answer for panel, answer in zip(dashboard.panels, panels, strict=True)},
        latest=[hit["_source"] for hit in latest["hits"]["hits"]],
        choices={
            entry["field"]: sorted(bucket["key"] for bucket in counts[entry["field"]]["buckets"]) if counts else []
            for entry in dashboard.filters
        },
        has_index=bool(counts),
    )


def terms_filter(field: str, values: Sequence[str]) -> Body:
    """A query clause for documents whose `field` has one of `values`."""
    return {"terms": {field: list(values)}}


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
