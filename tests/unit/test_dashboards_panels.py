"""The panels' specifications: valid Vega-Lite, one source for what they share, and nothing that Dashboards refuses."""

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.dashboards.definition import DASHBOARDS, Panel, load
from iot_stream.dashboards.index_template import index_template
from iot_stream.dashboards.snapshot import NEWEST, OLDEST, panel_svg
from iot_stream.errors import SetupError
from tests.examples import examples
from tests.template import load_template

DASHBOARD = load()
SHIPPED = {
    "category-mix", "devices-by-measure", "key-figures", "measure-by-category", "measure-by-category-over-time",
    "measure-over-time", "records-per-second", "silent-devices",
}  # fmt: skip
# Where Vega expressions stand in a specification, and what OpenSearch Dashboards refuses in them
# (its Vega plugin's `vega_validation`).
EXPRESSION_KEYS = {"expr", "update", "test", "calculate", "filter", "signal"}
REFUSED = re.compile(
    r"(?<![.\w])(window|document|global|globalThis|top|parent|frames|self|constructor|eval|Function)\b"
    r"|\.(view|prototype|innerHTML|constructor|__proto__)\b"
    r"|[\w)\]]\[(?!\d+\])"  # computed access, but for a position
)

every_panel = pytest.mark.parametrize("panel", DASHBOARD.panels, ids=lambda panel: panel.name)


