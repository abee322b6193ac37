"""The short form of `make chaos`: a minute of trouble from one seed, and no reading is missing or in two indices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iot_stream.local.ministack import NAME, Ministack
from tests.chaos import SETTINGS, SHORT, Siege, plan
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
    """Every reading has its place, and only one.

    The worker is killed and frozen; ministack is frozen, settings are changed, the bucket is deleted and made again;
    the domain is frozen, its index closed, the role's mapping removed. OpenSearch is not killed, no index is deleted.
    """
    lines: list[str] = []
    siege = Siege(besieged, neighbours.processes()[NAME].pid, freezing, say=lines.append)
    result = siege.play(plan(SEED, SECONDS, SHORT), seed=SEED, rate=RATE, seconds=SECONDS)
    assert len(lines) > 10
    assert result.sent > 4_000, lines
    assert (result.missing, result.duplicates) == (0, 0), lines
