"""Replay or discard the failed records of a stack, with its stream, bucket and domain."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import click

from iot_stream.failure_objects import BackupLocation, FailureObjects
from iot_stream.failures.destinations import IndexDestination, StreamDestination
from iot_stream.failures.lock import ReplayLock
from iot_stream.failures.pace import Pace
from iot_stream.failures.progress import ProgressStore
from iot_stream.failures.reasons import Reasons
from iot_stream.failures.replay import Options, Outcome, Replay, Source
from iot_stream.failures.source import SourceBackup
from iot_stream.failures.transform import Transform
from iot_stream.target import Target

__all__ = ["reasons_of", "run_replay"]

_CLOCK_STEP: Final = timedelta(seconds=1)  # of `LastModified`


def run_replay(
    target: Target, asked: Options, transform: Transform, *, hidden: bool, rate: float = 1000, backup: bool = False
) -> Outcome:
    """Replay or discard what was asked for, under the bucket's lock unless it is a dry run.

    Args:
        target: the stack.
        asked: which records, and how.
        transform: repairs each record.
        hidden: show no progress on a terminal.
        rate: most records per second.
        backup: replay the source backup instead of failures.

    Raises:
        IotStreamError: the replay can't continue; the same command continues from there.
    """
    stream, bucket = target.stack.output("StreamName"), target.stack.output("BackupBucketName")
    lock = ReplayLock(target.client("s3"), bucket, time.time)
    pace = Pace(rate, time.monotonic, time.sleep)
    steps = _steps(hidden=hidden)

    def on_step(outcome: Outcome) -> None:
        if not asked.dry_run:
            lock.renew()
        steps(outcome)

    store = ProgressStore(target.client("s3"), bucket, backup=backup)
    replay = Replay(
        StreamDestination(target.client("kinesis"), stream, pace, time.time, time.sleep),
        lambda: IndexDestination(target.search_client(), pace, time.monotonic, time.sleep),
        store,
        reasons_of(target),
        asked,
        clock=time.time,
        transform=transform,
        on_step=on_step,
    )
    with nullcontext() if asked.dry_run else lock:
        until = None if asked.dry_run else lock.taken_at() + _CLOCK_STEP
        return replay.run(_backups(target, store, dry_run=asked.dry_run) if backup else _failures(target, until))


def reasons_of(target: Target) -> Reasons:
    """Return the reasons by the function's rules, in the stack's time zone."""
    return Reasons(ZoneInfo(target.stack.parameter("DeviceTimeZone")))


def _failures(target: Target, until: datetime | None) -> Iterator[Source]:
    """Return what failed before the replay started; otherwise it could replay its own new failures endlessly."""
    objects = FailureObjects.of(target.stack, target.client("s3"))
    return (Source(each.key, partial(objects.records, each.key)) for each in objects.objects(until))


def _backups(target: Target, store: ProgressStore, *, dry_run: bool) -> Iterator[Source]:
    until = store.backup_start() if dry_run else store.start_backup(time.sleep)
    if until is not None:
        click.echo(f"replaying only what was backed up until {until.isoformat()}, the first use of --backup", err=True)
    backups = SourceBackup(target.client("s3"), BackupLocation.of(target.stack))
    return (Source(each.key, partial(backups.records, each), move=False) for each in backups.objects(until))


def _steps(*, hidden: bool) -> Callable[[Outcome], None]:
    """Return a callback that shows progress on stderr if that is a terminal."""
    terminal = click.get_text_stream("stderr").isatty() and not hidden

    def show_step(outcome: Outcome) -> None:
        if terminal:
            done = outcome.sent + outcome.discarded
            click.echo(f"\r{done:,} records done, {outcome.objects:,} objects read", err=True, nl=False)

    return show_step
