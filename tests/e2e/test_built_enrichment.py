"""The enrichment function as `sam build` built it, in an interpreter that sees nothing else."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests import golden

EVENTS = golden.EVENTS
NAMES = sorted(path.name.removesuffix(".expected.json") for path in EVENTS.glob("firehose-*.expected.json"))
LAMBDA_CALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
stdout, sys.stdout = sys.stdout, sys.stderr
from enrichment.handler import lambda_handler
json.dump(lambda_handler(json.load(sys.stdin), None), stdout)
"""
"""What Lambda does: the function's folder first on the path, an event in, a response out, lines to its log."""


@pytest.fixture
def artefact(sam_build: Path) -> Path:
    """Return the folder that becomes the function's zip."""
    return sam_build / "EnrichmentFunction"


def run_alone(artefact: Path, event: Any, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the built handler with the standard library and the artefact, and no other package or variable."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", before + LAMBDA_CALL, str(artefact)],
        input=json.dumps(event),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", NAMES)
def test_built_function_has_all_it_needs(name, artefact):
    """With nothing but its own folder the function gives each golden response: its requirements are complete."""
    run = run_alone(artefact, json.loads((EVENTS / f"{name}.json").read_text()))
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == golden.read(EVENTS / f"{name}.expected.json")


def test_built_function_writes_one_json_line_a_batch(artefact):
    """A good batch leaves one line, with metrics in it."""
    run = run_alone(artefact, json.loads((EVENTS / "firehose-one-reading.json").read_text()))
    [line] = run.stderr.splitlines()
    assert json.loads(line)["RecordsOk"] == 1
    assert "_aws" in json.loads(line)


def test_built_function_knows_time_zones_where_the_system_has_none(artefact):
    """The artefact brings its own table of time zones: AWS's runtime promises none."""
    event = json.loads((EVENTS / "firehose-one-reading.json").read_text())
    run = run_alone(artefact, event, "import zoneinfo; zoneinfo.reset_tzpath([])", DEVICE_TIME_ZONE="Asia/Kolkata")
    assert run.returncode == 0, run.stderr
    assert b'"timestamp":"2026-11-22T04:45:30.123"' in b64decode(json.loads(run.stdout)["records"][0]["data"])


def test_built_function_refuses_a_bad_setting_at_its_start(artefact):
    """A time zone that no table knows stops the function before its first record, with words."""
    run = run_alone(artefact, {"records": []}, DEVICE_TIME_ZONE="Mars/Olympus")
    assert run.returncode != 0
    assert "'Mars/Olympus', which is not an IANA time zone" in run.stderr


def test_built_function_refuses_a_wrong_description_at_its_start(artefact, tmp_path):
    """The description travels with the function; a mistake in it stops the start, with its line, not a batch."""
    wrong = tmp_path / "function"
    shutil.copytree(artefact, wrong)
    description = (wrong / "readings.toml").read_text(encoding="utf-8")
    (wrong / "readings.toml").write_text(description.replace('role = "time"', 'role = "clock"'), encoding="utf-8")
    run = run_alone(wrong, {"records": []})
    assert run.returncode != 0
    line = description[: description.index('role = "time"')].count("\n") + 1
    assert f"readings.toml, line {line}, field timestamp: role is 'clock': write one of time, device" in run.stderr


def test_zip_is_below_three_megabytes(artefact):
    """The upload is small; the time-zone table is most of it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in artefact.rglob("*"):
            file.write(path, path.relative_to(artefact))
    assert len(archive.getvalue()) < 3_000_000


def test_a_cold_start_imports_msgspec_and_nothing_else(artefact):
    """What start-up costs is what is imported (benchmarks/enrichment.py times it): no SDK, no validation library."""
    code = "import sys; import enrichment.handler; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-S", "-c", code]
    environment = os.environ | {"PYTHONPATH": str(artefact)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert set(run.stdout.split()) - sys.stdlib_module_names == {"__main__", "enrichment", "msgspec"}
