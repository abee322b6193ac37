"""A server that verifies Signature Version 4 with botocore, as the OpenSearch Service does."""

import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from iot_stream.local.certificates import make_certificates
from tests.secrets import make_secret

__all__ = ["KEYS", "REGION", "TOKENS", "Response", "SignedDomain", "signed_domain"]

REGION = "us-east-1"
KEYS = {"AKIDFIRST": make_secret("first-secret-access-key"), "AKIDSECOND": make_secret("second-secret-access-key")}
TOKENS = {"AKIDFIRST": make_secret("first-session-token"), "AKIDSECOND": make_secret("second-session-token")}

type Response = tuple[int, str, str]
"""Status, content type, text."""


@contextmanager
def signed_domain(
    folder: Path, respond: Callable[[str, str, bytes, dict[str, str]], Response]
) -> Iterator["SignedDomain"]:
    """Serve `respond` (of method, path, body and headers) to signed requests, and AWS's own 403 to all others."""
    with SignedDomain(folder, respond) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class SignedDomain(ThreadingHTTPServer):
    """A domain that accepts only signed requests; `used` are the access keys that signed them."""

    daemon_threads = True

    def __init__(self, folder: Path, respond: Callable[[str, str, bytes, dict[str, str]], Response]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        certificates = make_certificates(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "node.pem", folder / "node.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.ca = certificates.ca
        self.respond = respond
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
            status, content_type, text = 403, "application/json", json.dumps({"message": refusal})
        else:
            self.server.used.append(_parts(self.headers["Authorization"])["Credential"].split("/")[0])
            headers = {name.title(): value for name, value in self.headers.items()}
            status, content_type, text = self.server.respond(self.command, self.path, body, headers)
        payload = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

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
