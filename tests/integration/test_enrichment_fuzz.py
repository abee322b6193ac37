"""A moment of fuzzing; `make fuzz` does more of it."""

import subprocess
import sys

import pytest

from iot_stream.paths import PROJECT
from tests.examples import times

TARGET = PROJECT / "tests" / "fuzz" / "enrichment.py"


def test_fuzzer_finds_no_input_that_breaks_the_contract(tmp_path):
    """Coverage-guided inputs are transformed as the slow implementation says; the fuzzer's seed is in its output."""
    pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux alone")
    fuzzer = subprocess.run(
        [
            sys.executable,
            TARGET,
            f"-runs={times(5000)}",
            f"-max_total_time={times(30)}",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        text=True,
        timeout=times(120),
        check=False,
    )
    assert fuzzer.returncode == 0, fuzzer.stderr[-4000:]
    assert "Done " in fuzzer.stderr
    assert list(tmp_path.iterdir()) == []
