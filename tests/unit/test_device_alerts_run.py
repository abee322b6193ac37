"""A run judges the fleet once, and what is published is right whatever run is missed, killed or begun twice."""

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from device_alerts import missed, queries
from device_alerts.documents import RUN_ID, Alert, iso
from device_alerts.message import _NAMES, Message
from device_alerts.progress import Progress
from device_alerts.rules import Kind, Rules, parse
from device_alerts.run import Run, RunSettings, Summary
from iot_stream.description import load as load_description
from iot_stream.readings.alert_files import alert_rules
from tests.alerts_index import Death, Killer, MemoryIndex, Topic
from tests.examples import examples

START = 1_795_342_500_000
MINUTE = 60_000
RULES = parse(alert_rules(load_description()))
SETTINGS = RunSettings("iot-stream", grace=20_000, late_after=600_000)


@dataclass
class World:
    """A domain, a topic, a clock, and a fleet that sends every ten seconds."""

    rules: Rules = RULES
    settings: RunSettings = SETTINGS
    now: int = START
    progress: Callable[[int], Progress] = lambda _now: Progress()
    killer: Killer = field(default_factory=Killer)

    def __post_init__(self) -> None:
        """Make the index and the topic."""
        self.index = MemoryIndex(lambda: self.now, self.killer)
        self.topic = Topic(self.killer)

    def send(self, device: int, celsius: float = 20.0, *, at: int | None = None, ahead: int = 0) -> None:
        """Deliver one reading that arrives at a time (now, unless it is given)."""
        arrived = self.now if at is None else at
        reading = {"device_id": device, "temp_celsius": celsius, "timestamp": arrived + ahead, "ingested_at": arrived}
        self.index.add(reading)

    def run(self) -> Summary:
        """Run the function once; it counts the alerts that it opened and closed."""
        publish = self.topic.publish
        run = Run(self.rules, self.settings, self.index, publish, self.progress, clock=lambda: self.now, lease=50_000)
        summary = run.go()
        if not summary.skipped:
            runs = [each["alert"] for each in self.alerts()]
            assert summary.opened == sum(each["opened_run"] == summary.run for each in runs)
            assert summary.closed == sum(each.get("closed_run") == summary.run for each in runs)
        return summary

    def minutes(self, count: int, devices: dict[int, float], *, runs: bool = True) -> None:
        """Let some minutes go by in which devices send every ten seconds, and the function runs every minute."""
        for _ in range(count):
            for _ in range(6):
                self.now += 10_000
                for device, celsius in devices.items():
                    self.send(device, celsius)
            if runs:
                self.run()

    def alerts(self, state: str | None = None) -> list[dict[str, Any]]:
        """Return the alerts, by their opening."""
        found = [each for each in self.index.written.values() if each["kind"] == "alert"]
        found = [each for each in found if state is None or each["alert"]["state"] == state]
        return sorted(found, key=lambda each: str(each["alert"]["opened_at"]))

    def named(self, state: str | None = None) -> list[tuple[str, int | None]]:
        """Return rule and device of the alerts."""
        return [(each["alert"]["rule"], each.get("device_id")) for each in self.alerts(state)]

    def assert_rows_are_right(self) -> None:
        """Each device's row names its open alerts and no other, and has the state of the gravest."""
        rows = {each["device_id"]: each for each in self.index.written.values() if each["kind"] == "device"}
        open_alerts: dict[int, set[str]] = {device: set() for device in rows}
        for each in self.alerts("open"):
            if "device_id" in each:
                measure = each["alert"].get("measure")
                open_alerts[each["device_id"]].add(each["alert"]["rule"] + (f":{measure}" if measure else ""))
        assert {device: set(row["fleet"]["alerts"]) for device, row in rows.items()} == open_alerts
        severities = {"ok": 0, "clock wrong": 1, "silent": 2, "out of bounds": 3}
        gravest = {
            device: max(
                (each["alert"]["severity"] for each in self.alerts("open") if each.get("device_id") == device),
                default=0,
            )
            for device in rows
        }
        assert {device: severities[row["fleet"]["state"]] for device, row in rows.items()} == gravest

    def told(self) -> tuple[int, int]:
        """Return how many openings and closings were told, each message counted once by its id."""
        once = {message.id: message for message in self.topic.messages}
        return sum(each.opened for each in once.values()), sum(each.closed for each in once.values())


