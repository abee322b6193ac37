"""`iot-stream failures`: list, show, replay and discard the failed records that Firehose wrote to S3."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iot_stream.cli import options
from iot_stream.cli.terminal import plain

if TYPE_CHECKING:
    from iot_stream.failures.progress import Remaining
    from iot_stream.failures.replay import Outcome
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
    """List, show, replay and discard the failed records in the backup bucket."""


@failures.command("list")
@options.target_options
@_filters
@options.as_json
def list_(*, state: Path | None, aws: bool, stack_name: str, as_json: bool, **filters: Any) -> None:
    """Count failed records by kind, code, index and hour, with all reasons.

    Records that were replayed or discarded are not counted.
    """
    from iot_stream.cli.replaying import reasons_of
    from iot_stream.failure_objects import FailureObjects
    from iot_stream.failures.selection import Selector
    from iot_stream.failures.summary import summarize

    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    reasons, remaining = reasons_of(target), _remaining(target)
    selector = Selector(selection, reasons.of)
    objects = FailureObjects.of(target.stack, target.client("s3"))
    records = remaining.of(objects.records_of(objects.objects()))
    summary = summarize(records, selector.takes, reasons.of)
    if as_json:
        click.echo(json.dumps(summary.as_dict() | {"resolved": remaining.resolved, "hints": selector.hints()}))
        return
    if summary.total:
        _print_summary(summary)
    else:
        location = objects.location
        where = f"s3://{location.bucket}/{location.listed_prefix}"
        click.echo(f"no failed records in {where}" + (" match the filters" if any(filters.values()) else ""))
    for line in [*map(plain, selector.hints()), *_others(remaining), *summary.broken.lines(_ROWS)]:
        click.echo(line)


def _print_summary(summary: "Summary") -> None:
    from rich.table import Table

    table = Table(title=f"{_count(summary.total, 'failed record')} in {_count(summary.objects, 'object')}")
    for column in ("kind", "code", "index", "hour", "records", "reasons"):
        table.add_column(column, justify="right" if column == "records" else "left")
    for group, count in sorted(summary.records.items()):
        why = "\n".join(f"{reason} ({number:,})" for reason, number in summary.reasons[group].most_common())
        table.add_row(group.kind, group.code, group.index, group.hour, f"{count:,}", why)
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

    Records that were replayed or discarded are left out. With --json, one object per line is printed. The data is what
    devices sent, which may be private.
    """
    from iot_stream.cli.replaying import reasons_of
    from iot_stream.failure_objects import FailureObjects
    from iot_stream.failures.selection import Selector

    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    reasons, remaining = reasons_of(target), _remaining(target)
    selector = Selector(selection, reasons.of)
    objects = FailureObjects.of(target.stack, target.client("s3"))
    chosen = any(filters.values())
    newest = (
        objects.newest(None if chosen else limit or _SHOWN) if not key else []
    )  # each object has one record at least
    records = objects.records(key) if key else objects.records_of(newest)
    left = limit or _SHOWN
    for record in remaining.of(records):
        if left == 0:
            break
        if not record.problem and not selector.takes(record):
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
        for line in [*map(plain, selector.hints()), *_others(remaining)]:
            click.echo(line, err=True)


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
    from iot_stream.cli.replaying import reasons_of, run_replay
    from iot_stream.failures.replay import Options
    from iot_stream.failures.transform import load_transform, unchanged

    if backup and (given := [f"--{name.rstrip('s')}" for name in ("reasons", "codes", "kind") if filters[name]]):
        raise click.UsageError(f"--backup replays records that did not fail: omit {', '.join(given)}")
    selection = _selection(**filters)
    target = options.resolve_target(state, stack_name, aws=aws)
    transform = load_transform(script, reasons_of(target).of) if script else unchanged
    stream, bucket = target.stack.output("StreamName"), target.stack.output("BackupBucketName")
    what = "the source backup" if backup else "failed readings"
    click.echo(
        f"{'would send' if dry_run else 'sending'} {what} of s3://{bucket} to stream {stream}"
        + ("" if backup else f", failed documents to {target.stack.output('DomainEndpoint')}")
        + (f" ({'AWS' if aws else 'the local stack'})")
        + ("" if unchecked else "; checked by the description in this clone, which must be the deployed one"),
        err=True,
    )
    asked = Options(selection, limit, dry_run=dry_run, check=not unchecked, unsure=unsure)
    outcome = run_replay(target, asked, transform, rate=rate, backup=backup, hidden=as_json)
    click.echo(json.dumps(outcome.as_dict()) if as_json else _sentence(outcome, dry_run=dry_run))
    if not (outcome.complete or dry_run):
        raise click.exceptions.Exit(1)


