"""The IAM master against a server that verifies Signature Version 4 with botocore, as the OpenSearch Service does."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore.session
import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from role_mapper import provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import DeadlineExceededError
from role_mapper.master_user import IamMaster, sign_in
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Outcome
from role_mapper.settings import MasterUserMode, Settings
from tests.builders import STACK_ID, mapping_properties
from tests.fake_domain import Call, FakeDomain
from tests.signed_domain import KEYS, REGION, TOKENS, Response, SignedDomain, signed_domain

pytestmark = pytest.mark.secrets


@pytest.fixture
def domain() -> FakeDomain:
    """The domain in memory."""
    return FakeDomain(host="127.0.0.1")


@pytest.fixture
def server(domain: FakeDomain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignedDomain]:
    """The same behind a server that wants signatures."""

    def respond(method: str, target: str, body: bytes, headers: dict[str, str]) -> Response:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        sender = domain._serve(Call(method, url.path, query, json.loads(body) if body else None, headers))
        return sender.status, sender.content_type, sender.text

    with signed_domain(tmp_path / "certificates", respond) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.ca))
        yield running


def session(credentials: Credentials) -> boto3.Session:
    """A session with these credentials."""
    inner = botocore.session.Session()
    inner._credentials = credentials
    return boto3.Session(botocore_session=inner, region_name=REGION)


def properties(server: SignedDomain) -> Properties:
    """The template's, for this domain and an IAM master."""
    return Properties.of(mapping_properties(DomainEndpoint=server.endpoint, RoleName="kinesis firehose/ü+*"))


def iam_master(server: SignedDomain) -> Settings:
    """Return the function's settings for this domain."""
    return Settings(server.endpoint, MasterUserMode.IAM_ROLE)


def test_every_call_is_signed_as_aws_verifies_it(domain: FakeDomain, server: SignedDomain) -> None:
    """Paths with characters that are quoted, bodies, patches, queries: all of apply and remove."""
    wanted = properties(server)
    credentials = Credentials("AKIDFIRST", KEYS["AKIDFIRST"], TOKENS["AKIDFIRST"])
    client = Domain(server.endpoint, sign_in(iam_master(server), session(credentials)), Deadline(60))
    owner = Owner.of(STACK_ID, "RoleMapping", server.endpoint)
    assert provision.apply(client, wanted, owner)[0].outcome is Outcome.CREATED
    domain.mappings[wanted.role_name]["users"].append("ann")
    provision.remove(client, wanted, owner)
    assert domain.mappings[wanted.role_name]["users"] == ["ann"]
    assert set(server.used) == {"AKIDFIRST"}
    client.close()


def test_credentials_that_expire_are_refreshed(server: SignedDomain) -> None:
    """A later call is signed with the newer key, without a new client."""
    now = dt.datetime.now(dt.UTC)

    def metadata(key: str, minutes: int) -> dict[str, str]:
        expiry = (now + dt.timedelta(minutes=minutes)).isoformat()
        return {"access_key": key, "secret_key": KEYS[key], "token": TOKENS[key], "expiry_time": expiry}

    credentials = RefreshableCredentials.create_from_metadata(
        metadata("AKIDFIRST", 60), refresh_using=lambda: metadata("AKIDSECOND", 60), method="test"
    )
    master = sign_in(iam_master(server), session(credentials))
    assert isinstance(master, IamMaster)
    client = Domain(server.endpoint, master, Deadline(60))
    client.call("GET", "/")
    credentials._expiry_time = now + dt.timedelta(minutes=1)  # as if an hour had passed
    client.call("GET", "/")
    assert server.used == ["AKIDFIRST", "AKIDSECOND"]
    client.close()


def test_a_wrong_key_is_told_without_the_signed_request(server: SignedDomain) -> None:
    """AWS's explanation quotes every signed header; the Reason does not."""
    wanted = properties(server)
    credentials = Credentials("AKIDFIRST", "wrong", TOKENS["AKIDFIRST"])
    client = Domain(server.endpoint, sign_in(iam_master(server), session(credentials)), Deadline(1))
    with pytest.raises(
        DeadlineExceededError, match="returned 403: The request signature we calculated does not match"
    ) as raised:
        provision.apply(client, wanted, Owner.of(STACK_ID, "RoleMapping", server.endpoint))
    assert "session-token" not in str(raised.value)
    assert "Canonical" not in str(raised.value)
    client.close()
