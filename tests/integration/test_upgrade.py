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
    shutil.copy(PROJECT / ".gitignore", clone.folder)
    clone.must("git", "init", "-q")
    clone.commit("1")
    return clone


def _upgrade(clone: Clone, release: Clone) -> list[subprocess.CompletedProcess[str]]:
    """Run the page's commands; what installs packages is left out, and the program is this environment's."""
    blocks = [token.content for token in tokens(PROJECT / "docs" / "operations.md") if token.type == "fence"]
    merge, commit = (next(block for block in blocks if word in block) for word in ("git merge", "git commit"))
    program = f"{shlex.quote(sys.executable)} -m iot_stream"
    commands = (merge + commit).replace("make setup\n", "").replace(".venv/bin/iot-stream", program)
    commands = commands.replace("ADDRESS", shlex.quote(str(release.folder))).replace("vX.Y.Z", "v2.0.0")
    return [clone.run("sh", "-c", command) for command in commands.splitlines()]


@pytest.fixture
def mine(release: Clone, tmp_path: Path) -> Clone:
    """A clone with its own description, and a new release of the project beside it, which changed the same lines."""
    release.must("git", "clone", "-q", str(release.folder), str(tmp_path / "mine"))
    clone = Clone(tmp_path / "mine")
    clone.iot_stream("readings", "init", "--write", text=SAMPLE)
    clone.iot_stream("readings", "build")
    release.edit(DESCRIPTION, 'label = "Temperature"', 'label = "Heat"')
    release.edit("docs/send.md", "# ", "# New: ")
    release.iot_stream("readings", "build")
    release.commit("2")
    release.must("git", "tag", "v2.0.0")
    return clone


def test_the_upgrade_s_commands_keep_the_own_description(mine: Clone, release: Clone) -> None:
    """Git alone would stop at conflicts; what is not part of the project is not committed."""
    mine.commit("own readings")
    (mine.folder / "notes.txt").touch()
    merge = _upgrade(mine, release)[1]
    assert merge.returncode == 1
    assert set(re.findall(r"conflict in (\S+)", merge.stdout)) >= {DESCRIPTION, GENERATED}
    assert mine.must("git", "status", "--porcelain") == "?? notes.txt\n"
    assert mine.must("git", "diff", "--stat", "HEAD^1", "--", DESCRIPTION) == ""
    assert (mine.folder / "docs" / "send.md").read_text("utf-8").startswith("# New: ")
    assert mine.must("git", "log", "--format=%s", "-1", "v2.0.0", "^HEAD") == "", "the release is merged"
    assert "up to date" in mine.iot_stream("readings", "build", "--check")


def test_without_own_commits_it_is_the_release(mine: Clone, release: Clone) -> None:
    """A merge commit all the same, with nothing else in it."""
    mine.must("git", "checkout", "-q", ".")
    _upgrade(mine, release)
    assert mine.must("git", "status", "--porcelain") == ""
    assert mine.must("git", "log", "--format=%s", "-1", "v2.0.0", "^HEAD") == "", "the release is merged"


def test_what_is_not_committed_is_not_lost(mine: Clone, release: Clone) -> None:
    """The page asks for a commit first; without one nothing is merged, and the description stays."""
    before = (mine.folder / DESCRIPTION).read_bytes()
    merge = _upgrade(mine, release)[1]
    assert DESCRIPTION in merge.stdout
    assert (mine.folder / DESCRIPTION).read_bytes() == before
    assert mine.must("git", "log", "--format=%s", "-1", "v2.0.0", "^HEAD") == "2\n", "nothing is merged"


def test_a_conflict_that_is_left_is_not_committed(mine: Clone, release: Clone) -> None:
    """In a file that only a person can merge."""
    mine.edit("docs/send.md", "# ", "# Mine: ")
    mine.commit("own readings")
    last = _upgrade(mine, release)[-1]
    assert (last.returncode != 0, "docs/send.md" in last.stdout) == (True, True)
    assert mine.must("git", "log", "--format=%s", "-1") == "own readings\n"