def test_a_quiet_fleet_sends_no_message() -> None:
    """Nothing opened, nothing closed; the table of the fleet has a row for each device."""
    world = World()
    world.minutes(10, {1: 20.0, 2: 21.5})
    assert (world.alerts(), world.topic.messages) == ([], [])
    row = world.index.written["device:2"]
    assert (row["temp_celsius"], row["fleet"]["state"], row["fleet"]["last_seen"]) == (21.5, "ok", iso(world.now))


def test_a_value_is_kept_as_it_was_sent() -> None:
    """A scaled_float comes back as 3505 times 0.01, which is not 35.05 in binary."""
    world = World()
    world.minutes(1, {1: 35.05})
    assert world.index.written["device:1"]["temp_celsius"] == 35.05
    assert 3505 * (1 / 100) != 35.05


def test_a_hot_device_opens_one_alert_that_closes_when_it_has_cooled_down() -> None:
    """Beyond the threshold for a minute; within the margin for a minute; one message for each."""
    world = World()
    world.minutes(3, {1: 20.0})
    world.minutes(1, {1: 41.0})
    assert world.named() == []
    world.minutes(4, {1: 41.0})
    assert world.named("open") == [("too_high", 1)]
    assert "Temperature 41 °C, above 38 °C" in world.alerts()[0]["alert"]["text"]
    assert world.index.written["device:1"]["fleet"]["state"] == "out of bounds"
    world.minutes(5, {1: 37.5})  # within the threshold, and not within the margin
    assert world.named("open") == [("too_high", 1)]
    world.minutes(3, {1: 36.9})
    assert world.named("closed") == [("too_high", 1)]
    row = world.index.written["device:1"]["fleet"]
    assert (row["state"], row["alerts"], row["severity"]) == ("ok", [], 0)
    assert [message.subject for message in world.topic.messages] == [
        "Device alerts of iot-stream: 1 opened",
        "Device alerts of iot-stream: 1 closed",
    ]
    assert "Device 1: Temperature 41 °C" in world.topic.messages[0].text


@pytest.mark.parametrize(
    ("value", "text"), [(1_013_250.5, "1,013,250.5"), (38.25, "38.25"), (5e9, "5e+09"), (123_456_789, "123,456,789")]
)
def test_a_large_value_is_told_with_its_digits(value: float, text: str) -> None:
    """Pressure in pascal is 101,325, and not 1.01325e+05; nine digits are enough."""
    world = World()
    world.minutes(5, {1: value})
    assert f"Temperature {text} °C, above 38 °C" in world.alerts()[0]["alert"]["text"]


@pytest.mark.parametrize("phase", range(1, 60, 7))
def test_it_does_not_matter_when_runs_begin(phase: int) -> None:
    """Two minutes beyond the threshold open an alert, whenever the first reading of them arrives between two runs.

    It is counted from the first of them, not from the first run that sees one.
    """
    world = World()
    for second in range(1, 541):
        world.now += 1_000
        world.send(1, 41.0 if 120 + phase <= second < 240 + phase else 20.0)
        if second % 60 == 0:
            world.run()
    assert world.named() == [("too_high", 1)]
    assert world.alerts()[0]["alert"]["since"] == iso(START + (120 + phase) * 1_000)


