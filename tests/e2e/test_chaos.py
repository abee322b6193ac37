"""The short form of `make chaos`: a minute of trouble from one seed, and no reading is missing or in two indices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iot_stream.local.ministack import NAME, Ministack
from tests.chaos.plan import SHORT, plan
from tests.chaos.report import siege_faults, trouble_table
from tests.chaos.siege import SETTINGS, Siege
from tests.chaos.troubles import Troubles
from tests.delivery import World
from tests.neighbours import Neighbours
from tests.outages import Outages

SEED, SECONDS, RATE = 16, 60.0, 100.0


@pytest.fixture
def besieged(freezing: Outages, ministack: Ministack, tmp_path: Path) -> Iterator[World]:
    """A world of its own on the run's neighbours."""
    world = World(ministack, freezing.server, tmp_path)
    world.make(shards=2, **SETTINGS)
    yield world
    world.close()


def test_a_minute_of_trouble(besieged: World, freezing: Outages, neighbours: Neighbours) -> None:
    """Every kind of trouble but the kill of OpenSearch is played, and every reading has its place, and only one."""
    lines: list[str] = []
    troubles = Troubles(besieged, neighbours.processes()[NAME].pid, freezing)
    siege = Siege(besieged, troubles, say=lines.append)
    lanes = plan(SEED, SECONDS, SHORT)
    result = siege.play(lanes, seed=SEED, rate=RATE, seconds=SECONDS)
    faults = siege_faults(lanes, siege.played, result, RATE * SECONDS)
    assert faults == [], "\n".join([*lines, trouble_table(lanes, siege.played), str(result)])
