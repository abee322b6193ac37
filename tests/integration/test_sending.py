"""The generator over real HTTP: what botocore does on its own between the sender and a stream that refuses or hangs."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from iot_stream.generator.job import CLIENT_CONFIG
from iot_stream.generator.rates import constant
from iot_stream.generator.send import send
from iot_stream.generator.series import Recorded

_THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
"""Throttled as a whole: "Common errors" of the Kinesis API reference, in the form of the JSON protocol."""


class _Throttling(BaseHTTPRequestHandler):
    """Refuses each request, and counts them."""

    requests = 0

    def do_POST(self) -> None:
        """Refuse."""
        self.rfile.read(int(self.headers["content-length"]))
        type(self).requests += 1
        self.send_response(400)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(_THROTTLED)))
        self.end_headers()
        self.wfile.write(_THROTTLED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _throttling() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Throttling) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def _kinesis(port: int, config: Config = CLIENT_CONFIG) -> Any:
    session = boto3.Session(aws_access_key_id="AKID", aws_secret_access_key="secret", region_name="us-east-1")
    config = config.merge(Config(proxies={}))
    return session.client("kinesis", endpoint_url=f"http://127.0.0.1:{port}", config=config)


def test_each_put_that_is_refused_as_a_whole_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many requests as calls; what is refused at the end was sent again in each but the first."""
    monkeypatch.setattr("iot_stream.generator.send._LAST_BATCH_SECONDS", 0.1)
    with _throttling() as port:
        sent = send(_kinesis(port), "s", Recorded([b"{}"], 1), due=constant(100), seconds=0.5)
    assert _Throttling.requests == sent.calls
    assert (sent.records, sent.retried) == (0, sent.abandoned * (sent.calls - 1))


def test_a_stream_that_does_not_respond_is_not_waited_for_longer_than_one_request() -> None:
    """The time of the sender is over, and nobody puts the same records again for it."""
    timeouts = vars(CLIENT_CONFIG)["_user_provided_options"]
    assert (timeouts["connect_timeout"], timeouts["read_timeout"]) == (5, 20)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        client = _kinesis(silent.getsockname()[1], CLIENT_CONFIG.merge(Config(read_timeout=1.3)))
        sent = send(client, "s", Recorded([b"{}"], 1), due=constant(100), seconds=0.2)
    assert (sent.records, sent.calls, sent.retried) == (0, 1, 0)
    assert sent.abandoned
