"""Whose a connection is, by lines as Linux writes them (captured from 6.x: `cat /proc/net/tcp /proc/net/tcp6`).

Elsewhere by a key in the address that is opened first, and by a cookie from then on.
"""

import stat
import sys
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from iot_stream.live import owner
from iot_stream.live.owner import OwnerOnly, owners_known, page_key, socket_owner
from iot_stream.local.local_stack import LocalStack, Ports
from tests.asgi import get

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the captured lines are of a little-endian machine")

CLIENT, SERVER = ("127.0.0.1", 39465), ("127.0.0.1", 8600)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
REST = "01 00000000:00000000 00:00000000 00000000 {uid:5}        0 41412 1 00000000de96ffaf 20 4 30 10 -1"
V6 = "0000000000000000FFFF00000100007F"


def line(local: str, remote: str, uid: int) -> str:
    """Return one row."""
    return f"   0: {local} {remote} {REST.format(uid=uid)}"


@pytest.mark.parametrize(("local", "remote"), [("0100007F", "0100007F"), (V6, V6)])
def test_the_client_s_end_says_who_it_is(local: str, remote: str) -> None:
    """Not the server's end of the same connection, which is the page's own; IPv6 sockets are seen too."""
    table = [HEAD, line(f"{remote}:2198", f"{local}:9A29", 1000), line(f"{local}:9A29", f"{remote}:2198", 65534)]
    assert socket_owner(table, CLIENT, SERVER) == 65534


def test_other_connections_say_nothing() -> None:
    """Another port, another address, the header, a listening socket."""
    others = [
        HEAD,
        line("0100007F:9A2A", "0100007F:2198", 1),
        line("0100007F:9A29", "0100007F:2199", 1),
        line("0200007F:9A29", "0100007F:2198", 1),
        line("0100007F:2198", "00000000:0000", 1),
        "",
    ]
    assert socket_owner(others, CLIENT, SERVER) is None


def test_a_closed_socket_is_nobody_s() -> None:
    """Its user id is 0, which is not root's: the request would be served, whoever had sent it.

    Captured (but for the ports) after a process of `nobody` had sent a request and closed its socket: FIN_WAIT2.
    """
    row = (
        "  32: 0100007F:9A29 0100007F:2198 05 00000000:00000000 03:0000174B 00000000     0        0 0 3 0000003f054b46"
    )
    assert socket_owner([HEAD, row], CLIENT, SERVER) is None


KEY = "k3y-that-opens-it"
OPENED = OwnerOnly(PlainTextResponse("the page"), key=KEY)


def test_the_address_with_the_key_gives_a_cookie_that_serves_everything_else() -> None:
    """The browser shows the address without the key; scripts can't read the cookie, and other sites not send it."""
    first = get(OPENED, "/", {"key": KEY})
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie, *settings = first.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} == set(settings)
    for path in ("/", "/api/data"):
        assert get(OPENED, path, cookie=cookie).body == b"the page"


@pytest.mark.parametrize(
    ("query", "cookie"),
    [
        ({}, ""), ({"key": ""}, ""), ({"key": KEY + "x"}, ""), ({"key": "ключ"}, ""),
        ({}, "iot-stream-80=no"), ({}, f"iot-stream-81={KEY}"),
    ],
    ids=["nothing", "an empty key", "another key", "not ASCII", "another cookie", "of another port"],
)  # fmt: skip
def test_whoever_has_not_the_key_is_told_where_it_is(query: dict[str, str], cookie: str) -> None:
    """And learns nothing else."""
    response = get(OPENED, "/", query, cookie=cookie)
    assert (response.status, KEY.encode() in response.body) == (403, False)
    assert "the URL that iot-stream printed" in response.json()["error"]


def test_the_key_is_random_the_owner_s_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second page of the same stack has the same; the printed address has it, where there is one."""
    stack = LocalStack(tmp_path, Ports(live=8600), tmp_path)
    assert stack.live_url == "http://127.0.0.1:8600/"
    key = page_key(stack.live_key_file)
    assert len(key) == 32
    assert page_key(stack.live_key_file) == key != page_key(tmp_path / "other")
    assert stat.S_IMODE(stack.live_key_file.stat().st_mode) == 0o600
    assert stack.live_url == f"http://127.0.0.1:8600/?key={key}"
    monkeypatch.setattr(owner, "_TABLES", (tmp_path / "none",))
    assert not owners_known()
