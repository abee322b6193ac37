"""The panels on a real OpenSearch's responses, in two versions of Vega-Lite; the saved objects in a strict index."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.devices import build_devices
from iot_stream.dashboards.saved_objects import build
from iot_stream.dashboards.search import Responses, SearchError, terms_filter
from iot_stream.dashboards.snapshot import NEWEST, OLDEST, panel_svg, write
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from tests.dashboard_responses import responses_of
from tests.ports import free_port
from tests.readings import make_index, readings

pytestmark = pytest.mark.steady

QUARTER_HOUR = timedelta(minutes=15)
PANELS = [panel.name for panel in load().panels]


@pytest.fixture(scope="module")
def search(opensearch: OpenSearch) -> Reader:
    """A reader of this module's indices."""
    create_reader_role(opensearch, "panels-*")
    return Reader(connect(opensearch))


@pytest.fixture(scope="module")
def states(opensearch: OpenSearch, search: Reader) -> dict[str, Responses]:
    """The responses in each state that an index goes through."""
    now = datetime.now(UTC)
    make_index(opensearch, "panels-empty")
    make_index(opensearch, "panels-one", readings(1, end=now, over=timedelta(0)))
    make_index(opensearch, "panels-full", readings(2_000, end=now, over=timedelta(minutes=14)))
    return {
        "missing": responses_of(search, "panels-no-such-index"),
        "empty": responses_of(search, "panels-empty"),
        "one": responses_of(search, "panels-one"),
        "full": responses_of(search, "panels-full"),
        "filtered-away": responses_of(search, "panels-full", terms_filter("device_id", ["999"])),
    }


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("state", ["missing", "empty", "one", "full", "filtered-away"])
def test_every_panel_draws_in_every_state(states: dict[str, Responses], state: str, version: str) -> None:
    """No crash, no NaN, nothing undefined, with the responses that a real OpenSearch gives."""
    for panel in load().panels:
        svg = panel_svg(panel, states[state].panels[panel.name], width=500, height=260, vega_lite=version)
        assert not re.search(r"NaN|undefined|Infinity", svg), panel.name


def marks(svg: str, kind: str) -> int:
    """How many marks of a kind a picture has, counted by Vega's own accessible descriptions."""
    return len(re.findall(rf'aria-roledescription="{kind}"', svg))


@pytest.mark.parametrize(
    ("panel", "kind", "one", "at_least"),
    [
        ("devices-by-temperature", "point", 2, 20),
        ("temperature-by-activity", "bar", 1, 5),
        ("silent-devices", "bar", 1, 10),
        ("activity-mix", "rect mark", 1, 5 * 25),
        ("temperature-by-activity-over-time", "rect mark", 1, 5 * 25),
        ("records-per-second", "bar", 85, 85),
        ("key-figures", "text mark", 6, 6),
    ],
)
def test_a_panel_draws_what_is_there(
    states: dict[str, Responses], panel: str, kind: str, one: int, at_least: int
) -> None:
    """One record gives one mark of its kind (a bar of 0 is a bar); many give many.

    A rectangle may be the grey one of what is not delivered yet, five seconds after the latest arrival.
    """
    (shown,) = [item for item in load().panels if item.name == panel]
    drawn = {
        state: marks(panel_svg(shown, states[state].panels[panel], width=500, height=260), kind)
        for state in ("one", "full")
    }
    assert drawn["one"] >= one
    assert one >= 85 or drawn["one"] - one in ((0, 1) if kind == "rect mark" else (0,))
    assert drawn["full"] >= at_least


def test_figures_are_those_of_opensearch(opensearch: OpenSearch, states: dict[str, Responses]) -> None:
    """The key figures of 2,000 readings equal an aggregation asked directly."""
    body = {
        "size": 0,
        "aggs": {"mean": {"avg": {"field": "temp_celsius"}}, "who": {"cardinality": {"field": "device_id"}}},
    }
    with opensearch.admin_session() as session:
        direct = session.post(f"{opensearch.url}/panels-full/_search", json=body).json()["aggregations"]
    figures = states["full"].panels["key-figures"]["aggregations"]
    assert figures["temp_celsius_average"]["value"] == pytest.approx(direct["mean"]["value"])
    assert figures["devices"]["value"] == direct["who"]["value"]
    assert figures["records"]["value"] == 2_000


def test_filters_and_choices(search: Reader, states: dict[str, Responses]) -> None:
    """A filter narrows every panel; what can be chosen stays complete."""
    narrowed = responses_of(
        search, "panels-full", terms_filter("device_id", ["7", "8"]), terms_filter("activity_type", ["Running"])
    )
    buckets = narrowed.panels["devices-by-temperature"]["aggregations"]["devices"]["buckets"]
    assert {bucket["key"] for bucket in buckets} == {7, 8}
    assert {reading["activity_type"] for reading in narrowed.latest} == {"Running"}
    assert narrowed.choices == states["full"].choices
    assert len(narrowed.choices["device_id"]) == 51


def test_a_device_silent_since_before_the_range_is_shown(opensearch: OpenSearch, search: Reader) -> None:
    """Silence is what this panel is for: it must not vanish with the time range."""
    old = datetime.now(UTC) - timedelta(hours=3)
    make_index(opensearch, "panels-silent", readings(1, end=old, over=timedelta(0)))
    responses = responses_of(search, "panels-silent")
    assert responses.latest == []
    silent = responses.panels["silent-devices"]["aggregations"]["day"]["devices"]["buckets"]
    assert len(silent) == 1