@pytest.mark.parametrize("phase", range(0, 60, 5))
def test_what_was_hot_for_a_minute_between_two_runs_is_told_whenever_they_look(phase: int) -> None:
    """Hot for 70 seconds: no run may have seen it hot for 60, and each sees it in its window afterwards."""
    world = World()
    for second in range(5, 541, 5):
        world.now += 5_000
        world.send(1, 41.0 if 120 + phase <= second < 190 + phase else 20.0)
        if second % 60 == 0:
            world.run()
    assert world.named("closed") == [("too_high", 1)]
    assert world.alerts()[0]["alert"]["since"] == iso(START + (120 + phase) * 1_000)
    assert world.told() == (1, 1)


def test_what_was_hot_while_runs_were_missed_is_one_alert_that_is_over() -> None:
    """Eighteen minutes without a run, ten of them hot: it opened and closed, and the message says from when to when."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    began = world.now + 4 * MINUTE + 10_000
    world.minutes(4, {1: 20.0, 2: 20.0}, runs=False)
    world.minutes(9, {1: 41.0, 2: 20.0}, runs=False)
    world.minutes(1, {1: 42.5, 2: 20.0}, runs=False)
    ended = world.now
    world.minutes(4, {1: 20.0, 2: 20.0}, runs=False)
    world.run()
    [alert] = [each["alert"] for each in world.alerts()]
    assert (alert["state"], alert["since"], alert["opened_at"]) == ("closed", iso(began), iso(began + MINUTE))
    told = f"Device 1: Temperature was 42.5 °C, above 38 °C from {iso(began)} to {iso(ended)}"
    assert alert["text"] == told
    [message] = world.topic.messages
    assert (message.opened, message.closed) == (1, 1)
    assert told in message.text
    world.minutes(5, {1: 20.0, 2: 20.0})
    assert (len(world.alerts()), len(world.topic.messages)) == (1, 1), "what was told is not found again"


@examples(10)
@given(start=st.integers(0, 20), length=st.integers(1, 40), ran=st.lists(st.booleans(), min_size=14, max_size=14))
def test_it_is_told_once_if_it_lasted_whatever_runs_were_missed(start: int, length: int, ran: list[bool]) -> None:
    """Readings every ten seconds, `length` of them hot: one alert if that is a minute from first to last, else none."""
    world = World()
    world.minutes(2, {1: 20.0})
    for step in range(14 * 6):
        world.now += 10_000
        world.send(1, 41.0 if start <= step < start + length else 20.0)
        if (step + start) % 6 == 0 and ran[step // 6]:
            world.run()
    for _ in range(3):
        world.minutes(1, {1: 20.0})
        world.assert_rows_are_right()
    expected = 1 if (length - 1) * 10 >= 60 else 0
    assert (world.named("closed"), world.told()) == ([("too_high", 1)] * expected, (expected, expected))


def test_a_fleet_that_flaps_as_a_whole_costs_a_run_no_more_than_its_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is judged by its latest value; the run ends in time."""
    monkeypatch.setattr(missed, "_READINGS", 40)
    monkeypatch.setattr(missed, "_SEARCHES", 3)
    world = World()
    fleet = range(12)
    world.minutes(2, dict.fromkeys(fleet, 20.0))
    world.minutes(2, dict.fromkeys(fleet, 41.0), runs=False)
    world.minutes(1, dict.fromkeys(fleet, 20.0), runs=False)
    summary = world.run()
    assert len(world.alerts()) == 3, "one device of a search: two have more readings together than it may return"
    assert summary.not_looked_at == 9
    world.assert_rows_are_right()


