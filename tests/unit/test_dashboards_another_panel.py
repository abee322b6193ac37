"""Whoever adds a panel, as the dashboard's README says, gets one more panel or is told what to write."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iot_stream.dashboards.definition import DASHBOARDS, Panel, load
from iot_stream.dashboards.panel_check import check_panels
from iot_stream.dashboards.saved_objects import build
from iot_stream.dashboards.snapshot import panel_svg
from iot_stream.dashboards.templates import category_tokens, common_tokens, measure_tokens
from iot_stream.errors import SetupError
from tests.unit import test_dashboards_description, test_dashboards_panels

README = (DASHBOARDS / "README.md").read_text(encoding="utf-8")
TEMPLATE: dict[str, Any] = json.loads(re.findall(r"^   ```json\n(.*?)^   ```$", README, re.MULTILINE | re.DOTALL)[0])
LINE: dict[str, Any] = json.loads(re.findall(r'^ +({"panel".*})$', README, re.MULTILINE)[0])
"""The panel that the page adds."""


def folder_with(place: Path, *lines: dict[str, Any], template: str = json.dumps(TEMPLATE)) -> Path:
    """Return a copy of the dashboard's files with a template more, and with a row more, of `lines`.

    Without that panel before, which somebody who followed the page has in the dashboard.
    """
    folder = place / "dashboards"
    shutil.copytree(DASHBOARDS, folder)
    (folder / "panels" / f"{LINE['panel']}.json").write_text(template, encoding="utf-8")
    whole = json.loads((folder / "dashboard.json").read_text(encoding="utf-8"))
    rows = [[line for line in row if line["panel"] != LINE["panel"]] for row in whole["rows"]]
    whole["rows"] = [row for row in [*rows, list(lines)] if row]
    (folder / "dashboard.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def test_the_tests_of_all_panels_bear_with_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake_in: Callable[[Panel], str]
) -> None:
    """A panel that keeps the rules passes them, also with one mark and no layer; nothing counts on 54 panels."""
    before = load(folder_with(tmp_path / "before"))
    folder = folder_with(tmp_path, LINE)
    after = load(folder)
    [panel] = [each for each in after.panels if each.kind == "category-count"]
    assert (panel.name, panel.title) == ("activity-count", "Readings by activity")
    assert len(build(after)) == len(build(before)) + 1
    buckets = [{"key": "Walking", "doc_count": 7}]
    assert "Walking" in panel_svg(panel, {"aggregations": {"kinds": {"buckets": buckets}}}, width=400, height=200)
    for test in (
        test_dashboards_panels.test_panel_asks_the_index_pattern_by_its_title,
        test_dashboards_panels.test_panel_leaves_the_query_to_the_dashboard,
        test_dashboards_panels.test_only_the_silent_devices_look_beyond_the_time_range,
        test_dashboards_panels.test_panel_survives_a_response_without_aggregations,
        test_dashboards_panels.test_expressions_hold_nothing_that_dashboards_refuses,
        test_dashboards_panels.test_thresholds_come_as_parameters,
        test_dashboards_panels.test_axes_have_titles,
    ):
        test(panel)
    test_dashboards_panels.test_specification_passes_the_vega_lite_schema(panel, mistake_in)
    monkeypatch.setattr(test_dashboards_description, "DASHBOARDS", folder)
    monkeypatch.setattr(test_dashboards_description, "load", lambda reading: load(folder, reading))
    test_dashboards_description.test_many_measures_and_categories_make_no_more_panels_than_people_look_at()


def _change(node: dict[str, Any], path: str, value: Any) -> str:
    """Return the page's template as text, with one value changed, or taken out."""
    changed = json.loads(json.dumps(node))
    *above, last = path.split(".")
    inner = changed
    for key in above:
        inner = inner[int(key) if key.isdigit() else key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("mark.type", "bars", "Vega-Lite can't compile the panel: TypeError"),
        ("transform.0.calculate", "isValid(", "Vega-Lite can't compile the panel: Error: Unexpected end of input"),
        ("data.name", None, '"data.name" is missing'),
        ("data.url.body", None, '"data.url.body" is missing'),
        ("description", None, '"description" is missing'),
        ("data.url.body.aggs.kinds.terms.field", "activity", "no document has; write activity_type"),
        ("data.url.body.aggs.kinds.terms.field", "q", "no document has; the fields are uuid, "),
    ],
)
def test_a_mistake_in_a_template_is_told_before_it_is_built(path: str, value: Any, words: str, tmp_path: Path) -> None:
    """The page would stay empty, without a word of which panel it is."""
    folder = folder_with(tmp_path, LINE, template=_change(TEMPLATE, path, value))
    with pytest.raises(SetupError, match=re.escape(words)) as refused:
        check_panels(load(folder), folder)
    assert str(refused.value).startswith(f"{folder / 'panels' / LINE['panel']}.json: ")