def test_the_reader_can_only_read_its_pattern(opensearch: OpenSearch, search: Reader) -> None:
    """Neither another index, nor writing, nor the security API."""
    make_index(opensearch, "elsewhere-1")
    with pytest.raises(SearchError, match="no permissions"):
        search([("elsewhere-1", {"size": 0})])
    client = connect(opensearch)
    for method, path in (
        ("PUT", "/panels-full/_doc/1"),
        ("DELETE", "/panels-full"),
        ("GET", "/_plugins/_security/api/roles"),
    ):
        with pytest.raises(Exception, match="403"):
            client.transport.perform_request(method, path, body={} if method == "PUT" else None)


def test_no_opensearch_is_said_in_words() -> None:
    """A stopped stack is one sentence, not a traceback."""
    reader = Reader(Client(hosts=[f"http://127.0.0.1:{free_port()}"], timeout=1, max_retries=0))
    with pytest.raises(SearchError, match="does not respond"):
        reader([("any", {"size": 0})])


def test_snapshots_are_written(search: Reader, states: dict[str, Responses], tmp_path: Path) -> None:
    """A picture of each panel and one of them all."""
    assert states
    dashboard = load().for_index("panels-full")
    files = {path.stem: path for path in write(dashboard, search, tmp_path / "new", start="now-15m", kind="png")}
    assert set(files) == {"dashboard", *PANELS}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files.values())


# The mapping of `.kibana` in OpenSearch Dashboards 2.19 to 3.x, whose root is strict (its saved object types
# `dashboard`, `visualization`, `search` and `index-pattern`).
_TEXT, _UNSEARCHED = {"type": "text"}, {"type": "text", "index": False}
_KEPT = {"index": False, "doc_values": False}
_SOURCE = {"properties": {"searchSourceJSON": _UNSEARCHED}}
_REFERENCE = {"name": {"type": "keyword"}, "type": {"type": "keyword"}, "id": {"type": "keyword"}}
_INTERVAL = {
    "display": {"type": "keyword"},
    "pause": {"type": "boolean"},
    "section": {"type": "integer"},
    "value": {"type": "integer"},
}
STRICT: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "type": {"type": "keyword"},
        "references": {"type": "nested", "properties": _REFERENCE},
        "migrationVersion": {"dynamic": "true", "type": "object"},
        "updated_at": {"type": "date"},
        "index-pattern": {"dynamic": "false", "properties": {"title": _TEXT, "type": {"type": "keyword"}}},
        "visualization": {
            "properties": {
                "title": _TEXT,
                "description": _TEXT,
                "kibanaSavedObjectMeta": _SOURCE,
                "savedSearchRefName": {"type": "keyword", **_KEPT},
                "uiStateJSON": _UNSEARCHED,
                "version": {"type": "integer"},
                "visState": _UNSEARCHED,
            }
        },
        "search": {
            "properties": {
                "title": _TEXT,
                "description": _TEXT,
                "columns": {"type": "keyword", **_KEPT},
                "sort": {"type": "keyword", **_KEPT},
                "hits": {"type": "integer", **_KEPT},
                "kibanaSavedObjectMeta": _SOURCE,
                "version": {"type": "integer"},
            }
        },
        "dashboard": {
            "properties": {
                "title": _TEXT,
                "description": _TEXT,
                "hits": {"type": "integer", **_KEPT},
                "kibanaSavedObjectMeta": _SOURCE,
                "optionsJSON": _UNSEARCHED,
                "panelsJSON": _UNSEARCHED,
                "refreshInterval": {"properties": _INTERVAL},
                "timeFrom": {"type": "keyword", **_KEPT},
                "timeRestore": {"type": "boolean", **_KEPT},
                "timeTo": {"type": "keyword", **_KEPT},
                "version": {"type": "integer"},
            }
        },
    },
}


@pytest.fixture(scope="module")
def store(opensearch: OpenSearch) -> Callable[[dict[str, Any]], int]:
    """Store a saved object as OpenSearch Dashboards does, and return the HTTP status."""
    with opensearch.admin_session() as session:
        made = session.put(f"{opensearch.url}/saved-objects", json={"mappings": STRICT})
        assert made.ok, made.text

    def put(item: dict[str, Any]) -> int:
        document = {
            "type": item["type"],
            item["type"]: item["attributes"],
            "references": item["references"],
            "migrationVersion": item["migrationVersion"],
        }
        with opensearch.admin_session() as session:
            url = f"{opensearch.url}/saved-objects/_doc/{item['type']}:{item['id']}"
            return session.put(url, json=document).status_code

    return put


@pytest.mark.parametrize("item", [*build(load()), *build_devices(load())], ids=lambda item: item["id"])
def test_saved_object_fits_the_strict_mapping(store: Callable[[dict[str, Any]], int], item: dict[str, Any]) -> None:
    """A real OpenSearch takes every object, as it would from OpenSearch Dashboards."""
    assert store(item) == 201


def test_the_strict_mapping_refuses_what_is_unknown(store: Callable[[dict[str, Any]], int]) -> None:
    """The check above means something: an attribute of another product is a 400."""
    (dashboard,) = [item for item in build(load()) if item["type"] == "dashboard"]
    attributes = {**dashboard["attributes"], "controlGroupInput": {}}
    assert store({**dashboard, "attributes": attributes}) == 400
