"""Build the searches for alerts and for the table of the fleet, and read their responses. Pure.

The alerts function writes both into one index (docs/alerts.md). The domain sorts and pages, so that 100,000 devices
cost a browser no more than fifty.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from iot_stream.dashboards.definition import Query
from iot_stream.dashboards.search import BadQueryError, Body
from iot_stream.description import Description, Type

__all__ = [
    "FLEET_PAGE",
    "alert_counts",
    "alert_rows",
    "alerts_body",
    "alerts_index",
    "device_id",
    "fleet_body",
    "fleet_page",
    "series_query",
    "series_rows",
]

FLEET_PAGE: Final = 25
"""Devices of a page."""
_PLAIN: Final = (int, float, str, type(None))
_LONG: Final = re.compile(r"-?\d{1,19}")


def alerts_index(index_name: str) -> str:
    """Return the index of a stream's alerts, as the template and the role mapper name it."""
    return f"device-alerts-{index_name}"


def alerts_body(state: str, size: int) -> Body:
    """Return the search for `open` alerts by severity, or `closed` alerts by closing time, both descending."""
    fields = ("alert.severity", "alert.opened_at") if state == "open" else ("alert.closed_at",)
    return {
        "size": size,
        "track_total_hits": True,
        "query": {"bool": {"filter": [{"term": {"kind": "alert"}}, {"term": {"alert.state": state}}]}},
        "sort": [{name: {"order": "desc", "unmapped_type": "date"}} for name in fields],
        "aggs": {"rules": {"terms": {"field": "alert.rule", "size": 10}}},
    }


def alert_rows(response: Mapping[str, Any], reading: Description) -> list[dict[str, Any]]:
    """Return a row to display for each alert."""
    rows = []
    for hit in response["hits"]["hits"]:
        alert = hit["_source"]["alert"]
        device = hit["_source"].get(reading.device.name)
        keys = ("rule", "measure", "state", "severity", "text", "since", "opened_at", "closed_at")
        rows.append({"device": device, **{key: alert.get(key) for key in keys}})
    return rows


