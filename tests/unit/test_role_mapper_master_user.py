"""The two ways in: a secret's user and password, or the function's own IAM role."""

import contextlib
import json
import re
from base64 import b64decode
from collections.abc import Iterator

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from role_mapper.domain import path
from role_mapper.errors import ResponseError, SecretError
from role_mapper.master_user import IamMaster, InternalUser, sign_in
from role_mapper.settings import MasterUserMode, Settings
from tests.builders import DOMAIN_ENDPOINT, SECRET_ARN
from tests.fake_domain import FakeDomain, error
from tests.secrets import make_secret

pytestmark = pytest.mark.secrets

OLD, NEW = make_secret("0ld-Pa55word.of-the-secret"), make_secret("N3w-Pa55word.of-the-secret")


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """AWS in this process."""
    with mock_aws():
        yield boto3.Session(region_name="us-east-1")


def internal_user(session: boto3.Session, secret: str) -> tuple[InternalUser, str]:
    """Return the user of a secret, and the secret's ARN."""
    arn = session.client("secretsmanager").create_secret(Name="master", SecretString=secret)["ARN"]
    user = sign_in(Settings(DOMAIN_ENDPOINT, master_user_secret_arn=arn), session)
    assert isinstance(user, InternalUser)
    return user, arn


def header(user: InternalUser) -> str:
    """Return what the user sends."""
    request = requests.Request("GET", "https://domain").prepare()
    return str(user(request).headers["Authorization"])


def test_the_secret_is_read_when_it_is_first_needed_and_once(session: boto3.Session) -> None:
    """Not at import, not for each call."""
    user, arn = internal_user(session, json.dumps({"username": "admin", "password": OLD}))
    first = header(user)
    session.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="{}")
    assert header(user) == first


def test_a_rotated_secret_is_picked_up_after_a_401(session: boto3.Session, fake_domain: FakeDomain) -> None:
    """The next try reads the secret again."""
    user, arn = internal_user(session, json.dumps({"username": "admin", "password": OLD}))
    fake_domain.users = {"admin": OLD}
    domain = fake_domain.client()
    domain.master_user = domain.session.auth = user
    domain.call("GET", "/")
    fake_domain.users = {"admin": NEW}
    rotated = json.dumps({"username": "admin", "password": NEW})
    session.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=rotated)
    domain.deadline.retry(lambda: domain.call("GET", "/"))
    assert len(fake_domain.calls) == 3, "one success, one 401, one success"


@given(st.text(min_size=1, max_size=40))
def test_a_password_of_any_characters_arrives_as_it_is(password: str) -> None:
    """UTF-8, as the security plugin reads it; a colon belongs to the password."""
    password = password.encode("utf-8", "ignore").decode() or "x"
    user = InternalUser(lambda: json.dumps({"username": "admin", "password": password}))
    assert b64decode(header(user).removeprefix("Basic ")).decode() == f"admin:{password}"


@pytest.mark.parametrize("secret", [OLD, f'["{OLD}"]', f'{{"user": "{OLD}"}}', f'{{"password": "{OLD}"', "null", ""])
def test_a_secret_of_another_shape_is_refused_without_being_quoted(secret: str) -> None:
    """Neither in the error nor in what it was raised from."""
    with pytest.raises(SecretError, match='must be JSON with "username" and "password"') as raised:
        header(InternalUser(lambda: secret))
    assert not raised.value.retryable
    assert OLD not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_secret_that_is_not_there_is_told_by_its_arn(session: boto3.Session) -> None:
    """It does not appear by waiting."""
    user = sign_in(Settings(DOMAIN_ENDPOINT, master_user_secret_arn=SECRET_ARN), session)
    with pytest.raises(SecretError, match=r"GetSecretValue of arn:aws:.* returned ResourceNotFoundException") as raised:
        header(user)  # type: ignore[arg-type]
    assert not raised.value.retryable


def test_without_credentials_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, on a machine that is not signed in to AWS."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    user = sign_in(Settings(DOMAIN_ENDPOINT, master_user_secret_arn=SECRET_ARN), boto3.Session(region_name="us-east-1"))
    with pytest.raises(SecretError, match="is not possible: Unable to locate credentials"):
        header(user)  # type: ignore[arg-type]


def test_an_iam_master_signs_every_call_anew(fake_domain: FakeDomain) -> None:
    """Signature Version 4 for the service `es`, with the session's token; no secret is read."""
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": make_secret("testing-secret-access-key")}
    session = boto3.Session(**keys, aws_session_token=make_secret("testing-token"), region_name="us-east-1")
    master = sign_in(Settings(DOMAIN_ENDPOINT, MasterUserMode.IAM_ROLE), session)
    assert isinstance(master, IamMaster)
    domain = fake_domain.client()
    domain.session.auth = master
    domain.call("GET", "/")
    (call,) = fake_domain.calls
    assert re.match(
        r"AWS4-HMAC-SHA256 Credential=AKID/\d{8}/us-east-1/es/aws4_request, "
        r"SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$",
        call.headers["Authorization"],
    )
    assert call.headers["X-Amz-Security-Token"] == "testing-token"


def test_a_refused_call_shows_no_header(fake_domain: FakeDomain) -> None:
    """Not in the error, its cause or its context."""
    fake_domain.always = error(400, "Authorization: Basic YWRtaW46Q29ycmVjdC1Ib3JzZQ==")
    with pytest.raises(Exception, match="returned 400") as raised:
        fake_domain.client().call("GET", "/")
    assert "YWRt" not in str(raised.value)
    assert raised.value.__suppress_context__


QUERIES = [
    {"overwrite": "true"},  # Dashboards' import
    {"show_policy": "true"},
    {"if_seq_no": "12", "if_primary_term": "1"},
    {"expand_wildcards": "open,closed", "allow_no_indices": "true", "flat_settings": "true"},
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: next(iter(query)))
def test_a_query_is_signed_as_botocore_signs_it(fake_domain: FakeDomain, query: dict[str, str]) -> None:
    """The canonical request of a POST with parameters: held against botocore's SigV4, AWS's own implementation."""
    token = make_secret("testing-token")
    credentials = Credentials("AKID", make_secret("testing-secret-access-key"), token)
    session = boto3.Session("AKID", credentials.secret_key, token, region_name="us-east-1")
    domain = fake_domain.client()
    sent: list[requests.PreparedRequest] = []
    serve = fake_domain._respond

    def respond(request: requests.PreparedRequest) -> requests.Response:
        sent.append(request)
        return serve(request)

    fake_domain._respond = respond  # type: ignore[method-assign]
    domain.session.auth = sign_in(Settings(DOMAIN_ENDPOINT, MasterUserMode.IAM_ROLE), session)
    with contextlib.suppress(ResponseError):
        domain.call("POST", path("iot-stream,iot-stream-20*-*", "ü/+ "), {"a": "b"}, params=query)
    (request,) = sent
    header = str(request.headers["Authorization"])
    names, signature = re.search(r"SignedHeaders=(\S+), Signature=(\w+)", header).groups()  # type: ignore[union-attr]
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names.split(";"))
    lower = {name.lower(): value for name, value in request.headers.items()} | {"host": fake_domain.host}
    ours = AWSRequest("POST", request.url, {name: lower[name] for name in names.split(";")}, request.body)
    ours.context["timestamp"] = lower["x-amz-date"]
    signer = SigV4Auth(credentials, "es", "us-east-1")
    assert signer.signature(signer.string_to_sign(ours, signer.canonical_request(ours)), ours) == signature
