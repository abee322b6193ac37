"""Unit tests have no sockets: what needs one is an integration test."""

import functools
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.hooks import EventAliaser
from botocore.loaders import Loader, create_loader

from role_mapper import files, master_user, redaction, response_sender
from role_mapper.deadline import Deadline
from tests.builders import FUNCTION_ENVIRONMENT
from tests.fake_domain import Clock, FakeDomain
from tests.provisioning import two_saved_objects

if TYPE_CHECKING:
    from iot_stream.dashboards.definition import Panel


class _EachOnce(list[str]):
    """Folders of models: boto3 adds its own again for each session."""

    def append(self, folder: str) -> None:
        if folder not in self:
            super().append(folder)


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """Read AWS's models once for all sessions: each would read them again, which takes longer than most tests."""

    @functools.cache
    def shared(folders: str | None) -> Loader:
        loader = create_loader(folders)
        loader._search_paths = _EachOnce(loader.search_paths)
        return loader

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.session, "create_loader", shared)
        # The names of events and what they are now called: each session and client would work them out again.
        names: dict[str, str] = {}
        patched.setattr(EventAliaser, "_alias_name_cache", property(lambda _: names, lambda *_: None), raising=False)
        yield


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Refuse every socket (pytest-socket)."""


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing to redact: a random password of another test may be part of a word."""
    monkeypatch.setattr(redaction, "_protected", set())


@pytest.fixture
def fake_domain(monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """A domain in memory, which responds to everything that is sent with `requests`."""
    domain = FakeDomain()
    domain.install(monkeypatch)
    return domain


@pytest.fixture
def whole(fake_domain: FakeDomain) -> FakeDomain:
    """A domain in memory with every plugin."""
    fake_domain.installed = {"ism", "dashboards"}
    return fake_domain


@pytest.fixture
def few_saved_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two saved objects in place of all of them."""
    monkeypatch.setattr(files, "saved_objects", two_saved_objects)


@pytest.fixture
def mapper_clock(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The deployed role mapper of a domain: its environment, its secret, and a clock that goes on in waits only."""
    secret = json.dumps({"username": "admin", "password": fake_domain.users["admin"]})
    monkeypatch.setattr(master_user, "_read_secret", lambda *_: secret)
    for name, value in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    clock = Clock()
    monkeypatch.setattr(response_sender, "Deadline", lambda seconds: Deadline(seconds, clock=clock, wait=clock.wait))
    return clock


@pytest.fixture
def s3() -> Iterator[Any]:
    """An S3 client whose only bucket is empty and called `backup`."""
    from moto import mock_aws  # takes a second, which most tests need not wait for

    from tests.aws_clients import aws_client

    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket="backup")
        yield client


# ---- libraries that take a second to import, which every process of a run would wait for at its start ---------------


@pytest.fixture(scope="session")
def mistake_in() -> "Callable[[Panel], str]":
    """Return what Vega-Lite's own JSON schema says of a panel."""
    from tests.vega_lite import mistake_in

    return mistake_in


@pytest.fixture(scope="session")
def resource_schema() -> Callable[[str], dict[str, Any]]:
    """Return CloudFormation's schema of a resource type, as cfn-lint ships it."""
    found = find_spec("cfnlint")  # its files alone: to import it takes a second
    assert found
    assert found.origin
    schemas = Path(found.origin).parent / "data" / "schemas"
    names = json.loads((schemas / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return lambda kind: json.loads((schemas / "resources" / f"{names[kind]}.json").read_text(encoding="utf-8"))


@pytest.fixture
def sam_transform(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any], dict[str, str]], dict[str, Any]]:
    """Return what SAM's transform makes of a template with some parameters."""
    from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
    from samtranslator.translator.transform import transform

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # SAM asks for the partition's region
    return lambda template, parameters: transform(template, parameters, ManagedPolicyLoader(None))


@pytest.fixture(scope="session")
def language_extensions() -> Callable[[dict[str, Any], dict[str, str]], dict[str, Any]]:
    """Return what AWS::LanguageExtensions makes of a template with some parameters, by SAM CLI's rules."""
    from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions

    return lambda template, values: expand_language_extensions(template, values, enabled=True).expanded_template
