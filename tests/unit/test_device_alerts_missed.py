"""What came and went between two runs is told once, and only from the first run on."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from tests.alerts_index import Death
from tests.unit.test_device_alerts_run import World


def world_with_an_open_alert() -> World:
    """Device 1 has been too hot for some minutes; one more, and that it has cooled down since, no run has seen."""
    world = World()
    world.minutes(3, {1: 20.0, 2: 20.0})
    world.minutes(4, {1: 41.0, 2: 20.0})
    assert world.named("open") == [("too_high", 1)]
    world.minutes(1, {1: 41.0, 2: 20.0}, runs=False)
    world.minutes(4, {1: 20.0, 2: 20.0}, runs=False)
    return world


def calls_of_the_run_that_closes() -> int:
    """Return how many calls it makes."""
    world = world_with_an_open_alert()
    world.killer.calls = 0
    world.run()
    return world.killer.calls


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after it"])
def test_a_run_that_ends_while_it_closes_tells_an_episode_once(after: bool) -> None:
    """Ended at each of its calls in turn, also between the alert that is closed and the device's document."""
    calls = calls_of_the_run_that_closes()
    assert calls > 10
    for at in range(1, calls + 1):
        world = world_with_an_open_alert()
        world.killer.calls, world.killer.at, world.killer.after = 0, at, after
        with pytest.raises(Death):
            world.run()
        world.killer.at = None
        world.minutes(3, {1: 20.0, 2: 20.0})
        assert world.named() == world.named("closed") == [("too_high", 1)], at
        assert world.told() == (1, 1), at


def test_a_refused_device_does_not_tell_an_episode_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSearch takes the alert that closes, and once refuses the devices' documents, as with a full queue (429)."""
    world = world_with_an_open_alert()
    put, refused = world.index.put_many, list[str]()

    def refuse(documents: Mapping[str, Mapping[str, Any]]) -> None:
        devices = [name for name in documents if name.startswith("device:")]
        if devices and not refused:
            refused.extend(devices)
            raise RuntimeError("2 documents were refused")
        put(documents)

    monkeypatch.setattr(world.index, "put_many", refuse)
    with suppress(RuntimeError):
        world.run()
    assert refused
    world.minutes(3, {1: 20.0, 2: 20.0})
    assert world.named() == world.named("closed") == [("too_high", 1)]
    assert world.told() == (1, 1)


def test_the_first_run_tells_nothing_that_was_over_before_it() -> None:
    """Ten hot minutes ten hours ago are no news of a function that has just been switched on; it learns the fleet."""
    world = World()
    world.minutes(10, {1: 41.0, 2: 20.0}, runs=False)
    world.minutes(600, {1: 20.0, 2: 20.0}, runs=False)
    world.minutes(3, {1: 20.0, 2: 20.0})
    assert (world.alerts(), world.topic.messages) == ([], [])
    assert {"device:1", "device:2"} <= world.index.written.keys()


def test_what_is_too_high_at_the_first_run_is_told() -> None:
    """It is not over."""
    world = World()
    world.minutes(10, {1: 41.0, 2: 20.0}, runs=False)
    world.run()
    assert world.named("open") == [("too_high", 1)]
