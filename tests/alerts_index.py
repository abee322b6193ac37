"""The alerts function's two indices in memory: what OpenSearch does with the bodies of `device_alerts.queries`.

`tests/e2e/test_device_alerts.py` sends the same bodies to a real one. Writes are searchable after a refresh, as there;
a Death ends the function between any two calls.
"""

import copy
import operator
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import EndpointConnectionError

from device_alerts.documents import milliseconds
from device_alerts.message import Message
from device_alerts.run import ConflictError, Version

__all__ = ["Death", "MemoryIndex", "Topic"]


class Death(BaseException):
    """The function's end in the middle of a run: nothing of it catches this."""


@dataclass
class Killer:
    """Ends the function before the call of a number, or right after it, when only the caller has not heard of it."""

    at: int | None = None
    after: bool = False
    calls: int = 0

    def guard[Result](self, call: Callable[[], Result]) -> Result:
        """Make one call, unless the function ends here."""
        self.calls += 1
        dies = self.calls == self.at
        if dies and not self.after:
            raise Death
        result = call()
        if dies:
            raise Death
        return result


@dataclass
class Topic:
    """The messages that SNS took, in order; while it is down it takes none."""

    killer: Killer
    messages: list[Message] = field(default_factory=list)
    is_down: bool = False

    def publish(self, message: Message) -> None:
        """Take a message, or raise as boto3 does."""
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="https://sns")
        self.killer.guard(lambda: self.messages.append(message))


