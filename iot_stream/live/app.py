"""The live page's web application: one page, its data as JSON, and no route that changes anything.

Where the data comes from is an argument (`Sources`), so that the page can be shown over any OpenSearch. It serves only
requests for this machine's own names, so that no other site can read it through the browser (DNS rebinding), only the
user who started it (`iot_stream.live.owner`), and its content security policy blocks everything from elsewhere.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iot_stream.dashboards.context import Context, TimeRange, TimeRangeError
from iot_stream.dashboards.decimals import decimals_of
from iot_stream.dashboards.definition import Dashboard
from iot_stream.dashboards.search import BadQueryError, Search, fetch, terms_filter
from iot_stream.description import Type
from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import NoSuchFailureError
from iot_stream.live.devices import Devices
from iot_stream.live.failures import Failure
from iot_stream.live.function_log import Reason
from iot_stream.live.owner import OwnerOnly
from iot_stream.live.pipeline import DelayMeter, Pipeline, State
from iot_stream.live.shared import Shared

__all__ = ["FailureSource", "Sources", "create_app"]

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 30.0
_EXACT = 2**53
_DIGITS = 9
_FAILURES, _MOST_FAILURES = 100, 1_000
_SHARED_SECONDS = 2.0
_LONGEST_REFRESH_MS = 60_000
_THREADS = 8  # as many connections has the search client; each thread that parses keeps memory of its own


type _Parameters = tuple[tuple[str, str], ...]


class FailureSource(Protocol):
    """Where failed records come from, e.g. `iot_stream.live.failures.Failures`."""

    def recent(self, limit: int = 100) -> list[Failure]:
        """Return the newest failures."""
        ...

    def payload(self, key: str, line: int) -> str:
        """Return one failure's record as text."""
        ...


@dataclass(frozen=True)
class Sources:
    """Where the page's data comes from.

    Attributes:
        search: runs searches on OpenSearch.
        counts: the pipeline's counts now: at least sent, transformed, delivered and failed; others are passed on.
        failures: the failed records.
        reasons: why the function failed records, in its own words.
    """

    search: Search
    counts: Callable[[], Mapping[str, Any]]
    failures: FailureSource
    reasons: Callable[[], Sequence[Reason]] = tuple


def create_app(dashboard: Dashboard, sources: Sources, vega: Path, key: str = "") -> ASGIApp:
    """Return the page's ASGI application.

    Args:
        dashboard: what it shows.
        sources: of its data.
        vega: the file with Vega's script, as `iot_stream.live.vega.bundle` makes it.
        key: that opens it, where the system does not say whose a connection is (`iot_stream.live.owner`).
    """
    page = _Page(dashboard, sources)
    routes = [
        Route("/", page.index),
        Route("/vega.js", lambda _: FileResponse(vega, media_type="text/javascript")),
        Route("/api/dashboard", page.dashboard),
        Route("/api/data", page.data),
        Route("/api/pipeline", page.pipeline),
        Route("/api/alerts", page.alerts),
        Route("/api/fleet", page.fleet),
        Route("/api/devices", page.devices),
        Route("/api/failures", page.failures),
        Route("/api/failures/payload", page.payload),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    middleware = [
        Middleware(OwnerOnly, key=key),
        Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False),
        Middleware(GZipMiddleware, minimum_size=1_000),
    ]
    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=page.lifespan,
        exception_handlers={
            NoSuchFailureError: _not_found,
            IotStreamError: _unavailable,
            TimeRangeError: _bad_request,
            BadQueryError: _bad_request,
        },
    )
    return _Headers(app)  # outermost, so that every response has them


