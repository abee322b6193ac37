"""Read the dashboard's files: its layout, and each panel's complete Vega-Lite specification.

`dashboard.json` is the layout, `theme.json` the look of everything, `panels/NAME.json` the query of one panel and how
its response is drawn. A panel's complete specification is the theme, its own file and the thresholds as parameters, so
that a colour or a threshold is written once. OpenSearch Dashboards, the live page and snapshots all show this text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iot_stream.errors import SetupError
from iot_stream.paths import PROJECT

__all__ = ["DASHBOARDS", "Dashboard", "Grid", "Panel", "Query", "load"]

DASHBOARDS = PROJECT / "functions" / "role_mapper" / "opensearch" / "dashboards"


@dataclass(frozen=True)
class Grid:
    """A place on the dashboard, in columns of 48 and rows of 20 pixels (OpenSearch Dashboards' own units)."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True)
class Query:
    """A panel's query: the `data.url` of its specification, with OpenSearch Dashboards' placeholders in it."""

    index: str
    body: Mapping[str, Any]
    use_filters: bool
    time_field: str | None


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard, and the complete Vega-Lite specification that draws it."""

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
    """Everything on the dashboard, in the order that it is shown."""

    title: str
    description: str
    index_pattern: str
    time_field: str
    time_from: str
    time_to: str
    refresh_ms: int
    thresholds: Mapping[str, float]
    filters: tuple[Mapping[str, str], ...]
    filters_grid: Grid
    panels: tuple[Panel, ...]
    latest_title: str
    latest_columns: tuple[str, ...]
    latest_grid: Grid

    def grid_without_filters(self, panel: Panel) -> Grid:
        """Return where `panel` is shown when the filters aren't: the panel beside them takes the whole row."""
        grid = panel.grid
        beside = grid.y == self.filters_grid.y
        return replace(grid, x=0, w=self.filters_grid.w + grid.w) if beside else grid

    def for_index(self, name: str) -> "Dashboard":
        """Return the same dashboard on the indices whose names begin with `name` (rotation appends a date)."""
        pattern = f"{name}*"
        panels = (
            replace(panel, spec=json.loads(json.dumps(panel.spec).replace(self.index_pattern, pattern)))
            for panel in self.panels
        )
        return replace(self, index_pattern=pattern, panels=tuple(panels))


def load(folder: Path = DASHBOARDS) -> Dashboard:
    """Read the dashboard's files.

    Raises:
        SetupError: a file is missing, is not valid JSON or lacks a member; says which.
    """
    whole = _read(folder / "dashboard.json")
    theme = _read(folder / "theme.json")
    try:
        thresholds = [{"name": name, "value": value} for name, value in whole["thresholds"].items()]
        panels = []
        for entry in whole["panels"]:
            own = _read(folder / "panels" / f"{entry['name']}.json")
            spec = {**theme, **own, "params": [*thresholds, *own.get("params", [])]}
            panels.append(Panel(entry["name"], entry["title"], Grid(**entry["grid"]), spec))
        return Dashboard(
            title=whole["title"],
            description=whole["description"],
            index_pattern=whole["index_pattern"],
            time_field=whole["time_field"],
            time_from=whole["time_from"],
            time_to=whole["time_to"],
            refresh_ms=whole["refresh_ms"],
            thresholds=whole["thresholds"],
            filters=tuple(whole["filters"]),
            filters_grid=Grid(**whole["filters_grid"]),
            panels=tuple(panels),
            latest_title=whole["latest"]["title"],
            latest_columns=tuple(whole["latest"]["columns"]),
            latest_grid=Grid(**whole["latest"]["grid"]),
        )
    except (KeyError, TypeError) as error:
        raise SetupError(f"{folder / 'dashboard.json'}: {error!r} is missing or not as expected") from error


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
