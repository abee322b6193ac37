"""A real listener in somebody else's hands: it is named everywhere in the event and by redirects, and gets nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from role_mapper import cloudformation, handler, master_user
from role_mapper.cloudformation import ResponseNotSentError
from tests.builders import FUNCTION_ENVIRONMENT, custom_resource_event, mapping_properties
from tests.lambda_context import LambdaContext
from tests.secrets import leaks, make_secret

pytestmark = pytest.mark.secrets

PASSWORD = make_secret("For-No.Listener+42")


class Listener(ThreadingHTTPServer):
    """Takes every request and responds with `status`; `received` is all that arrived."""

    daemon_threads = True

    def __init__(self, status: int, location: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.location = status, location
        self.received: list[str] = []

    @property
    def origin(self) -> str:
        """Its address as a URL."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append(f"{self.requestline} {self.headers} {body!r}")
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _take  # noqa: N815  # names of http.server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def listening(status: int, location: str = "") -> Iterator[Listener]:
    """Run a listener."""
    with Listener(status, location) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


@pytest.fixture
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's environment, its secret readable and its domain at a port where nobody listens."""
    for name, value in (FUNCTION_ENVIRONMENT | {"DOMAIN_ENDPOINT": "127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    secret = json.dumps({"username": "admin", "password": PASSWORD})
    monkeypatch.setattr(master_user, "_read_secret", lambda *_: secret)


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize("kind", ["Create", "Update", "Delete", "Show"])
def test_a_listener_that_the_event_names_gets_nothing(kind: str) -> None:
    """As the domain and as the response's address: no byte arrives."""
    with listening(200) as listener:
        named = mapping_properties(DomainEndpoint=listener.origin.removeprefix("http://"))
        for url in ("", listener.origin):
            event = custom_resource_event(
                kind, named, OldResourceProperties=named, ResponseURL=url, PhysicalResourceId="id"
            )
            if url:
                with pytest.raises(ResponseNotSentError, match="not one of CloudFormation's"):
                    handler.lambda_handler(event, LambdaContext(seconds=2))
            else:
                handler.lambda_handler(event, LambdaContext(seconds=2))
        assert listener.received == []


@pytest.mark.usefixtures("_deployed")
def test_a_response_is_not_redirected() -> None:
    """What CloudFormation's address redirects to gets nothing, and the redirect is an error."""
    with listening(200) as elsewhere, listening(307, elsewhere.origin) as address:
        with pytest.raises(ResponseNotSentError, match="status 307"):
            cloudformation.send(f"{address.origin}/x", {"Status": "SUCCESS"}, seconds=5)
        assert len(address.received) == 1
        assert not leaks(address.received[0])
        assert elsewhere.received == []