class _Page:
    """The routes, and the background task that watches the pipeline while the page is open."""

    def __init__(self, dashboard: Dashboard, sources: Sources) -> None:
        self._dashboard = dashboard
        self._sources = sources
        devices = Devices(sources.search, dashboard)
        self._data = Shared(self._look, _SHARED_SECONDS)
        self._alerts: Shared[None, dict[str, Any]] = Shared(lambda _: devices.alerts(), _SHARED_SECONDS)
        self._fleet: Shared[_Parameters, dict[str, Any]] = Shared(
            lambda asked: devices.fleet(dict(asked)), _SHARED_SECONDS
        )
        self._over_time: Shared[tuple[tuple[str, ...], str, str], dict[str, Any]] = Shared(
            lambda asked: devices.over_time(*asked), _SHARED_SECONDS
        )
        delays = DelayMeter(sources.search, dashboard.index_pattern, dashboard.time_field)
        self._pipeline = Pipeline(sources.counts, delays)
        self._state = State()
        self._failures: Shared[int, tuple[Sequence[Failure], Sequence[Reason]]] = Shared(
            lambda limit: (sources.failures.recent(limit), sources.reasons()), _SHARED_SECONDS
        )
        self._last_request = time.monotonic()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Watch the pipeline as long as the server runs."""
        current_default_thread_limiter().total_tokens = _THREADS
        watching = asyncio.create_task(self._watch())
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    async def index(self, _: Request) -> Response:
        """Return the page."""
        return FileResponse(_STATIC / "index.html", media_type="text/html")

    async def dashboard(self, _: Request) -> Response:
        """Return what the page is made of: titles, places, and specifications whose data sets are empty and named."""
        shown = self._dashboard
        texts = {field.name for field in shown.reading.fields if field.type is Type.KEYWORD}
        panels = [
            {
                "name": panel.name,
                "title": panel.title,
                "description": panel.description,
                "grid": asdict(shown.grid_without_filters(panel)),
                "data": panel.data_name,
                "spec": panel.spec_with(None),
            }
            for panel in shown.panels
        ]
        return JSONResponse(
            {
                "title": shown.title,
                "time_from": shown.time_from,
                "refresh_ms": shown.refresh_ms,
                "filters": [{**entry, "is_text": entry["field"] in texts} for entry in shown.filters],
                "panels": panels,
                "device": {"field": shown.reading.device.name, "label": shown.reading.device.label},
                "measures": [
                    {
                        "name": each.name,
                        "label": each.label,
                        "unit": each.unit,
                        "above": each.alert_above,
                        "below": each.alert_below,
                        "decimals": decimals_of(each),
                    }
                    for each in shown.reading.measures
                ],
                "latest": {"title": shown.latest_title, "headings": shown.latest_headings},
            }
        )

    async def data(self, request: Request) -> Response:
        """Return OpenSearch's responses for `from`, `to` and any number of values for each filter's field.

        `refresh` is how often the viewer asks, in milliseconds: what another one asked for within that time is returned
        again, so that the domain is asked once for all of them. Without it the domain is asked.
        """
        query = request.query_params
        refresh = _number(query.get("refresh", "0"))
        if refresh is None:
            return JSONResponse({"error": "refresh must be a number of milliseconds"}, status_code=400)
        start, end = query.get("from", self._dashboard.time_from), query.get("to", self._dashboard.time_to)
        chosen = tuple((entry["field"], tuple(query.getlist(entry["field"]))) for entry in self._dashboard.filters)
        body = await self._data.get((start, end, chosen), min(refresh, _LONGEST_REFRESH_MS) / 1000)
        return Response(body, media_type="application/json")

    async def pipeline(self, _: Request) -> Response:
        """Return counts, rates and delay, as seen at the latest look."""
        self._last_request = time.monotonic()
        return JSONResponse(asdict(self._state))

    async def alerts(self, _: Request) -> Response:
        """Return the open alerts on devices, and those that closed last."""
        return JSONResponse(_exact(await self._alerts.get(None)))

    async def fleet(self, request: Request) -> Response:
        """Return a page of the table of the fleet, for `sort`, `order`, `search` and `after`."""
        return JSONResponse(_exact(await self._fleet.get(tuple(sorted(request.query_params.items())))))

    async def devices(self, request: Request) -> Response:
        """Return one or two devices (`device`) over time, for `from` and `to`."""
        query = request.query_params
        start, end = query.get("from", self._dashboard.time_from), query.get("to", self._dashboard.time_to)
        return JSONResponse(await self._over_time.get((tuple(query.getlist("device")), start, end)))

    async def failures(self, request: Request) -> Response:
        """Return the newest failed records, `limit` at most, without their data, and the function's reasons."""
        limit = _number(request.query_params.get("limit", str(_FAILURES)))
        if limit is None:
            return JSONResponse({"error": "limit must be a number"}, status_code=400)
        failures, reasons = await self._failures.get(min(limit, _MOST_FAILURES))
        return JSONResponse(
            {"failures": [asdict(failure) for failure in failures], "reasons": [asdict(reason) for reason in reasons]}
        )

    async def payload(self, request: Request) -> Response:
        """Return one failed record, for `key` and `line`."""
        key, line = request.query_params.get("key", ""), _number(request.query_params.get("line", ""))
        if line is None:
            return JSONResponse({"error": "line must be a number"}, status_code=400)
        return JSONResponse({"payload": await run_in_threadpool(self._sources.failures.payload, key, line)})

    def _look(self, asked: tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]]) -> bytes:
        """Ask for everything that the dashboard shows; return it as JSON, which is the same for every viewer."""
        start, end, chosen = asked
        now = datetime.now(UTC)
        filters = [terms_filter(field, values) for field, values in chosen if values]
        context = Context(TimeRange.parse(start, end, now), filters)
        responses = fetch(self._sources.search, self._dashboard, context)
        told = {
            "from": context.time.start.isoformat(),
            "to": context.time.end.isoformat(),
            "at": round(now.timestamp() * 1000),
            "milliseconds": round((datetime.now(UTC) - now).total_seconds() * 1000),
            **_exact(asdict(responses)),
        }
        return bytes(JSONResponse(told).body)

    async def _watch(self) -> None:
        while True:
            if time.monotonic() - self._last_request < _IDLE_SECONDS:
                self._state = await run_in_threadpool(self._pipeline.look)
            else:
                self._state = State()  # who comes next must not take what was counted long ago for the present
            await asyncio.sleep(_LOOK_SECONDS)


class _Headers:
    """Set the security headers on every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _exact(value: Any) -> Any:
    """Return the same JSON value with integers beyond 2⁵³ as text, which a browser would round."""
    if isinstance(value, dict):
        return {name: _exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > _EXACT else value


def _number(text: str) -> int | None:
    """Return a whole number of at most nine ASCII digits, or None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def _not_found(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=404)


def _unavailable(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=503)


def _bad_request(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