def test_a_device_with_more_readings_than_are_read_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is judged by its latest value, and the run says of how many devices that holds; not of those in order."""
    monkeypatch.setattr(missed, "_READINGS", 40)
    world = World()
    world.minutes(2, {1: 20.0, 2: 20.0})
    world.minutes(10, {1: 41.0, 2: 20.0}, runs=False)
    world.minutes(1, {1: 20.0, 2: 20.0}, runs=False)
    assert (world.run().not_looked_at, world.alerts()) == (1, [])
    world.minutes(1, {1: 20.0, 2: 20.0}, runs=False)
    assert world.run().not_looked_at == 0


def test_a_device_that_flaps_opens_nothing() -> None:
    """Every other reading is within bounds: it was never beyond them for a minute."""
    world = World()
    for _ in range(100):
        world.now += 10_000
        world.send(1, 41.0)
        world.now += 10_000
        world.send(1, 20.0)
        world.send(1, 41.0, at=world.now + 1)
        world.run()
    assert world.named() == []


def test_a_silent_device_opens_one_alert_and_closes_once_it_has_talked_for_a_while() -> None:
    """180 seconds and the grace, counted to what has been delivered."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.minutes(3, {2: 20.0})
    assert world.named() == []
    world.minutes(30, {2: 20.0})
    assert world.named("open") == [("silent", 1)]
    assert world.index.written["device:1"]["fleet"]["state"] == "silent"
    world.minutes(1, {1: 20.0, 2: 20.0})
    assert world.named("open") == [("silent", 1)]
    world.minutes(2, {1: 20.0, 2: 20.0})
    assert world.named("closed") == [("silent", 1)]
    assert len(world.topic.messages) == 2


def test_a_device_that_speaks_once_in_a_while_does_not_flap() -> None:
    """One reading every four minutes with 180 seconds allowed: one alert, which stays."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    for _ in range(10):
        world.minutes(4, {2: 20.0})
        world.send(1)
    assert world.named() == [("silent", 1)]


def test_a_pause_that_opens_no_alert_closes_one() -> None:
    """Every four minutes, with 180 s allowed and both buffers of 60 s: its alert closes once it does so again."""
    world = World(settings=RunSettings("iot-stream", grace=120_000, late_after=600_000))

    def minutes(count: int, *, talks: bool) -> None:
        for minute in range(count):
            world.minutes(1, {2: 20.0, **({1: 20.0} if talks and minute % 4 == 3 else {})})

    minutes(60, talks=True)
    assert world.named() == []
    minutes(15, talks=False)
    assert world.named("open") == [("silent", 1)]
    minutes(60, talks=True)
    assert (world.named("open"), world.named("closed")) == ([], [("silent", 1)])


@pytest.mark.parametrize("left", [0, 30])
def test_without_the_latest_readings_time_goes_on(left: int) -> None:
    """Every index was deleted or closed, or the newest one: nothing is delivered, and somebody is told of it."""
    world = World()
    world.minutes(10, {1: 20.0, 2: 45.0})
    del world.index.readings[left:]
    for _ in range(30):
        world.now += MINUTE
        world.run()
    assert world.named("open") == [("too_high", 2), ("pipeline_late", None)]
    assert "No reading that arrived after" in world.topic.messages[-1].text


def test_a_late_pipeline_is_one_alert_and_makes_no_device_silent() -> None:
    """Nothing is delivered for twenty minutes; then all of it, with the arrival times that it has."""
    world = World()
    fleet = dict.fromkeys(range(20), 20.0)
    world.minutes(5, fleet)
    for _ in range(20):
        world.now += MINUTE
        world.run()
    assert world.named("open") == [("pipeline_late", None)]
    for minute, device in itertools.product(range(20 * 6), fleet):
        world.send(device, at=world.now - minute * 10_000)
    world.minutes(5, fleet)
    assert world.named() == [("pipeline_late", None)]
    assert world.named("open") == []
    assert [(message.opened, message.closed) for message in world.topic.messages] == [(1, 0), (0, 1)]


def test_what_is_delivered_last_after_an_outage_makes_no_device_silent() -> None:
    """One shard's backlog is delivered before another's: silence waits until delivery has been on time for a while."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.now += 20 * MINUTE
    world.run()
    world.minutes(2, {2: 20.0})  # device 1 has been sending all the time
    for _ in range(2):
        world.minutes(1, {1: 20.0, 2: 20.0})
    assert ("silent", 1) not in world.named()


