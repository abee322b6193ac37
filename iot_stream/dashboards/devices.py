"""The second dashboard as saved objects: the table of the fleet, and the alerts. Pure.

It stands beside the live dashboard, because filters of that one (an activity, say) are about fields that devices and
alerts don't have, and would empty both tables. A device's id is a link to the live dashboard with that device alone, in
a tab of its own: the list stays, and two devices can be put side by side. The domain sorts both tables, of which a
panel shows the first `discover:sampleSize` documents, 500 by default.
"""

from typing import Any

from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.definition import Dashboard
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.dashboards.index_template import pattern_fields
from iot_stream.dashboards.layout import Grid
from iot_stream.dashboards.saved_objects import (
    INDEX_PATTERN_ID,
    SEARCH_INDEX,
    UTC_FORMAT,
    SavedObject,
    board,
    compact,
    no_query,
    saved,
)

__all__ = ["build_devices"]

_ID = alerts_index(INDEX_PATTERN_ID)


def build_devices(dashboard: Dashboard) -> list[SavedObject]:
    """Return the index pattern, the two tables and the dashboard that shows them."""
    reading = dashboard.reading
    device = reading.device.name
    measures = [measure.name for measure in reading.measures]
    devices = _search(
        "devices",
        "Devices, the worst first",
        "Each device with its latest values, when it was last seen, and its state. Click an id to see it over time. "
        "The first 500 of the chosen order are shown (discover:sampleSize); a search finds the others.",
        kind="device",
        columns=["fleet.state", device, "fleet.last_seen", *measures, "fleet.alerts"],
        sort=[["fleet.severity", "desc"], ["fleet.last_seen", "asc"]],
    )
    alerts = _search(
        "alerts",
        "Alerts, the newest first",
        "What was wrong with devices or delivery, from when to when. The first 500 of the chosen order are shown.",
        kind="alert",
        columns=["alert.state", "alert.text", "alert.since", "alert.opened_at", "alert.closed_at"],
        sort=[["alert.opened_at", "desc"]],
    )
    places = [(devices, Grid(0, 0, 48, 20)), (alerts, Grid(0, 20, 48, 16))]
    description = "Every device with its state, and the alerts. As of the alerts function's last run; times are UTC."
    time = {"timeRestore": False, "refreshInterval": {"pause": False, "value": 30_000}}
    title = f"{reading.title}: devices and alerts"
    return [
        _index_pattern(dashboard),
        devices,
        alerts,
        board(f"{INDEX_PATTERN_ID}-devices", title, description, places, time),
    ]


def _index_pattern(dashboard: Dashboard) -> SavedObject:
    reading = dashboard.reading
    dates = ("fleet.last_seen", "alert.since", "alert.opened_at", "alert.closed_at")
    device = reading.device.name
    # The URL formatter of OpenSearch Dashboards puts origin and path before a URL that begins with #. A label knows
    # `value` and `url` only, and any other name is expanded to nothing: a link that nobody can click.
    chosen = f"(query:(match_phrase:({device}:'{{{{value}}}}')),meta:(index:{INDEX_PATTERN_ID},key:{device}))"
    link = {
        "urlTemplate": f"#/view/{INDEX_PATTERN_ID}-live?_a=(filters:!({chosen}))",
        "labelTemplate": "{{value}}",
        "openLinkInCurrentTab": False,
    }
    formats: dict[str, Any] = dict.fromkeys(dates, UTC_FORMAT)
    formats[device] = {"id": "url", "params": link}
    attributes = {
        "title": _ID,
        "fields": compact(pattern_fields(alerts_template(reading))),
        "fieldFormatMap": compact(formats),
    }
    return saved("index-pattern", _ID, attributes)


def _search(
    name: str, title: str, description: str, *, kind: str, columns: list[str], sort: list[list[str]]
) -> SavedObject:
    source = {
        **no_query(),
        "query": {"query": f"kind: {kind}", "language": "kuery"},
        "highlightAll": True,
        "version": True,
        "indexRefName": SEARCH_INDEX,
    }
    attributes = {
        "title": title,
        "description": description,
        "hits": 0,
        "version": 1,
        "columns": columns,
        "sort": sort,
        "kibanaSavedObjectMeta": {"searchSourceJSON": compact(source)},
    }
    references = [{"name": SEARCH_INDEX, "type": "index-pattern", "id": _ID}]
    return saved("search", f"{INDEX_PATTERN_ID}-{name}", attributes, references)
