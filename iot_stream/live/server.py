"""Serve the live page over the running local stack, on 127.0.0.1 only."""

import contextlib
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from iot_stream.dashboards.definition import Dashboard, load
from iot_stream.failure_objects import FailureObjects
from iot_stream.failures.progress import ProgressStore
from iot_stream.live.app import Sources, create_app
from iot_stream.live.failures import Failures
from iot_stream.live.function_log import FunctionLog
from iot_stream.live.owner import owners_known, page_key
from iot_stream.live.reader import Reader, connect
from iot_stream.live.vega import bundle
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.processes import claim_port
from iot_stream.log_file import rotate
from iot_stream.paths import LOCAL
from iot_stream.run.counts import read_counts, with_resolved

__all__ = ["configure", "open_page", "serve", "stack_view"]

_ROTATE_SECONDS = 10.0


def serve(local_stack: LocalStack, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted; call `say` with the address once the page can be loaded.

    Raises:
        SetupError: the port is in use.
        StackError: the stack is not deployed.
    """
    claim_port(port, what="the live page", option="--port")
    key = "" if owners_known() else page_key(local_stack.live_key_file)
    app = create_app(*stack_view(local_stack), bundle(LOCAL / "live"), key)
    server = _Server(configure(app, port), lambda: say(f"http://127.0.0.1:{port}/" + (f"?key={key}" if key else "")))
    threading.Thread(target=_keep_logs_bounded, args=(local_stack,), daemon=True).start()
    server.run()


def configure(app: ASGIApp, port: int) -> uvicorn.Config:
    """Return how the page's application is served.

    Whose a request is follows from its connection, so no header may say that it came by another one: uvicorn believes
    X-Forwarded-For where the sender is on this machine, and every user of the machine is.
    """
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        proxy_headers=False,
        log_level="warning",
        access_log=False,  # addresses hold what people filter by
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def _keep_logs_bounded(local_stack: LocalStack) -> None:
    """Rotate the logs of all parts in an endless loop, because the page keeps running after `iot-stream up` ends."""
    while True:
        for log in local_stack.log_files():
            with contextlib.suppress(OSError):
                rotate(log)
        time.sleep(_ROTATE_SECONDS)


def stack_view(local_stack: LocalStack) -> tuple[Dashboard, Sources]:
    """Return the dashboard on the stack's index and the sources of its data. Nothing is written.

    Raises:
        StackError: the stack is not deployed.
    """
    stack = local_stack.stack()
    index = stack.output("IndexName")
    dashboard = load().for_index(index)
    client = connect(local_stack.opensearch)
    s3 = local_stack.aws.client("s3")
    objects, store = FailureObjects.of(stack, s3), ProgressStore(s3, stack.output("BackupBucketName"))
    log = FunctionLog(local_stack.aws.client("logs"), stack.output("EnrichmentLogGroupName"))

    def counts() -> dict[str, Any]:
        return with_resolved(read_counts(local_stack, client, index), objects).as_dict()

    return dashboard, Sources(Reader(client), counts, Failures(objects, store), log.reasons)


def open_page(url: str) -> None:
    """Open the page in the user's browser, where there is a screen."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # webbrowser would open a text browser in the terminal
    webbrowser.open(url)


class _Server(uvicorn.Server):
    """A server that calls `ready` when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