def test_a_template_without_a_mistake_passes(tmp_path: Path) -> None:
    """With a field that has no role as well."""
    template = _change(TEMPLATE, "data.url.body.aggs.kinds.terms.field", "track_id")
    check_panels(load(folder_with(tmp_path, LINE, template=template)))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("mark.type", "bars", "mark.type: 'bars' is not one of ['arc', 'area', 'bar'"),
        ("encoding.x.type", "quantity", "encoding.x.type: 'quantity' is not one of ['quantitative', 'ordinal'"),
        ("encoding.x.axis", {"colour": 3}, "encoding.x.axis: Additional properties are not allowed ('colour' was"),
        ("marks", {}, "$: Additional properties are not allowed ('marks' was unexpected)"),
    ],
)
def test_make_check_names_the_place(
    path: str, value: Any, told: str, tmp_path: Path, mistake_in: Callable[[Panel], str]
) -> None:
    """Of a specification's dozen errors the one that says what to write."""
    [panel] = [
        each
        for each in load(folder_with(tmp_path, LINE, template=_change(TEMPLATE, path, value))).panels
        if each.kind == LINE["panel"]
    ]
    assert mistake_in(panel).startswith(told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": 60}, 'has "w": 60; write its width in columns, a whole number from 1 to 48'),
        ({"w": 0}, 'has "w": 0; write its width in columns, a whole number from 1 to 48'),
        ({"w": "24"}, 'has "w": "24"; write its width in columns, a whole number from 1 to 48'),
        ({"h": 0}, 'has "h": 0; write its height in rows of 20 pixels, a whole number from 1'),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_place_that_is_none_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Wider than the dashboard, no width at all, or a text: the file and the panel are named, and what to write."""
    with pytest.raises(SetupError) as refused:
        load(folder_with(tmp_path, LINE | change))
    assert str(refused.value).endswith(f'dashboard.json: the panel "{LINE["name"]}" {words}')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"titel": "x"}, 'has the unknown key "titel"; write "title"'),
        ({"x": 0}, 'has the unknown key "x"; the keys are each, h, name, panel, title, w'),
    ],
)
def test_a_key_that_is_unknown_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """It would change nothing, without a word; the dashboard's own keys likewise."""
    with pytest.raises(SetupError) as refused:
        load(folder_with(tmp_path, LINE | change))
    assert str(refused.value).endswith(f'dashboard.json: the panel "{LINE["name"]}" {words}')
    file = tmp_path / "dashboards" / "dashboard.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    for key, found, told in (
        ("refresh", 1, 'the dashboard has the unknown key "refresh"; write "refresh_ms"'),
        ("latest", whole["latest"] | {"y": 1}, '"latest" has the unknown key "y"; the keys are title, h'),
        (
            "filters_grid",
            whole["filters_grid"] | {"z": 1},
            '"filters_grid" has the unknown key "z"; the keys are x, y, w, h',
        ),
    ):
        file.write_text(json.dumps(whole | {key: found}), encoding="utf-8")
        with pytest.raises(SetupError, match=told):
            load(file.parent)


@pytest.mark.parametrize("each", [["categories"], "category", {"category": 1}, [["category"]], None, 1])
def test_an_each_that_is_none_is_refused(each: Any, tmp_path: Path) -> None:
    """A misspelt word, or no list: the file and the panel are named, and what to write."""
    with pytest.raises(SetupError) as refused:
        load(folder_with(tmp_path, LINE | {"each": each}))
    assert str(refused.value).endswith(
        f'dashboard.json: the panel "{LINE["name"]}" has "each": {json.dumps(each)}; '
        'write ["measure"], ["category"] or ["measure", "category"], or leave it out'
    )


