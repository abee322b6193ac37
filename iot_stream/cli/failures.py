"""`iot-stream failures`: list, show and replay the failed records that Firehose wrote to S3."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iot_stream.cli import options
from iot_stream.cli.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iot_stream.failures.progress import ProgressStore
    from iot_stream.failures.reasons import Reasons
    from iot_stream.failures.replay import Outcome, Source
    from iot_stream.failures.selection import Selection
    from iot_stream.failures.summary import Summary
    from iot_stream.target import Target

__all__ = ["failures"]

_TIME = "ISO 8601 or an age such as 90m, 2h or 7d."


def _filters(command: Any) -> Any:
    """Add the options that choose among failed records."""
    for option in (
        click.option(
            "--reason", "reasons", multiple=True, help="Only records that failed for this reason; can be repeated."
        ),
        click.option("--code", "codes", multiple=True, help="Only records with this error code; can be repeated."),
        click.option("--kind", type=click.Choice(["processing", "document"]), help="Only records of this kind."),
        click.option("--until", help=f"Only records that arrived before this time: {_TIME}"),
        click.option("--since", help=f"Only records that arrived at or after this time: {_TIME}"),
    ):
        command = option(command)
    return command


_limit = click.option("--limit", type=click.IntRange(min=1), help="Maximum number of records.")


@click.group()
def failures() -> None:
    """List, show and replay the failed records in the backup bucket."""


@failures.command("list")
@options.target_options
@_filters
@options.as_json
def list_(*, state: Path | None, aws: bool, stack_name: str, as_json: bool, **filters: Any) -> None:
    """Count failed records by kind, code, index and hour, with all reasons."""
    from iot_stream.failure_objects import FailureObjects
    from iot_stream.failures.summary import summarize

    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    reasons = _reasons(target)
    objects = FailureObjects.of(target.stack, target.client("s3"))
    records = objects.records_of(objects.objects())
    summary = summarize(records, lambda record: selection.takes(record, reasons.of), reasons.of)
    if as_json:
        click.echo(json.dumps(summary.as_dict()))
        return
    if summary.total:
        _print_summary(summary)
    else:
        location = objects.location
        where = f"s3://{location.bucket}/{location.listed_prefix}"
        click.echo(f"no failed records in {where}" + (" match the filters" if any(filters.values()) else ""))
    for line in summary.broken.lines(_ROWS):
        click.echo(line)


def _print_summary(summary: "Summary") -> None:
    from rich.table import Table

    table = Table(title=f"{_count(summary.total, 'failed record')} in {_count(summary.objects, 'object')}")
    for column in ("kind", "code", "index", "hour", "records", "reasons"):
        table.add_column(column, justify="right" if column == "records" else "left")
    for group, count in sorted(summary.records.items()):
        why = "\n".join(f"{reason} ({number:,})" for reason, number in summary.reasons[group].most_common())
        table.add_row(group.kind, group.code, group.index, group.hour, f"{count:,}", why or "its data is good")
    options.print_table(table)


@failures.command()
@click.argument("key", required=False)
@options.target_options
@_filters
@_limit
@options.as_json
def show(
    *, key: str | None, state: Path | None, aws: bool, stack_name: str, as_json: bool, limit: int | None, **filters: Any
) -> None:
    """Print failed records with their reasons and data, from the object KEY or from the newest objects.

    With --json, one object per line is printed. The data is what devices sent, which may be private.
    """
    from iot_stream.failure_objects import FailureObjects

    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    reasons = _reasons(target)
    objects = FailureObjects.of(target.stack, target.client("s3"))
    chosen = any(filters.values())
    newest = (
        objects.newest(None if chosen else limit or _SHOWN) if not key else []
    )  # each object has one record at least
    records = objects.records(key) if key else objects.records_of(newest)
    left = limit or _SHOWN
    for record in records:
        if left == 0:
            break
        if not record.problem and not selection.takes(record, reasons.of):
            continue
        left -= 1
        data = None if record.data is None else record.data.decode(errors="backslashreplace")
        row = {
            "key": record.key,
            "line": record.line,
            "kind": record.kind.value,
            "code": record.code,
            "message": record.message,
            "index": record.index,
            "document_id": record.document_id,
            "arrived": _iso(record.arrived_ms),
            "attempts": record.attempts,
            "reasons": reasons.of(record),
            "problem": record.problem,
            "data": data,
        }
        if as_json:
            click.echo(json.dumps(row))
        else:
            shown = {name: value for name, value in row.items() if value or value == 0}  # the first line is 0
            click.echo("\n".join(f"{name:<12} {plain(value)}" for name, value in shown.items()) + "\n")
    if left == (limit or _SHOWN):
        click.echo("no failed records match the filters" if chosen else "no failed records", err=True)


@failures.command()
@options.target_options
@_filters
@_limit
@click.option(
    "--transform",
    "script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Python file with transform(data, failure) that repairs each record.",
)
@click.option("--rate", type=options.PositiveNumber(), default=1000, help="Maximum number of records per second.")
@click.option("--dry-run", is_flag=True, help="Change nothing; report what would be sent.")
@click.option("--unchecked", is_flag=True, help="Also send readings that would fail in the function again.")
@click.option("--backup", is_flag=True, help="Replay the source backup (BackupMode=AllDocuments) instead of failures.")
@click.option(
    "--unsure",
    type=click.Choice(["ask", "send", "skip"]),
    default="ask",
    help="What to do with records that an interrupted replay may have sent: ask reads the stream to find out, send "
    "sends them again, skip does not.",
)
@options.as_json
def replay(
    *,
    state: Path | None,
    aws: bool,
    stack_name: str,
    as_json: bool,
    limit: int | None,
    script: Path | None,
    rate: float,
    dry_run: bool,
    unchecked: bool,
    backup: bool,
    unsure: Any,
    **filters: Any,
) -> None:
    """Send failed readings to the stream again, and failed documents to their index.

    An object moves to replayed/ in the bucket once all its records are confirmed. If a replay is interrupted, run the
    same command again: it continues where it stopped. Exits with 1 if selected records were not sent.

    --backup replays what was backed up before its first use; --since and --until then select by the time at which an
    object was written.
    """
    from contextlib import nullcontext

    from iot_stream.failures.destinations import IndexDestination, StreamDestination
    from iot_stream.failures.lock import ReplayLock
    from iot_stream.failures.pace import Pace
    from iot_stream.failures.progress import ProgressStore
    from iot_stream.failures.replay import Options, Replay
    from iot_stream.failures.transform import load_transform, unchanged

    if backup and (given := [f"--{name.rstrip('s')}" for name in ("reasons", "codes", "kind") if filters[name]]):
        raise click.UsageError(f"--backup replays records that did not fail: omit {', '.join(given)}")
    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    stream, bucket = target.stack.output("StreamName"), target.stack.output("BackupBucketName")
    reasons = _reasons(target)
    transform = load_transform(script) if script else unchanged
    pace = Pace(rate, time.monotonic, time.sleep)
    what = "the source backup" if backup else "failed readings"
    click.echo(
        f"{'would send' if dry_run else 'sending'} {what} of s3://{bucket} to stream {stream}"
        + ("" if backup else f", failed documents to {target.stack.output('DomainEndpoint')}")
        + (f" ({'AWS' if aws else 'the local stack'})")
        + ("" if unchecked else "; checked by the description in this clone, which must be the deployed one"),
        err=True,
    )
    lock = ReplayLock(target.client("s3"), bucket, time.time)
    steps = _steps(hidden=as_json)

    def on_step(outcome: "Outcome") -> None:
        if not dry_run:
            lock.renew()
        steps(outcome)

    store = ProgressStore(target.client("s3"), bucket)
    replayed = Replay(
        StreamDestination(target.client("kinesis"), stream, pace, time.time, time.sleep),
        lambda: IndexDestination(target.search_client(), pace, time.monotonic, time.sleep),
        store,
        reasons,
        Options(selection, limit, dry_run=dry_run, check=not unchecked, unsure=unsure),
        clock=time.time,
        transform=transform,
        on_step=on_step,
    )
    with nullcontext() if dry_run else lock:
        until = None if dry_run else lock.taken_at() + _CLOCK_STEP
        outcome = replayed.run(_backups(target, store, dry_run=dry_run) if backup else _failures(target, until))
    click.echo(json.dumps(outcome.as_dict()) if as_json else _sentence(outcome, dry_run=dry_run))
    if not (outcome.complete or dry_run):
        raise click.exceptions.Exit(1)


_CLOCK_STEP = timedelta(seconds=1)  # of `LastModified`
_ROWS = 20  # broken rows that a person is shown
_SHOWN = 10


def _failures(target: "Target", until: datetime | None) -> "Iterator[Source]":
    """Return what failed before the replay started; otherwise it could replay its own new failures endlessly."""
    from functools import partial

    from iot_stream.failure_objects import FailureObjects
    from iot_stream.failures.replay import Source

    objects = FailureObjects.of(target.stack, target.client("s3"))
    return (Source(each.key, partial(objects.records, each.key)) for each in objects.objects(until))


def _backups(target: "Target", store: "ProgressStore", *, dry_run: bool) -> "Iterator[Source]":
    from functools import partial

    from iot_stream.failure_objects import BackupLocation
    from iot_stream.failures.replay import Source
    from iot_stream.failures.source import SourceBackup

    until = store.backup_start() if dry_run else store.start_backup(time.sleep)
    if until is not None:
        click.echo(f"replaying only what was backed up until {until.isoformat()}, the first use of --backup", err=True)
    backups = SourceBackup(target.client("s3"), BackupLocation.of(target.stack))
    return (Source(each.key, partial(backups.records, each), move=False) for each in backups.objects(until))


def _selection(
    *, since: str | None, until: str | None, kind: str | None, codes: tuple[str, ...], reasons: tuple[str, ...]
) -> "Selection":
    from iot_stream.failure_objects import FailureKind
    from iot_stream.failures.selection import Selection, parse_time

    now = datetime.now(UTC)
    return Selection(
        parse_time(since, now) if since is not None else None,
        parse_time(until, now) if until is not None else None,
        frozenset(codes),
        frozenset(reasons),
        FailureKind(kind) if kind else None,
    )


def _reasons(target: "Target") -> "Reasons":
    from zoneinfo import ZoneInfo

    from iot_stream.failures.reasons import Reasons

    return Reasons(ZoneInfo(target.stack.parameter("DeviceTimeZone")))


def _steps(*, hidden: bool) -> "Callable[[Outcome], None]":
    """Return a callback that shows progress on stderr if that is a terminal."""
    terminal = click.get_text_stream("stderr").isatty() and not hidden

    def show_step(outcome: "Outcome") -> None:
        if terminal:
            click.echo(f"\r{outcome.sent:,} records sent, {outcome.objects:,} objects read", err=True, nl=False)

    return show_step


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _sentence(outcome: "Outcome", *, dry_run: bool) -> str:
    done = "would be sent" if dry_run else "sent"
    readings, documents = _count(outcome.streamed, "reading"), _count(outcome.indexed, "document")
    lines = [f"{readings} and {documents} {done}; {_count(outcome.moved, 'object')} moved"]
    if outcome.earlier:
        lines.append(f"{outcome.earlier:,} had been sent by an earlier replay")
    if outcome.other:
        lines.append(f"{outcome.other:,} did not match the filters")
    lines += [f"{count:,} not sent: {reason}" for reason, count in outcome.stays.most_common()]
    lines += outcome.broken.lines(_ROWS)
    return "\n".join(lines)


def _iso(arrived_ms: int | None) -> str:
    try:
        return "" if arrived_ms is None else datetime.fromtimestamp(arrived_ms / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(arrived_ms)
