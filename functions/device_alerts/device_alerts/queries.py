"""Build the searches of one run, and read their responses (pure).

Contract: OpenSearch documentation, "Composite aggregations", "Top hits", "Bool". A page holds the devices that follow
`after` in the order of their ids, so memory does not grow with the fleet.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from device_alerts.decide import Observation, Stretch
from device_alerts.documents import DeviceId, iso
from device_alerts.rules import Rule, Rules

__all__ = [
    "alerts_closed_before",
    "alerts_of_devices",
    "announcement",
    "devices_last_seen_before",
    "horizon",
    "horizon_of",
    "next_page",
    "observations",
    "open_pipeline_alert",
    "page_of_readings",
    "page_size",
    "readings_of_devices",
    "silent_devices",
    "values_of",
]

_EXAMPLES: Final = 20
"""Alerts that a message tells one by one."""
_PAGE: Final = 3_000  # 31 MB; pages of 1,000 take 8 MB and half as much again of the domain's processor
_MOST_HITS: Final = 10_000  # index.max_result_window
_UP_TO: Final = "now+1m"  # an arrival is AWS's own time: later ones are damage

type Body = dict[str, Any]


def page_size(rules: Rules) -> int:
    """Return the number of devices per page whose alerts all fit into one response."""
    return max(1, min(_PAGE, _MOST_HITS // len(rules.by_name)))


def horizon(rules: Rules) -> Body:
    """Return the search for the latest arrival that has been delivered."""
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"range": {rules.arrival: {"lte": _UP_TO}}},
        "aggs": {"latest": {"max": {"field": rules.arrival}}},
    }


def horizon_of(response: Mapping[str, Any]) -> int | None:
    """Return the latest arrival, or None if there is no reading."""
    value = response.get("aggregations", {}).get("latest", {}).get("value")
    return None if value is None else round(value)


def page_of_readings(rules: Rules, start: int, end: int, after: Mapping[str, Any] | None) -> Body:
    """Return the search for a page of devices whose readings arrived from `start` to `end`, both included."""
    composite: Body = {"size": page_size(rules), "sources": [{"device": {"terms": {"field": rules.device}}}]}
    clauses: list[Body] = [{"range": {rules.arrival: {"gte": iso(start), "lte": iso(end)}}}]
    if after is not None:
        composite["after"] = dict(after)
        # With the aggregation alone, every page would scan all readings of the window.
        clauses.append({"range": {rules.device: {"gt": after["device"]}}})
    aggs: Body = {"latest": _latest(rules, (rules.time, *rules.required))}
    for name in rules.optional:
        aggs[f"latest:{name}"] = {"filter": {"exists": {"field": name}}, "aggs": {"latest": _latest(rules, (name,))}}
    for rule in rules.limits:
        aggs[f"not_beyond:{rule.name}"] = _last(rules, _not_beyond(rule))
        aggs[f"not_within:{rule.name}"] = _last(rules, _not_within(rule))
        aggs[f"beyond:{rule.name}"] = _first_and_last(rules, _beyond(rule))
        aggs[f"within:{rule.name}"] = _first(rules, _within(rule))
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": clauses}},
        "aggs": {"devices": {"composite": composite, "aggs": aggs}},
    }


def observations(response: Mapping[str, Any], rules: Rules) -> Iterator[Observation]:
    """Yield the observation of each device on a page of readings."""
    for bucket in response.get("aggregations", {}).get("devices", {}).get("buckets", ()):
        hit = _hit(bucket["latest"])
        if hit is None:
            continue
        at = int(hit[rules.arrival][0])
        values, values_at = {}, {}
        for name in rules.measures:
            found = hit if name in rules.required else _hit(bucket[f"latest:{name}"]["latest"])
            if found is not None and name in found:
                values[name] = _clean(found[name][0])
                values_at[name] = int(found[rules.arrival][0])
        yield Observation(
            device=bucket["key"]["device"],
            last_seen=at,
            clock=int(hit[rules.time][0]) if rules.time in hit else None,
            values=values,
            values_at=values_at,
            beyond={rule.name: _stretch(bucket, rule, "beyond") for rule in rules.limits},
            within={rule.name: _stretch(bucket, rule, "within") for rule in rules.limits},
            count=bucket["doc_count"],
        )


def next_page(response: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what follows a page of readings, None after the last."""
    after: Mapping[str, Any] | None = response.get("aggregations", {}).get("devices", {}).get("after_key")
    return after


def readings_of_devices(rules: Rules, devices: Sequence[DeviceId], start: int, end: int) -> Body:
    """Return the search for the readings of some devices that arrived from `start` to `end`, in their order."""
    clauses: list[Body] = [
        {"range": {rules.arrival: {"gte": iso(start), "lte": iso(end)}}},
        {"terms": {rules.device: list(devices)}},
    ]
    names = [{"field": name} for name in (rules.device, *rules.measures)]
    return {
        "size": _MOST_HITS,
        "track_total_hits": False,
        "_source": False,
        "docvalue_fields": [{"field": rules.arrival, "format": "epoch_millis"}, *names],
        "query": {"bool": {"filter": clauses}},
        "sort": [{rules.arrival: "asc"}],
    }


def values_of(response: Mapping[str, Any], rules: Rules) -> dict[DeviceId, list[tuple[int, dict[str, float]]]]:
    """Return the readings by device: the arrival and the measures of each."""
    found: dict[DeviceId, list[tuple[int, dict[str, float]]]] = {}
    for hit in response["hits"]["hits"]:
        fields = hit["fields"]
        values = {name: _clean(fields[name][0]) for name in rules.measures if name in fields}
        found.setdefault(fields[rules.device][0], []).append((int(fields[rules.arrival][0]), values))
    return found


