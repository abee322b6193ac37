"""Devices that are gone for good, and alerts that closed long ago, are deleted, whatever run is killed."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_alerts import queries
from tests.alerts_index import Death
from tests.examples import examples
from tests.unit.test_device_alerts_run import MINUTE, SETTINGS, World

DAY = 86_400_000
FORGETFUL = replace(SETTINGS, keep=2 * DAY)


def gone() -> World:
    """Return a fleet whose device 1 fell silent, and two days later is about to be forgotten."""
    world = World(settings=FORGETFUL)
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.minutes(8, {2: 20.0})
    assert world.named("open") == [("silent", 1)]
    world.now += 2 * DAY
    world.send(2)
    return world


def devices(world: World) -> list[str]:
    """Return the ids of the devices' documents."""
    return sorted(identity for identity, each in world.index.written.items() if each["kind"] == "device")


def test_a_device_that_is_gone_is_forgotten_and_its_alert_closed() -> None:
    """The message says why; two days later the closed alert is gone too."""
    world = gone()
    assert world.run().forgotten == 1
    assert devices(world) == ["device:2"]
    assert world.named("closed") == [("silent", 1)]
    [message] = world.topic.messages[1:]
    assert "forgotten after 2 days without a reading" in message.text
    world.now += DAY
    world.send(2)
    world.run()
    assert world.named("closed") == [("silent", 1)]
    world.now += DAY + MINUTE
    world.send(2)
    world.run()
    assert world.alerts() == []
    assert world.told() == (1, 1)


def test_a_forgotten_device_that_sends_again_is_a_new_one() -> None:
    """Nothing of it is left that could be wrong."""
    world = gone()
    world.run()
    world.minutes(4, {1: 20.0, 2: 20.0})
    assert world.index.written["device:1"]["fleet"]["state"] == "ok"
    assert world.named("open") == []


def test_late_delivery_forgets_nobody() -> None:
    """The days are counted to the latest arrival that was delivered."""
    world = World(settings=FORGETFUL)
    world.minutes(5, {1: 20.0, 2: 20.0})
    world.now += 5 * DAY
    world.run()
    assert devices(world) == ["device:1", "device:2"]
    assert world.named("open") == [("pipeline_late", None)]


def test_zero_days_keep_everything() -> None:
    """The alert stays open, and its device in the table."""
    world = gone()
    world.settings = SETTINGS
    assert world.run().forgotten == 0
    assert devices(world) == ["device:1", "device:2"]
    assert world.named("open") == [("silent", 1)]


def test_an_alert_is_kept_until_its_message_was_sent() -> None:
    """Without a topic that takes it nothing that nobody was told of is deleted."""
    world = gone()
    publish = world.topic.publish
    world.topic.publish = lambda _: (_ for _ in ()).throw(OSError("no topic"))  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(OSError, match="no topic"):
            world.run()
        world.now += 2 * DAY
        world.send(2)
    assert world.named("closed") == [("silent", 1)]
    world.topic.publish = publish  # type: ignore[method-assign]
    world.run()
    assert world.told() == (1, 1)


def test_a_run_forgets_a_page_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that was replaced takes several runs, and each as much memory as any other."""
    world = World(settings=FORGETFUL)
    world.minutes(2, dict.fromkeys(range(25), 20.0))
    monkeypatch.setattr(queries, "_PAGE", 10)
    world.now += 3 * DAY
    counts = []
    for _ in range(3):
        world.now += MINUTE
        world.send(99)
        counts.append(world.run().forgotten)
    assert counts == [10, 10, 5]
    assert devices(world) == ["device:99"]


@examples(25)
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=6))
def test_killed_runs_forget_the_same(kills: list[tuple[int, bool]]) -> None:
    """However often a run ends in the middle: the device is gone, its alert closed once, and everything is told."""
    world = gone()
    for at, after in kills:
        world.killer.calls, world.killer.at, world.killer.after = 0, at, after
        with suppress(Death):
            world.run()
        world.killer.at = None
        world.now += MINUTE
        world.send(2)
    for _ in range(2):
        world.run()
        world.now += MINUTE
        world.send(2)
    assert devices(world) == ["device:2"]
    assert (world.named("open"), world.named("closed")) == ([], [("silent", 1)])
    assert world.told() == (1, 1)
