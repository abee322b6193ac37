"""The live page's application: what it returns to whom, without a server and without OpenSearch."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import BadQueryError, SearchError
from iot_stream.failure_objects import FailureReadError, NoSuchFailureError
from iot_stream.live import app as live_app
from iot_stream.live import owner
from iot_stream.live.app import Sources, create_app
from iot_stream.live.failures import Failure
from iot_stream.live.function_log import Reason
from iot_stream.live.pipeline import State
from tests.asgi import get, run

DASHBOARD = load()
FAILURE = Failure("backup/processing-failed/1", 3, "Transform", "Lambda.ProcessingFailedStatus", "why", 1, 1)
EMPTY = {"hits": {"hits": []}, "_shards": {"total": 1}, "aggregations": {}}


@dataclass
class Behind:
    """What is behind the page; `asked` are the searches, `limits` what `recent` was asked for."""

    response: dict[str, Any] = field(default_factory=lambda: EMPTY)
    error: Exception | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def search(self, searches: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
        """Return the same response to each search, or raise the error."""
        self.asked += searches
        if self.error:
            raise self.error
        return [self.response for _ in searches]

    def recent(self, limit: int = 100) -> list[Failure]:
        """Return the one failure."""
        self.limits.append(limit)
        if self.error:
            raise self.error
        return [FAILURE][:limit]

    def payload(self, key: str, line: int) -> str:
        """Return its record."""
        if (key, line) != (FAILURE.key, FAILURE.line):
            raise NoSuchFailureError(f"there is no failure object {key}")
        return "the record"

    def counts(self) -> Mapping[str, Any]:
        """Return counts."""
        return {"sent": 10, "transformed": 9, "delivered": 8, "failed": 1}


@pytest.fixture
def behind() -> Behind:
    """What is behind the page."""
    return Behind()


@pytest.fixture
def page(behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """The page's application, asked by the user who started it."""
    monkeypatch.setattr(owner, "_owner_of", lambda *_: os.getuid())
    vega = tmp_path / "vega.js"
    vega.write_text("window.vegaEmbed = 1", encoding="utf-8")
    reasons = [Reason("not_json", None, 2)]
    return create_app(DASHBOARD, Sources(behind.search, behind.counts, behind, lambda: reasons), vega)


