"""The IAM master against a server that verifies Signature Version 4 with botocore, as the OpenSearch Service does."""

import datetime as dt
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials

from iot_stream.local.certificates import make_certificates
from role_mapper import provision
from role_mapper.domain import Domain
from role_mapper.errors import GaveUpError
from role_mapper.master_user import IamMaster, sign_in
from role_mapper.ownership import Owner
from role_mapper.patience import Patience
from role_mapper.properties import Properties
from role_mapper.report import Outcome
from tests.builders import STACK_ID, mapping_properties
from tests.fake_domain import Call, FakeDomain, Reply
from tests.secrets import make_secret

REGION = "us-east-1"
KEYS = {"AKIDFIRST": make_secret("first-secret-access-key"), "AKIDSECOND": make_secret("second-secret-access-key")}
TOKENS = {"AKIDFIRST": make_secret("first-session-token"), "AKIDSECOND": make_secret("second-session-token")}


class SignedDomain(ThreadingHTTPServer):
    """A domain that only answers signed requests; `used` are the access keys it saw."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        certificates = make_certificates(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "node.pem", folder / "node.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.ca = certificates.ca
        self.domain = FakeDomain(host="127.0.0.1")
        self.used: list[str] = []

    @property
    def endpoint(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SignedDomain
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"https://{self.headers['Host']}{self.path}"
        refusal = _refusal(self.command, url, dict(self.headers.items()), body)
        if refusal:
            reply = Reply(403, {"message": refusal})
        else:
            self.server.used.append(_parts(self.headers["Authorization"])["Credential"].split("/")[0])
            reply = self._ask_domain(body)
        payload = reply.text.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _ask_domain(self, body: bytes) -> Reply:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        headers = {name.title(): value for name, value in self.headers.items()}
        return self.server.domain._serve(
            Call(self.command, url.path, query, json.loads(body) if body else None, headers)
        )

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


for _method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


def _parts(authorization: str) -> dict[str, str]:
    kind, _, rest = authorization.partition(" ")
    assert kind == "AWS4-HMAC-SHA256"
    return dict(part.strip().split("=", 1) for part in rest.split(","))


def _refusal(method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """Why the request's signature is not the one that its key makes; empty if it is."""
    if "Authorization" not in headers:
        return "Missing Authentication Token"
    parts = _parts(headers["Authorization"])
    key, date, region, service, _ = parts["Credential"].split("/")
    if (region, service) != (REGION, "es") or headers.get("X-Amz-Security-Token", TOKENS.get(key)) != TOKENS.get(key):
        return "Credential should be scoped to a valid region and service"
    lower = {name.lower(): value for name, value in headers.items()}
    signed = {name: lower[name] for name in parts["SignedHeaders"].split(";")}
    if not {"host", "x-amz-date", "x-amz-security-token"} <= set(signed):
        return "host, date and token must be signed"
    stamp = dt.datetime.strptime(lower["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    if abs(dt.datetime.now(dt.UTC) - stamp) > dt.timedelta(minutes=5) or not lower["x-amz-date"].startswith(date):
        return "Signature expired"
    request = AWSRequest(method=method, url=url, data=body, headers=signed)
    request.context["timestamp"] = lower["x-amz-date"]
    auth = SigV4Auth(Credentials(key, KEYS[key], TOKENS[key]), service, region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if expected == parts["Signature"]:
        return ""
    return (
        "The request signature we calculated does not match the signature you provided.\n\n"
        f"The Canonical String for this request should have been\n'{auth.canonical_request(request)}'"
    )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignedDomain]:
    """The signed domain, running."""
    with SignedDomain(tmp_path / "certificates") as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.ca))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def session(credentials: Credentials) -> boto3.Session:
    """A session with these credentials."""
    inner = botocore.session.Session()
    inner._credentials = credentials
    return boto3.Session(botocore_session=inner, region_name=REGION)


def properties(server: SignedDomain) -> Properties:
    """The template's, for this domain and an IAM master."""
    iam = {"MasterUserMode": "IamRole", "MasterUserSecretArn": "", "DomainEndpoint": server.endpoint}
    return Properties.of(mapping_properties(**iam, RoleName="kinesis firehose/ü+*"))


def test_every_call_is_signed_as_aws_verifies_it(server: SignedDomain) -> None:
    """Paths with characters that are quoted, bodies, patches, queries: all of apply and remove."""
    wanted = properties(server)
    credentials = Credentials("AKIDFIRST", KEYS["AKIDFIRST"], TOKENS["AKIDFIRST"])
    client = Domain(server.endpoint, sign_in(wanted, session(credentials)), Patience(60))
    owner = Owner.of(STACK_ID, "RoleMapping", server.endpoint)
    assert provision.apply(client, wanted, owner)[0].outcome is Outcome.CREATED
    server.domain.mappings[wanted.role_name]["users"].append("ann")
    provision.remove(client, wanted, owner)
    assert server.domain.mappings[wanted.role_name]["users"] == ["ann"]
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
    master = sign_in(properties(server), session(credentials))
    assert isinstance(master, IamMaster)
    client = Domain(server.endpoint, master, Patience(60))
    client.call("GET", "/")
    credentials._expiry_time = now + dt.timedelta(minutes=1)  # as if an hour had passed
    client.call("GET", "/")
    assert server.used == ["AKIDFIRST", "AKIDSECOND"]
    client.close()


def test_a_wrong_key_is_told_without_the_signed_request(server: SignedDomain) -> None:
    """AWS's explanation quotes every signed header; the Reason does not."""
    wanted = properties(server)
    credentials = Credentials("AKIDFIRST", "wrong", TOKENS["AKIDFIRST"])
    client = Domain(server.endpoint, sign_in(wanted, session(credentials)), Patience(1))
    with pytest.raises(GaveUpError, match="answered 403: The request signature we calculated does not match") as raised:
        provision.apply(client, wanted, Owner.of(STACK_ID, "RoleMapping", server.endpoint))
    assert "session-token" not in str(raised.value)
    assert "Canonical" not in str(raised.value)
    client.close()
