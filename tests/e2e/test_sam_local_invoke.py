"""Each sample event, invoked on what `sam build` built, in AWS's Lambda base image.

Skipped where no Docker engine has that image; `make invoke` insists, and pulls it.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from tests import golden

EVENTS = PROJECT / "events"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in EVENTS.glob("*.expected.json"))
FUNCTIONS = {"firehose": "EnrichmentFunction", "cloudformation": "RoleMapperFunction"}
"""Logical ids, by the first word of the event's name."""
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"


@pytest.fixture(scope="session")
def pull_option(request: pytest.FixtureRequest) -> list[str]:
    """Return the option that keeps SAM from pulling an image that is here already."""
    try:
        found = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        found = False
    if not found and not request.config.getoption("--run-sam-local"):
        pytest.skip(f"no Docker engine with {IMAGE} here: `make invoke` pulls it")
    return ["--skip-pull-image"] if found else []


SAM = """
import json, sys
from click.testing import CliRunner
from samcli.cli.main import cli
for name, arguments in json.load(sys.stdin).items():
    run = CliRunner(mix_stderr=False).invoke(cli, arguments)
    print(json.dumps([name, run.exit_code, run.stdout, run.stderr]), flush=True)
"""
"""`sam`, called for each event in one process: its start takes several times as long as an invocation."""


@pytest.fixture(scope="session")
def invocations(sam_build: Path, pull_option: list[str]) -> dict[str, tuple[int, str, str]]:
    """Return exit code, output and log of `sam local invoke`, by the name of the event."""
    commands: dict[str, dict[str, list[str]]] = {function: {} for function in FUNCTIONS.values()}
    for name in NAMES:
        function = FUNCTIONS[name.split("-")[0]]
        files = ["--event", str(EVENTS / f"{name}.json"), "--template", str(sam_build / "template.yaml")]
        files += ["--env-vars", str(EVENTS / "environment.json")]
        commands[function][name] = ["local", "invoke", function, *files, *pull_option]
    with ThreadPoolExecutor() as side_by_side:  # one event of the role mapper's only waits for its time to be up
        return {name: each for responses in side_by_side.map(_invoke, commands.values()) for name, each in responses}


def _invoke(commands: dict[str, list[str]]) -> list[tuple[str, tuple[int, str, str]]]:
    run = subprocess.run(
        [sys.executable, "-c", SAM],
        input=json.dumps(commands),
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [(name, (code, output, log)) for name, code, output, log in map(json.loads, run.stdout.splitlines())]


@pytest.mark.parametrize("name", NAMES)
def test_event_has_its_expected_response(name, invocations):
    """A sample event gets exactly the response in the file beside it."""
    code, output, log = invocations[name]
    assert code == 0, log[-2000:]
    assert json.loads(output) == golden.read(EVENTS / f"{name}.expected.json")
