"""Show the pipeline and the devices' measures in a terminal, e.g. over SSH."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from iot_stream.dashboards.context import Context, TimeRange
from iot_stream.dashboards.decimals import decimals_of
from iot_stream.dashboards.definition import Dashboard
from iot_stream.dashboards.search import Responses, SearchError, fetch
from iot_stream.description import Field
from iot_stream.live.app import Sources
from iot_stream.live.pipeline import DelayMeter, Pipeline, State

__all__ = ["frame", "show", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_LOOK_SECONDS = 1.0


def show(dashboard: Dashboard, sources: Sources, *, every: float, start: str, once: bool) -> None:
    """Show a frame every `every` seconds until interrupted, or `once`; in place where there is a terminal.

    Raises:
        TimeRangeError: `start` is not a valid time.
        SearchError: OpenSearch does not respond; in a terminal only at the first frame, later frames show the error.
    """
    pipeline = Pipeline(sources.counts, DelayMeter(sources.search, dashboard.index_pattern, dashboard.time_field))
    console = Console()

    def draw(seconds: float) -> Group:
        """Return a frame after watching the pipeline for so many seconds, once a second."""
        end = time.monotonic() + seconds
        state = pipeline.look()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_LOOK_SECONDS, left))
            state = pipeline.look()
        context = Context(TimeRange.parse(start, "now", datetime.now(UTC)))
        responses = fetch(sources.search, dashboard, context)
        return frame(state, responses, dashboard)

    if once or not console.is_terminal:
        console.print(draw(_LOOK_SECONDS))  # a rate and a delay need two looks
        while not once:
            console.print(draw(every))
        return
    with Live(draw(_LOOK_SECONDS), console=console, auto_refresh=False, screen=True) as screen:
        while True:
            try:
                screen.update(draw(every), refresh=True)
            except SearchError as error:  # OpenSearch may be restarting
                screen.update(Text(str(error), style="red"), refresh=True)


def frame(state: State, responses: Responses, dashboard: Dashboard) -> Group:
    """Return what is shown at one moment: the strip, then measures and records per second as small charts.

    `responses` are those to the dashboard's queries.
    """
    parts: list[Any] = [_strip(state)]
    if not responses.has_index:
        parts.append(Text("No readings yet. Send some, for example: iot-stream send --rate 100", style="dim"))
    measured = [panel for panel in dashboard.panels if panel.kind == "measure-over-time"]
    for panel, measure in zip(measured, dashboard.measures, strict=True):
        parts += _measure(measure, _buckets(responses, panel.name))
    for panel in dashboard.panels:
        if panel.kind == "records-per-second":
            buckets = _buckets(responses, panel.name)
            rates = [bucket["doc_count"] * 1000 / (after["key"] - bucket["key"]) for bucket, after in pairwise(buckets)]
            parts.append(_Chart(panel.title, rates[1:], "{:.0f}/s".format))  # the first interval is cut by the range
            if buckets:
                begin, end = (datetime.fromtimestamp(buckets[place]["key"] / 1000, UTC) for place in (0, -1))
                parts.append(Text(f"{begin:%H:%M:%S} to {end:%H:%M:%S} UTC", style="dim"))
    if state.trouble:
        parts.append(Text(state.trouble, style="red"))
    return Group(*parts)


def _measure(measure: Field, buckets: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield a measure's chart, and a line where it is beyond a threshold."""
    unit = f" {measure.unit}" if measure.unit else ""
    decimals = decimals_of(measure)

    def text(value: float) -> str:
        return f"{value:,.{decimals}f}{unit}"

    yield _Chart(f"{measure.label}, average", [bucket["measure"]["avg"] for bucket in buckets], text)
    highest = max((each for b in buckets if (each := b["measure"]["max"]) is not None), default=None)
    lowest = min((each for b in buckets if (each := b["measure"]["min"]) is not None), default=None)
    if highest is not None and measure.alert_above is not None and highest > measure.alert_above:
        yield Text(f"▲ {measure.label}: maximum {text(highest)}, above {measure.alert_above:,.9g}{unit}", style="red")
    if lowest is not None and measure.alert_below is not None and lowest < measure.alert_below:
        yield Text(f"▼ {measure.label}: minimum {text(lowest)}, below {measure.alert_below:,.9g}{unit}", style="red")


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return one line of block characters, at most `width`: the newest at the right, a blank where a value is missing.

    Values that share one character become their mean.
    """
    if not values or width < 1:
        return ""
    columns = min(width, len(values))
    means = []
    for column in range(columns):
        part = values[column * len(values) // columns : (column + 1) * len(values) // columns]
        present = [value for value in part if value is not None and math.isfinite(value)]
        means.append(sum(present) / len(present) if present else None)
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(
        " " if mean is None else _BLOCKS[int((mean - low) / (high - low) * (len(_BLOCKS) - 1)) if high > low else 0]
        for mean in means
    )


class _Chart:
    """A titled sparkline as wide as the terminal, with its lowest, highest and newest value."""

    def __init__(self, title: str, values: Sequence[float | None], text: Callable[[float], str]) -> None:
        self._title = title
        self._values = values
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        known = [value for value in self._values if value is not None]
        figures = "no values"
        if known:
            low, high, newest = (self._text(value) for value in (min(known), max(known), known[-1]))
            figures = f"{low} to {high}, now {newest}"
        line = Text(sparkline(self._values, options.max_width - 4) or " ", style="cyan")
        yield Panel(line, title=Text(f"{self._title}: {figures}"), title_align="left")


def _strip(state: State) -> Table:
    table = Table(expand=True)
    counts, rates = state.counts, state.per_second
    searchable = counts.get("searchable")
    delay = state.delay
    figures = {
        "Send": _rate(rates.get("sent"), counts.get("sent")),
        "Ingest": f"{counts.get('pending', 0):,} waiting",
        "Transform": _rate(rates.get("transformed"), counts.get("transformed")),
        "Deliver": _rate(rates.get("delivered"), counts.get("delivered")),
        "Index": "no response" if searchable is None else f"{searchable:,}",
        "Watch": f"p50 {delay.p50_ms / 1000:.1f} s\np99 {delay.p99_ms / 1000:.1f} s" if delay else "nothing new",
        "Failed": _failed(counts.get("failed", 0), unresolved=counts.get("unresolved")),
    }
    for name in figures:
        table.add_column(name)
    table.add_row(*figures.values())
    return table


def _failed(total: int, *, unresolved: bool | None) -> str:
    if not total:
        return "0"
    return f"{total:,}\nall resolved" if unresolved is False else f"[red]{total:,}[/red]"


def _rate(rate: float | None, total: int | None) -> str:
    return f"{'-' if rate is None else f'{rate:,.0f}'}/s\n{total or 0:,}"


def _buckets(responses: Responses, panel: str) -> list[dict[str, Any]]:
    return list(responses.panels[panel].get("aggregations", {}).get("time", {}).get("buckets", []))
