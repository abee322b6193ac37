"""Neighbours that only end-to-end tests want."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iot_stream.local import deployment
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.ministack import Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.paths import PROJECT
from tests.beside import Beside
from tests.delivery import World
from tests.neighbours import Neighbours


@pytest.fixture
def world(opensearch: OpenSearch, ministack: Ministack, tmp_path: Path) -> Iterator[World]:
    """An empty world for the delivery worker; the test makes its delivery stream."""
    world = World(ministack, opensearch, tmp_path)
    yield world
    world.close()


@pytest.fixture(scope="module")
def beside(
    sam_build: Path,
    parts: LocalStack,
    ministack: Ministack,
    neighbours: Neighbours,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Beside]]:
    """Return a stack beside the others, by its name."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(sam_build, project / ".aws-sam" / "build")
    shutil.copy(PROJECT / "samconfig.toml", project)

    def make(name: str) -> Beside:
        folder = tmp_path_factory.mktemp(name)
        (folder / "aws").symlink_to(ministack.folder)
        (folder / "opensearch").symlink_to(parts.opensearch.folder)
        stack = LocalStack(folder, parts.ports, parts.home, stack_name=name)
        return Beside(stack, neighbours, project / ".aws-sam" / "build")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployment, "PROJECT", project)
        yield make


@pytest.fixture(scope="session")
def runs_by_hand() -> list[int]:
    """The numbers of the alerts function's last runs by hand, each before its schedule went on."""
    return [0]
