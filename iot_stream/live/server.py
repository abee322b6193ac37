"""Serve the live page over the running local stack, on 127.0.0.1 only."""

import logging
import os
import sys
import webbrowser
from collections.abc import Callable
from typing import Any

import uvicorn

from iot_stream.dashboards.definition import Dashboard, load
from iot_stream.live.app import Sources, create_app
from iot_stream.live.failures import Failures
from iot_stream.live.reader import Reader, connect, make_role
from iot_stream.live.reasons import FunctionLog
from iot_stream.live.vega import bundle
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.processes import claim_port
from iot_stream.paths import LOCAL
from iot_stream.run.status import read_counts

__all__ = ["open_page", "serve", "view_of"]


def serve(local_stack: LocalStack, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted; `say` is told the address once the page can be loaded.

    Raises:
        SetupError: the port is in use.
        StackError: the stack is not deployed.
        SearchError: OpenSearch refuses to make the page's user.
    """
    claim_port(port, what="the live page", option="--port")
    app = create_app(*view_of(local_stack), bundle(LOCAL / "live"))
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,  # addresses hold what people filter by
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, lambda: say(f"http://127.0.0.1:{port}/"))
    server.run()


def view_of(local_stack: LocalStack) -> tuple[Dashboard, Sources]:
    """The dashboard on the stack's index, and where its data comes from; makes the reader's role first.

    Raises:
        StackError: the stack is not deployed.
        SearchError: OpenSearch refuses to make the role.
    """
    # opensearch-py logs a traceback for each call that fails; people are told in words.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    stack = local_stack.stack()
    index = stack.output("IndexName")
    dashboard = load().for_index(index)
    make_role(local_stack.opensearch, dashboard.index_pattern)
    client = connect(local_stack.opensearch)
    failures = Failures(local_stack.aws.client("s3"), stack.output("BackupBucketName"), stack.output("BackupPrefix"))
    function = stack.output("EnrichmentFunctionArn").split(":")[6]
    log = FunctionLog(local_stack.aws.client("logs"), f"/aws/lambda/{function}")

    def counts() -> dict[str, Any]:
        return read_counts(local_stack, client, index).as_dict()

    return dashboard, Sources(Reader(client), counts, failures, log.reasons)


def open_page(url: str) -> None:
    """Show the page in the user's browser, where there is a screen to show it on."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # elsewhere webbrowser would take over the terminal with a text browser
    webbrowser.open(url)


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
