"""Where the seconds of a start go: the installs of a fresh clone, then `iot-stream up`, phase by phase, three times.

    python -m benchmarks.start [--no-clone]

A phase is what happens until the next line that a user sees, so that the figures are those of the screen. The second
start finds what the first has built and downloaded, and the classes that OpenSearch wrote down when it was stopped; the
third does without these. JSON goes to build/bench/start.json.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import figures
from iot_stream.paths import PROJECT
from tests.ports import free_port

OPTIONS = ("opensearch", "domain", "aws", "live")


def phases(command: list[str], folder: Path, **variables: str) -> list[dict[str, Any]]:
    """Run a command; return each line that it prints with the seconds until the next one, or until its end."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | variables
    began = time.monotonic()
    lines: list[tuple[float, str]] = [(0.0, "(before the first line)")]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        lines += [(time.monotonic() - began, line.strip()) for line in process.stdout if line.strip()]
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {lines[-1][1]}")
    ends = [at for at, _ in lines[1:]] + [time.monotonic() - began]
    return [{"phase": line, "seconds": round(end - at, 1)} for (at, line), end in zip(lines, ends, strict=True)]


def starts(project: Path) -> dict[str, Any]:
    """Start and stop the local stack of a clone, on free ports and with a state of its own."""
    result = {}
    runs: dict[str, dict[str, str]] = {"first": {}, "second": {}, "uncached": {"OPENSEARCH_JAVA_OPTS": "-Xmx1g"}}
    with tempfile.TemporaryDirectory(prefix="bench-start-") as state:
        command = [str(project / ".venv/bin/iot-stream")]
        ports = [part for name in OPTIONS for part in (f"--{name}-port", str(free_port()))]
        for name, variables in runs.items():
            result[f"{name}_up"] = phases([*command, "up", "--state", state, *ports], project, **variables)
            result[f"{name}_down"] = phases([*command, "down", "--state", state], project)
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-clone", action="store_true", help="only the starts of this clone, without installs")
    arguments = parser.parse_args()
    if arguments.no_clone:
        result = starts(PROJECT)
    else:
        with tempfile.TemporaryDirectory(prefix="bench-clone-") as folder:
            clone = Path(folder) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
            result = {"setup": phases(["make", "setup"], clone)} | starts(clone)
    totals = {name: round(sum(phase["seconds"] for phase in lines), 1) for name, lines in result.items()}
    figures.write("start", {"totals": totals, "machine": figures.machine()} | result)


if __name__ == "__main__":
    main()