@pytest.mark.parametrize(
    ("key", "panel", "words"),
    [
        ("panel", "{{category.slug}}-count", "the name of its template, as text"),
        ("name", "Readings by {{category.lower_label}}", "a unique name, as text"),
        ("title", "{{category.slug}}-count", "what is shown above it, as text"),
    ],
)
def test_a_text_that_is_missing_is_asked_for(key: str, panel: str, words: str, tmp_path: Path) -> None:
    """Without losing the rest of the line, which git does not have."""
    for number, (change, found) in enumerate(
        [({}, f'no "{key}"'), ({key: 5}, f'"{key}": 5'), ({key: ""}, f'"{key}": ""')]
    ):
        line = {name: value for name, value in LINE.items() if name != key} | change
        with pytest.raises(SetupError) as refused:
            load(folder_with(tmp_path / str(number), line))
        shown = "5" if change == {"name": 5} else panel
        assert str(refused.value).endswith(f'dashboard.json: the panel "{shown}" has {found}; write {words}')


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("key-figure", 'write "key-figures", or add '),
        ("fault", "the templates are category-count, category-mix, devices-by-measure, key-figures, "),
    ],
)
def test_a_template_that_does_not_exist_is_told_those_that_do(kind: str, words: str, tmp_path: Path) -> None:
    """The nearest one, or all of them; or the file is added."""
    folder = folder_with(tmp_path, LINE)
    file = folder / "dashboard.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"panel": "category-count"', f'"panel": "{kind}"'))
    with pytest.raises(SetupError) as refused:
        load(folder)
    assert f'dashboard.json: the panel "{LINE["name"]}" has "panel": "{kind}"; {words}' in str(refused.value)
    assert str(refused.value).endswith(f", or add {folder / 'panels' / kind}.json")


def test_a_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    """A template's name alone, for example."""
    folder = folder_with(tmp_path, LINE)
    file = folder / "dashboard.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(whole | {"rows": [["silent-devices"]]}), encoding="utf-8")
    with pytest.raises(SetupError, match='a row has "silent-devices"; write an object with the keys each, h, name'):
        load(folder)


@pytest.mark.parametrize("key", ["rows", "latest", "time_from"])
def test_a_part_of_the_whole_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    """Not in Python's words."""
    file = folder_with(tmp_path, LINE) / "dashboard.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({name: value for name, value in whole.items() if name != key}), encoding="utf-8")
    with pytest.raises(SetupError, match=rf'dashboard\.json: "{key}" is missing; `git diff` shows how it was$'):
        load(file.parent)


def test_a_place_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    """A line without its width says which key it lacks."""
    with pytest.raises(SetupError, match=r'dashboard\.json: the panel .* has no "w"; write its width in columns'):
        load(folder_with(tmp_path, {key: value for key, value in LINE.items() if key != "w"}))


@pytest.mark.parametrize("name", ["silent-devices", "silent_devices", "filters", "live", "{{category.slug}}-mix"])
def test_two_panels_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    """One would take the other's place in Dashboards, without a word; so would one named as another saved object is."""
    with pytest.raises(SetupError) as refused:
        load(folder_with(tmp_path, LINE | {"name": name}))
    found = name.replace("{{category.slug}}", "activity")
    text = str(refused.value)
    assert (
        f'dashboard.json: the name "{found}" is used twice; write another "name" for "panel": "category-count"' in text
    )
    assert "one with {{measure.slug}} or {{category.slug}} in it" in text


@pytest.mark.parametrize(
    ("token", "cure"),
    [
        ("categry.label", "write category.label"),
        ("measure.label", 'write "each": ["measure"] in the panel\'s line of dashboard.json, or leave it out'),
        ("xyz", f"write one of the tokens listed in {DASHBOARDS / 'README.md'}"),
    ],
)
def test_an_unknown_token_is_told_with_its_file(token: str, cure: str, tmp_path: Path) -> None:
    """In a template, in a `$when` and in dashboard.json."""
    for number, (line, template, file) in enumerate(
        (
            (LINE, json.dumps(TEMPLATE).replace("category.label", token), "category-count.json"),
            (LINE, json.dumps(TEMPLATE | {"params": [{"$when": token, "name": "p"}]}), "category-count.json"),
            (LINE | {"title": f"By {{{{{token}}}}}"}, json.dumps(TEMPLATE), "dashboard.json"),
        )
    ):
        folder = folder_with(tmp_path / str(number), line, template=template)
        with pytest.raises(SetupError) as refused:
            load(folder)
        path = folder / file if file == "dashboard.json" else folder / "panels" / file
        assert str(refused.value) == f"{path}: unknown token {token}; {cure}"


def test_the_readme_lists_the_tokens() -> None:
    """All of them and no other, in the section that says how a panel is added."""
    page = (DASHBOARDS / "README.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## Add a panel\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    reading = load().reading
    tokens = (
        common_tokens(reading, "p", "a"),
        measure_tokens(reading.measures[0], "m"),
        category_tokens(reading.categories[0], "c"),
    )
    assert sorted(listed) == sorted({"name", *(token for each in tokens for token in each)})
