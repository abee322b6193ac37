"""Neighbours that only end-to-end tests want."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iot_stream.local.ministack import Ministack
from iot_stream.local.opensearch import OpenSearch
from tests.delivery import World


@pytest.fixture
def world(opensearch: OpenSearch, ministack: Ministack, tmp_path: Path) -> Iterator[World]:
    """An empty world for the delivery worker; the test makes its delivery stream."""
    world = World(ministack, opensearch, tmp_path)
    yield world
    world.close()
