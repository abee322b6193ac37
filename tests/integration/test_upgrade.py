"""The commands of docs/operations.md, "Upgrades", merge a release into a clone that has its own description."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from tests.pages import tokens

DESCRIPTION = "functions/enrichment/readings.toml"
GENERATED = "functions/role_mapper/opensearch/dashboards/saved_objects.ndjson"
SAMPLE = '{"sensor": "s1", "ts": 1795849200, "flow_l_min": 12.5, "state": "ok"}\n'


class Clone:
    """A repository with the files that a description changes, and the code that does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in it, with its own copy of the code and no settings of the user's git."""
        user = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = os.environ | user | {"PYTHONPATH": str(self.folder), "HOME": str(self.folder.parent)}
        environment |= {"GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, input=text, capture_output=True, text=True, check=False
        )

    def must(self, *command: str, text: str = "") -> str:
        """Run a command that succeeds; return its output."""
        result = self.run(*command, text=text)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout

    def iot_stream(self, *arguments: str, text: str = "") -> str:
        """Run a command of iot-stream."""
        return self.must(sys.executable, "-m", "iot_stream", *arguments, text=text)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.must("git", "add", "--all")
        self.must("git", "commit", "-q", "-m", message)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text of a file."""
        content = (self.folder / path).read_text("utf-8")
        assert old in content
        (self.folder / path).write_text(content.replace(old, new), "utf-8")


@pytest.fixture
def release(tmp_path: Path) -> Clone:
    """The project's repository, at its first release."""
    clone = Clone(tmp_path / "release")
    for name in ("iot_stream", "functions", "docs"):
        shutil.copytree(PROJECT / name, clone.folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    clone.must("git", "init", "-q")
    clone.commit("1")
    return clone


def _commands() -> list[list[str]]:
    """Return the page's commands; what installs packages is left out, and the program is this environment's."""
    (block,) = [
        t.content for t in tokens(PROJECT / "docs" / "operations.md") if "git merge" in t.content and t.type == "fence"
    ]
    lines = [shlex.split(line) for line in block.splitlines() if line != "make setup"]
    assert len(lines) == len(block.splitlines()) - 1
    program = [sys.executable, "-m", "iot_stream"]
    return [[*program, *line[1:]] if line[0] == ".venv/bin/iot-stream" else line for line in lines]


def test_the_upgrade_s_commands_keep_the_own_description(release: Clone, tmp_path: Path) -> None:
    """The release changed the same lines, and another file: git alone would stop at conflicts."""
    release.must("git", "clone", "-q", str(release.folder), str(tmp_path / "mine"))
    mine = Clone(tmp_path / "mine")
    mine.iot_stream("readings", "init", "--write", text=SAMPLE)
    mine.iot_stream("readings", "build")
    mine.commit("own readings")
    release.edit(DESCRIPTION, 'label = "Temperature"', 'label = "Heat"')
    release.iot_stream("readings", "build")
    (release.folder / "functions" / "new.txt").write_text("of the release")
    release.commit("2")
    release.must("git", "tag", "v2.0.0")

    names = {"ADDRESS": str(release.folder), "vX.Y.Z": "v2.0.0"}
    for command in _commands():
        result = mine.run(*(names.get(word, word) for word in command))
        if command[:2] == ["git", "merge"]:
            assert result.returncode == 1
            assert set(re.findall(r"conflict in (\S+)", result.stdout)) >= {DESCRIPTION, GENERATED}
        else:
            assert result.returncode == 0, (command, result.stderr)
    assert mine.must("git", "status", "--porcelain") == ""
    assert mine.must("git", "diff", "--stat", "HEAD^1", "--", DESCRIPTION) == ""
    assert (mine.folder / "functions" / "new.txt").read_text() == "of the release"
    assert mine.must("git", "log", "--format=%s", "-1", "v2.0.0", "^HEAD") == "", "the release is merged"
    assert "up to date" in mine.iot_stream("readings", "build", "--check")
