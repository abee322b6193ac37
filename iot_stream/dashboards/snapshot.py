"""Draw snapshots of the panels and of the whole dashboard with vl-convert: no browser, no network."""

import html
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vl_convert

from iot_stream.dashboards.context import Context, TimeRange
from iot_stream.dashboards.definition import Dashboard, Panel
from iot_stream.dashboards.search import Responses, Search, fetch

__all__ = ["NEWEST", "OLDEST", "panel_svg", "without_clicks", "write"]

# The oldest and the newest Vega-Lite that vl-convert carries. OpenSearch Dashboards bundles 5.6 (2.x) to 6.x (3.6).
OLDEST, NEWEST = vl_convert.get_vegalite_versions()[0], vl_convert.get_vegalite_versions()[-1]

_COLUMN, _ROW, _GAP, _TITLE = 27, 20, 10, 26
_CONFIG = {
    "style": {
        "guide-label": {"fill": "#343741", "fontSize": 11},
        "guide-title": {"fill": "#17202a", "fontSize": 12},
    },
    "axis": {"gridColor": "#e3e8ee", "domainColor": "#e3e8ee", "tickColor": "#e3e8ee"},
}


def panel_svg(
    panel: Panel,
    response: Mapping[str, Any],
    *,
    width: int,
    height: int,
    ground: str = "transparent",
    vega_lite: str = NEWEST,
) -> str:
    """Draw one panel from OpenSearch's response, as SVG of `width` by `height` pixels on a `ground` colour."""
    spec = without_clicks(panel.spec_with(response))
    own = {key: value for key, value in spec["config"].items() if key != "kibana"}
    sized = {"width": width, "height": height, "autosize": {"type": "fit", "contains": "padding"}, "config": own}
    return str(vl_convert.vegalite_to_svg(spec | sized, vl_version=vega_lite, config=_CONFIG | {"background": ground}))


def dashboard_svg(dashboard: Dashboard, responses: Responses) -> str:
    """Draw all panels at their places, as one SVG."""
    parts = []
    bottom = 0
    for panel in dashboard.panels:
        grid = dashboard.grid_without_filters(panel)
        left, top = grid.x * _COLUMN, grid.y * _ROW + _TITLE + _GAP
        width, height = grid.w * _COLUMN - _GAP, grid.h * _ROW - _GAP
        bottom = max(bottom, top + height)
        drawn = panel_svg(panel, responses.panels[panel.name], width=width - 20, height=height - _TITLE - 8)
        parts.append(
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" fill="#fff" stroke="#dfe4ea"/>'
            f'<text x="{left + 10}" y="{top + 18}" font-size="13" font-weight="600">{html.escape(panel.title)}</text>'
            + _placed(drawn, panel.name, left + 10, top + _TITLE)
        )
    size = f'width="{48 * _COLUMN + _GAP}" height="{bottom + _GAP}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} '
        'font-family="sans-serif" fill="#17202a"><rect width="100%" height="100%" fill="#f4f6f8"/>'
        f'<g transform="translate({_GAP},0)">'
        f'<text x="0" y="{_TITLE - 4}" font-size="16" font-weight="600">{html.escape(dashboard.title)}</text>'
        f"{''.join(parts)}</g></svg>"
    )


def write(dashboard: Dashboard, search: Search, folder: Path, *, start: str, kind: str) -> Iterator[Path]:
    """Search OpenSearch, write a snapshot of each panel and `dashboard` of them all, and yield each file.

    Args:
        dashboard: what to draw.
        search: runs searches.
        folder: where the files go; created if need be.
        start: where the time range begins, e.g. `now-15m`; it ends now.
        kind: `png` or `svg`.

    Raises:
        TimeRangeError: `start` can't be read.
        SearchError: OpenSearch does not respond.
    """
    time = TimeRange.parse(start, "now", datetime.now(UTC))
    responses = fetch(search, dashboard, Context(time))
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"dashboard": dashboard_svg(dashboard, responses)}
    for panel in dashboard.panels:
        width, height = panel.grid.w * _COLUMN, panel.grid.h * _ROW
        drawings[panel.name] = panel_svg(
            panel, responses.panels[panel.name], width=width, height=height, ground="white"
        )
    for name, svg in drawings.items():
        file = folder / f"{name}.{kind}"
        file.write_bytes(bytes(vl_convert.svg_to_png(svg)) if kind == "png" else svg.encode())
        yield file


def without_clicks(node: Any) -> Any:
    """Return the specification without clicks: OpenSearch Dashboards' own function is unknown to vl-convert."""
    if isinstance(node, list):
        return [without_clicks(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_clicks(value) for key, value in node.items() if key not in {"params", "values"}}
    kept |= {"values": node["values"]} if "values" in node else {}
    params = [entry for entry in node.get("params", []) if "value" in entry or _is_calculated(entry)]
    return kept | ({"params": params} if params else {})


def _is_calculated(parameter: Mapping[str, Any]) -> bool:
    return "expr" in parameter and "opensearchDashboardsAddFilter" not in parameter["expr"]


def _placed(svg: str, name: str, x: int, y: int) -> str:
    """Return an SVG for use inside another: at a place, with ids that are unique there."""
    own = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return own.replace("<svg ", f'<svg x="{x}" y="{y}" ', 1)