@pytest.mark.parametrize("path", ["/", "/vega.js", "/static/page.css", "/api/dashboard", "/api/pipeline", "/nowhere"])
def test_every_response_forbids_everything_from_elsewhere(page: ASGIApp, path: str) -> None:
    """The policy, no sniffing, no caching; errors included."""
    headers = get(page, path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"


def test_an_unforeseen_error_has_the_headers_too(page: ASGIApp, behind: Behind) -> None:
    """It is a 500 without its text."""
    behind.error = ZeroDivisionError("secret")
    response = get(page, "/api/data")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert "content-security-policy" in response.headers


def test_what_is_not_http_passes_without_headers(page: ASGIApp) -> None:
    """The lifespan's messages have none (ASGI specification, "Lifespan Protocol")."""
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    run(page({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def test_only_this_machines_names_are_served(page: ASGIApp) -> None:
    """Another site's name that leads here (DNS rebinding) gets nothing."""
    assert get(page, "/", host="localhost:8123").status == 200
    assert get(page, "/", host="attacker.example").status == 400
    assert get(page, "/", host="www.localhost").status == 400


@pytest.mark.parametrize("user", [None, 54_321])
def test_another_user_of_the_machine_gets_nothing(
    page: ASGIApp, behind: Behind, user: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor somebody unknown: 403, with the headers, and nothing is asked."""
    monkeypatch.setattr(owner, "_TABLES", (Path("/"),))
    monkeypatch.setattr(owner, "_owner_of", lambda *_: user)
    response = get(page, "/api/data")
    assert (response.status, behind.asked) == (403, [])
    assert "content-security-policy" in response.headers


def test_the_dashboard_comes_with_named_and_empty_data(page: ASGIApp) -> None:
    """Each panel's specification has a data set for the page to fill, and no query."""
    body = get(page, "/api/dashboard").json()
    assert [panel["name"] for panel in body["panels"]] == [panel.name for panel in DASHBOARD.panels]
    for shown, panel in zip(body["panels"], DASHBOARD.panels, strict=True):
        assert shown["spec"] == panel.spec_with(None)
        assert shown["data"] == panel.data_name
        assert shown["grid"] == asdict(DASHBOARD.grid_without_filters(panel))
    assert list(body["latest"]["headings"]) == [DASHBOARD.time_field, *DASHBOARD.latest_columns]


def test_data_are_the_responses_with_exact_numbers(page: ASGIApp, behind: Behind) -> None:
    """An integer above 2⁵³ is text, in lists and objects alike; all others stay numbers, and true stays true."""
    value = {"big": [2**53 + 1, -(2**53) - 1], "exact": [2**53, -(2**53)], "other": [1.5e300, True, None, "x"]}
    behind.response = EMPTY | {"value": value}
    body = get(page, "/api/data", {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:15:00Z"}).json()
    shown = body["panels"][DASHBOARD.panels[0].name]["value"]
    assert shown["big"] == [str(2**53 + 1), str(-(2**53) - 1)]
    assert shown["exact"] == value["exact"]
    assert shown["other"] == value["other"]
    assert (body["from"], body["to"]) == ("2026-11-22T10:00:00+00:00", "2026-11-22T10:15:00+00:00")
    assert 0 <= body["milliseconds"] < 20_000


def test_filters_become_clauses_of_each_query(page: ASGIApp, behind: Behind) -> None:
    """Any number of values of each filter's field; other names are ignored."""
    name = DASHBOARD.filters[0]["field"]
    get(page, "/api/data", {name: ["7", "8"], "else": "1"})
    panels = [str(body) for _, body in behind.asked[: len(DASHBOARD.panels)]]
    assert any(f"'{name}': ['7', '8']" in body for body in panels)
    assert not any("else" in body for body in panels)


@pytest.mark.parametrize(
    ("error", "status"),
    [(SearchError("no response"), 503), (BadQueryError("not a number"), 400), (FailureReadError("no bucket"), 503)],
)
def test_an_expected_error_is_one_sentence(page: ASGIApp, behind: Behind, error: Exception, status: int) -> None:
    """What the reader can't do is 503, what the person asked for wrongly is 400."""
    behind.error = error
    response = get(page, "/api/data")
    assert (response.status, response.json()) == (status, {"error": str(error)})


def test_a_time_that_can_not_be_read_is_said(page: ASGIApp) -> None:
    """400, with the text that is wrong."""
    response = get(page, "/api/data", {"from": "yesterday"})
    assert response.status == 400
    assert "yesterday" in response.json()["error"]


@pytest.mark.parametrize(("asked", "limit"), [({}, 100), ({"limit": "7"}, 7), ({"limit": "1001"}, 1000)])
def test_failures_come_newest_first_and_bounded(
    page: ASGIApp, behind: Behind, asked: dict[str, str], limit: int
) -> None:
    """With the function's reasons."""
    body = get(page, "/api/failures", asked).json()
    assert body == {"failures": [asdict(FAILURE)], "reasons": [{"reason": "not_json", "field": None, "records": 2}]}
    assert behind.limits == [limit]


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "1234567890", "\u0661"], ids=ascii)
@pytest.mark.parametrize(("path", "name"), [("/api/failures", "limit"), ("/api/failures/payload", "line")])
def test_what_is_not_a_number_is_said(page: ASGIApp, path: str, name: str, number: str) -> None:
    """Of nine ASCII digits at most: nothing else reaches the bucket."""
    response = get(page, path, {name: number})
    assert (response.status, response.json()) == (400, {"error": f"{name} must be a number"})


def test_a_record_is_given_on_request_only(page: ASGIApp) -> None:
    """By key and line; for others 404."""
    asked = {"key": FAILURE.key, "line": "3"}
    assert get(page, "/api/failures/payload", asked).json() == {"payload": "the record"}
    response = get(page, "/api/failures/payload", asked | {"line": "000000004"})
    assert (response.status, response.json()["error"]) == (404, f"there is no failure object {FAILURE.key}")


def test_the_pipeline_is_watched_while_somebody_looks(page: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request gets the latest look; thirty seconds after the last request the looking stops, and its counts go."""
    monkeypatch.setattr(live_app, "_LOOK_SECONDS", 0.001)
    seen: list[dict[str, Any]] = []
    events = ["lifespan.startup", "lifespan.shutdown", "lifespan.startup"]
    now = [0.0]

    async def until(rounds: list[Any], count: int) -> None:
        while len(rounds) < count:  # noqa: ASYNC110 - it looks in a thread
            await asyncio.sleep(0.001)

    async def receive() -> Any:
        if events:
            if events[0] == "lifespan.shutdown":
                await until(looks, 2)
            return {"type": events.pop(0)}
        await until(looks, 2)
        now[0] = 1_000.0
        await until(idle, len(idle) + 1)  # a look that had begun is over
        counted = len(looks)
        await until(idle, len(idle) + 10)
        seen.append({"before": counted, "after": len(looks)})
        return {"type": "lifespan.shutdown"}

    async def send(_: Any) -> None:
        """Ignore."""

    looks: list[object] = []
    idle: list[State] = []
    pipeline = live_app.Pipeline.look

    def look(self: Any) -> Any:
        looks.append(self)
        return pipeline(self)

    def nothing() -> State:
        idle.append(State())
        return idle[-1]

    monkeypatch.setattr(live_app.Pipeline, "look", look)
    monkeypatch.setattr(live_app, "State", nothing)
    monkeypatch.setattr(live_app, "time", _Clock(now))
    get(page, "/api/pipeline")  # somebody looks, at 0
    lifespan = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    run(page(lifespan, receive, send))
    assert get(page, "/api/pipeline").json()["counts"]["sent"] == 10
    looks.clear()
    run(page(lifespan, receive, send))
    assert seen[0]["before"] == seen[0]["after"] >= 2
    assert get(page, "/api/pipeline").json()["counts"] == {}  # not those of long ago


@dataclass
class _Clock:
    """The `time` module, whose monotonic clock a test sets."""

    now: list[float]

    def monotonic(self) -> float:
        """Return the time."""
        return self.now[0]

    def perf_counter(self) -> float:
        """Return the time."""
        return self.now[0]


@pytest.mark.parametrize("path", ["/api/alerts", "/api/fleet"])
def test_many_viewers_of_alerts_and_devices_ask_once(page: ASGIApp, behind: Behind, path: str) -> None:
    """A domain has one question to answer every two seconds, however many look; another page is another question."""
    behind.response = {"hits": {"hits": [], "total": {"value": 0}}, "aggregations": {}}
    bodies = [get(page, path).json() for _ in range(20)]
    assert bodies == [bodies[0]] * 20
    asked = len(behind.asked)
    assert asked == {"/api/alerts": 2, "/api/fleet": 1}[path]
    get(page, "/api/fleet", {"search": "7"})
    assert len(behind.asked) == asked + 1
    assert {index for index, _ in behind.asked} == {"device-alerts-iot-stream"}


def test_many_viewers_of_the_panels_ask_once_in_a_refresh(page: ASGIApp, behind: Behind) -> None:
    """Refreshing every five seconds they get what the first asked for; another choice is another question."""
    get(page, "/api/data", {"refresh": "5000"})
    asked = len(behind.asked)
    bodies = {get(page, "/api/data", {"refresh": "5000"}).body for _ in range(20)}
    assert (len(bodies), len(behind.asked)) == (1, asked)
    get(page, "/api/data", {"refresh": "5000", "device_id": "7"})
    assert len(behind.asked) == 2 * asked
    get(page, "/api/data")
    assert len(behind.asked) == 3 * asked
    assert get(page, "/api/data", {"refresh": "soon"}).status == 400
