"""The delivery worker signs `_bulk` so that the OpenSearch Service's verification accepts it."""

import json
from pathlib import Path

import pytest

from iot_stream.delivery.core.bulk import PATH
from iot_stream.delivery.core.record import Document, Record
from iot_stream.delivery.edges.aws import AwsClients
from iot_stream.delivery.edges.opensearch import Domain, sign_in
from iot_stream.local.ministack import ACCOUNT, Ministack
from tests.signed_domain import KEYS, REGION, TOKENS, Response, SignedDomain, signed_domain

ROLE = "signs-bulk"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
DOCUMENT = Document(Record("shardId-000000000000", "9", None, "key", 1000, "e30=", "0.9", 2), b'{"a":"\xc3\xa9"}', "i")


@pytest.fixture
def bodies() -> list[bytes]:
    """Return the bodies that the domain received."""
    return []


@pytest.fixture
def server(bodies: list[bytes], tmp_path: Path):
    """Run a domain that accepts every correctly signed bulk request."""

    def respond(method: str, target: str, body: bytes, headers: dict[str, str]) -> Response:
        assert (method, target, headers["Content-Type"]) == ("POST", PATH, "application/x-ndjson")
        bodies.append(body)
        return 200, "application/json", json.dumps({"items": [{"index": {"status": 201}}]})

    with signed_domain(tmp_path / "certificates", respond) as running:
        yield running


def domain(server: SignedDomain, clients: AwsClients) -> Domain:
    """Return the destination, as the worker uses it with `--sign-in sigv4`."""
    return Domain(f"https://{server.endpoint}", sign_in("sigv4", clients, ROLE_ARN, REGION), server.ca, with_ids=True)


def be(monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    """Set the environment's credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKENS[key])


def test_own_credentials_sign(server: SignedDomain, bodies: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """`--own-credentials` signs with the environment's credentials, where the role trusts only Firehose."""
    be(monkeypatch, "AKIDFIRST", KEYS["AKIDFIRST"])
    assert domain(server, AwsClients(REGION, None, assume_roles=False)).index([DOCUMENT]) == [None]
    assert server.used == ["AKIDFIRST"]
    assert bodies[0].endswith(DOCUMENT.body + b"\n")


def test_the_delivery_role_signs(server: SignedDomain, ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role is assumed with the account as external id, as Firehose does, and its keys sign."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "firehose.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": ACCOUNT}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    ministack.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy)
    for name, value in ministack.environment().items():
        monkeypatch.setenv(name, value)
    clients = AwsClients(REGION, ministack.url, ACCOUNT)
    keys = clients.session(ROLE_ARN).get_credentials().get_frozen_credentials()
    monkeypatch.setitem(KEYS, keys.access_key, keys.secret_key)
    monkeypatch.setitem(TOKENS, keys.access_key, keys.token)
    assert domain(server, clients).index([DOCUMENT]) == [None]
    assert server.used == [keys.access_key]


def test_a_wrong_signature_is_reported_without_the_signed_request(
    server: SignedDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's 403 quotes every signed header and the session token: no log or failure object may repeat them."""
    be(monkeypatch, "AKIDFIRST", "wrong")
    [error] = domain(server, AwsClients(REGION, None, assume_roles=False)).index([DOCUMENT])
    assert error is not None
    assert error.status == 403
    assert error.retryable
    assert "signature we calculated does not match" in error.message
    assert TOKENS["AKIDFIRST"] not in error.message + error.summary
    assert server.used == []
