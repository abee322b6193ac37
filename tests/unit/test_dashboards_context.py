"""What a panel's query becomes under a time range and filters: OpenSearch Dashboards' rules."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.dashboards.context import Context, TimeRange, TimeRangeError, resolve
from iot_stream.dashboards.definition import Query, load
from iot_stream.dashboards.search import fetch

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
QUARTER_HOUR = TimeRange(NOW - timedelta(minutes=15), NOW)
DEVICE_7 = {"match_phrase": {"device_id": 7}}
RANGE = {
    "range": {
        "timestamp": {
            "gte": "2026-11-22T11:45:00.000Z",
            "lte": "2026-11-22T12:00:00.000Z",
            "format": "strict_date_optional_time",
        }
    }
}


def query_of(body: dict[str, Any], *, use_filters: bool = True, time_field: str | None = "timestamp") -> Query:
    """A panel's query to the project's index."""
    return Query("iot-stream*", body, use_filters, time_field)


def histogram(interval: Any) -> dict[str, Any]:
    """A body with one histogram over time."""
    return {"aggs": {"time": {"date_histogram": {"field": "timestamp", "interval": interval}}}}


def width(body: dict[str, Any]) -> Any:
    """The bucket width in a body made by `histogram`."""
    return body["aggs"]["time"]["date_histogram"]["interval"]


def test_context_adds_the_filters_and_the_time_range() -> None:
    """`%context%` brings the chosen filters, `%timefield%` the range, and every clause must hold."""
    body = resolve(query_of({"size": 0}), Context(QUARTER_HOUR, [DEVICE_7]))
    assert body == {"size": 0, "query": {"bool": {"filter": [DEVICE_7, RANGE]}}}


@pytest.mark.parametrize(
    ("use_filters", "time_field", "clauses"),
    [(True, None, [DEVICE_7]), (False, "timestamp", [RANGE])],
    ids=["filters-only", "time-only"],
)
def test_each_placeholder_adds_only_its_own(use_filters: bool, time_field: str | None, clauses: list[Any]) -> None:
    """A panel that looks beyond the time range still follows the filters, and the other way round."""
    query = query_of({}, use_filters=use_filters, time_field=time_field)
    body = resolve(query, Context(QUARTER_HOUR, [DEVICE_7]))
    assert body["query"]["bool"]["filter"] == clauses


def test_a_query_without_placeholders_is_asked_as_it_is() -> None:
    """A body with its own query passes through."""
    own = {"query": {"match_all": {}}, "size": 3}
    assert resolve(query_of(own, use_filters=False, time_field=None), Context(QUARTER_HOUR)) == own


def test_own_query_and_placeholders_together_are_refused() -> None:
    """OpenSearch Dashboards throws here, so the local page must not be more lenient."""
    with pytest.raises(ValueError, match=r"body\.query"):
        resolve(query_of({"query": {"match_all": {}}}), Context(QUARTER_HOUR))


@pytest.mark.parametrize(
    ("minutes", "buckets", "expected"),
    [
        (15, True, "30s"),
        (15, 90, "10s"),
        (5, 90, "1s"),
        (60, 90, "30s"),
        (24 * 60, 90, "10m"),
        (7 * 24 * 60, True, "3h"),
        (10 * 365 * 24 * 60, 2, "1y"),
        (0.5, 90, "100ms"),
    ],
)
def test_autointerval_rounds_to_a_width_people_read(minutes: float, buckets: Any, expected: str) -> None:
    """About as many buckets as asked for, 50 by default, in round widths."""
    context = Context(TimeRange(NOW - timedelta(minutes=minutes), NOW))
    assert width(resolve(query_of(histogram({"%autointerval%": buckets})), context)) == expected


def test_a_fixed_interval_stays() -> None:
    """Only the placeholder is replaced."""
    assert width(resolve(query_of(histogram("1m")), Context(QUARTER_HOUR))) == "1m"


def test_timefilter_becomes_the_ends_of_the_range() -> None:
    """`min` and `max` become epoch milliseconds, shifted when asked, at any depth and in lists."""
    query_body = {
        "aggs": {
            "a": {"filters": {"filters": [{"from": {"%timefilter%": "min"}}]}},
            "b": {"to": {"%timefilter%": "max", "shift": -2, "unit": "minute"}},
            "c": {"range": {"timestamp": {"%timefilter%": True}}},
        }
    }
    aggs = resolve(query_of(query_body), Context(QUARTER_HOUR))["aggs"]
    end = int(NOW.timestamp() * 1000)
    assert aggs["a"]["filters"]["filters"] == [{"from": end - 900_000}]
    assert aggs["b"]["to"] == end - 120_000
    assert aggs["c"] == RANGE


def test_everything_on_the_page_is_fetched_in_one_search() -> None:
    """Each panel's data, the newest readings, and the filters' choices, which the chosen ones do not narrow."""
    dashboard, sent = load(), list[tuple[str, Mapping[str, Any]]]()
    fields = [entry["field"] for entry in dashboard.filters]
    hit = {"_source": {"device_id": 7}}

    def search(searches: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        sent.extend(searches)
        panels = [{"took": number} for number in range(len(dashboard.panels))]
        counts = {field: {"buckets": [{"key": 9}, {"key": 7}]} for field in fields}
        return [*panels, {"hits": {"hits": [hit]}}, {"hits": {"hits": []}, "aggregations": counts}]

    responses = fetch(search, dashboard, Context(QUARTER_HOUR, [DEVICE_7]))
    assert responses.panels == {panel.name: {"took": number} for number, panel in enumerate(dashboard.panels)}
    assert (responses.latest, responses.has_index) == ([{"device_id": 7}], True)
    assert responses.choices == {field: [7, 9] for field in fields}
    (_, latest), (_, choices) = sent[-2:]
    assert latest["query"]["bool"]["filter"] == [DEVICE_7, RANGE]
    assert latest["sort"][0]["timestamp"]["order"] == "desc"
    assert choices["query"]["bool"]["filter"] == [RANGE]
    assert choices["size"] == 0, "no documents; OpenSearch refuses a negative size"
    assert [*choices["aggs"]] == fields


def test_an_unknown_timefilter_is_refused() -> None:
    """A misspelt end would otherwise reach OpenSearch as an object."""
    with pytest.raises(ValueError, match="%timefilter%"):
        resolve(query_of({"aggs": {"a": {"to": {"%timefilter%": "end"}}}}), Context(QUARTER_HOUR))


@given(minutes=st.integers(1, 60 * 24 * 400), buckets=st.integers(1, 200))
def test_resolving_leaves_the_query_alone(minutes: int, buckets: int) -> None:
    """A query is resolved at every refresh: it keeps its placeholders, the result has none."""
    query_body = histogram({"%autointerval%": buckets})
    body = resolve(query_of(query_body), Context(TimeRange(NOW - timedelta(minutes=minutes), NOW)))
    assert query_body == histogram({"%autointerval%": buckets})
    assert "%" not in str(body)


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("now-15m", "now", 900),
        ("now-90s", "now-30s", 60),
        ("2026-11-22T11:00:00", "2026-11-22T11:30:00Z", 1800),
        ("2026-11-22T12:00:00+01:00", "now", 3600),
    ],
)
def test_time_ranges_are_read(start: str, end: str, seconds: int) -> None:
    """Relative ends count back from now; a time without a zone is UTC, as the documents' times are."""
    assert TimeRange.parse(start, end, NOW).seconds == seconds


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("now", "now-15m"),
        ("now", "now"),
        ("yesterday", "now"),
        ("now-1y", "now"),
        ("now-999999w", "now"),
        ("", "now"),
        ("0001-01-01T00:00:00+14:00", "now"),
        ("now", "9999-12-31T23:59:59-14:00"),
    ],
    ids=["backwards", "empty", "word", "unit", "before-all-time", "blank", "before-year-1", "after-year-9999"],
)
def test_other_time_ranges_are_refused(start: str, end: str) -> None:
    """A range that can't be read says so instead of showing something else."""
    with pytest.raises(TimeRangeError):
        TimeRange.parse(start, end, NOW)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_the_reader(start: str, end: str) -> None:
    """Whatever comes in the page's address: a range, or the one expected error."""
    with contextlib.suppress(TimeRangeError):
        assert TimeRange.parse(start, end, NOW).seconds > 0
