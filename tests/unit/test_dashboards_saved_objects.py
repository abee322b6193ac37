"""The saved objects: built from the dashboard's files, complete, and of the shape that real exports have."""

import itertools
import json
import re
import urllib.parse
from typing import Any

import pytest

from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.devices import build_devices
from iot_stream.dashboards.index_template import index_template
from iot_stream.dashboards.saved_objects import build, to_ndjson
from tests.template import load_template

LIVE = build(load())
OBJECTS = [*LIVE, *build_devices(load())]
# Attributes of exports that OpenSearch Dashboards itself wrote (its sample data, and
# aws-solutions/centralized-logging-with-opensearch), without those that may be left out.
EXPORTED = {
    "index-pattern": {"title", "timeFieldName", "fields", "fieldFormatMap"},
    "visualization": {"title", "description", "version", "uiStateJSON", "visState", "kibanaSavedObjectMeta"},
    "search": {"title", "description", "hits", "version", "columns", "sort", "kibanaSavedObjectMeta"},
    "dashboard": {
        *("title", "description", "hits", "version", "panelsJSON", "optionsJSON"),
        *("timeRestore", "timeFrom", "timeTo", "refreshInterval", "kibanaSavedObjectMeta"),
    },
}


def only(kind: str) -> dict[str, Any]:
    """The live dashboard's only object of a kind."""
    (item,) = [item for item in LIVE if item["type"] == kind]
    return item


def test_every_line_is_one_object_with_sorted_keys() -> None:
    """A diff of the built file shows what changed, not in which order."""
    for line in to_ndjson(OBJECTS).splitlines():
        pairs = json.loads(line, object_pairs_hook=list)
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: item["id"])
def test_keys_are_those_of_real_exports(item: dict[str, Any]) -> None:
    """One unknown attribute would be a 400; `coreMigrationVersion` and the like came with other products."""
    assert item.keys() == {"type", "id", "attributes", "references", "migrationVersion"}
    # The tables of devices and alerts have no time range of their own, nor has what they look at a time.
    timeless = {"timeFieldName", "timeFrom", "timeTo"} if item not in LIVE else set()
    assert item["attributes"].keys() == EXPORTED[item["type"]] - timeless
    assert item["migrationVersion"].keys() == {item["type"]}


def test_every_reference_resolves_to_an_earlier_object() -> None:
    """The import checks index patterns and searches only, so a dangling panel would pass unseen."""
    known: set[tuple[str, str]] = set()
    for item in OBJECTS:
        for reference in item["references"]:
            assert (reference["type"], reference["id"]) in known
        known.add((item["type"], item["id"]))
    assert len(known) == len(OBJECTS)


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: item["id"])
def test_reference_names_and_their_uses_are_the_same_set(item: dict[str, Any]) -> None:
    """Every `…RefName` in an object's JSON texts names one of its references, and none is unused."""

    def used(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(used, node))
        if not isinstance(node, dict):
            return set()
        texts = {key for key in node if key.endswith("JSON") or key == "visState"}
        inner = [json.loads(value) if key in texts else value for key, value in node.items()]
        return {value for key, value in node.items() if key.endswith("RefName")}.union(*map(used, inner))

    assert used(item["attributes"]) == {reference["name"] for reference in item["references"]}


def test_the_dashboard_opens_on_the_last_quarter_hour_and_refreshes_every_five_seconds() -> None:
    """What people see first, without a click."""
    attributes = only("dashboard")["attributes"]
    assert attributes["timeRestore"] is True
    assert (attributes["timeFrom"], attributes["timeTo"]) == ("now-15m", "now")
    assert attributes["refreshInterval"] == {"pause": False, "value": 5000}


def test_the_dashboard_shows_every_visualization_and_the_search_once() -> None:
    """No panel is built and then forgotten."""
    shown = [reference["id"] for reference in only("dashboard")["references"]]
    assert sorted(shown) == sorted(item["id"] for item in LIVE if item["type"] in {"visualization", "search"})


