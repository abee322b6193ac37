"""Show progress in the terminal: a line for each step, then the counts in flow order."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from iot_stream.generator.send import Sent
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.ministack import PROFILE
from iot_stream.run.counts import Counts
from iot_stream.run.reconciliation import Reconciliation
from iot_stream.stack import Stack

__all__ = ["Display", "counts_text", "progress", "reconciliation_text", "sent_text", "startup_summary"]

_REACHED = 0.95  # of the asked rate: the first batch comes a moment after the start
_PLAIN_EVERY = 5.0  # seconds between lines where there is no terminal to draw on


class Display:
    """Print steps with their time, and the counts as a live table in a terminal or else one line every five seconds."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._live: Live | None = None
        self._last_line = 0.0

    def say(self, text: str) -> None:
        """Print one line, with the seconds since the start."""
        self._console.print(Text.assemble((f"{time.monotonic() - self._started:6.1f} s", "dim"), "  ", text))

    def show(self, counts: Counts) -> None:
        """Show the current counts."""
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(_table(counts), refresh=True)
        elif time.monotonic() - self._last_line >= _PLAIN_EVERY:
            self._last_line = time.monotonic()
            self.say(counts_text(counts))

    def stop_live(self) -> None:
        """Leave the table on the screen; print what follows below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def counts_text(counts: Counts) -> str:
    """Return the counts as one line."""
    searchable = "OpenSearch does not respond" if counts.searchable is None else f"{counts.searchable:,} searchable"
    parts = [f"{counts.sent:,} sent", f"{counts.transformed:,} transformed", f"{counts.delivered:,} delivered"]
    resolved = {False: " (all resolved)", True: " (`failures list` shows what is not resolved)", None: ""}
    parts += [
        searchable,
        f"{counts.failed:,} failed{resolved[counts.unresolved] if counts.failed else ''}",
        f"lag {_lag(counts)}",
    ]
    text = " · ".join(parts)
    if not counts.delivering:
        text += " · the delivery worker is NOT running"
    return f"{text} · last error: {counts.last_error}" if counts.last_error else text


def reconciliation_text(result: Reconciliation) -> str:
    """Return where every record ended, as one line."""
    text = f"{result.sent:,} sent = {result.searchable:,} searchable + {result.failed:,} failure objects"
    if result.missing:
        text += f" + {result.missing:,} MISSING"
    if result.duplicates:
        text += f" ({result.duplicates:,} duplicate documents)"
    return text


def sent_text(sent: Sent, *, seed: int) -> str:
    """Return what was sent and how fast, and whether that was as fast as asked for, in one line."""
    readings = "1 reading" if sent.records == 1 else f"{sent.records:,} readings"
    text = f"{readings} sent in {sent.seconds:.1f} s, {sent.rate:,.1f} per second (seed {seed})"
    if sent.retried:
        text += f"; {sent.retried:,} throttled and retried"
    if sent.abandoned:
        text += f"; {sent.abandoned:,} throttled and NOT retried, because the time was over"
    if sent.rate < _REACHED * sent.asked_rate and sent.due - sent.records > sent.asked_rate:  # more than a second's
        text += f"; the requested {sent.asked_rate:,.0f} per second were not reached: add shards or lower the rate"
    return text


def startup_summary(local_stack: LocalStack, stack: Stack) -> str:
    """Return the addresses and commands to show after the local stack has started."""
    lines = [
        f"  live page    {local_stack.live_url}",
        f"  OpenSearch   {local_stack.opensearch.url}  (index {stack.output('IndexName')})",
        f"  its CA       {local_stack.opensearch.ca_file}",
        "  user         `iot-stream password` prints the master user's name and password",
        f"  AWS's APIs   {local_stack.aws.url}  (any client: AWS_PROFILE={PROFILE} and, with endpoint and keys,",
        f"               AWS_CONFIG_FILE={local_stack.aws.profile_file})",
        f"  logs         {local_stack.folder}",
    ]
    return "\n".join(lines)


@contextlib.contextmanager
def progress(total: int | None, *, hidden: bool) -> Iterator[Callable[[Sent], None]]:
    """Show a progress bar of sent readings on stderr if that is a terminal; `total` None means no end."""
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda sent: bar.update(task, completed=sent.records)


def _lag(counts: Counts) -> str:
    return "unknown" if counts.lag_ms is None else f"{counts.lag_ms / 1000:.1f} s"


def _table(counts: Counts) -> Table:
    table = Table(title=None, show_edge=True)
    searchable = "no response" if counts.searchable is None else f"{counts.searchable:,}"
    columns = {
        "sent": f"{counts.sent:,}",
        "transformed": f"{counts.transformed:,}",
        "delivered": f"{counts.delivered:,}",
        "searchable": searchable,
        "failed": f"[red]{counts.failed:,}[/red]" if counts.failed else "0",
        "lag": _lag(counts),
    }
    for name in columns:
        table.add_column(name, justify="right", min_width=10)
    table.add_row(*columns.values())
    if counts.last_error:
        table.caption = Text(counts.last_error)  # foreign text: brackets in it are not markup
    return table
