"""The gateway: forwards signed requests as their IAM principal, and all others unchanged.

Amazon's domains verify a signature before the security plugin sees a request, and tell the plugin who the signer is.
Here the local AWS verifies it (it alone has the secret keys), and a token of the plugin's `jwt` domain names it.
"""

import datetime as dt
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from iot_stream.local.gateway.signature import Claim, Request, SignatureError, is_signed, read_claim
from iot_stream.role_token import role_token

__all__ = ["Gateway", "ask_local_aws"]

AUTHENTICATE: Final = "/_iot_stream/authenticate"
"""Path of the local AWS that proves a claim (iot_stream/local/ministack_server/__main__.py)."""
# OpenSearch's own limit (http.max_content_length), beyond which it would refuse the request anyway.
_MOST_BYTES: Final = 100 * 2**20
# Of all requests together: anybody on the machine may send, and a body is held before its signature can be verified.
_MOST_HELD_BYTES: Final = 3 * _MOST_BYTES
_TIMEOUT: Final = (5, 120)
_TOKEN_SECONDS: Final = 60
# RFC 9110, section 7.6.1: about one connection, not about the message; and what the client computes from the body.
_OF_THE_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
)

_log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """The local AWS, or OpenSearch, does not respond."""


type Caller = Callable[[Claim], str]
"""Return the ARN of the IAM principal whose signature proves the claim; raise SignatureError or UnavailableError."""


def ask_local_aws(url: str) -> Caller:
    """Return a Caller that verifies each claim with the local AWS at `url`."""
    session = requests.Session()
    session.trust_env = False

    def caller(claim: Claim) -> str:
        request = {
            "accessKey": claim.access_key,
            "sessionToken": claim.token,
            "day": claim.day,
            "region": claim.region,
            "stringToSign": claim.string_to_sign,
            "signature": claim.signature,
        }
        try:
            response = session.post(url + AUTHENTICATE, json=request, timeout=_TIMEOUT)
            body = response.json()
        except requests.RequestException as error:
            raise UnavailableError(f"the local AWS does not respond ({type(error).__name__})") from error
        if response.status_code != requests.codes.ok:
            raise SignatureError(body["message"])
        return str(body["arn"])

    return caller


@dataclass
class _Held:
    """How many bytes of bodies are held; the event loop's thread alone changes it."""

    size: int = 0


@dataclass(frozen=True)
class Gateway:
    """An ASGI application in front of one OpenSearch.

    Attributes:
        upstream: OpenSearch's URL.
        ca_file: PEM file of the authority to verify it with.
        region: the domain's region.
        hosts: values of the Host header that mean this gateway.
        jwt_key: the security plugin's `signing_key`.
        caller: proves whose signature a request has.
        session: the HTTP client for OpenSearch.
        clock: the time.
    """

    upstream: str
    ca_file: str
    region: str
    hosts: frozenset[str]
    jwt_key: bytes
    caller: Caller
    session: requests.Session
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    _held: _Held = field(default_factory=_Held, init=False, repr=False, compare=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to one HTTP request."""
        if scope["type"] != "http":
            return
        body = bytearray()
        try:
            request = await self._read(scope, receive, body)
            response = await run_in_threadpool(self.respond, request)
        except ClientDisconnect:
            return
        except _TooLargeError:
            response = _message(413, f"a request may have at most {_MOST_BYTES} bytes")
        except _TooMuchError:
            response = _message(503, "too many large requests at the same time: try again")
        finally:
            self._held.size -= len(body)
        await response(scope, receive, send)

    async def _read(self, scope: Any, receive: Any, body: bytearray) -> Request:
        http = HttpRequest(scope, receive)
        async for chunk in http.stream():
            body += chunk
            self._held.size += len(chunk)
            if len(body) > _MOST_BYTES:
                raise _TooLargeError
            if self._held.size > _MOST_HELD_BYTES:
                raise _TooMuchError
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        raw_path = scope["raw_path"].decode("latin-1")
        return Request(scope["method"], raw_path, scope["query_string"].decode("latin-1"), headers, bytes(body))

    def respond(self, request: Request) -> Response:
        """Return OpenSearch's response, or why the request may not be passed on."""
        if not request.path.startswith("/"):  # "@host/" would make OpenSearch's address a user name of another one
            return _message(400, "the request's target must be a path")
        try:
            return self._forward(self.authenticated(request) if is_signed(request) else request)
        except SignatureError as error:
            _log.warning("%s %s refused: %s", request.method, request.path, error)
            return _message(403, str(error))
        except UnavailableError as error:
            _log.warning("%s %s: %s", request.method, request.path, error)
            return _message(503, str(error))

    def authenticated(self, request: Request) -> Request:
        """Return the signed request, with a token for its signer in place of the signature.

        Raises:
            SignatureError: it is not signed by a principal of the local AWS.
            UnavailableError: the local AWS does not respond.
        """
        claim = read_claim(request, region=self.region, hosts=self.hosts, now=self.clock())
        token = role_token(self.caller(claim), self.jwt_key, seconds=_TOKEN_SECONDS)
        signed = claim.request
        # The signature's own headers mean nothing to OpenSearch, and its logs need no session token.
        kept = [each for each in signed.headers if each[0] != "authorization" and not each[0].startswith("x-amz-")]
        return replace(signed, headers=(*kept, ("authorization", f"Bearer {token}")))

    def _forward(self, request: Request) -> Response:
        prepared = requests.Request(request.method, self.upstream, data=request.body).prepare()
        # Set as it is: prepared, it would be encoded anew.
        prepared.url = self.upstream + request.path + (f"?{request.query}" if request.query else "")
        for name, value in request.headers:
            if name not in _OF_THE_CONNECTION | {"content-length"}:
                prepared.headers[name] = value
        try:
            with self.session.send(
                prepared, stream=True, verify=self.ca_file, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                content = response.raw.read(decode_content=False)
        except (requests.RequestException, OSError) as error:
            raise UnavailableError(f"OpenSearch does not respond ({type(error).__name__})") from error
        passed = Response(content, response.status_code)
        headers = [
            (name, value) for name, value in response.raw.headers.items() if name.lower() not in _OF_THE_CONNECTION
        ]
        if request.method != "HEAD":  # there the length is that of what a GET would bring
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            headers.append(("content-length", str(len(content))))
        passed.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return passed


class _TooLargeError(Exception):
    pass


class _TooMuchError(Exception):
    pass


def _message(status: int, text: str) -> Response:
    """Return an error in the form that a domain of Amazon's has for refused signatures."""
    return Response(json.dumps({"message": text}), status, media_type="application/json")
