"""What integration tests of different processes must not share, and the browser for those of the live page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.neighbours import Neighbours

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module", autouse=True)
def _reader_of_this_process(worker_id: str) -> Iterator[None]:
    """Another name of the live page's role in each process (pytest-xdist): each file gives it its own indices."""
    from iot_stream.live import reader
    from iot_stream.local import reader_role

    with pytest.MonkeyPatch.context() as patched:
        for module in (reader, reader_role):
            patched.setattr(module, "READER_ROLE", f"{reader_role.READER_ROLE}-{worker_id}")
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One Chromium for the module."""
    from tests.live_page import chromium

    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def vega(neighbours: Neighbours) -> Path:
    """Vega's script, made once for the run: it takes seconds."""
    from iot_stream.live.vega import bundle

    with neighbours.one_at_a_time("vega"):
        return bundle(neighbours.folder / "vega")
