"""The same in a terminal: sparklines and the strip."""

import contextlib
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import Responses, SearchError
from iot_stream.live import terminal as terminal_module
from iot_stream.live.app import Sources
from iot_stream.live.pipeline import Delay, State
from iot_stream.live.terminal import _failed, frame, sparkline

DASHBOARD = load()
VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=300)


def test_a_sparkline_rises_from_lowest_to_highest() -> None:
    """One character a value, on a scale of their own; a missing value is a gap."""
    assert sparkline([0, None, 3.5, 7], 10) == "▁ ▄█"


@pytest.mark.parametrize(("values", "line"), [([], ""), ([5.0], "▁"), ([None, None], "  ")])
def test_few_values_are_no_trouble(values: list[float | None], line: str) -> None:
    """No value, one value, no known value."""
    assert sparkline(values, 10) == line


@given(values=VALUES, width=st.integers(0, 120))
def test_a_sparkline_fits_whatever_the_values(values: list[float | None], width: int) -> None:
    """Never wider than asked for, and the newest value is never cut off."""
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    if width and values and values[-1] is None and len(values) <= width:
        assert line[-1] == " "


def printed(state: State, responses: Responses) -> str:
    """A frame as text, 100 columns wide."""
    console = Console(file=StringIO(), width=100)
    console.print(frame(state, responses, DASHBOARD))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def responses(buckets: list[dict[str, Any]]) -> Responses:
    """Responses whose two panels over time have these buckets."""
    response = {"aggregations": {"time": {"buckets": buckets}}} if buckets else {}
    panels = {panel.name: response for panel in DASHBOARD.panels}
    return Responses(panels, [], {}, has_index=bool(buckets))


def test_a_frame_shows_the_strip_and_the_newest_figures() -> None:
    """Rates, totals, delay, failures; a maximum above the threshold is marked by more than colour."""
    celsius = {"min": 28.0, "avg": 31.5, "max": 40.0}
    buckets = [{"key": 1_763_806_530_000 + 10_000 * n, "doc_count": 250, "measure": celsius} for n in range(4)]
    counts = {"sent": 1200, "transformed": 1100, "delivered": 1000, "failed": 3, "searchable": 990, "pending": 100}
    state = State(counts, {"sent": 25.0}, Delay(1500.0, 2750.0))
    text = printed(state, responses(buckets))
    for words in ("25/s", "1,200", "100 waiting", "990", "p50 1.5 s", "p99 2.8 s", "now 31.5 °C", "now 25/s", "▲"):
        assert words in text


@pytest.mark.parametrize(
    ("failed", "unresolved", "shown"),
    [(3, None, "3"), (3, True, "3"), (3, False, "3\nall resolved"), (0, False, "0")],
)
def test_failed_records_are_red_until_all_are_replayed(failed: int, unresolved: bool | None, shown: str) -> None:
    """Also while the bucket does not say."""
    red = failed > 0 and unresolved is not False
    assert _failed(failed, unresolved=unresolved) == (f"[red]{shown}[/red]" if red else shown)
    counts = {"failed": failed, "unresolved": unresolved}
    assert ("all resolved" in printed(State(counts), responses([]))) is ("all resolved" in shown)


def test_a_frame_without_any_index_says_how_to_begin() -> None:
    """Nothing sent yet: no error, a hint."""
    text = printed(State(), responses([]))
    assert "iot-stream send" in text
    assert "no response" in text


def test_a_frame_tells_trouble() -> None:
    """What could not be seen is said."""
    assert "does not respond" in printed(State(trouble="OpenSearch does not respond"), responses([]))


def test_a_chart_is_as_wide_as_the_terminal() -> None:
    """A frame of two characters at each side."""
    celsius = {"min": 28.0, "avg": 31.5, "max": 40.0}
    buckets = [{"key": 10_000 * n, "doc_count": n, "measure": celsius} for n in range(200)]
    lines = [line for line in printed(State(), responses(buckets)).splitlines() if set(line) & set("▁▂▃▄▅▆▇█")]
    assert lines
    assert all(len(line.strip("│ ")) == 96 for line in lines)


class _EndedError(Exception):
    """Somebody pressed Ctrl-C."""


def shown(monkeypatch: pytest.MonkeyPatch, outcomes: list[Any], *, once: bool, terminal: bool) -> str:
    """Return what `show` writes while its searches have these outcomes, and Ctrl-C comes after the last one."""
    left, clock = list(outcomes), [0.0]
    console = Console(file=StringIO(), width=100, height=60, force_terminal=terminal)

    def search(searches: Sequence[Any]) -> list[dict[str, Any]]:
        if len(searches) == 1:  # a look at the pipeline
            return [{"hits": {"hits": []}, "_shards": {"total": 0}, "aggregations": {}}]
        outcome = left.pop(0) if left else _EndedError()
        if isinstance(outcome, Exception):
            raise outcome
        return [{"hits": {"hits": []}, "_shards": {"total": 0}} for _ in searches]

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= 1
        clock[0] += seconds

    monkeypatch.setattr(terminal_module, "Console", lambda: console)
    monkeypatch.setattr(terminal_module.time, "sleep", sleep)
    monkeypatch.setattr(terminal_module.time, "monotonic", lambda: clock[0])
    counts = {"sent": 1234, "transformed": 0, "delivered": 0, "failed": 0}
    sources = Sources(search, lambda: counts, None)  # type: ignore[arg-type]
    with contextlib.suppress(_EndedError):
        terminal_module.show(DASHBOARD, sources, every=2.5, start="now-15m", once=once)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_one_frame_is_shown_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no second one."""
    assert shown(monkeypatch, ["ok", "ok"], once=True, terminal=False).count("1,234") == 1


def test_frames_follow_each_other_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One below the other."""
    assert shown(monkeypatch, ["ok", "ok", "ok"], once=False, terminal=False).count("1,234") == 3


def test_a_terminal_shows_each_frame_and_what_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSearch may be restarting: its error is shown, and the next frame again."""
    text = shown(monkeypatch, ["ok", "ok", SearchError("no response now"), "ok"], once=False, terminal=True)
    assert text.count("1,234") >= 3
    assert "no response now" in text