@failures.command()
@options.target_options
@_filters
@click.option("--all", "all_", is_flag=True, help="All failed records, also lines that can't be read.")
@click.option("--dry-run", is_flag=True, help="Change nothing; report what would be discarded.")
@options.as_json
def discard(
    *, state: Path | None, aws: bool, stack_name: str, as_json: bool, all_: bool, dry_run: bool, **filters: Any
) -> None:
    """Give up failed records that can't be repaired: they no longer count as failed, and are not replayed.

    Nothing is deleted. An object moves to replayed/ in the bucket once all its records are replayed or discarded. With
    filters, lines that can't be read stay. Exits with 1 if --all leaves some, because S3 did not return them.
    """
    from iot_stream.cli.replaying import run_replay
    from iot_stream.failures.replay import Options
    from iot_stream.failures.transform import unchanged

    if all_ == any(filters.values()):
        raise click.UsageError("select records with filters, e.g. --reason not_json, or all of them with --all")
    target = options.resolve_target(state, stack_name, aws=aws)
    bucket = target.stack.output("BackupBucketName")
    click.echo(
        f"{'would discard' if dry_run else 'discarding'} failed records of s3://{bucket} "
        f"({'AWS' if aws else 'the local stack'}); reasons are by the description in this clone",
        err=True,
    )
    asked = Options(_selection(**filters), dry_run=dry_run, discard=True)
    outcome = run_replay(target, asked, unchanged, hidden=as_json)
    click.echo(json.dumps(outcome.as_dict()) if as_json else _sentence(outcome, dry_run=dry_run, discard=True))
    if all_ and not (outcome.complete or dry_run):
        raise click.exceptions.Exit(1)


_ROWS = 20  # broken rows that a person is shown
_SHOWN = 10


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


def _remaining(target: "Target") -> "Remaining":
    from iot_stream.failures.progress import ProgressStore, Remaining

    return Remaining(ProgressStore(target.client("s3"), target.stack.output("BackupBucketName")))


def _others(remaining: "Remaining") -> list[str]:
    """Return a line about the records that are not shown, if there are any."""
    if not remaining.resolved:
        return []
    return [f"{_count(remaining.resolved, 'other record')} of these objects resolved: replayed or discarded"]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _sentence(outcome: "Outcome", *, dry_run: bool, discard: bool = False) -> str:
    readings, documents = _count(outcome.streamed, "reading"), _count(outcome.indexed, "document")
    what = _count(outcome.discarded, "record") if discard else f"{readings} and {documents}"
    done = f"{'would be ' if dry_run else ''}{'discarded' if discard else 'sent'}"
    lines = [f"{what} {done}" + ("" if dry_run else f"; {_count(outcome.moved, 'object')} moved to replayed/")]
    if outcome.earlier:
        lines.append(f"{outcome.earlier:,} had been replayed or discarded before")
    if outcome.other:
        lines.append(f"{outcome.other:,} did not match the filters" + _now_valid(outcome))
    lines += map(plain, outcome.hints)
    lines += [f"{count:,} not sent: {reason}" for reason, count in outcome.stays.most_common()]
    lines += outcome.broken.lines(_ROWS)
    return "\n".join(lines)


def _now_valid(outcome: "Outcome") -> str:
    from iot_stream.failures.reasons import VALID

    return (
        f"; {outcome.now_valid:,} of them are valid now: select them with --reason {VALID}" if outcome.now_valid else ""
    )


def _iso(arrived_ms: int | None) -> str:
    try:
        return "" if arrived_ms is None else datetime.fromtimestamp(arrived_ms / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(arrived_ms)