@pytest.mark.parametrize(("seconds", "silent"), [(190, False), (199, False), (201, True)])
def test_silence_begins_after_what_is_allowed_and_the_grace(seconds: int, silent: bool) -> None:
    """180 seconds and 20, by which one device's readings may be delivered later than another's."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.now += seconds * 1000
    world.send(2)
    world.run()
    assert world.named() == ([("silent", 1)] if silent else [])


def test_a_device_that_was_hot_and_then_silent_while_runs_were_missed_has_both_alerts_in_its_row() -> None:
    """The pages of silent devices are judged after those of readings: they must see what these have opened."""
    world = World()
    world.minutes(6, {1: 20.0, 2: 20.0})
    world.minutes(3, {1: 20.0, 2: 45.0}, runs=False)
    world.minutes(8, {1: 20.0}, runs=False)
    summary = world.run()
    assert sorted(world.named("open")) == [("silent", 2), ("too_high", 2)]
    assert summary.opened == 2
    row = world.index.written["device:2"]["fleet"]
    assert (row["state"], row["alerts"]) == ("out of bounds", ["silent", "too_high:temp_celsius"])
    world.assert_rows_are_right()


def test_while_sns_is_down_the_fleet_is_judged_and_afterwards_everything_is_told() -> None:
    """Ten minutes: each run does its work and ends with the error; then the refused message comes, and one more."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.topic.is_down = True
    errors = 0
    for minute in range(10):
        world.minutes(1, {1: 41.0, 2: 41.0 if 3 <= minute < 6 else 20.0}, runs=False)
        try:
            world.run()
        except EndpointConnectionError:
            errors += 1
        assert world.index.written["device:2"]["fleet"]["last_seen"] == iso(world.now)
    assert world.named() == [("too_high", 1), ("too_high", 2)]
    assert (world.named("open"), world.topic.messages, errors) == ([("too_high", 1)], [], 9)
    world.topic.is_down = False
    world.minutes(2, {1: 41.0, 2: 20.0})
    assert [(message.opened, message.closed) for message in world.topic.messages] == [(1, 0), (1, 1)]


def test_a_wrong_clock_opens_an_alert_and_hides_nobody() -> None:
    """Ten minutes ahead: the readings count by their arrival all the same."""
    world = World()
    for _ in range(20):
        world.now += 30_000
        world.send(1, ahead=600_000)
        world.send(2, ahead=-3_600_000)
        world.send(3, ahead=-30 * 86_400_000)
        world.run()
    assert world.named("open") == [("clock_wrong", 1), ("clock_wrong", 3)]
    texts = [each["alert"]["text"] for each in world.alerts()]
    assert texts == ["Device 1: its clock is 600 s ahead", "Device 3: its clock is 2,592,000 s behind"]


def test_a_rule_that_is_no_longer_described_closes_its_alert() -> None:
    """Nobody could judge it any more."""
    world = World()
    world.minutes(5, {1: 41.0})
    assert world.named("open") == [("too_high", 1)]
    document = {
        "title": "t", "device": "device_id", "device_label": "Device", "time": "timestamp", "arrival": "ingested_at",
        "silent_after": 180, "clock_ahead": 300, "clock_behind": 604800, "measures": [],
    }  # fmt: skip
    world.rules = parse(document)
    world.minutes(1, {1: 41.0})
    assert (world.named("open"), world.named("closed")) == ([], [("too_high", 1)])


