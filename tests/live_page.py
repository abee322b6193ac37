"""The live page for tests: served on a free port, from sources that a test gives, and looked at with Chromium."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import Search
from iot_stream.description import Description
from iot_stream.failure_objects import NoSuchFailureError
from iot_stream.live.app import Sources, create_app
from iot_stream.live.failures import Failure
from iot_stream.live.server import configure
from tests.chromium import chromium_path
from tests.polling import until
from tests.ports import free_port

FAILURE = Failure("backup/processing-failed/1", 0, "Transform", "Lambda.ProcessingFailedStatus", "why", 1, 1)
COUNTS = {"sent": 10, "transformed": 9, "delivered": 8, "failed": 1, "searchable": 8, "pending": 0, "lag_ms": 0}

# How long something takes to appear says more of this machine's other work than of the page.
expect.set_options(timeout=30_000)

# Nothing but the page under test goes over the network, and it runs as root too (containers, CI).
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
_FLAGS += ("--disable-background-networking", "--disable-component-update")
# A page has a window with an address bar, whose suggestions are pages themselves: 1.3 s of a processor for each window.
# The list replaces Playwright's own: the others are those of it that ask other servers, or that draw later than usual.
_NOT_WANTED = "WebUIOmniboxPopup WebUIOmniboxAimPopup AimEnabled MediaRouter NetworkTimeServiceQuerying "
_NOT_WANTED += "OptimizationHints PaintHolding PreconnectToSearch"
_FLAGS += (f"--disable-features={_NOT_WANTED.replace(' ', ',')}",)


class Failed:
    """One failed record; an `iot_stream.live.app.FailureSource`."""

    def recent(self, limit: int = 100) -> list[Failure]:
        """The one."""
        return [FAILURE][:limit]

    def payload(self, key: str, line: int) -> str:
        """Its record."""
        if (key, line) != (FAILURE.key, FAILURE.line):
            raise NoSuchFailureError(f"there is no failure object {key}")
        return "the record"


def barriers(page: Page) -> list[str]:
    """Return what keeps people from using the page as it is now, by axe-core: what it calls serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes']][:5]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


@contextlib.contextmanager
def serving(*parts: Any) -> Iterator[str]:
    """Serve the app made of these parts (see `create_app`) on a free port; gives its address."""
    port = free_port()
    server = uvicorn.Server(configure(create_app(*parts), port))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, seconds=60, what="the server")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def get(url: str, **options: Any) -> requests.Response:
    """One request, untouched by the environment's proxies and certificates."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=20, **options)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium with an empty profile, and one context for every page without settings of its own.

    Each page is of a server on a port of its own, so that pages of one context share no storage. Nothing moves unless a
    person wants motion: without a graphics processor an animation takes a tenth of a processor.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=_FLAGS)
        browser.new_context(reduced_motion="reduce")
        yield browser
        browser.close()


class Looked:
    """A page that is open, and what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, query: str = "") -> None:
        """Load the page and wait for its first response."""
        self.page.goto(f"{self.url}/{query}")
        self.page.locator("#state[data-state=live]").wait_for()

    def figure(self, label: str) -> Locator:
        """A key figure as a person reads it in the panel."""
        return self.page.locator(f'[data-name=key-figures] [role=graphics-symbol][aria-label^="label: {label};"]')

    def count(self, path: str) -> int:
        """How many requests for `path` the page has made."""
        return sum(path in url for url in self.asked)


type Open = Callable[..., Looked]


@contextlib.contextmanager
def looking(browser: Browser, vega: Path, search: Search) -> Iterator[Open]:
    """Gives what opens the page on an index, by default over `search`.

    At the end, nothing went wrong in any page and nothing was asked of any other server.
    """
    opened: list[tuple[Looked, Any]] = []

    def open_page(
        index: str,
        query: str = "",
        *,
        searching: Search = search,
        counts: Any = lambda: COUNTS,
        reading: Description | None = None,
        **context: Any,
    ) -> Looked:
        server = serving(load(reading=reading).for_index(index), Sources(searching, counts, Failed()), vega)
        url = server.__enter__()
        looked = Looked((browser.new_context(**context) if context else browser.contexts[0]).new_page(), url)
        opened.append((looked, server))
        looked.open(query)
        return looked

    yield open_page
    for looked, server in opened:
        looked.page.close()
        if looked.page.context != browser.contexts[0]:
            looked.page.context.close()
        server.__exit__(None, None, None)
        assert looked.wrong == [], looked.wrong
        assert {url[: len(looked.url)] for url in looked.asked} == {looked.url}
