"""No command without `--aws` can reach an endpoint of AWS, whatever the caller's environment says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import botocore.httpsession
import click
import psutil
import pytest
import requests
import urllib3.util.connection
import uvicorn
from botocore.awsrequest import AWSResponse
from click.testing import CliRunner

from iot_stream.cli import cli
from iot_stream.live import server
from iot_stream.local import ministack
from iot_stream.local.local_stack import LocalStack, Ports
from iot_stream.local.processes import Process
from tests.hostile import HOSTILE
from tests.template import load_template

# `deliver` stands in for Firehose at any endpoint and takes no --aws: it calls AWS where it is told no other.
ANYWHERE = {"deliver"}
# These take the environment apart before they call anything; tests/unit/test_local_parts.py holds theirs.
STARTS = {"run", "up", "deploy"}
STOPS = {"down"}  # processes, of which this is one here; it calls nobody
ARGUMENTS = {
    "build": ["--check"],  # the project's files stay as they are
    "discard": ["--all", "--dry-run"],
    "plan": ["--devices", "1", "--every", "1"],
    "send": ["--count", "1"],
    "snapshot": ["--out", "{folder}/out"],
    "watch": ["--once"],
}
CLOUDFORMATION = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # type: ignore[assignment]
    """Yield the words of each command."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif name not in ANYWHERE | STARTS | STOPS:
            yield (*path, name)


def described_stack() -> bytes:
    """DescribeStacks in the form of the Query protocol (CloudFormation API reference), with every output."""
    template = load_template()
    outputs = "".join(
        f"<member><OutputKey>{name}</OutputKey><OutputValue>local-{name.lower()}</OutputValue></member>"
        for name in template["Outputs"]
    )
    parameters = "".join(
        f"<member><ParameterKey>{name}</ParameterKey><ParameterValue>{escape(str(each['Default']))}</ParameterValue></member>"
        for name, each in template["Parameters"].items()
    )
    return (
        f'<DescribeStacksResponse xmlns="{CLOUDFORMATION}"><DescribeStacksResult><Stacks><member>'
        "<StackId>arn:aws:cloudformation:us-east-1:000000000000:stack/s/i</StackId><StackName>s</StackName>"
        "<StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
        f"<Outputs>{outputs}</Outputs><Parameters>{parameters}</Parameters>"
        "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    ).encode()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The hosts to which anything is sent; CloudFormation describes a stack, all else fails.

    boto3 and requests are heard before they look at proxies, and what else speaks HTTP here (OpenSearch's client) where
    it connects.
    """
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    seen: list[str] = []

    def of_boto3(_: Any, request: Any) -> AWSResponse:
        seen.append(urlsplit(request.url).hostname or "")
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        known = b"Action=DescribeStacks" in body
        response = AWSResponse(request.url, 200 if known else 400, {"content-type": "text/xml"}, None)
        response._content = (
            described_stack() if known else b"<ErrorResponse><Error><Code>No</Code></Error></ErrorResponse>"
        )
        return response

    def of_requests(_: Any, request: Any, **__: Any) -> Any:
        seen.append(urlsplit(request.url).hostname or "")
        raise requests.ConnectionError("no network in unit tests")

    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", of_boto3)

    def of_others(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        seen.append(address[0])
        raise OSError("no network in unit tests")

    monkeypatch.setattr(requests.Session, "send", of_requests)
    monkeypatch.setattr(urllib3.util.connection, "create_connection", of_others)
    monkeypatch.setattr(uvicorn.Server, "run", lambda _: None)  # of the live page, until Ctrl-C
    monkeypatch.setattr(server, "claim_port", lambda *_, **__: None)
    me = psutil.Process()
    running = [Process(ministack.NAME, me.pid, me.create_time(), "/nonexistent")]
    stack = LocalStack(tmp_path, Ports(), tmp_path, running=running)
    stack.save()
    stack.aws.make_credentials()
    return seen


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_without_aws_calls_this_machine_only(
    words: tuple[str, ...], hosts: list[str], tmp_path: Path
) -> None:
    """With proxies, profile, endpoint, region and credentials of an account in the environment."""
    command = cli
    for word in words:
        command = command.commands[word]  # type: ignore[assignment,attr-defined]
    names = {option for parameter in command.params for option in parameter.opts}
    arguments = [each.format(folder=tmp_path) for each in ARGUMENTS.get(words[-1], [])]
    state = ["--state", str(tmp_path)] if "--state" in names else []
    CliRunner().invoke(cli, [*words, *state, *arguments])
    assert set(hosts) <= {"127.0.0.1"}
    if names & {"--aws", "--once"} or words == ("live",):
        assert hosts, "it was to ask the local stack"