def test_panels_fit_the_grid_and_do_not_overlap() -> None:
    """48 columns; OpenSearch Dashboards would push overlapping panels about."""
    grids = [panel["gridData"] for panel in json.loads(only("dashboard")["attributes"]["panelsJSON"])]
    for grid in grids:
        assert grid["x"] >= 0
        assert grid["x"] + grid["w"] <= 48
    for one, other in itertools.combinations(grids, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_the_specification_inside_is_the_panels_own() -> None:
    """One text serves OpenSearch Dashboards and the live page."""
    states = [json.loads(item["attributes"]["visState"]) for item in OBJECTS if item["type"] == "visualization"]
    specs = [json.loads(state["params"]["spec"]) for state in states if state["type"] == "vega"]
    assert specs == [panel.spec for panel in load().panels]


def test_filters_exist_for_device_and_activity() -> None:
    """The two that people narrow by, on the fields' own types."""
    (state,) = [json.loads(item["attributes"]["visState"]) for item in OBJECTS if item["id"] == "iot-stream-filters"]
    controls = state["params"]["controls"]
    assert [(control["label"], control["fieldName"]) for control in controls] == [
        ("Device", "device_id"),
        ("Activity", "activity_type"),
    ]
    # Dashboards offers this many of a number's values and lets nobody search for others; the generator has 51 devices.
    assert all(control["options"]["size"] >= 1000 for control in controls)


def test_the_index_pattern_has_its_fields_before_the_first_document() -> None:
    """Else each consumer says "No matching indices found", and filters stay broken until the page is loaded again."""
    attributes = only("index-pattern")["attributes"]
    fields = {field["name"]: field for field in json.loads(attributes["fields"])}
    properties = index_template(load().reading)["template"]["mappings"]["properties"]
    assert fields.keys() == {"_id", "_index", "_score", "_source", "_type", *properties}
    assert fields[attributes["timeFieldName"]]["type"] == "date"
    assert (fields["temp_celsius"]["type"], fields["temp_celsius"]["esTypes"]) == ("number", ["scaled_float"])
    assert all(fields[name]["aggregatable"] and fields[name]["readFromDocValues"] for name in properties)


def test_every_date_is_shown_in_the_time_zone_of_the_panels() -> None:
    """The saved search and the panels stand side by side: both are UTC."""
    formats = json.loads(only("index-pattern")["attributes"]["fieldFormatMap"])
    assert formats.keys() == {"timestamp", "ingested_at"}
    assert all(each["params"]["timezone"] == "UTC" for each in formats.values())


def test_the_stacks_output_leads_to_the_dashboard_in_the_shared_tenant() -> None:
    """Without `security_tenant` a person lands in a private tenant, where nothing was imported."""
    url = load_template()["Outputs"]["DashboardsUrl"]["Value"]["Sub"]
    path, _, view = url.partition("#")
    assert path.endswith("/_dashboards/app/dashboards?security_tenant=global")
    # The role mapper puts IndexName in the place of iot-stream, in ids as well.
    assert view == f"/view/{only('dashboard')['id']}".replace("iot-stream", "${IndexName}")


def test_the_tables_of_devices_and_alerts_show_fields_that_the_function_writes() -> None:
    """Sorted by the domain, the worst and the newest first; ids of devices lead to the live dashboard."""
    pattern, devices, alerts, shown = build_devices(load())
    fields = {field["name"]: field for field in json.loads(pattern["attributes"]["fields"])}
    properties = alerts_template(load().reading)["template"]["mappings"]["properties"]
    assert {name.split(".")[0] for name in fields} - {"_id", "_index", "_score", "_source", "_type"} == {
        *properties
    } - {"memory"}
    for table in (devices, alerts):
        used = [*table["attributes"]["columns"], *(name for name, _ in table["attributes"]["sort"])]
        assert set(used) <= fields.keys()
        assert all(fields[name]["aggregatable"] for name, _ in table["attributes"]["sort"])
        source = json.loads(table["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        assert source["query"]["query"] in {"kind: device", "kind: alert"}
    link = json.loads(pattern["attributes"]["fieldFormatMap"])["device_id"]["params"]
    assert link["urlTemplate"].startswith(f"#/view/{only('dashboard')['id']}?")
    assert "device_id:'{{value}}'" in link["urlTemplate"]
    assert link["openLinkInCurrentTab"] is False, "the list is not lost"
    assert _link(link, "a b") == (link["urlTemplate"].replace("{{value}}", "a%20b"), "a b"), (
        "what people click is the id"
    )
    assert {each["id"] for each in shown["references"]} == {devices["id"], alerts["id"]}


def _link(params: dict[str, Any], value: str) -> tuple[str, str]:
    """Return address and label as the URL formatter of OpenSearch Dashboards makes them.

    Source: OpenSearch Dashboards, src/plugins/data/common/field_formats/converters/url.ts: `formatUrl` knows `value`
    (escaped) and `rawValue`, `formatLabel` knows `value` and `url`; `compileTemplate` expands another name to nothing.
    """

    def expanded(template: str, known: dict[str, str]) -> str:
        return re.sub(r"{{([\s\S]+?)}}", lambda found: known.get(found[1].strip(), ""), template)

    url = expanded(params["urlTemplate"], {"value": urllib.parse.quote(value, safe="!'()*~"), "rawValue": value})
    return url, expanded(params["labelTemplate"], {"value": value, "url": url})
