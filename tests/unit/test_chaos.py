"""The plan of a siege: the same for the same seed, one trouble at a time in a lane, every kind has its turn."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos import LANES, plan


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
