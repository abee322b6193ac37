"""A siege: its plan follows from the seed, every kind of trouble has its turn, and an empty or leaking one fails."""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core.progress import Progress, ShardProgress, decode_progress, encode_progress
from iot_stream.delivery.errors import DECODE_ERRORS
from iot_stream.generator.ledger import Accepted
from iot_stream.run.reconciliation import Reconciliation
from tests.chaos import siege as siege_module
from tests.chaos.__main__ import parse
from tests.chaos.plan import LANES, SHORT, Lane, Trouble, plan
from tests.chaos.report import Played, bounds, siege_faults, trouble_table, usage_faults, usage_table
from tests.chaos.siege import Siege
from tests.chaos.troubles import DAMAGES, SkippedError, Troubles, in_force_since

ALL_WELL = Reconciliation(sent=100, searchable=90, failed=10, missing=0, duplicates=0)
EVERYTHING = [Played(lane, kind, 1, 1) for lane, kinds in LANES.items() for kind in kinds]


# ---- the plan ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.floats(20, 4000))
def test_every_round_has_every_kind_once(seed: int, seconds: float) -> None:
    """In another order each time; no trouble and no pause lasts long enough to be an outage."""
    for lane in plan(seed, seconds):
        first, second = (list(islice(lane.troubles, len(lane.kinds))) for _ in range(2))
        for rounds in (first, second):
            assert sorted(trouble.kind for trouble in rounds) == sorted(LANES[lane.name])
            assert all(0.5 <= trouble.seconds <= 6 and 0.5 <= trouble.pause <= 10 for trouble in rounds)


def test_the_plan_follows_from_the_seed() -> None:
    """A siege that found something can be played again."""

    def some(seed: int) -> list[list[Trouble]]:
        return [list(islice(lane.troubles, 20)) for lane in plan(seed, 300)]

    assert some(16) == some(16) != some(17)


@given(st.integers(0, 2**32))
def test_two_minutes_have_room_for_every_kind(seed: int) -> None:
    """With the minute that OpenSearch may take to start again; and the short form needs no more than its minute."""
    for seconds, lanes, mending in ((120, LANES, 60), (60, SHORT, 0)):
        for lane in plan(seed, seconds, lanes):
            turn = (seconds - 10 - mending * (lane.name == "domain")) / len(lane.kinds)
            first = islice(lane.troubles, len(lane.kinds))
            assert all(trouble.pause + trouble.seconds <= turn + 0.01 for trouble in first)


@pytest.mark.parametrize(
    "arguments", [["--for", "19"], ["--for", "0"], ["--for", "nan"], ["--outage", "5"], ["--rate", "0"]]
)
def test_what_proves_nothing_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In words, before anything is started."""
    with pytest.raises(SystemExit, match="2"):
        parse(arguments)
    said = capsys.readouterr().err
    assert "prove nothing" in said or "nothing to account for" in said


# ---- playing -----------------------------------------------------------------------------------------------------


class Scripted:
    """Troubles that only note that they were played; `refused` says how often a kind is skipped first."""

    def __init__(self, refused: dict[str, int]) -> None:
        self.begun: list[str] = []
        self.mended: list[str] = []
        self._refused = Counter(refused)

    def __getattr__(self, name: str) -> Any:
        def play(_: float) -> Iterator[None]:
            if self._refused[name] > 0:
                self._refused[name] -= 1
                raise SkippedError("not now")
            self.begun.append(name)
            yield
            self.mended.append(name)

        return play


@pytest.fixture
def besieged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Play lanes against nothing: the sender sends until it is told to stop, and nobody waits."""

    def send(*_: object, stop: Any, **__: object) -> None:
        while not stop():
            threading.Event().wait(0.001)

    def play(lanes: list[Lane], seconds: float, **refused: int) -> tuple[Siege, Scripted]:
        troubles = Scripted(refused)
        siege = Siege(MagicMock(), troubles)  # type: ignore[arg-type]
        siege.play(lanes, seed=1, rate=1, seconds=seconds)
        return siege, troubles

    monkeypatch.setattr(siege_module, "send_readings", send)
    monkeypatch.setattr(siege_module, "QUIET", 0.0)
    monkeypatch.setattr(Siege, "account", lambda _: ALL_WELL)
    return play