def test_a_measure_that_readings_may_lack_keeps_its_latest_value() -> None:
    """The device takes turns: each measure is judged by its own latest value."""
    common = {"label": "x", "unit": None, "above": 10, "below": None, "after": 60, "margin": 0, "optional": True}
    rules = parse(
        {
            "title": "t", "device": "device_id", "device_label": "Device", "time": "timestamp",
            "arrival": "ingested_at", "silent_after": 180, "clock_ahead": 300, "clock_behind": 604800,
            "measures": [
                {"field": "temp_celsius", **common},
                {"field": "humidity", **common, "above": None, "below": 5},
            ],
        }
    )  # fmt: skip
    world = World(rules)
    for turn in range(40):
        world.now += 10_000
        name, value = ("temp_celsius", 20.0) if turn % 2 else ("humidity", 3.0)
        world.index.add({"device_id": 1, name: value, "timestamp": world.now, "ingested_at": world.now})
        world.run()
    assert sorted(world.named("open")) == [("too_high", 1), ("too_low", 1)]
    row = world.index.written["device:1"]
    assert (row["temp_celsius"], row["humidity"], row["fleet"]["alerts"]) == (
        20.0,
        3.0,
        ["too_high:temp_celsius", "too_low:humidity"],
    )


def test_many_devices_are_pages_and_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never one message for each; it tells twenty one by one, and how many more there are."""
    monkeypatch.setattr(queries, "_PAGE", 10)
    world = World()
    world.minutes(5, dict.fromkeys(range(50), 50.0))
    [message] = world.topic.messages
    assert (message.opened, len(world.named("open"))) == (50, 50)
    assert "Opened: 50 (too high 50)" in message.text
    assert "and 30 more" in message.text
    assert len(message.text) < 5_000


def test_a_second_run_at_the_same_time_does_nothing() -> None:
    """It finds the first one's lease; after its time-out nobody waits for it."""
    world = World()
    world.minutes(5, {1: 41.0}, runs=False)
    world.killer.at = 4
    with pytest.raises(Death):
        world.run()
    world.killer.at = None
    assert world.run().skipped
    world.now += 50_000
    assert not world.run().skipped


def test_two_runs_that_claim_at_the_same_moment_are_one() -> None:
    """The second write of the same version is refused."""
    world = World()
    world.run()
    stale = world.index.get(RUN_ID)
    assert stale is not None
    real = world.index.get
    world.index.get = lambda identity: stale if identity == RUN_ID else real(identity)  # type: ignore[method-assign]
    world.run()
    assert world.run().skipped


# ---- random days -----------------------------------------------------------------------------------------------------


def _minute(world: World, draw: random.Random, fleet: dict[int, str]) -> None:
    for _ in range(3):
        world.now += 20_000
        for device, mood in fleet.items():
            if mood != "silent":
                hot = mood == "hot" or (mood == "flapping" and draw.random() < 0.5)
                world.send(device, 41.0 if hot else 20.0, ahead=900_000 if mood == "ahead" else 0)
    for device in fleet:
        if device and draw.random() < 0.15:
            fleet[device] = draw.choice(["fine", "hot", "silent", "flapping", "ahead"])


@examples(12)
@given(
    seed=st.integers(0, 2**32),
    kills=st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=8),
    down_from=st.integers(0, 24),
)
def test_killed_runs_forget_nothing_and_repeat_only_what_says_so(
    seed: int, kills: list[tuple[int, bool]], down_from: int
) -> None:
    """Random fleets; runs end between any two calls, or right after one, whose response nobody hears.

    For ten minutes SNS takes no message.

    What is promised (device_alerts/run.py): every opening and closing is told, in one message; the same message comes
    twice only where a run was killed between SNS's acceptance and the next write, and then it has the same id and says
    so; at most one alert of a rule is open for a device at any time.
    """
    draw = random.Random(seed)
    world = World()
    fleet = dict.fromkeys(range(5), "fine")  # device 0 always sends: delivery is never late
    pending, killed_while_publishing = list(kills), 0
    for minute in range(25):
        _minute(world, draw, fleet)
        world.topic.is_down = down_from <= minute < down_from + 10
        if pending and draw.random() < 0.4:
            at, after = pending.pop()
            world.killer.calls, world.killer.at, world.killer.after = 0, at, after
            before = len(world.topic.messages)
            try:
                world.run()
            except Death:
                killed_while_publishing += len(world.topic.messages) > before
            except EndpointConnectionError:
                world.assert_rows_are_right()
            world.killer.at = None
        elif draw.random() < 0.8:  # else it is missed
            with suppress(EndpointConnectionError):
                if world.run().skipped:
                    continue
            world.assert_rows_are_right()
        _at_most_one_open_alert_each(world)
    world.topic.is_down = False
    for _ in range(2):  # with the last lease over, everything is told
        world.now += MINUTE
        world.send(0)
        world.run()
    assert world.told() == (len(world.alerts()), len(world.alerts("closed"))), f"seed {seed}"
    world.assert_rows_are_right()
    _messages_are_as_promised(world.topic.messages, killed_while_publishing)


