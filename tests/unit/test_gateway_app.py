"""The gateway's application: what goes on to OpenSearch, as whom, and what its clients are told otherwise."""

import asyncio
import io
import json
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.types import ASGIApp
from urllib3 import HTTPResponse

from iot_stream.local.gateway import app as gateway_app
from iot_stream.local.gateway.app import Gateway
from iot_stream.local.gateway.signature import Claim, Request, SignatureError
from tests.asgi import AsgiResponse, run

HOST, ROLE, KEY = "127.0.0.1:19201", "arn:aws:iam::000000000000:role/sender", b"k" * 32
KEYS = Credentials("ASIAEXAMPLE", "secret", "session-token")
CLAIM = Claim("AKID", "", "20261126", "us-east-1", "text", "abc", Request("GET", "/", "", (), b""))


@dataclass
class Upstream(requests.Session):
    """OpenSearch behind the gateway: keeps what it gets, and responds as a test says."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers_sent: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    error: Exception | None = None
    got: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the session."""
        super().__init__()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Take the request."""
        self.got.append((request, options))
        if self.error:
            raise self.error
        response = requests.Response()
        response.status_code = self.status
        response.raw = HTTPResponse(io.BytesIO(self.body), self.headers_sent, self.status, preload_content=False)
        return response


@dataclass
class Caller:
    """The local AWS: says who has signed, or why nobody has."""

    error: Exception | None = None
    claims: list[Claim] = field(default_factory=list)

    def __call__(self, claim: Claim) -> str:
        """Return the signer's role."""
        self.claims.append(claim)
        if self.error:
            raise self.error
        return ROLE


@pytest.fixture
def upstream() -> Upstream:
    """OpenSearch."""
    return Upstream()


@pytest.fixture
def caller() -> Caller:
    """The local AWS."""
    return Caller()


@pytest.fixture
def gateway(upstream: Upstream, caller: Caller) -> ASGIApp:
    """The gateway between them."""
    return Gateway("https://127.0.0.1:9", "ca.pem", "us-east-1", frozenset({HOST}), KEY, caller, upstream)


