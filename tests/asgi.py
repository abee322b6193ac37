"""Call an ASGI application in this process, without a socket: unit tests of web applications."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.types import ASGIApp

__all__ = ["AsgiResponse", "get", "run"]

# Made at import, as an event loop's own pipe is a socket pair, which unit tests may not open.
_LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class AsgiResponse:
    """What an application sent: status, headers with names in lower case, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON."""
        return msgspec.json.decode(self.body)


def run(coroutine: Any, seconds: float = 20) -> Any:
    """Run a coroutine to its end."""
    return _LOOP.run_until_complete(asyncio.wait_for(coroutine, seconds))


def get(app: ASGIApp, path: str, query: dict[str, Any] | None = None, **headers: str) -> AsgiResponse:
    """Return the response to one GET (ASGI specification 3.0, "HTTP connection scope").

    `Host` is 127.0.0.1 unless `headers` say otherwise. An error that the application raises after its 500 is left out,
    as servers only log it.
    """
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query or {}, doseq=True).encode(),
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in ({"host": "127.0.0.1"} | headers).items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    request = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if request:
            return request.pop()
        return await asyncio.Event().wait()  # the client never disconnects

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        run(app(scope, receive, send))
    except Exception:
        if not sent or sent[0]["status"] < 500:
            raise
    headers_sent = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return AsgiResponse(sent[0]["status"], headers_sent, b"".join(message.get("body", b"") for message in sent[1:]))