def _at_most_one_open_alert_each(world: World) -> None:
    opened = world.named("open")
    assert len(opened) == len(set(opened))


def _messages_are_as_promised(messages: list[Message], most_repeated: int) -> None:
    firsts: dict[str, Message] = {}
    repeats = 0
    for message in messages:
        if message.id in firsts:
            repeats += 1
            assert message.text.startswith("This message may be a duplicate")
            assert message.text.endswith(firsts[message.id].text.split("\n\n", 1)[-1])
            assert (message.opened, message.closed) == (firsts[message.id].opened, firsts[message.id].closed)
        firsts.setdefault(message.id, message)
    assert repeats <= most_repeated
    spans = [tuple(map(int, each.split(":")[1].split("-"))) for each in firsts]
    assert all(left[1] < right[0] for left, right in itertools.pairwise(spans)), "no run is told in two messages"


@examples(3)
@given(seed=st.integers(0, 2**32))
def test_missed_runs_change_when_it_is_told_and_not_what(seed: int) -> None:
    """A fleet whose devices are wrong for long: with half of the runs missed the same alerts open and close."""

    def alerts_with(missed: float) -> list[tuple[str, int | None]]:
        draw, world = random.Random(seed), World()
        luck = random.Random(seed + 1)
        fleet = dict.fromkeys(range(4), "fine")
        for device in range(1, 4):
            fleet[device] = draw.choice(["fine", "hot", "silent", "ahead"])
        world.minutes(6, dict.fromkeys(fleet, 20.0))
        for moods in (fleet, dict.fromkeys(fleet, "fine")):
            for _ in range(20):
                _minute(world, _Steady(), dict(moods))
                if luck.random() >= missed:
                    world.run()
                    world.assert_rows_are_right()
        for _ in range(6):
            _minute(world, _Steady(), dict.fromkeys(fleet, "fine"))
            world.run()
        assert world.named("open") == [], "all is well again"
        assert world.told() == (len(world.alerts()), len(world.alerts()))
        return sorted((str(rule), device or 0) for rule, device in world.named())

    assert alerts_with(0.5) == alerts_with(0.0)


class _Steady(random.Random):
    """Changes no device's mood."""

    def random(self) -> float:
        """Return the number that changes nothing."""
        return 0.99


def test_an_outage_of_the_domain_ends_the_run_and_costs_nothing() -> None:
    """The run raises, so that Lambda counts an error; the runs after it make up for it."""
    world = World()
    world.minutes(3, {1: 20.0, 2: 20.0})
    working = world.index.search_readings

    def away(_body: object) -> dict[str, Any]:
        raise OSError("no response")

    world.index.search_readings = away  # type: ignore[method-assign]
    for _ in range(2):
        world.minutes(1, {1: 41.0, 2: 20.0}, runs=False)
        with pytest.raises(OSError, match="no response"):
            world.run()
    world.index.search_readings = working  # type: ignore[method-assign]
    world.minutes(3, {1: 41.0, 2: 20.0})
    assert world.named("open") == [("too_high", 1)]
    assert world.told() == (1, 0)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_alert_has_a_severity_and_a_name(kind: Kind) -> None:
    """A kind that a message or the table of the fleet does not know would fail in a run."""
    alert = Alert(str(kind), 1, START, START, None, "text", 1)
    assert alert.document(RULES)["alert"]["severity"] > 0
    assert kind in _NAMES