def ask(app: ASGIApp, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> AsgiResponse:
    """Return the response to one request, whose body comes in two parts."""
    path, _, query = target.partition("?")
    half = len(body) // 2
    parts = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    run(app(scope, receive, send))
    start, *rest = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return AsgiResponse(start["status"], names, b"".join(message.get("body", b"") for message in rest))


def signed(method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """Return the headers of a request that botocore has signed."""
    request = AWSRequest(method, f"https://{HOST}{target}", headers={"Host": HOST}, data=body)
    SigV4Auth(KEYS, "es", "us-east-1").add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def test_a_signed_request_goes_on_as_its_signers_role(gateway: ASGIApp, upstream: Upstream, caller: Caller) -> None:
    """With a token for the role in place of the signature, of which nothing reaches OpenSearch."""
    body = b'{"a": 1}'
    headers = signed("POST", "/index/_search?size=1", body) | {"Connection": "keep-alive"}
    response = ask(gateway, "POST", "/index/_search?size=1", headers, body)
    assert (response.status, response.json()) == (200, {"ok": True})
    (claim,) = caller.claims
    assert (claim.access_key, claim.token) == (KEYS.access_key, KEYS.token)
    ((sent, options),) = upstream.got
    assert (sent.method, sent.url, sent.body) == ("POST", "https://127.0.0.1:9/index/_search?size=1", body)
    names = {name.lower() for name in sent.headers}
    assert not any(name.startswith("x-amz-") for name in names)
    assert "connection" not in {name for name, value in sent.headers.items() if value == "keep-alive"}
    kind, _, token = sent.headers["authorization"].partition(" ")
    assert kind == "Bearer"
    told = jwt.decode(token, KEY, algorithms=["HS256"])
    assert (told["sub"], told["roles"]) == (ROLE, [ROLE])
    assert (options["verify"], options["allow_redirects"]) == ("ca.pem", False)


def test_an_unsigned_request_passes_as_it_is(gateway: ASGIApp, upstream: Upstream, caller: Caller) -> None:
    """A password or a token of its own is for the security plugin to judge; a path stays as it was encoded."""
    ask(gateway, "GET", "/a%2Fb/_doc/%C3%A9", {"Host": HOST, "Authorization": "Basic YTpi", "X-Own": "1"})
    ((sent, _),) = upstream.got
    assert sent.url == "https://127.0.0.1:9/a%2Fb/_doc/%C3%A9"
    assert (sent.headers["authorization"], sent.headers["x-own"]) == ("Basic YTpi", "1")
    assert caller.claims == []


def test_a_refused_signature_is_403_and_goes_nowhere(gateway: ASGIApp, upstream: Upstream, caller: Caller) -> None:
    """With the local AWS's reason, as a domain of Amazon's gives it."""
    caller.error = SignatureError("The security token included in the request is invalid.")
    response = ask(gateway, "GET", "/", signed("GET", "/"))
    assert (response.status, response.json()) == (403, {"message": str(caller.error)})
    assert upstream.got == []


def test_neighbours_that_are_away_are_503(gateway: ASGIApp, upstream: Upstream, caller: Caller) -> None:
    """OpenSearch, or the local AWS."""
    upstream.error = requests.ConnectionError("refused")
    response = ask(gateway, "GET", "/", {"Host": HOST})
    assert (response.status, response.json()) == (503, {"message": "OpenSearch does not respond (ConnectionError)"})
    caller.error = gateway_app.UnavailableError("the local AWS does not respond")
    assert ask(gateway, "GET", "/", signed("GET", "/")).status == 503


def test_a_request_may_have_a_hundred_mebibytes(
    gateway: ASGIApp, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSearch's http.max_content_length; one byte more is 413 and goes nowhere."""
    assert gateway_app._MOST_BYTES == 104_857_600
    monkeypatch.setattr(gateway_app, "_MOST_BYTES", 10)
    assert ask(gateway, "PUT", "/", {"Host": HOST}, b"x" * 10).status == 200
    response = ask(gateway, "PUT", "/", {"Host": HOST}, b"x" * 11)
    assert (response.status, response.json()) == (413, {"message": "a request may have at most 10 bytes"})
    assert len(upstream.got) == 1


def test_all_requests_together_hold_a_bounded_number_of_bytes(
    gateway: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one body is held, another one that does not fit is 503; afterwards it is taken."""
    monkeypatch.setattr(gateway_app, "_MOST_HELD_BYTES", 15)

    scope = {"type": "http", "method": "PUT", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    statuses: list[int] = []
    parts = [{"type": "http.request", "body": b"x" * 10, "more_body": True}]

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    async def receive_at_once() -> Any:
        return {"type": "http.request", "body": b"x" * 10, "more_body": False}

    async def receive() -> Any:
        if parts:
            return parts.pop()
        await gateway(scope, receive_at_once, send)
        return {"type": "http.request", "body": b"", "more_body": False}

    run(gateway(scope, receive, send))
    assert statuses == [503, 200]
    assert ask(gateway, "PUT", "/", {"Host": HOST}, b"x" * 15).status == 200


@pytest.mark.parametrize(("method", "length"), [("GET", "12"), ("HEAD", "77")])
def test_a_response_comes_as_it_is(gateway: ASGIApp, upstream: Upstream, method: str, length: str) -> None:
    """Status, headers, body; the length of a HEAD is that of what a GET would bring (RFC 9110, section 9.3.2)."""
    upstream.status = 404
    upstream.headers_sent |= {"Content-Length": "77", "Connection": "close", "Transfer-Encoding": "chunked"}
    response = ask(gateway, method, "/nowhere", {"Host": HOST})
    assert response.status == 404
    assert response.headers == {"content-type": "application/json", "content-length": length}


def test_what_is_not_http_is_passed_over(gateway: ASGIApp) -> None:
    """The server's own messages: there is nothing to start."""
    run(gateway({"type": "lifespan"}, None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 403])
def test_the_local_aws_is_asked_who_has_signed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the string to sign and the signature, and returns the ARN or a reason."""
    asked: list[Any] = []

    def post(self: requests.Session, url: str, **options: Any) -> requests.Response:
        assert not self.trust_env
        asked.append((url, options["json"]))
        response = requests.Response()
        response.status_code = status
        response._content = json.dumps({"arn": ROLE, "message": "no such key"}).encode()
        return response

    monkeypatch.setattr(requests.Session, "post", post)
    who = gateway_app.ask_local_aws("http://127.0.0.1:1")
    if status == 200:
        assert who(CLAIM) == ROLE
    else:
        with pytest.raises(SignatureError, match=r"^no such key$"):
            who(CLAIM)
    ((url, sent),) = asked
    assert url.startswith("http://127.0.0.1:1/")
    assert sent == {
        "accessKey": "AKID", "sessionToken": "", "day": "20261126", "region": "us-east-1",
        "stringToSign": "text", "signature": "abc",
    }  # fmt: skip


def test_a_local_aws_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a refusal: nobody knows whose the signature is."""

    def post(*_: Any, **__: Any) -> requests.Response:
        raise requests.Timeout

    monkeypatch.setattr(requests.Session, "post", post)
    with pytest.raises(gateway_app.UnavailableError, match=r"local AWS does not respond \(Timeout\)"):
        gateway_app.ask_local_aws("http://127.0.0.1:1")(CLAIM)


@pytest.mark.parametrize(
    "target", ["@127.0.0.1:8080/x", ".evil.example/", ":8080/x", "*", "", "http://evil.example/x", "x@evil.example/"]
)
def test_a_target_that_is_no_path_goes_nowhere(gateway: ASGIApp, upstream: Upstream, target: str) -> None:
    """Appended to OpenSearch's address, it would name another host: anyone could make the gateway connect to it."""
    response = ask(gateway, "GET", target, {})
    assert response.status == 400
    assert upstream.got == []
