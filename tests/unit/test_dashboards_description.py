"""Any description of a reading gives a whole dashboard, an index template and the built files."""

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.dashboards.decimals import number_format
from iot_stream.dashboards.definition import DASHBOARDS, MOST_CATEGORIES, MOST_MEASURES, Dashboard, Panel, load
from iot_stream.dashboards.index_template import index_template, pattern_fields
from iot_stream.dashboards.layout import Grid, arrange
from iot_stream.dashboards.saved_objects import build
from iot_stream.dashboards.snapshot import panel_svg
from iot_stream.dashboards.templates import render, slugs
from iot_stream.description import Field, Type, parse
from iot_stream.description import load as load_description
from iot_stream.readings import built_files
from tests.walkthrough import PROJECT_FILE

COLD_STORE = """
title = "Cold stores"
silent_after = 900
unknown = "keep"
[fields.sensor]
type = "keyword"
role = "device"
label = "Sensor"
[fields.site]
type = "keyword"
role = "category"
label = "Site's name"
[fields.at]
type = "date"
role = "time"
[fields.temp_c]
type = "scaled_float"
decimals = 1
role = "measure"
label = "Temperature"
unit = "°C"
alert_above = -15
alert_below = -30
[fields.humidity]
type = "double"
role = "measure"
unit = "%"
optional = true
[fields.battery_mv]
type = "long"
role = "measure"
label = "Battery"
unit = "mV"
alert_below = 2800
[fields.door_open]
type = "boolean"
role = "category"
label = "Door"
"""
BARE = """
title = "Bare"
silent_after = 60
unknown = "drop"
[fields.id]
type = "long"
role = "device"
[fields.t]
type = "date"
role = "time"
format = "epoch_millis"
"""
DESCRIPTIONS = {"cold store": COLD_STORE, "bare": BARE}


@pytest.fixture(params=DESCRIPTIONS)
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    """The dashboard of each description."""
    return load(reading=parse(DESCRIPTIONS[request.param]))


def test_every_panel_is_valid_vega_lite(dashboard: Dashboard, mistake_in: Callable[[Panel], str]) -> None:
    """No token is left, and each specification is what Vega-Lite's schema knows."""
    for panel in dashboard.panels:
        assert not re.search(r"\{\{\w|\$when", json.dumps(panel.spec)), panel.name
        assert mistake_in(panel) == "", panel.name


def test_every_panel_draws_without_any_index(dashboard: Dashboard) -> None:
    """Its expressions are valid, whatever quotes the labels hold."""
    for panel in dashboard.panels:
        assert "<svg" in panel_svg(panel, {"hits": {"hits": []}}, width=400, height=200)


def test_panels_are_told_apart_and_do_not_overlap(dashboard: Dashboard) -> None:
    """Names are unique, and the grid of 48 columns is filled."""
    names = [panel.name for panel in dashboard.panels]
    assert len(names) == len(set(names))
    for one, other in itertools.combinations([panel.grid for panel in dashboard.panels], 2):
        beside = one.x + one.w <= other.x or other.x + other.w <= one.x
        assert beside or one.y + one.h <= other.y or other.y + other.h <= one.y
    assert dashboard.latest_grid.y == max(panel.grid.y + panel.grid.h for panel in dashboard.panels)


def test_there_is_a_panel_for_each_measure_and_category() -> None:
    """Over time, by device, by category and its mix."""
    kinds = [panel.kind for panel in load(reading=parse(COLD_STORE)).panels]
    assert kinds.count("measure-over-time") == kinds.count("devices-by-measure") == 3
    assert kinds.count("category-mix") == 2
    assert kinds.count("measure-by-category") == kinds.count("measure-by-category-over-time") == 6
    assert kinds.count("records-per-second") == kinds.count("silent-devices") == kinds.count("key-figures") == 1


def test_many_measures_and_categories_make_no_more_panels_than_people_look_at() -> None:
    """Panels multiply: 60 of each would be 7,391 objects. The others stay in filters, and are named."""
    fields = "".join(
        f'[fields.{role[0]}{number:02}]\ntype = "{kind}"\nrole = "{role}"\n'
        for role, kind in (("measure", "double"), ("category", "keyword"))
        for number in range(60)
    )
    dashboard = load(reading=parse(BARE + fields))
    most = {"measure": MOST_MEASURES, "category": MOST_CATEGORIES}
    rows = json.loads((DASHBOARDS / "dashboard.json").read_text(encoding="utf-8"))["rows"]
    expected = sum(math.prod(most[each] for each in entry.get("each", [])) for row in rows for entry in row)
    assert len(dashboard.panels) == expected
    assert len(build(dashboard)) == expected + len(("index pattern", "filters", "latest readings", "dashboard"))
    assert [field.name for field in dashboard.without_panels] == [
        *(f"m{number:02}" for number in range(6, 60)), *(f"c{number:02}" for number in range(3, 60))
    ]  # fmt: skip
    assert {f"c{number:02}" for number in range(60)} < {entry["field"] for entry in dashboard.filters}


