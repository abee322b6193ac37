"""Watch the pipeline: counts as rates, and how old a reading is when it becomes searchable."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iot_stream.dashboards.search import Search
from iot_stream.errors import IotStreamError

__all__ = ["Delay", "DelayMeter", "Pipeline", "Rates", "State"]

_WINDOW_SECONDS = 10.0
_DELAY_WINDOW_SECONDS = 60.0
_LONGEST_GAP_SECONDS = 3.0  # between two looks that are about a second apart
_GROWING = ("sent", "transformed", "delivered", "failed")
_PERCENTS = [step + 0.5 for step in range(100)]


class Rates:
    """Turn growing counts into rates per second over the last ten seconds. Times are arguments, in seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[str, int]]] = deque()

    def add(self, at: float, counts: Mapping[str, int]) -> None:
        """Add the counts at a moment. When a count is lower than before, it was reset, and the window starts again."""
        if self._samples and any(counts[name] < last for name, last in self._samples[-1][1].items()):
            self._samples.clear()
        self._samples.append((at, dict(counts)))
        while len(self._samples) > 1 and self._samples[1][0] <= at - _WINDOW_SECONDS:
            self._samples.popleft()

    def per_second(self) -> dict[str, float]:
        """Return the rate of each count; empty until there are two moments."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a rate needs two moments
            return {}
        (begin, before), (end, after) = self._samples[0], self._samples[-1]
        return {name: (after[name] - before[name]) / (end - begin) for name in after} if end > begin else {}


@dataclass(frozen=True)
class Delay:
    """Milliseconds from a reading's device time until it is searchable, over the last minute's readings.

    Measured once a second, so a figure can be up to a second too high, never too low.
    """

    p50_ms: float
    p99_ms: float


class DelayMeter:
    """Measure the delay from the documents that have become searchable since the last look.

    `_seq_no` grows with every document that a shard indexes, so documents above an index's highest known number are
    new (exact with one shard per index, as the local stack has). A document's delay is the time of the look minus its
    device time, so the percentiles of device time among the new documents give those of the delay.
    """

    def __init__(self, search: Search, pattern: str, time_field: str) -> None:
        self._search = search
        self._pattern = pattern
        self._time_field = time_field
        self._begun = False
        self._highest: dict[str, int] = {}
        self._looks: deque[tuple[float, list[tuple[float, float]]]] = deque()

    def look(self, now: float) -> None:
        """Look for new documents at `now` (epoch seconds). The first look only notes what is there.

        Raises:
            SearchError: OpenSearch does not respond.
        """
        aggs: dict[str, Any] = {
            "indices": {
                "terms": {"field": "_index", "size": 1000},
                "aggs": {"highest": {"max": {"field": "_seq_no"}}},
            }
        }
        query: dict[str, Any] = {"match_all": {}}
        if self._begun:
            aggs["time"] = {"percentiles": {"field": self._time_field, "percents": _PERCENTS, "keyed": False}}
            query = self._new()
        body = {"size": 0, "track_total_hits": False, "query": query, "aggs": aggs}
        (response,) = self._search([(self._pattern, body)])
        self._note(now, response.get("aggregations", {}))
        self._begun = True

    def forget(self) -> None:
        """Start again: after a gap, the next look only notes what is there."""
        self._begun = False
        self._highest.clear()
        self._looks.clear()

    def delay(self) -> Delay | None:
        """Return the delay over the last minute, or None when nothing became searchable in it."""
        delays = sorted(point for _, points in self._looks for point in points)
        return Delay(p50_ms=_quantile(delays, 0.5), p99_ms=_quantile(delays, 0.99)) if delays else None

    def _new(self) -> dict[str, Any]:
        """Return the query for documents above the highest known number, and for all of unknown indices."""
        above = [
            {"bool": {"filter": [{"term": {"_index": index}}, {"range": {"_seq_no": {"gt": highest}}}]}}
            for index, highest in self._highest.items()
        ]
        unseen = {"bool": {"must_not": [{"terms": {"_index": list(self._highest)}}]}}
        return {"bool": {"should": [*above, unseen]}}

    def _note(self, now: float, found: Mapping[str, Any]) -> None:
        buckets = found.get("indices", {}).get("buckets", [])
        for bucket in buckets:
            self._highest[bucket["key"]] = int(bucket["highest"]["value"])
        if buckets and "time" in found:
            weight = sum(bucket["doc_count"] for bucket in buckets) / len(_PERCENTS)
            times = (entry["value"] for entry in found["time"]["values"])
            self._looks.append((now, [(now * 1000 - time, weight) for time in times if time is not None]))
        while self._looks and self._looks[0][0] < now - _DELAY_WINDOW_SECONDS:
            self._looks.popleft()


def _quantile(values: Sequence[tuple[float, float]], share: float) -> float:
    """Return the value below which `share` of the weight of sorted (value, weight) pairs lies."""
    rest = share * sum(weight for _, weight in values)
    for value, weight in values:
        rest -= weight
        if rest <= 0:
            return value
    return values[-1][0]


@dataclass(frozen=True)
class State:
    """The pipeline at the latest look.

    Attributes:
        counts: records at each step so far, and other counts of the source.
        per_second: how fast sent, transformed, delivered and failed grow; empty until there were two looks.
        delay: None when nothing became searchable in the last minute.
        trouble: why the latest look is incomplete; None when it is complete.
    """

    counts: Mapping[str, Any] = field(default_factory=dict)
    per_second: Mapping[str, float] = field(default_factory=dict)
    delay: Delay | None = None
    trouble: str | None = None


class Pipeline:
    """Look at the pipeline, and remember enough for rates and delay.

    `counts` returns the counts now: at least sent, transformed, delivered and failed.
    """

    def __init__(self, counts: Callable[[], Mapping[str, Any]], delays: DelayMeter) -> None:
        self._source = counts
        self._delays = delays
        self._rates = Rates()
        self._counts: Mapping[str, Any] = {}
        self._looked = -math.inf

    def look(self) -> State:
        """Look now; call it about once a second.

        When a part can't be read, `trouble` says why and the rest stays as it was. After a longer gap rates and delay
        start again, because everything since the last look would count as having just arrived.
        """
        trouble = None
        if time.monotonic() - self._looked > _LONGEST_GAP_SECONDS:
            self._rates = Rates()
            self._delays.forget()
        try:
            self._counts = self._source()
            self._rates.add(time.monotonic(), {name: int(self._counts[name]) for name in _GROWING})
            self._delays.look(time.time())
        except IotStreamError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - an unexpected error is shown, and watching continues
            trouble = f"the pipeline's state can't be read: {error!r}"
        self._looked = time.monotonic()
        return State(self._counts, self._rates.per_second(), self._delays.delay(), trouble)