def a_lane(*kinds: str, seconds: float = 0.0) -> Lane:
    """A lane of endless rounds without pauses."""

    def rounds() -> Iterator[Trouble]:
        while True:
            yield from (Trouble("lane", kind, 0, seconds) for kind in kinds)

    return Lane("lane", kinds, rounds())


def test_a_siege_lasts_until_every_kind_was_played(besieged: Any) -> None:
    """A slow machine makes it longer, not emptier: no kind was played within no time at all."""
    siege, troubles = besieged([a_lane("a", "b", "c")], 0.0)
    assert troubles.begun == troubles.mended == ["lane_a", "lane_b", "lane_c"]
    assert [each.kind for each in siege.played] == ["a", "b", "c"]


def test_a_siege_ends_when_its_time_is_over(besieged: Any) -> None:
    """Nobody is troubled after that who has been before."""
    _, troubles = besieged([a_lane("a", "b", seconds=0.02)], 0.3)
    assert set(troubles.begun) == {"lane_a", "lane_b"}
    assert 2 <= len(troubles.begun) <= 15


def test_a_skipped_trouble_is_counted_and_has_another_turn(besieged: Any) -> None:
    """With the reason, which the table shows."""
    lane = a_lane("a", "b")
    siege, troubles = besieged([lane], 0.0, lane_a=2)
    assert troubles.begun == ["lane_b", "lane_a"]
    assert [each.skipped for each in siege.played if each.kind == "a"] == ["not now", "not now", ""]
    assert siege_faults([lane], siege.played, ALL_WELL, 100) == []
    assert ["lane:", "a", "1", "2", "not", "now", "(2)"] in [
        line.split() for line in trouble_table([lane], siege.played).splitlines()
    ]


def test_a_trouble_that_is_always_skipped_fails_the_siege(besieged: Any) -> None:
    """It does not go on for ever either."""
    lane = a_lane("a", "b")
    siege, _ = besieged([lane], 0.0, lane_a=1000)
    assert siege_faults([lane], siege.played, ALL_WELL, 100) == ["lane: a was never played"]