def test_where_only_too_low_is_wrong_the_lowest_stand_out() -> None:
    """A battery's highest voltage interests nobody."""
    (battery,) = [p for p in load(reading=parse(COLD_STORE)).panels if p.name == "devices-by-battery"]
    assert battery.title == "Ten devices with the lowest battery"
    devices = battery.query.body["aggs"]["devices"]
    assert devices["terms"]["order"] == {"average": "asc"}
    assert devices["aggs"]["extreme"] == {"min": {"field": "battery_mv"}}
    assert "format" not in devices["terms"], "a keyword's key is its text"


def test_saved_objects_name_only_described_fields(dashboard: Dashboard) -> None:
    """Filters and columns follow the description."""
    known = {field.name for field in dashboard.reading.fields} | {"ingested_at"}
    assert {entry["field"] for entry in dashboard.filters} <= known
    assert set(dashboard.latest_columns) <= known
    ids = [item["id"] for item in build(dashboard)]
    assert len(ids) == len(set(ids))


def test_the_latest_readings_have_the_labels_of_the_description_as_headings() -> None:
    """With units, and UTC above times; a field without a label has its name."""
    assert load(reading=parse(COLD_STORE)).latest_headings == {
        "at": "At (UTC)", "sensor": "Sensor", "site": "Site's name", "temp_c": "Temperature (°C)",
        "humidity": "Humidity (%)", "battery_mv": "Battery (mV)", "door_open": "Door",
        "ingested_at": "Ingested at (UTC)",
    }  # fmt: skip


def test_the_index_template_maps_every_field() -> None:
    """In OpenSearch's words; what is not described is one object that can't grow the mapping."""
    properties = index_template(parse(COLD_STORE))["template"]["mappings"]["properties"]
    assert properties == {
        "sensor": {"type": "keyword"},
        "site": {"type": "keyword"},
        "at": {"type": "date", "format": "strict_date_optional_time"},
        "temp_c": {"type": "scaled_float", "scaling_factor": 10},
        "humidity": {"type": "double"},
        "battery_mv": {"type": "long"},
        "door_open": {"type": "boolean"},
        "ingested_at": {"type": "date", "format": "strict_date_optional_time"},
        "unknown_fields": {"type": "object", "enabled": False},
    }
    names = {field["name"] for field in pattern_fields(index_template(parse(COLD_STORE)))}
    assert "unknown_fields" not in names


def test_the_built_files_are_up_to_date() -> None:
    """Else run `iot-stream readings build`."""
    assert built_files.outdated(load_description(PROJECT_FILE)) == []


def test_built_files_are_written_where_they_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only there."""
    template = tmp_path / "index-template.json"
    monkeypatch.setattr(built_files, "INDEX_TEMPLATE", template)
    reading = load_description(PROJECT_FILE)
    assert built_files.outdated(reading) == [template]
    assert built_files.write(reading) == [template]
    assert built_files.write(reading) == []
    assert template.read_text(encoding="utf-8") == built_files.built_files(reading)[template]


def test_a_token_becomes_its_value() -> None:
    """Whole, within a text, in an expression, as a name; and None leaves a member out."""
    tokens = {"a": 5, "b": None, "c": "it's", "d": {"x": 1}}
    template: dict[str, Any] = {"p": "{{a}}", "q": "{{b}}", "r": "<{{a}}>", "s": "'{{c|expr}}'", "{{d}}": ""}
    template |= {"t": [{"$when": "b"}, 1], "u": None}
    assert render(template, tokens) == {"p": 5, "r": "<5>", "s": "'it\\'s'", "x": 1, "t": [1], "u": None}


def test_short_names_are_unique() -> None:
    """Two temperatures are told apart by their fields' names."""
    labels = {"a_1": "T", "b": "T", "c": "Ü"}
    fields = [Field(name=name, type=Type.DOUBLE, path=(name,), label=label) for name, label in labels.items()]
    assert slugs(tuple(fields)) == {"a_1": "a-1", "b": "b", "c": "c"}


def test_a_label_is_no_short_name_where_it_is_the_name_of_another_field() -> None:
    """Two panels of one name would be refused, though nobody chose their names."""
    labels = {"a": "T", "b": "T", "c": "A"}
    fields = [Field(name=name, type=Type.DOUBLE, path=(name,), label=label) for name, label in labels.items()]
    assert slugs(tuple(fields)) == {"a": "a", "b": "b", "c": "c"}


