"""Rates, fleets and faults of the generator: what a stream of real devices looks like."""

import datetime as dt
import json
import math
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.description import Enricher, ReadingError, load
from iot_stream.errors import IotStreamError
from iot_stream.generator.faults import Faults
from iot_stream.generator.fleet import FleetError
from iot_stream.generator.rates import Pace, constant, gaussian, ramp, sine
from iot_stream.generator.sources import Choice, open_readings
from iot_stream.paths import PROJECT

NOW = 1_795_342_530_123
DESCRIPTION = load()
DESCRIPTIONS = [load(path) for path in sorted((PROJECT / "tests" / "descriptions").glob("*.toml"))]


def records(choice: Choice, times: list[int], seed: int = 1, **other: Any) -> list[bytes]:
    """Return records of a choice, in batches of 400."""
    readings = open_readings(choice, other.get("description", DESCRIPTION), seed=seed, zone=dt.UTC)
    return [
        reading.data for start in range(0, len(times), 400) for reading in readings.take(times[start : start + 400])
    ]


def seconds(count: int, rate: float = 1.0) -> list[int]:
    """Return times at so many a second."""
    return [NOW + int(number * 1000 / rate) for number in range(count)]


# ---- rates ----------------------------------------------------------------------------------------------------------

RATES = st.floats(0.01, 1e6)
TIMES = st.lists(st.floats(0, 10_000), min_size=2).map(sorted)


@given(st.data(), RATES, TIMES)
def test_what_is_due_never_gets_less(data: st.DataObject, rate: float, times: list[float]) -> None:
    """Whatever the shape; nothing is due at the start."""
    due = data.draw(
        st.one_of(
            st.just(constant(rate)),
            st.builds(lambda end, duration: ramp(rate, end, duration), RATES, st.floats(0.1, 10_000)),
            st.builds(lambda part, period: sine(rate, rate * part, period), st.floats(0, 1), st.floats(0.1, 10_000)),
            st.builds(lambda deviation, seed: gaussian(rate, deviation, seed), st.floats(0.01, 1e6), st.integers(0)),
        )
    )
    assert due(0) == 0
    amounts = [due(time) for time in times]
    assert all(later >= earlier - 1e-6 * (1 + abs(later)) for earlier, later in pairwise(amounts))


def test_shapes_reach_what_they_promise() -> None:
    """A ramp's mean is that of its ends; a wave's whole turns are its rate, and its peak is rate and swing."""
    due = ramp(100, 300, 60)
    assert due(60) == pytest.approx(200 * 60)
    assert due(1) == pytest.approx(100, rel=0.02)
    assert due(60) - due(59) == pytest.approx(300, rel=0.01)
    assert due(61) - due(60) == pytest.approx(300)
    due = sine(100, 50, 60)
    assert due(120) == pytest.approx(12_000)
    assert due(15.5) - due(14.5) == pytest.approx(150, rel=0.01)
    assert due(45.5) - due(44.5) == pytest.approx(50, rel=0.01)


def test_a_random_rate_has_its_mean_and_deviation_by_the_second() -> None:
    """And is the same for the same seed, however often it is asked."""
    due, again = gaussian(100, 20, 5), gaussian(100, 20, 5)
    totals = [due(second) for second in range(2001)]
    assert again(2000) == pytest.approx(totals[-1])
    within = gaussian(100, 20, 5)
    assert [within(part / 4) for part in range(5)] == pytest.approx([totals[1] * part / 4 for part in range(5)])
    counts = [later - earlier for earlier, later in pairwise(totals)]
    mean = sum(counts) / 2000
    assert mean == pytest.approx(100, abs=2)
    assert (sum((count - mean) ** 2 for count in counts) / 2000) ** 0.5 == pytest.approx(20, abs=1)


@given(
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 500)), min_size=1, max_size=30),
    rate=st.floats(0.1, 1e5),
    count=st.none() | st.integers(1, 5000),
)
def test_each_reading_is_taken_once_at_a_time_before_its_batch(
    steps: list[tuple[float, int]], rate: float, count: int | None
) -> None:
    """In ascending order, at most a second before the batch, and never more than are due or wanted."""
    begun = 1_000_000.0
    pace = Pace(constant(rate), math.inf if count is None else count, begun)
    taken: list[int] = []
    elapsed = 0.0
    for step, size in steps:
        elapsed += step
        waiting = pace.waiting(elapsed)
        assert waiting == int(min(rate * elapsed, math.inf if count is None else count)) - len(taken)
        if waiting:
            times = pace.take(min(waiting, size), begun + elapsed)
            assert len(times) == min(waiting, size)
            assert all((begun + elapsed - 1) * 1000 - 1 <= time <= (begun + elapsed) * 1000 for time in times)
            taken += times
    assert taken == sorted(taken)
    assert pace.complete == (count is not None and len(taken) == count)


