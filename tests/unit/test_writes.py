"""The suite's own guard: tests can't change what is the user's."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from tests.writes import refused

README = PROJECT / "README.md"
DESCRIPTION = PROJECT / "functions" / "enrichment" / "readings.toml"


@pytest.mark.parametrize(
    "change",
    [
        lambda _: README.open("a", encoding="utf-8"),
        lambda _: DESCRIPTION.write_text("", encoding="utf-8"),
        lambda _: (PROJECT / "docs" / "new.md").touch(),
        lambda _: README.unlink(),
        lambda folder: (folder / "x").rename(README),
        lambda folder: shutil.copy(folder / "x", README),
    ],
    ids=["open", "write", "touch", "remove", "rename", "copy"],
)
def test_a_test_can_not_change_a_file_of_the_project(change: Callable[[Path], object], tmp_path: Path) -> None:
    """It is refused and told, so that a command that catches the error fails the test too."""
    (tmp_path / "x").touch()
    before = [path.stat().st_mtime_ns for path in (README, DESCRIPTION)]
    with pytest.raises(PermissionError, match="tests write nothing into the project"):
        change(tmp_path)
    assert len(refused()) == 1
    assert [path.stat().st_mtime_ns for path in (README, DESCRIPTION)] == before


def test_what_is_built_and_cached_is_free(tmp_path: Path) -> None:
    """Folders that git leaves alone, files that are read, and what is elsewhere."""
    (PROJECT / "build").mkdir(exist_ok=True)
    trace = PROJECT / "build" / "test-writes"
    trace.touch()
    trace.unlink()
    assert README.read_text(encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "README.md").touch()
    shutil.rmtree(tmp_path / "folder")  # by a descriptor of the folder, and names alone
    assert refused() == []
