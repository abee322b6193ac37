"""Read the dashboard: its layout and templates, rendered with the description of a reading.

`dashboard.json` is the layout, `theme.json` the look of everything, `panels/NAME.json` the template of one kind of
panel: its query and how the response is drawn. Which fields there are, their labels, units and thresholds come from the
description. A panel's complete specification is the theme, its rendered template and the thresholds as parameters.
OpenSearch Dashboards, the live page and snapshots all show this text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

from iot_stream.dashboards.layout import COLUMNS, Grid, arrange
from iot_stream.dashboards.templates import capitalized, category_tokens, common_tokens, measure_tokens, render, slugs
from iot_stream.description import INGESTED_AT, Description, Field, Role, Type
from iot_stream.description import load as load_description
from iot_stream.errors import SetupError
from iot_stream.paths import PROJECT

__all__ = ["DASHBOARDS", "MOST_CATEGORIES", "MOST_MEASURES", "Dashboard", "Panel", "Query", "load"]

DASHBOARDS = PROJECT / "functions" / "role_mapper" / "opensearch" / "dashboards"

MOST_MEASURES, MOST_CATEGORIES = 6, 3
"""How many measures and categories get panels: at the maximum 54 panels, each with a query at every refresh."""

_KEYS = ("description", "filters_grid", "index_pattern", "latest", "refresh_ms", "rows", "time_from", "time_to")
_GRID_KEYS = tuple(place.name for place in fields(Grid))
_LATEST_KEYS = ("title", "h")
_PANEL_KEYS = ("each", "h", "name", "panel", "title", "w")
_TEXTS = {"panel": "the name of its template", "name": "a unique name", "title": "what is shown above it"}
_AS_IT_WAS = "`git diff` shows how it was"
_TAKEN = ("filters", "latest", "live")  # names of saved objects that are not panels


@dataclass(frozen=True)
class Query:
    """A panel's query: the `data.url` of its specification, with OpenSearch Dashboards' placeholders in it."""

    index: str
    body: Mapping[str, Any]
    use_filters: bool
    time_field: str | None


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard, and the complete Vega-Lite specification that draws it.

    `kind` is its template's name.
    """

    kind: str
    name: str
    title: str
    grid: Grid
    spec: Mapping[str, Any]

    @property
    def description(self) -> str:
        """What the panel shows, in one sentence."""
        return str(self.spec["description"])

    @property
    def data_name(self) -> str:
        """The name of the data set that holds OpenSearch's response, as its only row."""
        return str(self.spec["data"]["name"])

    @property
    def query(self) -> Query:
        """The panel's query to OpenSearch."""
        url = self.spec["data"]["url"]
        return Query(
            index=url["index"],
            body=url["body"],
            use_filters=bool(url.get("%context%")),
            time_field=url.get("%timefield%"),
        )

    def spec_with(self, response: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the specification with inline data in place of its query.

        `response` is a search response of OpenSearch; None leaves the data set empty, for a page that fills it
        by name.
        """
        values = [] if response is None else [response]
        return {**self.spec, "data": {"name": self.data_name, "values": values}}


@dataclass(frozen=True)
class Dashboard:
    """The dashboard; panels are in the order in which they are shown."""

    reading: Description
    description: str
    index_pattern: str
    time_from: str
    time_to: str
    refresh_ms: int
    filters: tuple[Mapping[str, str], ...]
    filters_grid: Grid
    panels: tuple[Panel, ...]
    latest_title: str
    latest_grid: Grid

    @property
    def title(self) -> str:
        """The dashboard's title."""
        return self.reading.title

    @property
    def time_field(self) -> str:
        """The field with a reading's device time."""
        return self.reading.time.name

    @property
    def measures(self) -> tuple[Field, ...]:
        """The measures that have panels."""
        return self.reading.measures[:MOST_MEASURES]

    @property
    def without_panels(self) -> tuple[Field, ...]:
        """The measures and categories beyond the maximum, which have no panels."""
        return (*self.reading.measures[MOST_MEASURES:], *self.reading.categories[MOST_CATEGORIES:])

    @property
    def latest_columns(self) -> tuple[str, ...]:
        """The fields shown for the latest readings, beside the device time."""
        hidden = {Role.TIME, Role.IDENTITY}
        return (*(field.name for field in self.reading.fields if field.role not in hidden), INGESTED_AT)

    @property
    def latest_headings(self) -> dict[str, str]:
        """The headings of the latest readings by field, the device time first: label and unit, or the time zone."""
        units = dict.fromkeys(self.date_columns, "UTC") | {
            each.name: each.unit for each in self.reading.fields if each.unit
        }
        labels = {each.name: each.label for each in self.reading.fields} | {INGESTED_AT: INGESTED_AT.replace("_", " ")}
        columns = (self.time_field, *self.latest_columns)
        return {name: capitalized(labels[name]) + (f" ({units[name]})" if name in units else "") for name in columns}

    @property
    def date_columns(self) -> tuple[str, ...]:
        """The fields that are dates."""
        return (*(field.name for field in self.reading.fields if field.type is Type.DATE), INGESTED_AT)

    def grid_without_filters(self, panel: Panel) -> Grid:
        """Return the position of `panel` without the filters, where the panel beside them fills the row."""
        grid = panel.grid
        beside = grid.y == self.filters_grid.y
        return replace(grid, x=0, w=self.filters_grid.w + grid.w) if beside else grid

    def for_index(self, name: str) -> "Dashboard":
        """Return the same dashboard for the indices whose names begin with `name` (rotation appends a date)."""
        pattern = f"{name}*"
        panels = (
            replace(panel, spec=json.loads(json.dumps(panel.spec).replace(self.index_pattern, pattern)))
            for panel in self.panels
        )
        return replace(self, index_pattern=pattern, panels=tuple(panels))


def load(folder: Path = DASHBOARDS, reading: Description | None = None) -> Dashboard:
    """Read the dashboard's files and render them.

    Args:
        folder: where the files are.
        reading: the description of a reading; by default the project's own.

    Raises:
        SetupError: a file is missing, is not valid JSON, lacks a member, or has an unknown key or an invalid position,
            name or token.
        DescriptionError: the project's own description is not valid.
    """
    reading = reading or load_description()
    whole = _read(folder / "dashboard.json")
    theme = _read(folder / "theme.json")
    _refuse_unknown_keys(folder, "the dashboard", whole, _KEYS)
    try:
        _refuse_unknown_keys(folder, '"filters_grid"', whole["filters_grid"], _GRID_KEYS)
        _refuse_unknown_keys(folder, '"latest"', whole["latest"], _LATEST_KEYS)
        common = common_tokens(reading, whole["index_pattern"], INGESTED_AT)
        filters_grid = Grid(**whole["filters_grid"])
        rows = [
            [(entry, tokens) for entry in row for tokens in _instances(folder, entry, reading)] for row in whole["rows"]
        ]
        sizes = [[_size(folder, entry) for entry, _ in row] for row in rows]
        grids, bottom = arrange(sizes, filters_grid)
        panels = [
            _panel(folder, entry, common | tokens, grid, reading)
            for (entry, tokens), grid in zip((each for row in rows for each in row), grids, strict=True)
        ]
        _refuse_equal_names(folder, panels)
        return Dashboard(
            reading=reading,
            description=whole["description"],
            index_pattern=whole["index_pattern"],
            time_from=whole["time_from"],
            time_to=whole["time_to"],
            refresh_ms=whole["refresh_ms"],
            filters=tuple(
                {"field": field.name, "label": field.label} for field in (reading.device, *reading.categories)
            ),
            filters_grid=filters_grid,
            panels=tuple(replace(panel, spec={**theme, **panel.spec}) for panel in panels),
            latest_title=whole["latest"]["title"],
            latest_grid=Grid(x=0, y=bottom, w=COLUMNS, h=whole["latest"]["h"]),
        )
    except KeyError as error:
        raise SetupError(f'{folder / "dashboard.json"}: "{error.args[0]}" is missing; {_AS_IT_WAS}') from error
    except TypeError as error:
        raise SetupError(f"{folder / 'dashboard.json'} is not valid: {error}; {_AS_IT_WAS}") from error


def _refuse_unknown_keys(folder: Path, what: str, found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Reject a misspelled key, which would change nothing."""
    for key in found:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            cure = f'write "{close[0]}"' if close else f"the keys are {', '.join(known)}"
            raise SetupError(f'{folder / "dashboard.json"}: {what} has the unknown key "{key}"; {cure}')


def _instances(folder: Path, entry: Mapping[str, Any], reading: Description) -> Iterator[dict[str, Any]]:
    """Yield the tokens of each panel that a line of dashboard.json produces."""
    _check_line(folder, entry)
    names = slugs((*reading.measures, *reading.categories))
    choices = {
        "measure": [measure_tokens(field, names[field.name]) for field in reading.measures[:MOST_MEASURES]],
        "category": [category_tokens(field, names[field.name]) for field in reading.categories[:MOST_CATEGORIES]],
    }
    each = entry.get("each", [])
    if not isinstance(each, list) or any(name not in tuple(choices) for name in each):
        raise SetupError(
            f'{folder / "dashboard.json"}: the panel "{entry.get("name")}" has "each": {json.dumps(each)}; '
            'write ["measure"], ["category"] or ["measure", "category"], or leave it out'
        )
    for combination in product(*(choices[name] for name in each)):
        tokens: dict[str, Any] = {}
        for part in combination:
            tokens |= part
        yield tokens


def _check_line(folder: Path, entry: Mapping[str, Any]) -> None:
    """Reject a line that has unknown keys, lacks a text, or names a template that does not exist."""
    whole, known = folder / "dashboard.json", sorted(path.stem for path in (folder / "panels").glob("*.json"))
    if not isinstance(entry, dict):
        raise SetupError(
            f"{whole}: a row has {json.dumps(entry)}; write an object with the keys {', '.join(_PANEL_KEYS)}"
        )
    what = f'the panel "{entry.get("name") or entry.get("title") or entry.get("panel")}"'
    _refuse_unknown_keys(folder, what, entry, _PANEL_KEYS)
    for key, words in _TEXTS.items():
        value = entry.get(key)
        if not isinstance(value, str) or not value:
            found = f'has "{key}": {json.dumps(value)}' if key in entry else f'has no "{key}"'
            raise SetupError(f"{whole}: {what} {found}; write {words}, as text")
    if (kind := entry["panel"]) not in known:
        close = get_close_matches(kind, known, n=1)
        cure = f'write "{close[0]}"' if close else f"the templates are {', '.join(known)}"
        raise SetupError(f'{whole}: {what} has "panel": "{kind}"; {cure}, or add {folder / "panels" / kind}.json')


def _size(folder: Path, entry: Mapping[str, Any]) -> tuple[int, int]:
    """Return a panel's width and height.

    Raises:
        SetupError: one is missing or is not in its range.
    """
    for key, most, words in (
        ("w", COLUMNS, f"its width in columns, a whole number from 1 to {COLUMNS}"),
        ("h", None, "its height in rows of 20 pixels, a whole number from 1"),
    ):
        value = entry.get(key)
        if type(value) is not int or value < 1 or (most is not None and value > most):
            found = f'has "{key}": {json.dumps(value)}' if key in entry else f'has no "{key}"'
            raise SetupError(f'{folder / "dashboard.json"}: the panel "{entry.get("name")}" {found}; write {words}')
    return entry["w"], entry["h"]


def _refuse_equal_names(folder: Path, panels: list[Panel]) -> None:
    """Reject panels whose saved objects or data sets would have the same name and replace each other."""
    taken = {_data_name(name) for name in _TAKEN}
    for panel in panels:
        if _data_name(panel.name) in taken:
            raise SetupError(
                f'{folder / "dashboard.json"}: the name "{panel.name}" is used twice; write another "name" for '
                f'"panel": "{panel.kind}" (where "each" repeats it, one with {{{{measure.slug}}}} or '
                f"{{{{category.slug}}}} in it), or another label in the description"
            )
        taken.add(_data_name(panel.name))


def _data_name(name: str) -> str:
    """Return the name of a panel's data set."""
    return name.replace("-", "_")


def _filled(path: Path, node: Any, tokens: Mapping[str, Any]) -> Any:
    """Return the content of `path` with its tokens replaced.

    Raises:
        SetupError: a token is unknown; says what to write instead.
    """
    try:
        return render(node, tokens)
    except KeyError as error:
        token = str(error.args[0])
        owner = token.partition(".")[0]
        if owner in {"measure", "category"} and owner not in tokens:
            cure = f'write "each": ["{owner}"] in the panel\'s line of dashboard.json, or leave it out'
        elif close := get_close_matches(token, tokens, n=1):
            cure = f"write {close[0]}"
        else:
            cure = f"write one of the tokens listed in {DASHBOARDS / 'README.md'}"
        raise SetupError(f"{path}: unknown token {token}; {cure}") from error


def _panel(
    folder: Path, entry: Mapping[str, Any], tokens: Mapping[str, Any], grid: Grid, reading: Description
) -> Panel:
    whole, template = folder / "dashboard.json", folder / "panels" / f"{entry['panel']}.json"
    name = _filled(whole, entry["name"], tokens)
    title = capitalized(_filled(whole, entry["title"], tokens))
    own = _filled(template, _read(template), {**tokens, "name": _data_name(name)})
    thresholds: dict[str, float | None] = {"silent_after": reading.silent_after}
    for measure in reading.measures:
        prefix = "" if tokens.get("measure") == measure.name else f"{measure.name}_"
        thresholds |= {f"{prefix}alert_above": measure.alert_above, f"{prefix}alert_below": measure.alert_below}
    text = json.dumps(own)
    parameters = [
        {"name": key, "value": value}
        for key, value in thresholds.items()
        if value is not None and re.search(rf"\b{key}\b", text)
    ]
    return Panel(entry["panel"], name, title, grid, {**own, "params": [*parameters, *own.get("params", [])]})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SetupError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SetupError(f"{path} must hold one JSON object")
    return content
