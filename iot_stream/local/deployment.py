"""Run `sam build` and `sam deploy` of the unmodified template against the local AWS."""

import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from iot_stream.errors import SetupError, StackError
from iot_stream.local import processes
from iot_stream.local.ministack import Ministack
from iot_stream.paths import PROJECT

__all__ = ["build", "configured", "deploy", "failure", "override"]

_BIN = Path(sys.executable).parent
_BUILD_SECONDS, _DEPLOY_SECONDS = 600, 900
# Of the caller's environment, what would send sam elsewhere or pip's packages out of the built folder. What a download
# needs (proxies, certificates, package index) stays.
_NOT_FOR_BUILD = ("AWS_", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")


def build(log: Path) -> None:
    """Run `sam build` in the caller's environment, because it downloads packages, but without its AWS settings.

    Raises:
        SetupError: it failed; with the end of its output.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_BUILD)}
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = kept | _sam_settings(log) | {"PATH": path}
    command = [str(_BIN / "sam"), "build", "--config-env", "local"]
    # Lambda can't run code that only its owner may read, and what is built here may be deployed to AWS.
    code, output = _run("sam build", command, log, environment, seconds=_BUILD_SECONDS, umask=0o022)
    if code:
        raise SetupError(f"sam build failed: {output} (whole log: {log})")


def deploy(
    aws: Ministack,
    log: Path,
    *,
    stack: str,
    overrides: Mapping[str, str] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run `sam deploy` onto the local AWS.

    Args:
        aws: the local AWS to deploy to.
        log: file for its output.
        stack: name of the stack.
        overrides: template parameters beyond those of samconfig.toml's `local` environment.
        meanwhile: called about five times per second during the run, to do what AWS's services do by themselves.

    Raises:
        StackError: the deployment failed; with CloudFormation's reason.
    """
    command = [str(_BIN / "sam"), "deploy", "--config-env", "local", "--stack-name", stack]
    if overrides:  # on the command line they replace those of samconfig.toml
        parameters = configured() | dict(overrides)
        command += ["--parameter-overrides", *(override(name, value) for name, value in parameters.items())]
    settings = aws.environment() | {"AWS_CONFIG_FILE": str(aws.profile_file), "AWS_MAX_ATTEMPTS": "2"}
    environment = processes.clean_environment(**settings, **_sam_settings(log), SAM_CLI_POLL_DELAY="0.3")
    started = datetime.now(UTC)
    code, output = _run("sam deploy", command, log, environment, seconds=_DEPLOY_SECONDS, meanwhile=meanwhile)
    if code:
        reason = failure(aws.client("cloudformation"), stack, started) or output
        raise StackError(f"the deployment of stack {stack} failed: {reason} (whole log: {log})")


def override(name: str, value: str) -> str:
    """Return one argument of sam's `--parameter-overrides`, which keeps blanks and quotes in the value.

    Raises:
        SetupError: sam can't be told this value: it treats a backslash as an escape.
    """
    if "\\" in value or "\n" in value:
        raise SetupError(f"the value of {name} holds a backslash or a line break, which sam can't pass on")
    escaped = value.replace('"', '\\"')
    return f'{name}="{escaped}"'


def _run(
    name: str,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    *,
    seconds: float,
    meanwhile: Callable[[], None] = lambda: None,
    umask: int = 0o077,
) -> tuple[int, str]:
    """Run `command` and return its exit code and last line; stop it if `meanwhile` raises or time runs out.

    Its temporary files are removed afterwards: sam leaves the folder of each zip file (samcli.lib.package.utils,
    `zip_folder`).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="sam-", dir=log.parent, ignore_cleanup_errors=True) as temporary:
        environment = {**environment, "TMPDIR": temporary}
        process = processes.start(name, command, log=log, environment=environment, cwd=PROJECT, umask=umask)
        deadline = time.monotonic() + seconds
        try:
            while (code := process.exit_code()) is None:
                if time.monotonic() > deadline:
                    raise SetupError(f"{name} did not finish within {seconds:.0f} s (log: {log})")
                meanwhile()
                time.sleep(0.2)
        finally:
            process.stop()
    return code, process.log_tail()


def configured() -> dict[str, str]:
    """Return the parameters of samconfig.toml's `local` environment."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    return dict(entry.split("=", 1) for entry in config["local"]["deploy"]["parameters"]["parameter_overrides"])


def failure(cloudformation: Any, stack: str, started: datetime) -> str:
    """Return the first reason that CloudFormation gave for a failure of `stack` since `started`."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except Exception:  # noqa: BLE001 - without it the error message is only less specific
        return ""
    for event in reversed(events):
        reason = event.get("ResourceStatusReason", "")
        if event["Timestamp"] < started:  # of an earlier deployment
            continue
        if event["ResourceStatus"].endswith("_FAILED") and reason and "cancelled" not in reason:
            return f"{event['LogicalResourceId']}: {reason}"
    return ""


def _sam_settings(log: Path) -> dict[str, str]:
    """Return sam's settings: no telemetry, and its own files beside the log, not in a home that may be read-only."""
    return {"SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(log.parent / "sam")}