SIZES = st.tuples(st.integers(8, 24), st.integers(4, 20))


@given(st.lists(st.lists(SIZES, max_size=9), max_size=6), st.integers(0, 24))
def test_a_layout_fills_every_line(rows: list[list[tuple[int, int]]], left: int) -> None:
    """However many panels: no overlap, no gap, nothing beyond the columns."""
    grids, bottom = arrange(rows, Grid(0, 0, left, 8))
    assert len(grids) == sum(map(len, rows))
    for y, line in itertools.groupby(grids, key=lambda grid: grid.y):
        places = list(line)
        assert places[0].x == (left if y == 0 else 0)
        assert sum(grid.w for grid in places) == 48 - places[0].x
        assert all(one.x + one.w == other.x for one, other in itertools.pairwise(places))
    assert bottom == max((grid.y + grid.h for grid in grids), default=0)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('type = "scaled_float"\ndecimals = 2\nalert_above = 38\nexamples = [28, 40]\nmax = 1e12', ".1f"),
        ('type = "double"\nexamples = [0.08, 0.41]', ".3f"),  # water in soil, in m³/m³
        ('type = "scaled_float"\ndecimals = 2\nexamples = [0.08, 0.41]', ".2f"),
        ('type = "scaled_float"\ndecimals = 0\nexamples = [4, 9]', ".1f"),
        ('type = "long"\nexamples = [2600, 3300]', ",.0f"),
        ('type = "long"\nmin = 0\nmax = 9', ".1f"),
        ('type = "double"\nmin = 0\nmax = 100', ".1f"),
        ('type = "double"\nalert_below = -0.00002', ".6f"),
        ('type = "double"', ".2f"),
        ('type = "scaled_float"\ndecimals = 9', ".3f"),
        ('type = "long"', ".1f"),
    ],
)
def test_a_measure_is_shown_with_the_decimals_that_its_size_needs(keys: str, expected: str) -> None:
    """Three digits of what is usual: 0.2 m³/m³ would say nothing, 2,955.3 mV too much."""
    description = parse(f'{BARE}[fields.m]\nrole = "measure"\n{keys}\n')
    assert number_format(description.measures[0]) == expected
    for panel in load(reading=description).panels:
        text = json.dumps(panel.spec)
        assert "{{" not in text
        template = (DASHBOARDS / "panels" / f"{panel.kind}.json").read_text(encoding="utf-8")
        formatted = "{{measure.format}}" in template or "{{figures}}" in template
        assert formatted or panel.kind not in {"key-figures", "measure-over-time", "devices-by-measure"}
        assert (f'"{expected}"' in text or f"'{expected}'" in text) is formatted


@pytest.mark.parametrize("width", [320, 960])
@pytest.mark.parametrize("letter", ["N", "습"])
def test_key_figures_stand_apart_however_many_they_are(width: int, letter: str) -> None:
    """Ten of them, with long labels: they go on in the next row, and none is as wide as its place."""
    measures = "".join(
        f'[fields.m{number}]\ntype = "double"\nrole = "measure"\nlabel = "{letter * 9}"\n' for number in (1, 2, 3)
    )
    [panel] = [each for each in load(reading=parse(BARE + measures)).panels if each.kind == "key-figures"]
    svg = panel_svg(panel, {"hits": {"hits": []}}, width=width, height=160)
    label = f"{letter * 9}, average"
    places = re.findall(rf'translate\(([\d.]+),([\d.]+)\)" font[^>]*font-size="([\d.]+)px"[^>]*>{label}<', svg)
    assert len(places) == 3
    wide = 2 if letter == "습" else 1
    for (x, y, size), (other_x, other_y, _) in itertools.combinations(places, 2):
        needed = (9 * wide + len(", average")) * float(size) * 0.5
        assert abs(float(x) - float(other_x)) >= needed or abs(float(y) - float(other_y)) >= 2 * float(size)


def test_titles_begin_with_a_capital_letter() -> None:
    """Also where a label is the field's name; a word with a capital letter of its own stays."""
    measures = "".join(f'[fields.{name}]\ntype = "double"\nrole = "measure"\n' for name in ("humidity", "pH"))
    panels = load(reading=parse(BARE + measures)).panels
    assert [panel.title for panel in panels if panel.kind == "measure-over-time"] == [
        "Humidity over time", "pH over time",
    ]  # fmt: skip
    figures = json.dumps([panel.spec for panel in panels if panel.kind == "key-figures"])
    assert all(f"label: '{label}'" in figures for label in ("Ids", "Humidity, average", "pH, maximum"))