def test_the_last_readings_are_known_as_such() -> None:
    """They need not wait for more to fill a request; a series without end has none."""
    pace = Pace(constant(1), 10, 0.0)
    assert pace.waiting(4) == len(pace.take(4, 4.0)) == 4
    assert [size for size in range(1, 9) if pace.ends_with(size)] == [6, 7, 8]
    assert not Pace(constant(1), math.inf, 0.0).ends_with(10**9)


# ---- fleets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 51, 1000])
def test_so_many_devices_send_in_turn(count: int) -> None:
    """The first ids of the template's range, and beyond it where it is too small; nothing else changes."""
    plain, fleet = (
        [json.loads(record) for record in records(Choice(devices=devices), seconds(2 * count))]
        for devices in (None, count)
    )
    assert [reading.pop("device_id") for reading in fleet] == [*range(count)] * 2
    assert [{**reading, "device_id": None} for reading in plain] == [
        {**reading, "device_id": None} for reading in fleet
    ]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda description: description.title)
def test_any_template_can_have_a_fleet(description: Any) -> None:
    """The device is found by the description's path, also within a text; the readings stay good ones."""
    enricher = Enricher(description, dt.UTC)
    made = records(Choice(devices=5), seconds(50), description=description)
    assert not enricher.enrich_all(list(made), [None] * 50).causes

    def device(record: bytes) -> Any:
        value = json.loads(record)
        for key in description.device.path:
            value = value[key]
        return value

    names = [device(record) for record in made]
    assert len(set(names)) == 5
    assert names == names[:5] * 10