def alert_counts(response: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of alerts of each rule in a response."""
    buckets = response.get("aggregations", {}).get("rules", {}).get("buckets", ())
    return {bucket["key"]: bucket["doc_count"] for bucket in buckets}


def fleet_body(
    reading: Description,
    *,
    sort: str = "",
    descending: bool = True,
    search: str = "",
    after: str = "",
    size: int = FLEET_PAGE,
) -> Body:
    """Return the search for a page of devices.

    Args:
        reading: what a reading is.
        sort: a measure, the device's field, `last_seen`, or empty for the worst first.
        descending: the largest first.
        search: a device's id; of ids that are text also a beginning. Blanks around a text may belong to it.
        after: the page's cursor, as `fleet_page` returned it; empty for the first.
        size: devices of the page; one more is asked for, which tells whether there is a next page.

    Raises:
        BadQueryError: the sort or the cursor is none of these.
    """
    device = reading.device
    fields = {"": "fleet.severity", "last_seen": "fleet.last_seen", device.name: device.name}
    fields |= {measure.name: measure.name for measure in reading.measures}
    if sort not in fields:
        raise BadQueryError(f"devices can't be sorted by {sort!r}: choose one of {', '.join(filter(None, fields))}")
    clauses: list[Body] = [{"term": {"kind": "device"}}]
    search = search if reading.device.type is Type.KEYWORD else search.strip()
    if search:
        clauses.append(_search(reading, search))
    way = "desc" if descending else "asc"
    order: list[Body] = [{fields[sort]: {"order": way, "missing": "_last", "unmapped_type": "long"}}]
    if sort == "":
        order.append({"fleet.last_seen": {"order": "asc", "unmapped_type": "date"}})
    if sort != device.name:
        order.append({device.name: {"order": "asc", "unmapped_type": "long"}})
    body: dict[str, Any] = {
        "size": size + 1,
        "track_total_hits": True,
        "query": {"bool": {"filter": clauses}},
        "sort": order,
    }
    body["aggs"] = {"states": {"terms": {"field": "fleet.state", "size": 10}}}
    if after:
        body["search_after"] = _cursor(after, len(order))
    return body


def fleet_page(response: Mapping[str, Any], reading: Description, size: int = FLEET_PAGE) -> dict[str, Any]:
    """Return the page's devices, how many there are of each state, and the cursor of the next page (None: the last)."""
    found = response["hits"]["hits"]
    hits, more = found[:size], len(found) > size
    rows = [
        {
            "device": hit["_source"][reading.device.name],
            "state": hit["_source"]["fleet"]["state"],
            "alerts": hit["_source"]["fleet"]["alerts"],
            "last_seen": hit["_source"]["fleet"]["last_seen"],
            "values": {measure.name: hit["_source"].get(measure.name) for measure in reading.measures},
        }
        for hit in hits
    ]
    buckets = response.get("aggregations", {}).get("states", {}).get("buckets", ())
    return {
        "rows": rows,
        "total": response["hits"]["total"]["value"],
        "states": {bucket["key"]: bucket["doc_count"] for bucket in buckets},
        "next": base64.urlsafe_b64encode(json.dumps(hits[-1]["sort"]).encode()).decode() if more else None,
    }


def device_id(reading: Description, text: str) -> int | str | None:
    """Return the device id for text from a URL, or None if it is not a valid id."""
    if reading.device.type is not Type.LONG:
        return text
    return int(text) if _LONG.fullmatch(text) and -(2**63) <= int(text) < 2**63 else None


def series_query(reading: Description, index_pattern: str, devices: Sequence[int | str]) -> Query:
    """Return the query for the averages of each measure over time, for each of some devices."""
    averages = {measure.name: {"avg": {"field": measure.name}} for measure in reading.measures}
    histogram = {"field": reading.time.name, "interval": {"%autointerval%": 60}, "min_doc_count": 1}
    each = {"filter": {"terms": {reading.device.name: list(devices)}}}
    by_device = {"terms": {"field": reading.device.name, "size": len(devices)}}
    over_time = {"date_histogram": histogram, "aggs": averages}
    aggs = {"chosen": {**each, "aggs": {"devices": {**by_device, "aggs": {"over_time": over_time}}}}}
    return Query(index_pattern, {"size": 0, "track_total_hits": False, "aggs": aggs}, False, reading.time.name)


def series_rows(response: Mapping[str, Any], reading: Description) -> list[dict[str, Any]]:
    """Return a row for each device, measure and moment: `device` as text, `measure`, `at` in epoch ms, `value`."""
    rows = []
    for bucket in response.get("aggregations", {}).get("chosen", {}).get("devices", {}).get("buckets", ()):
        for moment in bucket["over_time"]["buckets"]:
            for measure in reading.measures:
                value = moment[measure.name]["value"]
                if value is not None:
                    row = {"device": str(bucket["key"]), "measure": measure.name, "at": moment["key"], "value": value}
                    rows.append(row)
    return rows


def _search(reading: Description, text: str) -> Body:
    field = reading.device.name
    if reading.device.type is not Type.LONG:
        either = dict.fromkeys((text, text.strip() or text))  # the blanks may be of the id, or of what was pasted
        return {"bool": {"should": [{"prefix": {field: {"value": each}}} for each in either]}}
    # Text that is no number of 64 bits is no device's id.
    known = device_id(reading, text)
    return {"bool": {"must_not": [{"match_all": {}}]}} if known is None else {"term": {field: known}}


def _cursor(text: str, length: int) -> Sequence[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error):
        values = None
    if isinstance(values, list) and len(values) == length and all(isinstance(each, _PLAIN) for each in values):
        return values
    raise BadQueryError("the page's cursor is damaged: begin with the first page")
