"""Start the gateway of a local domain as a process of its own."""

import contextlib
import sys
from pathlib import Path

import requests

from iot_stream.local import processes
from iot_stream.local.ministack import Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import Process

__all__ = ["NAME", "launch", "wait"]

NAME = "the domain's gateway"

_START_SECONDS = 180


def launch(server: OpenSearch, aws: Ministack, port: int, log: Path) -> Process:
    """Start the gateway of `server` on `port` of 127.0.0.1 and return at once; neither neighbour has to be up."""
    command = [sys.executable, "-m", "iot_stream.local.gateway", "--port", str(port), "--region", aws.region]
    command += ["--opensearch", server.url, "--aws", aws.url]
    command += ["--certificates", str(server.ca_file.parent), "--jwt-key", str(server.jwt_key_file)]
    return processes.start(NAME, command, log=log, environment=processes.clean_environment())


def wait(process: Process, server: OpenSearch, port: int) -> None:
    """Return once the gateway responds, with any status.

    Raises:
        SetupError: it did not come up; names its log.
    """

    def responds() -> bool:
        with contextlib.suppress(requests.RequestException), requests.Session() as session:
            session.trust_env = False
            session.get(f"https://127.0.0.1:{port}/", verify=str(server.ca_file), timeout=5)
            return True
        return False

    processes.wait_until(responds, process, seconds=_START_SECONDS, what="its first response")