@pytest.mark.parametrize(
    ("template", "choice", "message"),
    [
        ('{"device_id": 5}', {"devices": 2}, "generates device_id"),
        ("{{random.number}},{{random.number}}", {"devices": 2}, "generates device_id"),
        ('{"device_id": {{random.arrayElement([1, 2])}}}', {"devices": 3}, "--devices 3: .* generates only 2"),
        ('{"device_id": {{random.number}}, "device_temp": 5}', {"lively": True}, "no helper .* generates numbers for"),
    ],
)  # fmt: skip
def test_a_template_that_has_no_place_for_a_fleet_is_refused(
    template: str, choice: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """One line that says which field it is about."""
    file = tmp_path / "t"
    file.write_text(template)
    with pytest.raises(FleetError, match=message):
        records(Choice([(file, 1)], **choice), [])


def test_a_lively_fleet_is_as_large_as_the_template_names_devices(tmp_path: Path) -> None:
    """Who did not ask for 20 devices is not refused for having four, as a description of one's own may well have."""
    file = tmp_path / "t"
    file.write_text('{"device_id": {{random.arrayElement([1, 2, 3, 4])}}, "device_temp": {{random.number(40)}}}')
    made = records(Choice([(file, 1)], lively=True), seconds(40))
    assert {json.loads(record)["device_id"] for record in made} == {1, 2, 3, 4}


def test_devices_of_a_lively_fleet_drift_one_overheats_and_one_falls_silent() -> None:
    """Temperatures stay below the description's threshold but for the second device, and change by little."""
    minutes = 20
    times = seconds(minutes * 60 * 20, rate=20)
    by_device: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for time, record in zip(times, records(Choice(lively=True), times), strict=True):
        reading = json.loads(record)
        by_device[reading["device_id"]].append(((time - NOW) // 1000, reading["device_temp"]))
    threshold = DESCRIPTION.measures[0].alert_above
    assert threshold is not None
    assert sorted(by_device) == [*range(20)]
    for device, values in by_device.items():
        temperatures = [value for _, value in values]
        assert (max(temperatures) > threshold) == (device == 1)
        assert len(set(temperatures)) > 2
        assert all(abs(later - earlier) <= 3 for earlier, later in pairwise(temperatures))
    hot = [second for second, value in by_device[1] if value > threshold]
    assert 30 < min(hot) < 120
    assert any(later - earlier > 100 for earlier, later in pairwise(hot))  # it cools down in between
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(by_device[19])]
    assert max(gaps) > DESCRIPTION.silent_after + 60
    assert by_device[19][0][0] < 60
    assert sum(gap > DESCRIPTION.silent_after for gap in gaps) == 2  # it comes back
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(by_device[5])) <= 3


@pytest.mark.parametrize("description", [DESCRIPTION, *DESCRIPTIONS], ids=lambda description: description.title)
def test_a_lively_fleet_of_any_description_crosses_its_threshold(description: Any) -> None:
    """All of its readings are good ones; only the second device is beyond the threshold."""
    made = records(Choice(lively=True, devices=4), seconds(400, rate=2), description=description)
    enriched = Enricher(description, dt.UTC).enrich_all(list(made), [None] * 400)
    assert not enriched.causes
    measure = next(field for field in description.measures if field.alert_above is not None)

    def value(record: bytes) -> float:
        inner = json.loads(record)
        for key in measure.path:
            inner = inner[key]
        return float(inner)

    beyond = {number % 4 for number, record in enumerate(made[:100]) if value(record) > measure.alert_above}
    assert beyond <= {1}
    assert any(value(record) > measure.alert_above for record in made)


# ---- faults ---------------------------------------------------------------------------------------------------------


def test_faulty_readings_are_refused_by_the_function_and_no_others_are() -> None:
    """Of every kind: cut off, not UTF-8, without a time, with a wrong one; as many as asked for."""
    enricher = Enricher(DESCRIPTION, dt.UTC)
    reasons: Counter[str] = Counter()
    for record in records(Choice(faults=Faults(faulty=20)), seconds(3000)):
        try:
            enricher.enrich(record)
            reasons["good"] += 1
        except ReadingError as error:
            reasons[error.causes[0].reason] += 1
    assert 3000 - reasons.pop("good") == pytest.approx(600, abs=80)
    assert len(reasons) >= 4
    assert min(reasons.values()) > 80


def test_records_that_are_no_json_can_be_faulty_too(tmp_path: Path) -> None:
    """They are cut off or not UTF-8."""
    file = tmp_path / "t"
    file.write_text("{{random.uuid}},{{random.number}}")
    whole = records(Choice([(file, 1)]), seconds(50))
    broken = records(Choice([(file, 1)], faults=Faults(faulty=100)), seconds(50))
    assert all(len(one) != len(other) for one, other in zip(whole, broken, strict=True))


def test_late_readings_are_a_minute_to_an_hour_old() -> None:
    """And the others are not touched."""
    made = [json.loads(record) for record in records(Choice(faults=Faults(late=30)), [NOW] * 2000)]
    ages = [NOW / 1000 - dt.datetime.fromisoformat(r["device_ts"] + "+00:00").timestamp() for r in made]
    late = [age for age in ages if age > 0.001]
    assert len(late) == pytest.approx(600, abs=80)
    assert min(late) >= 60
    assert max(late) <= 3600
    assert sum(age < 600 for age in late) > len(late) / 2
    plain = [json.loads(record) for record in records(Choice(), [NOW] * 2000)]
    assert [reading["uuid"] for reading in plain] == [reading["uuid"] for reading in made]


def test_duplicates_repeat_the_record_before_byte_for_byte() -> None:
    """The number of records stays what the rate says."""
    made = records(Choice(faults=Faults(duplicate=25)), seconds(4000))
    assert len(made) == 4000
    assert sum(later == earlier for earlier, later in pairwise(made)) == pytest.approx(1000, abs=120)
    assert len(set(made)) + sum(later == earlier for earlier, later in pairwise(made)) == 4000


@given(
    choice=st.builds(
        Choice,
        devices=st.none() | st.integers(1, 60),
        lively=st.booleans(),
        faults=st.builds(Faults, late=st.floats(0, 100), duplicate=st.floats(0, 100), faulty=st.floats(0, 100)),
    ),
    seed=st.integers(0, 2**40),
    sizes=st.lists(st.integers(0, 9), max_size=5),
)
def test_a_seed_makes_the_same_records_however_they_are_batched(choice: Choice, seed: int, sizes: list[int]) -> None:
    """With every option; as many records as times."""
    times = seconds(sum(sizes))
    once, again = (open_readings(choice, DESCRIPTION, seed=seed, zone=dt.UTC) for _ in range(2))
    batched, start = [], 0
    for size in sizes:
        batched += once.take(times[start : start + size])
        start += size
    assert batched == again.take(times)
    assert len(batched) == len(times)


def test_a_fleet_error_is_one_that_the_command_prints() -> None:
    """As one line."""
    assert issubclass(FleetError, IotStreamError)