def silent_devices(rules: Rules, before: int, after: Sequence[Any] | None) -> Body:
    """Return the search for a page of devices last seen before a time, whose alert of silence is not open."""
    body: Body = {
        "size": page_size(rules),
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [{"term": {"kind": "device"}}, {"range": {"fleet.last_seen": {"lt": iso(before)}}}],
                "must_not": [{"term": {"fleet.alerts": "silent"}}],
            }
        },
        "sort": [{rules.device: "asc"}],
    }
    if after is not None:
        body["search_after"] = list(after)
    return body


def alerts_of_devices(rules: Rules, devices: Sequence[DeviceId]) -> Body:
    """Return the search for the open alerts of some devices."""
    clauses = [{"term": {"kind": "alert"}}, {"term": {"alert.state": "open"}}, {"terms": {rules.device: list(devices)}}]
    return {"size": _MOST_HITS, "track_total_hits": False, "query": {"bool": {"filter": clauses}}}


def devices_last_seen_before(rules: Rules, before: int) -> Body:
    """Return the search for a page of devices that were last seen before a time, the earliest first."""
    clauses = [{"term": {"kind": "device"}}, {"range": {"fleet.last_seen": {"lt": iso(before)}}}]
    return {
        "size": page_size(rules),
        "track_total_hits": False,
        "_source": [rules.device],
        "query": {"bool": {"filter": clauses}},
        "sort": [{"fleet.last_seen": "asc"}],
    }


def alerts_closed_before(before: int, announced: int) -> Body:
    """Return the search for a page of alerts that closed before a time, in a run up to `announced`."""
    clauses = [
        {"term": {"kind": "alert"}},
        {"range": {"alert.closed_at": {"lt": iso(before)}}},
        {"range": {"alert.closed_run": {"lte": announced}}},
    ]
    return {
        "size": _PAGE,
        "track_total_hits": False,
        "_source": False,
        "query": {"bool": {"filter": clauses}},
        "sort": [{"alert.closed_at": "asc"}],
    }


def open_pipeline_alert() -> Body:
    """Return the search for the open alert about the pipeline."""
    clauses = [
        {"term": {"kind": "alert"}},
        {"term": {"alert.state": "open"}},
        {"term": {"alert.rule": "pipeline_late"}},
    ]
    return {"size": 1, "track_total_hits": False, "query": {"bool": {"filter": clauses}}}


def announcement(field: str, first: int, last: int) -> Body:
    """Return the search for alerts that opened or closed in some runs: the number by rule, and the most severe ones.

    Args:
        field: `alert.opened_run` or `alert.closed_run`.
        first: the first run.
        last: the last run, included.
    """
    clauses = [{"term": {"kind": "alert"}}, {"range": {field: {"gte": first, "lte": last}}}]
    return {
        "size": _EXAMPLES,
        "track_total_hits": True,
        "query": {"bool": {"filter": clauses}},
        "sort": [{"alert.severity": "desc"}, {"alert.opened_at": "asc"}],
        "aggs": {"rules": {"terms": {"field": "alert.rule", "size": 10}}},
    }


def _latest(rules: Rules, fields: Sequence[str]) -> Body:
    dates = {rules.arrival, rules.time}
    named = [
        {"field": name, "format": "epoch_millis"} if name in dates else {"field": name}
        for name in (rules.arrival, *fields)
    ]
    return {"top_hits": {"size": 1, "_source": False, "docvalue_fields": named, "sort": [{rules.arrival: "desc"}]}}


def _hit(top_hits: Mapping[str, Any]) -> Mapping[str, Any] | None:
    hits = top_hits["hits"]["hits"]
    return hits[0].get("fields", {}) if hits else None


def _clean(value: float) -> float:
    """Return a number without the rounding error of a scaled_float (a whole number times 0.01, for example)."""
    return float(f"{value:.15g}")


def _last(rules: Rules, clause: Body) -> Body:
    return {"filter": clause, "aggs": {"last": {"max": {"field": rules.arrival}}}}


def _first(rules: Rules, clause: Body) -> Body:
    return {"filter": clause, "aggs": {"first": {"min": {"field": rules.arrival}}}}


def _first_and_last(rules: Rules, clause: Body) -> Body:
    return {"filter": clause, "aggs": {**_first(rules, clause)["aggs"], **_last(rules, clause)["aggs"]}}


def _stretch(bucket: Mapping[str, Any], rule: Rule, condition: str) -> Stretch:
    held = bucket[f"{condition}:{rule.name}"]
    interrupted = bucket[f"not_{condition}:{rule.name}"]["last"]["value"]
    ends = (held["first"]["value"], interrupted, held.get("last", {}).get("value"))
    return Stretch(*(None if end is None else round(end) for end in ends))


def _beyond(rule: Rule) -> Body:
    limit = rule.limit_of()
    return {"range": {limit.field: {"gt" if rule.is_upper else "lt": limit.value}}}


def _within(rule: Rule) -> Body:
    limit = rule.limit_of()
    if rule.is_upper:
        return {"range": {limit.field: {"lte": limit.value - limit.margin}}}
    return {"range": {limit.field: {"gte": limit.value + limit.margin}}}


def _not_beyond(rule: Rule) -> Body:
    limit = rule.limit_of()
    return {"range": {limit.field: {"lte" if rule.is_upper else "gte": limit.value}}}


def _not_within(rule: Rule) -> Body:
    limit = rule.limit_of()
    if rule.is_upper:
        return {"range": {limit.field: {"gt": limit.value - limit.margin}}}
    return {"range": {limit.field: {"lt": limit.value + limit.margin}}}
