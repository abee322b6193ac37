"""The plan of a siege: the same for the same seed, one trouble at a time in a lane, every kind has its turn."""

import threading
from itertools import pairwise
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import chaos
from tests.chaos import LANES, Siege, Trouble, plan


@given(st.integers(0, 2**32), st.floats(0, 4000))
def test_a_lane_has_one_trouble_at_a_time_and_ends_in_quiet(seed: int, seconds: float) -> None:
    """Whatever the seed, everything is mended before the end."""
    for lane, troubles in plan(seed, seconds).items():
        for earlier, later in pairwise(troubles):
            assert later.at >= earlier.at + earlier.seconds
        for trouble in troubles:
            assert trouble.lane == lane
            assert trouble.at >= 5
            assert trouble.at + trouble.seconds <= seconds - 5


def test_a_minute_has_every_kind_of_trouble() -> None:
    """The short form's: the seed alone decides the order."""
    lanes = plan(16, 60)
    assert lanes == plan(16, 60) != plan(17, 60)
    assert {lane: {trouble.kind for trouble in troubles} for lane, troubles in lanes.items()} == {
        lane: set(kinds) for lane, kinds in LANES.items()
    }


def test_a_trouble_that_cannot_be_mended_ends_the_siege(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with its reason: an hour without a domain would prove nothing about the worker."""
    ended = threading.Event()

    def send(*_: object, stop: object, **__: object) -> None:
        assert callable(stop)
        while not stop():
            ended.wait(0.01)
        ended.set()

    def mended_in_vain(*_: object) -> None:
        raise RuntimeError("the domain does not start")

    monkeypatch.setattr(chaos, "send_readings", send)
    siege = Siege(MagicMock(), 1, MagicMock())
    monkeypatch.setattr(siege, "_domain_kill", mended_in_vain, raising=False)
    trouble = Trouble(0, "domain", "kill", 1)
    with pytest.raises(RuntimeError, match="does not start"):
        siege.play({"domain": [trouble]}, seed=1, rate=1, seconds=3600)
    assert ended.is_set()