def test_a_trouble_that_cannot_be_mended_ends_the_siege(besieged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with its reason: an hour without a domain would prove nothing about the worker."""

    def in_vain(*_: object) -> Iterator[None]:
        raise RuntimeError("the domain does not start")

    monkeypatch.setattr(Scripted, "lane_kill", in_vain, raising=False)
    with pytest.raises(RuntimeError, match="does not start"):
        besieged([a_lane("kill")], 3600)


def test_a_worker_that_ends_by_itself_ends_the_siege() -> None:
    """To kill, freeze or replace what is dead already would hide it."""
    world = MagicMock()
    world.workers[-1].poll.return_value = 3
    world.log.read_text.return_value = "out of luck"
    troubles = Troubles(world, 1, MagicMock())
    for trouble in (troubles.worker_kill, troubles.worker_freeze):
        with pytest.raises(RuntimeError, match="by itself, with 3: out of luck"):
            next(trouble(1))
    world.start.assert_not_called()


def test_nobody_waits_for_a_worker_that_has_ended(tmp_path: Path) -> None:
    """What it has not delivered would count as missing after a long while, and nobody would know why."""
    world = MagicMock(folder=tmp_path)
    world.workers[-1].poll.return_value = 3
    world.status.delivered = world.status.failed = 0
    siege = Siege(world, Troubles(world, 1, MagicMock()))
    siege.ledger.append("run", [Accepted("shardId-000000000000", "1", b"")])
    with pytest.raises(RuntimeError, match="by itself"):
        siege.account()


def test_the_settings_in_force_are_those_of_the_log() -> None:
    """Since the worker's first line about them: one that starts later with the same says nothing new."""
    begins = "INFO delivering from arn:aws:kinesis:us-east-1:000000000000:stream/s to https://127.0.0.1:1"
    lines = [
        f"2026-11-27 23:10:31,838 {begins} (version 1)",
        "2026-11-27 23:10:40,500 INFO version 2 is in force",
        "2026-11-27 23:10:41,000 ERROR version 2 stays in force: the S3 backup: S3Update",
        f"2026-11-27 23:10:50,000 {begins} (version 2)",
    ]
    since = datetime(2026, 11, 27, 23, 10, 40, 500_000).astimezone().timestamp()
    assert in_force_since("\n".join(lines), "2") == since
    assert in_force_since("\n".join(lines), "3") == math.inf
    assert in_force_since("\n".join([*lines, "2026-11-27 23:11:00,000 INFO version 3 is in force"]), "2") == math.inf
    assert in_force_since("", "1") == math.inf


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_progress_file_is_damaged(name: str) -> None:
    """Each kind is one that the worker must refuse."""
    whole = encode_progress(Progress("arn", 1.0, {"shardId-000000000000": ShardProgress("123")}))
    assert decode_progress(whole)
    with pytest.raises(DECODE_ERRORS):
        decode_progress(DAMAGES[name](whole))


# ---- the verdict -------------------------------------------------------------------------------------------------


def lanes() -> list[Lane]:
    """Those of a whole siege."""
    return plan(1, 120)


def test_a_siege_in_which_all_is_well_has_no_faults() -> None:
    """Every kind was played, and every reading has its place."""
    assert siege_faults(lanes(), EVERYTHING, ALL_WELL, 100) == []


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Reconciliation(0, 0, 0, 0, 0), "only 0 of 100 readings were sent"),
        (Reconciliation(49, 49, 0, 0, 0), "only 49 of 100 readings were sent"),
        (Reconciliation(100, 90, 9, 1, 0), "1 readings are missing"),
        (Reconciliation(100, 100, 0, 0, 2), "2 readings are in two indices"),
    ],
)
def test_readings_without_their_place_are_faults(result: Reconciliation, words: str) -> None:
    """So is a siege without readings, in which nothing can be missing."""
    assert siege_faults(lanes(), EVERYTHING, result, 100) == [words]


@given(st.sampled_from(EVERYTHING))
def test_a_kind_that_was_not_played_is_a_fault(left_out: Played) -> None:
    """Also where it was skipped."""
    skipped = Played(left_out.lane, left_out.kind, 1, 0, "not now")
    played = [each for each in EVERYTHING if each != left_out]
    words = [f"{left_out.lane}: {left_out.kind} was never played"]
    assert (
        siege_faults(lanes(), played, ALL_WELL, 100)
        == siege_faults(lanes(), [*played, skipped], ALL_WELL, 100)
        == words
    )


def used(**changes: dict[str, float]) -> dict[str, dict[str, dict[str, float]]]:
    """What all parts use at their bounds; `changes` are of the worker."""
    return {
        part: {
            what: {"first": 1.0, "highest": changes.get(what, {}).get(part, limit), "last": 1.0}
            for what, limit in limits.items()
        }
        for part, limits in bounds(90_000, 300).items()
    }


def test_each_bound_is_checked() -> None:
    """At the bound is well; above it, or never looked at, is a fault."""
    limits = bounds(90_000, 300)
    assert usage_faults(used(), limits) == []
    for part, measures in limits.items():
        for what, limit in measures.items():
            assert usage_faults(used(**{what: {part: limit + 1}}), limits) == [
                f"{part}: {what} was {limit + 1:g}, above {limit:g}"
            ]
            missing = used()
            del missing[part][what]
            assert usage_faults(missing, limits) == [f"{part}: {what} was never sampled"]
    assert len(usage_faults({}, limits)) == 12


def test_the_table_has_peaks_beside_bounds() -> None:
    """What has no bound, such as the backlog, is shown too."""
    backlog = {"delivery": {"backlog": {"first": 0.0, "highest": 12_345.0, "last": 0.0}}}
    lines = [line.split() for line in usage_table(used() | backlog, bounds(90_000, 300)).splitlines()]
    assert ["worker", "threads", "1", "24", "1", "24"] in lines
    assert ["delivery", "backlog", "0", "12345", "0"] in lines