@dataclass
class MemoryIndex:
    """The indices: readings by their arrival, with dates as epoch milliseconds, and alerts by their ids."""

    now: Callable[[], int]
    killer: Killer
    readings: list[dict[str, Any]] = field(default_factory=list)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    searchable: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def add(self, reading: Mapping[str, Any]) -> None:
        """Deliver a reading, whose dates are ISO 8601 or epoch milliseconds."""
        insort(self.readings, {name: _comparable(name, value) for name, value in reading.items()}, key=_arrival)

    def search_readings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the readings; those before the window, which are many, are not looked at."""
        clauses = body["query"].get("bool", {}).get("filter", [body["query"]])
        start = milliseconds(clauses[0]["range"]["ingested_at"].get("gte", "1970-01-01T00:00:00Z"))
        window = self.readings[bisect_left(self.readings, start, key=_arrival) :]
        hits = [{"_id": str(number), "_source": each} for number, each in enumerate(window)]
        return self.killer.guard(lambda: self._search(hits, body))

    def search_alerts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search what was written before the last refresh."""
        hits = [{"_id": identity, "_source": each} for identity, each in self.searchable.items()]
        return self.killer.guard(lambda: self._search(hits, body))

    def refresh(self) -> None:
        """Make what was written searchable."""

        def make() -> None:
            self.searchable = dict(self.written)

        self.killer.guard(make)

    def get(self, identity: str) -> tuple[dict[str, Any], Version] | None:
        """Return a document as it was written last."""

        def look() -> tuple[dict[str, Any], Version] | None:
            found = self.written.get(identity)
            return None if found is None else (copy.deepcopy(found), Version(self.versions[identity], 1))

        return self.killer.guard(look)

    def get_many(self, identities: list[str]) -> list[dict[str, Any] | None]:
        """Return documents as they were written last."""
        return self.killer.guard(lambda: [copy.deepcopy(self.written.get(each)) for each in identities])

    def put(self, identity: str, document: Mapping[str, Any], version: Version | None) -> Version:
        """Write a document if it is still of this version."""

        def write() -> Version:
            if self.versions.get(identity) != (None if version is None else version.seq_no):
                raise ConflictError(identity)
            return Version(self._write(identity, document), 1)

        return self.killer.guard(write)

    def put_many(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Write documents in their order."""

        def write() -> None:
            for identity, document in documents.items():
                self._write(identity, document)

        self.killer.guard(write)

    def delete_many(self, identities: list[str]) -> None:
        """Delete documents in their order; those that are gone already are no error."""

        def delete() -> None:
            for identity in identities:
                self.written.pop(identity, None)
                self.versions.pop(identity, None)

        self.killer.guard(delete)

    def _write(self, identity: str, document: Mapping[str, Any]) -> int:
        self.written[identity] = copy.deepcopy(dict(document))
        self.versions[identity] = len(self.versions) + 1 + self.versions.get(identity, 0)
        return self.versions[identity]

    # ---- searching ---------------------------------------------------------------------------------------------

    def _search(self, hits: list[dict[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
        matches = self._matching(body.get("query", {"bool": {}}))
        found = [hit for hit in hits if matches(hit["_source"])]
        total = {"total": {"value": len(found), "relation": "eq"}} if body["track_total_hits"] else {}
        aggregations = {"aggregations": self._aggregate(found, body["aggs"])} if "aggs" in body else {}
        return {"hits": {**total, "hits": self._sorted(found, body)}, **aggregations}

    def _sorted(self, found: list[dict[str, Any]], body: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not body["size"]:
            return []
        hits = [{**hit, "sort": [_value(hit["_source"], key) for key in _sort_keys(body)]} for hit in found]
        for place, (_, order) in reversed(list(enumerate(_sort_orders(body)))):
            hits.sort(key=lambda hit, place=place: hit["sort"][place], reverse=order == "desc")
        if "search_after" in body:
            places = [place for place, hit in enumerate(hits) if hit["sort"] == list(body["search_after"])]
            hits = hits[places[0] + 1 :]
        hits = hits[: body["size"]]
        if "docvalue_fields" in body:
            return [{"_id": hit["_id"], "fields": _fields(hit, body), "sort": hit["sort"]} for hit in hits]
        return hits

    def _matching(self, query: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
        """Return what says of a document whether it matches; bounds are read once, not for each document.

        Tests ask it a million times: its loops are written out, since a generator in each question takes twice as long.
        """
        [(kind, what)] = query.items()
        if kind == "bool":
            wanted = [(self._matching(each), True) for each in what.get("filter", [])]
            unwanted = [(self._matching(each), False) for each in what.get("must_not", [])]
            return _every(wanted + unwanted)
        if kind == "exists":
            return lambda source: _value(source, what["field"]) is not None
        [(name, test)] = what.items()
        if kind == "range":
            return _within(name, [(_COMPARE[key], self._bound(name, end)) for key, end in test.items()])
        terms = {test} if kind == "term" else set(test)
        return lambda source: (
            not terms.isdisjoint(value if isinstance(value := _value(source, name), list) else [value])
        )

    def _bound(self, name: str, end: Any) -> Any:
        if end == "now+1m":
            return self.now() + 60_000
        return _comparable(name, end)

    def _aggregate(self, hits: list[dict[str, Any]], aggs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._one(hits, agg) for name, agg in aggs.items()}

    def _one(self, hits: list[dict[str, Any]], agg: Mapping[str, Any]) -> dict[str, Any]:
        inner = agg.get("aggs", {})
        for name, chosen in (("max", max), ("min", min)):
            if name in agg:
                values = [value for hit in hits if (value := _value(hit["_source"], agg[name]["field"])) is not None]
                return {"value": chosen(values, default=None)}
        if "filter" in agg:
            matches = self._matching(agg["filter"])
            inside = [hit for hit in hits if matches(hit["_source"])]
            return {"doc_count": len(inside), **self._aggregate(inside, inner)}
        if "terms" in agg:
            groups = _groups(hits, agg["terms"]["field"])
            return {"buckets": [{"key": key, "doc_count": len(group)} for key, group in groups]}
        if "top_hits" in agg:
            return {"hits": {"hits": list(self._top(hits, agg["top_hits"]))}}
        composite = agg["composite"]
        [source] = composite["sources"]
        groups = sorted(_groups(hits, source["device"]["terms"]["field"]))
        if "after" in composite:
            groups = [(key, group) for key, group in groups if key > composite["after"]["device"]]
        page = groups[: composite["size"]]
        buckets = [
            {"key": {"device": key}, "doc_count": len(group), **self._aggregate(group, inner)} for key, group in page
        ]
        return {"buckets": buckets, **({"after_key": buckets[-1]["key"]} if buckets else {})}

    def _top(self, hits: list[dict[str, Any]], top: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for hit in self._sorted(hits, {"size": top["size"], "sort": top["sort"]}):
            yield {"_id": hit["_id"], "fields": _fields(hit, top), "sort": hit["sort"]}


def _fields(hit: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, list[Any]]:
    fields = {}
    for each in body["docvalue_fields"]:
        value = _value(hit["_source"], each["field"])
        if (
            value is not None and each["field"] == "temp_celsius"
        ):  # as ScaledFloatFieldMapper: times the factor's inverse
            value = round(value * 100) * (1 / 100)
        if value is not None:
            fields[each["field"]] = [str(value) if each.get("format") == "epoch_millis" else value]
    return fields


def _every(clauses: list[tuple[Callable[[Mapping[str, Any]], bool], bool]]) -> Callable[[Mapping[str, Any]], bool]:
    def matches(source: Mapping[str, Any]) -> bool:
        for matches_one, wanted in clauses:  # noqa: SIM110 - see MemoryIndex._matching
            if matches_one(source) is not wanted:
                return False
        return True

    return matches


def _within(name: str, bounds: list[tuple[Callable[[Any, Any], bool], Any]]) -> Callable[[Mapping[str, Any]], bool]:
    def matches(source: Mapping[str, Any]) -> bool:
        value = _value(source, name)
        if value is None:
            return False
        for compare, end in bounds:  # noqa: SIM110 - see MemoryIndex._matching
            if not compare(value, end):
                return False
        return True

    return matches


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_DATES = {"timestamp", "ingested_at", "fleet.last_seen", "alert.opened_at", "alert.closed_at", "alert.since"}


def _value(source: Mapping[str, Any], name: str) -> Any:
    value = source.get(name) if "." not in name else _inner_value(source, name)
    return _comparable(name, value) if isinstance(value, str) else value


def _inner_value(source: Mapping[str, Any], name: str) -> Any:
    value: Any = source
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _comparable(name: str, value: Any) -> Any:
    if name not in _DATES or not isinstance(value, str):
        return value
    return milliseconds(value if value.endswith("Z") else f"{value}Z")


def _arrival(reading: Mapping[str, Any]) -> int:
    return int(reading["ingested_at"])


def _sort_keys(body: Mapping[str, Any]) -> list[str]:
    return [name for name, _ in _sort_orders(body)]


def _sort_orders(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [next(iter(each.items())) for each in body.get("sort", [])]
    return [(name, order["order"] if isinstance(order, Mapping) else order) for name, order in pairs]


def _groups(hits: list[dict[str, Any]], name: str) -> list[tuple[Any, list[dict[str, Any]]]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for hit in hits:
        value = _value(hit["_source"], name)
        if value is not None:
            groups.setdefault(value, []).append(hit)
    return list(groups.items())
