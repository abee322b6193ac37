"""Buffers, shards and backoff: the small pure parts of the delivery worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core import backoff
from iot_stream.delivery.core.backoff import Backoff
from iot_stream.delivery.core.buffer import Bounds, Buffer
from iot_stream.delivery.core.shards import Shard, readable


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 500)), max_size=40),
    st.integers(1, 400),
    st.integers(1, 600),
)
def test_batches_keep_order_and_bounds(sizes: list[tuple[int, int]], size: int, payload: int) -> None:
    """Every item is returned once, in order, in batches within both bounds unless one item alone is larger."""
    buffer: Buffer[int] = Buffer(Bounds(size, 1000, payload))
    for number, (item_size, item_payload) in enumerate(sizes):
        buffer.add(number, item_size, now=0, payload=item_payload)
    seen: list[int] = []
    while buffer.due(0, flush=True):
        batch = buffer.cut()
        assert batch
        assert len(batch) == 1 or sum(sizes[n][0] for n in batch) <= size
        assert len(batch) == 1 or sum(sizes[n][1] for n in batch) <= payload
        seen += batch
    assert seen == list(range(len(sizes)))
    assert buffer.due_at() is None


def test_a_buffer_is_due_by_size_or_by_time() -> None:
    """A batch is due when the buffer is full or its oldest item has waited for the interval."""
    buffer: Buffer[str] = Buffer(Bounds(100, 60_000))
    buffer.add("a", 60, now=1_000)
    assert not buffer.due(60_999)
    assert buffer.due_at() == 61_000
    assert buffer.due(61_000)
    buffer.add("b", 40, now=2_000)
    assert buffer.due(2_000)
    assert buffer.cut() == ["a", "b"]


def test_an_interval_of_0_is_at_once() -> None:
    """With an interval of 0 any item is due."""
    buffer: Buffer[str] = Buffer(Bounds(100, 0))
    assert not buffer.due(5)
    buffer.add("a", 1, now=5)
    assert buffer.due(5)


@pytest.mark.parametrize("schedule", [backoff.READ, backoff.INVOKE, backoff.INDEX, backoff.STORE])
def test_waits_grow_to_a_ceiling(schedule: Backoff) -> None:
    """Each wait is at least the one before it, and none is longer than the ceiling."""
    waits = [schedule.wait(attempt) for attempt in range(1, 200)]
    assert waits[0] == schedule.first
    assert waits == sorted(waits)
    assert waits[-1] == schedule.ceiling


def test_a_duration_bounds_the_attempts() -> None:
    """Of a schedule with waits 1, 2, 4, 4 … seven time units hold the first attempt and three more."""
    assert Backoff(1, 4).attempts(7) == 4
    assert Backoff(1, 4).attempts(0) == 1


def test_children_wait_for_their_parents() -> None:
    """A split's children and a merge's child are read only when all their parents are read to the end."""
    shards = [Shard("1"), Shard("2"), Shard("3", ("1",)), Shard("4", ("1",)), Shard("5", ("2", "4"))]
    assert readable(shards, set(), set()) == ["1", "2"]
    assert readable(shards, set(), {"1"}) == ["2", "3", "4"]
    assert readable(shards, set(), {"1", "4"}) == ["2", "3"]
    assert readable(shards, set(), {"1", "2", "4"}) == ["3", "5"]


def test_forgotten_parents_and_begun_children_do_not_wait() -> None:
    """A child does not wait for a parent that the stream no longer lists, nor for any parent once it was begun."""
    assert readable([Shard("3", ("1",))], set(), set()) == ["3"]
    assert readable([Shard("1"), Shard("3", ("1",))], {"3"}, set()) == ["1", "3"]
