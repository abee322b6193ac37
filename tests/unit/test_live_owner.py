"""Whose a connection is, by lines as Linux writes them (captured from 6.x: `cat /proc/net/tcp /proc/net/tcp6`)."""

import sys

import pytest

from iot_stream.live.owner import socket_owner

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
