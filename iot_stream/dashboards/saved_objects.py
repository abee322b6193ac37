"""The dashboard as saved objects, the form in which OpenSearch Dashboards imports it (2.19 to 3.x).

Attributes and migration versions are those of OpenSearch Dashboards' own exports; its mapping is strict, so that
one unknown attribute is a 400. Ids are readable and stable: importing again overwrites. Nothing here depends on
time or order, so that the built file changes only when the dashboard does.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iot_stream.dashboards.definition import DASHBOARDS, Dashboard, Panel
from iot_stream.dashboards.index_template import index_template, pattern_fields
from iot_stream.dashboards.layout import Grid

__all__ = [
    "FILE",
    "INDEX_PATTERN_ID",
    "SEARCH_INDEX",
    "UTC_FORMAT",
    "SavedObject",
    "board",
    "build",
    "compact",
    "no_query",
    "saved",
    "to_ndjson",
]

FILE: Path = DASHBOARDS / "saved_objects.ndjson"
INDEX_PATTERN_ID = "iot-stream"

# The newest migration each type had when OpenSearch Dashboards began: every later version accepts them.
_MIGRATIONS = {"index-pattern": "7.6.0", "visualization": "7.10.0", "search": "7.9.3", "dashboard": "7.9.3"}
_PANEL_VERSION = "2.19.0"
SEARCH_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"

UTC_FORMAT = {"id": "date", "params": {"pattern": "YYYY-MM-DD HH:mm:ss.SSS [UTC]", "timezone": "UTC"}}

type SavedObject = dict[str, Any]


def build(dashboard: Dashboard) -> list[SavedObject]:
    """Return every saved object of the dashboard, each after those it refers to."""
    filters = _filters(dashboard)
    latest = _latest(dashboard)
    panels = [_panel(panel) for panel in dashboard.panels]
    places = [
        (filters, dashboard.filters_grid),
        *zip(panels, (panel.grid for panel in dashboard.panels), strict=True),
        (latest, dashboard.latest_grid),
    ]
    return [_index_pattern(dashboard), filters, *panels, latest, _dashboard(dashboard, places)]


def to_ndjson(objects: Sequence[SavedObject]) -> str:
    """Return one object a line, keys sorted."""
    return "".join(compact(item) + "\n" for item in objects)


def _index_pattern(dashboard: Dashboard) -> SavedObject:
    attributes = {
        "title": dashboard.index_pattern,
        "timeFieldName": dashboard.time_field,
        # Generated, because without them a dashboard opened before the first document stays broken until a reload.
        "fields": compact(pattern_fields(index_template(dashboard.reading))),
        "fieldFormatMap": compact(
            dict.fromkeys(dashboard.date_columns, UTC_FORMAT)
        ),  # one time zone, that of the panels
    }
    return saved("index-pattern", INDEX_PATTERN_ID, attributes)


def _panel(panel: Panel) -> SavedObject:
    spec = json.dumps(panel.spec, indent=2, ensure_ascii=False)
    return _visualization(
        "vega", panel.name, title=panel.title, description=panel.description, parameters={"spec": spec}
    )


def _filters(dashboard: Dashboard) -> SavedObject:
    controls = [
        {
            "id": entry["field"],
            "fieldName": entry["field"],
            "parent": "",
            "label": entry["label"],
            "type": "list",
            # A number's choices can't be searched for in Dashboards: it offers the `size` most frequent, and no other.
            "options": {"type": "terms", "multiselect": True, "dynamicOptions": True, "size": 1000, "order": "desc"},
            "indexPatternRefName": f"control_{number}_index_pattern",
        }
        for number, entry in enumerate(dashboard.filters)
    ]
    parameters = {"controls": controls, "updateFiltersOnChange": True, "useTimeFilter": True, "pinFilters": False}
    references = [_to_index_pattern(str(control["indexPatternRefName"])) for control in controls]
    *labels, last = (entry["label"].lower() for entry in dashboard.filters)
    words = f"{', '.join(labels)} and {last}" if labels else last
    return _visualization(
        "input_control_vis",
        "filters",
        title="Filters",
        description=f"Choose by {words}.",
        parameters=parameters,
        references=references,
    )


def _visualization(
    kind: str,
    name: str,
    *,
    title: str,
    description: str,
    parameters: Mapping[str, Any],
    references: Sequence[Mapping[str, str]] = (),
) -> SavedObject:
    attributes = {
        "title": title,
        "description": description,
        "version": 1,
        "uiStateJSON": "{}",
        "visState": compact({"title": title, "type": kind, "aggs": [], "params": parameters}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": compact(no_query())},
    }
    return saved("visualization", f"{INDEX_PATTERN_ID}-{name}", attributes, references)


def _latest(dashboard: Dashboard) -> SavedObject:
    source = {**no_query(), "highlightAll": True, "version": True, "indexRefName": SEARCH_INDEX}
    attributes = {
        "title": dashboard.latest_title,
        "description": "The newest readings, one a row.",
        "hits": 0,
        "version": 1,
        "columns": list(dashboard.latest_columns),
        "sort": [[dashboard.time_field, "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": compact(source)},
    }
    return saved("search", f"{INDEX_PATTERN_ID}-latest", attributes, [_to_index_pattern(SEARCH_INDEX)])


def _dashboard(dashboard: Dashboard, places: Sequence[tuple[SavedObject, Grid]]) -> SavedObject:
    return board(
        f"{INDEX_PATTERN_ID}-live",
        dashboard.title,
        dashboard.description,
        places,
        {
            "timeRestore": True,
            "timeFrom": dashboard.time_from,
            "timeTo": dashboard.time_to,
            "refreshInterval": {"pause": False, "value": dashboard.refresh_ms},
        },
    )


def board(
    identity: str, title: str, description: str, places: Sequence[tuple[SavedObject, Grid]], time: Mapping[str, Any]
) -> SavedObject:
    """Return a dashboard that shows objects at their places, with its time range and refresh."""
    panels = []
    references = []
    for number, (shown, grid) in enumerate(places, start=1):
        reference = f"panel_{number}"
        panels.append(
            {
                "version": _PANEL_VERSION,
                "panelIndex": str(number),
                "gridData": {**dataclasses.asdict(grid), "i": str(number)},
                "embeddableConfig": {},
                "panelRefName": reference,
            }
        )
        references.append({"name": reference, "type": shown["type"], "id": shown["id"]})
    attributes = {
        "title": title,
        "description": description,
        "hits": 0,
        "version": 1,
        "panelsJSON": compact(panels),
        "optionsJSON": compact({"hidePanelTitles": False, "useMargins": True}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": compact(no_query())},
        **time,
    }
    return saved("dashboard", identity, attributes, references)


def saved(
    kind: str, identity: str, attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]] = ()
) -> SavedObject:
    """Return a saved object of a kind, with the newest migration that every later version accepts."""
    return {
        "type": kind,
        "id": identity,
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: _MIGRATIONS[kind]},
    }


def _to_index_pattern(name: str) -> dict[str, str]:
    return {"name": name, "type": "index-pattern", "id": INDEX_PATTERN_ID}


def no_query() -> dict[str, Any]:
    """Return the part of a search that finds everything."""
    return {"query": {"query": "", "language": "kuery"}, "filter": []}


def compact(value: Any) -> str:
    """Return JSON without blanks, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
