"""`make` finds Python 3.13 where it is: by its name, or as uv has it or installs it.

A made-up `uv` stands for the real one, which would download. It does what uv's documentation says of the two commands
("Python versions"): `find` prints a path or fails (with 2: run), and after `install` it finds.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT

UV = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$*" in
"python find --system 3.13") [ -e {folder}/installed ] && echo {python} || exit 2 ;;
"python install --quiet 3.13") {install} ;;
*) exit 9 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone on a machine whose PATH has make and the shell, and no Python 3.13."""
    (tmp_path / "bin").mkdir()
    for program in ("make", "sh", "awk", "mkdir", "touch", "grep", "date", "rm", "find"):
        found = shutil.which(program)
        assert found
        (tmp_path / "bin" / program).symlink_to(found)
    shutil.copy(PROJECT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "setup.txt").touch()
    return tmp_path


def install_uv(machine: Path, *, works: bool = True) -> None:
    """Put uv on the PATH."""
    install = f"touch {machine}/installed" if works else "echo 'error: no network' >&2; exit 2"
    program = machine / "bin" / "uv"
    program.write_text(UV.format(folder=machine, python=sys.executable, install=install))
    program.chmod(0o755)


def make(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with this PATH alone."""
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    return subprocess.run(
        ["make", *arguments], cwd=machine, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_python_that_uv_can_install_is_installed_and_used(machine: Path) -> None:
    """The user is told of the download; what is made afterwards is made with it."""
    install_uv(machine)
    made = make(machine, ".local/stamps/python")
    assert made.returncode == 0, made.stderr
    assert made.stdout == "Python 3.13: uv downloads it\n"
    calls = (machine / "calls").read_text().splitlines()
    assert calls.count("python install --quiet 3.13") == 1
    commands = make(machine, "--dry-run", ".local/stamps/uv").stdout
    assert f"'{sys.executable}' -m venv .venv" in commands


def test_clean_removes_what_the_project_makes_and_nothing_else(machine: Path) -> None:
    """What .gitignore calls the project's own, in subfolders too; no other file, and none behind a link."""
    own = (PROJECT / ".gitignore").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()[1:]
    assert "/.local/" in own
    for pattern in own:
        folder = machine / pattern.strip("/").replace("*", "iot_stream")
        folder.mkdir()
        (folder / "file").touch()
    elsewhere = machine / "bin" / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (machine / "package" / "__pycache__").mkdir(parents=True)
    (machine / "package" / "linked").symlink_to(elsewhere)
    (machine / ".venv" / "linked").symlink_to(elsewhere)
    (machine / "package" / "module.py").touch()
    made = make(machine, "clean")
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in machine.iterdir()) == ["Makefile", "bin", "package", "requirements"]
    assert sorted(path.name for path in (machine / "package").iterdir()) == ["linked", "module.py"]
    assert (elsewhere / "file").exists()


def test_a_python_that_uv_has_is_used_without_a_word(machine: Path) -> None:
    """Nothing is installed."""
    install_uv(machine)
    (machine / "installed").touch()
    made = make(machine, ".local/stamps/python")
    assert (made.returncode, made.stdout) == (0, "")
    assert "python install --quiet 3.13" not in (machine / "calls").read_text()


def test_a_python_on_the_path_is_used_before_uv_s(machine: Path) -> None:
    """And uv is not asked."""
    install_uv(machine)
    python = machine / "bin" / "python3.13"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert make(machine, ".local/stamps/python").returncode == 0
    assert not (machine / "calls").exists()


@pytest.mark.parametrize("uv", [None, "without a network"])
def test_without_any_python_the_way_out_is_said(machine: Path, uv: str | None) -> None:
    """In one line, behind uv's own words where it tried; nothing is taken for done."""
    if uv:
        install_uv(machine, works=False)
    made = make(machine, ".local/stamps/python")
    assert made.returncode != 0
    assert (
        "Python 3.13 not found as 'python3.13': install it (or uv, which can), or name it: make PYTHON=" in made.stderr
    )
    assert ("error: no network" in made.stderr) is bool(uv)
    assert not (machine / ".local" / "stamps" / "python").exists()
