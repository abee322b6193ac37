"""Serve only the user who runs the page: an address on 127.0.0.1 is open to every user of the machine.

Linux says in /proc/net/tcp whose each socket of this machine is ("proc_net_tcp" in its documentation), so that nobody
needs a password or a token in an address. A system without that file (macOS) has the page opened by an address with a
key, which the user's own files hold; a cookie keeps it from then on.
"""

import hmac
import os
import secrets
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OwnerOnly", "owners_known", "page_key", "socket_owner"]

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ROOT: Final = 0  # may read everything anyway, and forwards ports into containers and virtual machines
_LOCAL, _REMOTE, _UID, _INODE = 1, 2, 7, 9  # columns
_READS: Final = 3  # a table may miss a row that moves while it is read


class OwnerOnly:
    """Refuse with 403 what another user's process has asked.

    Args:
        app: what is served.
        uid: the user; None for this process's.
        key: the key that shows who the user is; empty where the system says it.
    """

    def __init__(self, app: ASGIApp, uid: int | None = None, key: str = "") -> None:
        self._app = app
        self._allowed = {os.getuid() if uid is None else uid, _ROOT}
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._key:
            await self._by_key(Request(scope), scope, receive, send)
        elif await run_in_threadpool(_owner_of, tuple(scope["client"]), tuple(scope["server"])) in self._allowed:
            await self._app(scope, receive, send)
        else:
            words = "only the user who started this page can open it"
            await JSONResponse({"error": words}, status_code=403)(scope, receive, send)

    async def _by_key(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve requests that have the cookie; set it for a request whose URL contains the key."""
        cookie = f"iot-stream-{scope['server'][1]}"  # a browser sends cookies to every port of an address
        if self._is_key(request.cookies.get(cookie, "")):
            await self._app(scope, receive, send)
        elif self._is_key(request.query_params.get("key", "")):
            response = RedirectResponse("/", status_code=303)
            response.set_cookie(cookie, self._key, httponly=True, samesite="strict")
            await response(scope, receive, send)
        else:
            words = "open the page with the URL that iot-stream printed, which contains its key"
            await JSONResponse({"error": words}, status_code=403)(scope, receive, send)

    def _is_key(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._key.encode())


def owners_known() -> bool:
    """Return whether this system says whose a connection is."""
    return _TABLES[0].exists()


def page_key(file: Path) -> str:
    """Return the key in `file`; make one there if it has none. Only the owner can read it."""
    if not file.exists():
        file.touch(mode=0o600)
    if not (key := file.read_text(encoding="ascii")):
        key = secrets.token_urlsafe(24)
        file.write_text(key, encoding="ascii")
    return key


def _owner_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    for _ in range(_READS):
        lines = (line for table in _TABLES if table.exists() for line in table.read_text("ascii").splitlines())
        owner = socket_owner(lines, client, server)
        if owner is not None:
            return owner
    return None


def socket_owner(table: Iterable[str], client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user id of the socket that is connected from `client` to `server`, None if nobody has it open.

    A socket that its process has closed stays in the table for a while, with user id and inode 0: it is nobody's, not
    root's.

    Args:
        table: lines of /proc/net/tcp and /proc/net/tcp6; an IPv6 socket may be connected to an IPv4 one.
        client: IPv4 address and port.
        server: the same of the other end.
    """
    ends = zip(_spellings(*client), _spellings(*server), strict=True)
    wanted = {f"{local} {remote}" for local, remote in ends}
    for line in table:
        columns = line.split()
        connected = len(columns) > _INODE and f"{columns[_LOCAL]} {columns[_REMOTE]}" in wanted
        if connected and columns[_INODE] != "0":
            return int(columns[_UID])
    return None


def _spellings(host: str, port: int) -> tuple[str, str]:
    """Return an end as both tables write it: each 32-bit word of the address in the machine's byte order."""
    word = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    mapped = int.from_bytes(bytes((0, 0, 0xFF, 0xFF)), sys.byteorder)
    return f"{word:08X}:{port:04X}", f"{0:016X}{mapped:08X}{word:08X}:{port:04X}"
