"""Rates and delay of the pipeline, from what each look sees."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.dashboards.search import SearchError
from iot_stream.live import pipeline as pipeline_module
from iot_stream.live.pipeline import Delay, DelayMeter, Pipeline, Rates, State


def test_a_rate_needs_two_moments() -> None:
    """One count alone says nothing about speed."""
    rates = Rates()
    rates.add(100.0, {"sent": 5000})
    assert rates.per_second() == {}


def test_rates_are_over_the_last_ten_seconds() -> None:
    """A burst a minute ago is not shown as the rate of now."""
    rates = Rates()
    for second in range(60):
        rates.add(float(second), {"sent": 1000 * min(second, 10) + 10 * second})
    assert rates.per_second() == {"sent": pytest.approx(10.0)}


def test_counts_that_began_anew_give_no_negative_rate() -> None:
    """A local stack that was started again counts from zero."""
    rates = Rates()
    rates.add(1.0, {"sent": 900})
    rates.add(2.0, {"sent": 1000})
    rates.add(3.0, {"sent": 0})
    assert rates.per_second() == {}
    rates.add(4.0, {"sent": 50})
    assert rates.per_second() == {"sent": pytest.approx(50.0)}


@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 10**6)), min_size=2, max_size=40))
def test_rates_are_never_negative(steps: list[tuple[float, int]]) -> None:
    """Whatever the looks' distances and counts."""
    rates, at = Rates(), 0.0
    for seconds, count in steps:
        at += seconds
        rates.add(at, {"sent": count})
        assert all(rate >= 0 for rate in rates.per_second().values())


class Shard:
    """Responses the meter's searches for one index, as one shard of OpenSearch would."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, searches: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Documents above the highest sequence number in the query; percentiles by nearest rank."""
        ((_, body),) = searches
        text = str(body["query"])
        highest = int(text.split("'gt': ")[1].split("}", maxsplit=1)[0]) if "'gt': " in text else -1
        new = sorted(self.times[highest + 1 :])
        if not new:
            return [{"aggregations": {"indices": {"buckets": []}, "time": {"values": []}}}]
        last = {"value": float(len(self.times) - 1)}
        aggregations: dict[str, Any] = {
            "indices": {"buckets": [{"key": "readings", "doc_count": len(new), "highest": last}]}
        }
        if "time" in body["aggs"]:
            percents = body["aggs"]["time"]["percentiles"]["percents"]
            values = [{"key": p, "value": new[int(p / 100 * len(new))]} for p in percents]
            aggregations["time"] = {"values": values}
        return [{"aggregations": aggregations}]


def test_documents_there_before_the_first_look_are_not_measured() -> None:
    """A page opened an hour later must not call the delay an hour."""
    shard = Shard()
    shard.times = [0.0] * 100
    meter = DelayMeter(shard, "readings*", "timestamp")
    meter.look(3_600.0)
    assert meter.delay() is None
    meter.look(3_601.0)
    assert meter.delay() is None


def test_delay_is_the_age_of_what_became_searchable() -> None:
    """A hundred readings 0.01 to 1 s old: half of them younger than 0.5 s, nearly all than 1 s."""
    shard = Shard()
    meter = DelayMeter(shard, "readings*", "timestamp")
    meter.look(10.0)
    shard.times += [20_000 - 10.0 * (step + 1) for step in range(100)]
    meter.look(20.0)
    delay = meter.delay()
    assert delay is not None
    assert delay.p50_ms == pytest.approx(500, abs=20)
    assert delay.p99_ms == pytest.approx(990, abs=20)


def test_the_first_documents_of_a_new_index_are_measured() -> None:
    """With no index at the first look, everything that comes is new."""
    shard = Shard()
    meter = DelayMeter(shard, "readings*", "timestamp")
    meter.look(10.0)
    shard.times.append(9_000.0)
    meter.look(11.0)
    assert meter.delay() == Delay(p50_ms=2000.0, p99_ms=2000.0)


def test_delay_forgets_after_a_minute() -> None:
    """An old hiccup is not shown for ever."""
    shard = Shard()
    meter = DelayMeter(shard, "readings*", "timestamp")
    meter.look(0.0)
    shard.times.append(0.0)
    meter.look(1.0)
    meter.look(62.0)
    assert meter.delay() is None


def test_after_a_while_without_a_look_rates_and_delay_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came while nobody looked did not become searchable just now, nor all at once."""
    now = 1_000.0
    monkeypatch.setattr(pipeline_module, "time", SimpleNamespace(monotonic=lambda: now, time=lambda: now))
    shard = Shard()
    counts = dict.fromkeys(("sent", "transformed", "delivered", "failed"), 0)
    pipeline = Pipeline(lambda: counts, DelayMeter(shard, "readings*", "timestamp"))

    def second() -> State:
        nonlocal now
        now += 1
        counts["sent"] += 1000
        shard.times.append((now - 2) * 1000)
        return pipeline.look()

    for _ in range(5):
        before = second()
    assert before.delay == Delay(p50_ms=2000.0, p99_ms=2000.0)
    for _ in range(600):
        now += 1
        counts["sent"] += 1000
        shard.times.append((now - 2) * 1000)
    gap = pipeline.look()
    assert (gap.delay, gap.per_second) == (None, {})
    assert second().delay == before.delay
    assert second().per_second["sent"] == pytest.approx(1000)


def test_trouble_is_told_and_the_rest_stays() -> None:
    """While OpenSearch does not respond, the counts are still shown, and the reason beside them."""

    def no_response(_: Any) -> list[dict[str, Any]]:
        raise SearchError("OpenSearch does not respond")

    counts = {"sent": 3, "transformed": 2, "delivered": 1, "failed": 0}
    state = Pipeline(lambda: counts, DelayMeter(no_response, "readings*", "timestamp")).look()
    assert (state.counts, state.trouble) == (counts, "OpenSearch does not respond")


def test_an_unexpected_error_does_not_end_the_watch() -> None:
    """A damaged status file is said in words, and the next look is taken."""

    def damaged() -> Mapping[str, Any]:
        raise ValueError("damaged")

    state = Pipeline(damaged, DelayMeter(Shard(), "readings*", "timestamp")).look()
    assert state.trouble is not None
    assert "damaged" in state.trouble