def walk(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value in a specification, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from walk(value)
    elif isinstance(node, list):
        for item in node:
            yield from walk(item)


@every_panel
def test_specification_passes_the_vega_lite_schema(panel: Panel, mistake_in: Callable[[Panel], str]) -> None:
    """Every word is one that Vega-Lite knows."""
    assert mistake_in(panel) == ""


@every_panel
def test_panel_asks_the_index_pattern_by_its_title(panel: Panel) -> None:
    """The filter bar finds the index pattern by this text, so the two must be the same."""
    assert panel.query.index == DASHBOARD.index_pattern
    for expression in (value for key, value in walk(panel.spec) if key == "expr"):
        for pattern in re.findall(r"AddFilter\(.*?, '([^']*)'\)", expression):
            assert pattern == DASHBOARD.index_pattern


def test_only_fields_of_the_index_template_are_used() -> None:
    """A field that no document has would show nothing, without a word."""
    known = index_template(DASHBOARD.reading)["template"]["mappings"]["properties"].keys()
    panels = [panel for panel in DASHBOARD.panels if panel.kind in SHIPPED]  # another may have a fork's own field
    asked = {value for panel in panels for key, value in walk(panel.query.body) if key == "field"}
    chosen = {entry["field"] for entry in DASHBOARD.filters}
    assert asked | chosen | {DASHBOARD.time_field, *DASHBOARD.latest_columns} <= known
    assert {"timestamp", "device_id", "temp_celsius", "activity_type"} <= asked


@every_panel
def test_panel_leaves_the_query_to_the_dashboard(panel: Panel) -> None:
    """It follows the filters, unless its title says otherwise, has no query of its own and asks for no documents."""
    assert panel.query.use_filters is (panel.kind != "silent-devices")
    assert "query" not in panel.query.body
    assert panel.query.body["size"] == 0


@every_panel
def test_only_the_silent_devices_look_beyond_the_time_range(panel: Panel) -> None:
    """A device that fell silent before the range began would otherwise never be shown."""
    expected = None if panel.kind == "silent-devices" else DASHBOARD.time_field
    assert panel.query.time_field == expected


@every_panel
def test_panel_survives_a_response_without_aggregations(panel: Panel) -> None:
    """Before the first record there is no index, and the response then has no `aggregations`."""
    assert "format" not in panel.spec["data"]
    first = panel.spec["transform"][0]["calculate"]
    assert first.startswith("isValid(datum.aggregations) ?")


@every_panel
def test_expressions_hold_nothing_that_dashboards_refuses(panel: Panel) -> None:
    """Names of browser objects and computed access are blocked there, though they work elsewhere."""
    expressions = [value for key, value in walk(panel.spec) if key in EXPRESSION_KEYS and isinstance(value, str)]
    assert expressions
    assert [text for text in expressions if REFUSED.search(text)] == []


def drawn(panel: Panel) -> dict[str, Any]:
    """Return what a panel draws: its specification but for the parameters and the query. A mark may have no layer."""
    return {key: value for key, value in panel.spec.items() if key not in {"params", "data"}}


@every_panel
def test_thresholds_come_as_parameters(panel: Panel) -> None:
    """A threshold is written in the description alone; no panel repeats its number."""
    (measure,) = DASHBOARD.reading.measures
    thresholds = {float(DASHBOARD.reading.silent_after), float(measure.alert_above or 0)}
    parameters = {entry["value"] for entry in panel.spec["params"] if "value" in entry}
    assert parameters <= thresholds
    text = json.dumps(drawn(panel))
    uses = {name for name in ("alert_above", "silent_after") if re.search(rf"\b{name}\b", text)}
    assert uses <= {entry["name"] for entry in panel.spec["params"]}
    for key, expression in walk(panel.spec):
        if key in EXPRESSION_KEYS and isinstance(expression, str):
            compared = {float(number) for number in re.findall(r"[<>]=?\s*([\d.]+)", expression)}
            assert not compared & thresholds


@every_panel
def test_axes_have_titles(panel: Panel) -> None:
    """Each quantity on an axis says what it is, measures with their unit."""
    titled: dict[str, bool] = {}
    for key, channel in walk(panel.spec):
        if key in {"x", "y"} and isinstance(channel, dict) and "field" in channel:
            titled[key] = titled.get(key, False) or bool(channel.get("title"))
    assert all(titled.values()), titled
    text = json.dumps(panel.spec, ensure_ascii=False)
    assert ("temp_celsius" in text) == ("°C" in text)


def test_names_are_given_once() -> None:
    """Data sets are told apart by their names; files and the list of panels agree."""
    names = [value["name"] for panel in DASHBOARD.panels for key, value in walk(panel.spec) if key == "data"]
    assert len(names) == len(set(names))
    files = {path.stem for path in (DASHBOARDS / "panels").glob("*.json")}
    assert files == {panel.kind for panel in DASHBOARD.panels}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Whoever moves a file learns which one is missed."""
    with pytest.raises(SetupError, match=r"dashboard\.json"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}"], ids=["cut-off", "list", "empty"])
def test_a_broken_file_is_named(content: str, tmp_path: Path) -> None:
    """A slip in the JSON is one line that names the file, not a traceback."""
    for name in ("dashboard.json", "theme.json"):
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(SetupError, match=r"dashboard\.json"):
        load(tmp_path)


def test_a_device_is_not_called_silent_for_waiting_in_firehoses_buffers() -> None:
    """With the template's defaults the newest searchable reading is up to both intervals old, in each cycle."""
    parameters = load_template()["Parameters"]
    names = ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds")
    assert DASHBOARD.reading.silent_after >= sum(parameters[name]["Default"] for name in names) + 30


@pytest.mark.parametrize("vega_lite", [OLDEST, NEWEST])
@pytest.mark.parametrize("value", [28.96, 36.5, 0.0, -30.1])
def test_one_value_alone_has_a_scale_of_colours(value: float, vega_lite: str) -> None:
    """The only reading of a stack: a scale from 28.96 to 28.96 has steps that are no numbers, and an endless legend."""
    [panel] = [panel for panel in DASHBOARD.panels if panel.name == "temperature-by-activity-over-time"]
    cell = {"key": "Walking", "doc_count": 1, "average": {"value": value}}
    keys = range(1_764_200_000_000, 1_764_200_900_000, 20_000)
    buckets = [{"key": key, "doc_count": 0, "categories": {"buckets": []}} for key in keys]
    buckets[-1] |= {"doc_count": 1, "categories": {"buckets": [cell]}}
    delivered = {"day": {"until": {"value": keys[-1]}}}
    found = {"delivered": delivered, "overall": {"value": value}, "time": {"buckets": buckets}}
    svg = panel_svg(panel, {"aggregations": found}, width=500, height=260, vega_lite=vega_lite)
    assert "Infinity" not in svg
    assert "NaN" not in svg
    assert legend(svg) == ([f"{value:.1f}".replace("-", "\u2212")] if value else [])


@pytest.mark.parametrize("vega_lite", [OLDEST, NEWEST])
def test_a_scale_of_colours_says_nothing_of_nothing(vega_lite: str) -> None:
    """Without a reading the legend has no figures, where it had six times 0.0."""
    [panel] = [panel for panel in DASHBOARD.panels if panel.name == "temperature-by-activity-over-time"]
    assert legend(panel_svg(panel, {"_shards": {}}, width=500, height=260, vega_lite=vega_lite)) == []


def legend(svg: str) -> list[str]:
    """Return the labels of a picture's legend."""
    [labels] = re.findall(r'class="[^"]*role-legend-label.*?</g>', svg, re.DOTALL)
    return re.findall(r">([^<>]+)</text>", labels)


def duration(seconds: float) -> str:
    """Return seconds as the panel shows them: halves are rounded up, as JavaScript does."""
    size, unit = (1, "s") if seconds < 120 else (60, "min") if seconds < 7200 else (3600, "h")
    return f"{math.floor(seconds / size + 0.5)} {unit}"


@examples(6)
@given(st.integers(0, 36 * 3600), st.lists(st.integers(0, 20 * 3600), min_size=1, max_size=10))
def test_silence_is_counted_to_the_latest_delivery(late: int, silences: list[int]) -> None:
    """Not to the clock: however late delivery is, a device is as silent as the others' latest arrival shows."""
    [panel] = [panel for panel in DASHBOARD.panels if panel.kind == "silent-devices"]
    silences.sort(reverse=True)
    until = time.time_ns() // 1_000_000 - late * 1000
    buckets = [
        {"key": number, "key_as_string": str(number), "doc_count": 1, "latest": {"value": until - silence * 1000}}
        for number, silence in enumerate(silences)
    ]
    day = {"until": {"value": until}, "devices": {"buckets": buckets}}
    svg = panel_svg(panel, {"aggregations": {"day": day}}, width=500, height=300)
    bars = re.findall(r'aria-label="[^"]*Device: (\d+); Silent for: ([^;"]+)[^"]*"[^>]*?fill="([^"]+)"', svg)
    found = {int(device): (text, colour == "#D5472E") for device, text, colour in bars}
    limit = DASHBOARD.reading.silent_after
    assert found == {number: (duration(silence), silence > limit) for number, silence in enumerate(silences)}


def test_key_figures_that_no_filter_changes_say_so() -> None:
    """What OpenSearch's `global` aggregation counts is of all readings: exactly the figures made of it say "of all"."""
    [panel] = [panel for panel in DASHBOARD.panels if panel.kind == "key-figures"]
    chosen = {name: {"value": 5} for name, agg in panel.query.body["aggs"].items() if "global" not in agg}

    def figures(until: int, ahead: int) -> set[tuple[str, ...]]:
        delivered = {"day": {"until": {"value": until}}, "hour": {"ahead": {"doc_count": ahead}}}
        svg = panel_svg(panel, {"aggregations": {**chosen, "delivered": delivered}}, width=900, height=200)
        return set(re.findall(r'aria-label="label: ([^;]+); text: ([^"]+)"', svg))

    [before, after] = [figures(1, 0), figures(2**40, 7)]
    assert {label for label, _ in before ^ after} == {label for label, _ in before if label.endswith(", of all")}
    assert ("Clock ahead, of all", "▲ 7") in after


@pytest.mark.parametrize("name", ["records-per-second", "temperature-over-time"])
@pytest.mark.parametrize("late", [True, False])
def test_a_grey_band_says_what_is_not_delivered_yet_and_is_not_there_on_time(name: str, late: bool) -> None:
    """An arrival of two minutes ago is late; one that is later than the drawing, so that no load matters, is not."""
    now = time.time_ns() // 1_000_000
    measure = {"min": 19.0, "avg": 20.0, "max": 21.0}
    buckets = [{"key": now - 5_000 * number, "doc_count": 5, "measure": measure} for number in reversed(range(60))]
    delivered = {"day": {"until": {"value": now - 120_000 if late else now + 60_000}}}
    response = {"aggregations": {"time": {"buckets": buckets}, "delivered": delivered}}
    (panel,) = [panel for panel in load().panels if panel.name == name]
    svg = panel_svg(panel, response, width=500, height=260)
    assert 'aria-roledescription="' in svg, "it is drawn"
    assert ('aria-label="Not delivered yet"' in svg) is late
