"""The loop around the state machine: carries out its commands in threads and feeds their results back."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from iot_stream.delivery.core.commands import Command, Confirm, Index, Invoke, Store
from iot_stream.delivery.core.metrics import Statistic
from iot_stream.delivery.core.settings import LogTarget, Settings
from iot_stream.delivery.core.shard_reader import ShardBatch
from iot_stream.delivery.core.state_machine import Delivery
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.core.transformation import Stream
from iot_stream.delivery.edges.aws import AwsClients, JsonApi
from iot_stream.delivery.edges.cloudwatch import CloudWatch, log_fields
from iot_stream.delivery.edges.describe import describe_delivery_stream, find_endpoint
from iot_stream.delivery.edges.kinesis import Source
from iot_stream.delivery.edges.lambda_ import Transform, pass_through
from iot_stream.delivery.edges.opensearch import Domain, check_sign_in, sign_in
from iot_stream.delivery.edges.s3 import BackupBucket
from iot_stream.delivery.edges.state_folder import StateFolder, claim
from iot_stream.delivery.errors import DeliveryError, SettingsError

__all__ = ["Options", "Worker"]

_log = logging.getLogger(__name__)

_SAVE_EVERY: Final = 500
_PUBLISH_EVERY: Final = 10_000
_DESCRIBE_EVERY: Final = 3_000
_DRAIN_FOR: Final = 5_000


@dataclass(frozen=True)
class Options:
    """What DescribeDeliveryStream does not return: AWS's endpoint, and how to sign in to the domain.

    `log_file` is the file that stderr appends to, if it is this worker's alone.
    """

    delivery_stream: str
    state: Path
    region: str
    endpoint_url: str | None = None
    sign_in: str = "sigv4"
    jwt_key: Path | None = None
    ca_file: Path | None = None
    domain_url: str | None = None
    assume_roles: bool = True
    log_file: Path | None = None


class _Neighbours:
    """The function, the domain and the bucket that the settings name."""

    def __init__(self, options: Options, clients: AwsClients, settings: Settings) -> None:
        self.url = options.domain_url or find_endpoint(clients, settings)
        auth = sign_in(options.sign_in, clients, settings.role_arn, settings.region, options.jwt_key)
        self.domain = Domain(self.url, auth, options.ca_file, with_ids=settings.with_ids)
        self.bucket = BackupBucket(clients, settings.bucket)
        stream = Stream(settings.arn, settings.source_arn, settings.region)
        # When an update removed the function, records that wait for it pass through unchanged.
        self.transform = Transform(clients, settings.function, stream).invoke if settings.function else pass_through


class Worker:
    """Delivers one delivery stream until `stop`.

    Raises:
        DeliveryError: the delivery stream or its domain does not exist, or another worker is running for it.
        SettingsError: a setting is not supported.
    """

    def __init__(self, options: Options) -> None:
        check_sign_in(options.sign_in, options.domain_url, options.ca_file)
        self._options = options
        self._state = StateFolder(options.state)
        self._describe_api = JsonApi(AwsClients(options.region, options.endpoint_url), "firehose")
        settings = describe_delivery_stream(self._describe_api, options.delivery_stream)
        self._claim = claim(settings.arn, self._describe_api.url)
        self._clients = AwsClients(
            options.region, options.endpoint_url, settings.account, assume_roles=options.assume_roles
        )
        self._neighbours = _Neighbours(options, self._clients, settings)
        self._cloudwatch = CloudWatch(self._clients)
        progress = self._state.load(settings.arn, settings.created)
        self._delivery = Delivery(settings, progress, lambda: str(uuid4()))
        # SimpleQueue, because a signal handler calls its put, which may interrupt its get.
        self._events: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
        self._behind: dict[str, int] = {}
        self._stopping = threading.Event()
        self._occasional: set[str] = set()
        self._saved = progress
        self._source = Source(
            JsonApi(self._clients, "kinesis", settings.source_role_arn),
            settings.source_arn,
            settings.start,
            progress.shards,
            post=self._receive,
            spawn=self._spawn,
        )

    def stop(self) -> None:
        """Stop reading, deliver what can be delivered within seconds, and leave the rest to the next start."""
        self._stopping.set()
        self._events.put(_wake)

    def run(self) -> None:
        """Deliver until `stop`; however it ends, the status is `stopped`."""
        try:
            self._deliver()
            self._save()
        finally:
            behind = max(self._behind.values(), default=0)
            self._save_status(msgspec.structs.replace(self._delivery.status(_now(), behind), state="stopped"))
            self._state.close()
            self._claim.close()
        # Last, because CloudWatch may be unreachable.
        self._cloudwatch.put_metrics(self._options.delivery_stream, self._delivery.metrics.drain(), _now())
        self._put_log_entries(self._log_fields(_now(), flush=True), _now())
        _log.info("stopped")

    def _deliver(self) -> None:
        settings = self._delivery.settings
        _log.info("delivering from %s to %s (version %s)", settings.source_arn, self._neighbours.url, settings.version)
        self._source.start()
        now = _now()
        save_at, publish_at, describe_at = now, now + _PUBLISH_EVERY, now + _DESCRIBE_EVERY
        drain_until: int | None = None
        while drain_until is None or (now < drain_until and not self._delivery.idle):
            now = self._step(min(save_at, publish_at, describe_at))
            if now >= save_at:
                self._save_all(now)
                save_at = now + _SAVE_EVERY
            if now >= publish_at:
                self._publish(now)
                publish_at = now + _PUBLISH_EVERY
            if now >= describe_at:
                if "describe" not in self._occasional:
                    self._spawn_single("describe", self._describe)
                describe_at = now + _DESCRIBE_EVERY
            if self._stopping.is_set() and drain_until is None:
                _log.info("stopping: delivering what is in flight")
                self._source.stop()
                self._delivery.flushing = True
                drain_until = now + _DRAIN_FOR

    def _step(self, wake_at: int) -> int:
        """Process the waiting events, then begin the commands that follow from them."""
        due = self._delivery.due_at()
        wait = (wake_at if due is None else min(due, wake_at)) - _now()
        try:
            event = self._events.get(timeout=max(wait, 0) / 1000)
        except queue.Empty:
            event = _wake
        now = _now()
        while True:
            event(now)
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                break
        now = _now()
        commands = self._delivery.commands(now)
        if any(isinstance(command, Index | Store) for command in commands):
            self._save()
        for command in commands:
            self._spawn(self._carry_out, command)
        self._source.set_room(self._delivery.room())
        self._report_errors(now)
        return now

    # ---- in other threads ------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - any error has to end the loop instead of hanging it
                self._events.put(partial(_raise, error))

        threading.Thread(target=guarded, daemon=True).start()

    def _spawn_single(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        """Run occasional work in a thread, one at a time for each name: a slow service never piles up threads."""
        self._occasional.add(name)

        def run() -> None:
            try:
                work(*arguments)
            finally:
                self._events.put(lambda _: self._occasional.discard(name))

        self._spawn(run)

    def _carry_out(self, command: Command) -> None:
        neighbours, delivery = self._neighbours, self._delivery
        began = time.monotonic()
        match command:
            case Invoke():
                verdicts = neighbours.transform(command.records)
                duration = (time.monotonic() - began) * 1000
                self._events.put(lambda now: delivery.transformed(command, verdicts, now, duration))
            case Index():
                errors = neighbours.domain.index(command.documents)
                self._events.put(lambda now: delivery.indexed(command, errors, now))
            case Store():
                error = neighbours.bucket.put(command)
                self._events.put(lambda now: delivery.stored(command, error, now))
            case Confirm():
                exists = neighbours.bucket.exists(command.key)
                self._events.put(lambda now: delivery.confirmed(command, exists, now))

    def _receive(self, batch: ShardBatch) -> threading.Event:
        processed = threading.Event()

        def process(now: int) -> None:
            if batch.throttled:  # such a batch does not say how far behind the shard is
                self._delivery.metrics.add(f"Throttled{batch.throttled}", 1)
            else:
                self._process(batch, now)
            processed.set()

        self._events.put(process)
        return processed

    def _process(self, batch: ShardBatch, now: int) -> None:
        self._behind[batch.shard] = batch.behind
        metrics = self._delivery.metrics
        metrics.add("ThrottledGetRecords", 0)
        metrics.add("ThrottledGetShardIterator", 0)
        metrics.add("KinesisMillisBehindLatest", batch.behind, "Milliseconds")
        if batch.records:
            metrics.add("DataReadFromKinesisStream.Records", len(batch.records))
            metrics.add("DataReadFromKinesisStream.Bytes", sum(r.size for r in batch.records), "Bytes")
        if batch.restarted:
            self._delivery.restart_shard(batch.shard)
        if batch.gap:
            self._delivery.missed(batch.shard, batch.gap, now)
        if not self._stopping.is_set():
            self._delivery.arrived(batch.shard, batch.records, now, ended=batch.ended)
        if batch.ended:
            del self._behind[batch.shard]

    def _describe(self) -> None:
        options, current = self._options, self._delivery.settings
        try:
            settings = describe_delivery_stream(self._describe_api, options.delivery_stream, created=current.created)
            if settings.version == current.version:
                return
            neighbours = _Neighbours(options, self._clients, settings)
        except SettingsError as error:
            _log.error("version %s stays in force: %s", current.version, error)
            return
        except DeliveryError as error:
            if error.final:
                raise
            _log.warning("%s", error)
            return

        def change(_now: int) -> None:
            _log.info("version %s is in force", settings.version)
            self._neighbours = neighbours
            self._delivery.configure(settings)

        self._events.put(change)

    # ---- state and error log ---------------------------------------------------------------------------------

    def _save_all(self, now: int) -> None:
        status = self._delivery.status(now, max(self._behind.values(), default=0))
        self._save()
        self._save_status(status)

    def _save(self) -> None:
        """Save the progress; while that fails (a full disk), wait: nothing may be delivered without saved progress.

        Raises:
            DeliveryError: it could not be saved until the worker was told to stop.
        """
        progress = self._delivery.snapshot()
        while progress != self._saved:
            try:
                self._state.save_progress(progress)
                self._saved = progress
            except OSError as error:
                if self._stopping.is_set():
                    raise DeliveryError(
                        f"the progress could not be saved ({error}): the next worker repeats what was delivered since "
                        "it could, under the same ids"
                    ) from error
                _log.error("the progress can't be saved (%s): delivery waits until it can", error)
                time.sleep(_SAVE_EVERY / 1000)

    def _save_status(self, status: DeliveryStatus) -> None:
        try:
            self._state.save_status(status)
        except OSError as error:
            _log.warning("the status can't be saved (%s)", error)

    def _publish(self, now: int) -> None:
        if "metrics" not in self._occasional:  # else they are aggregated further
            self._spawn_single("metrics", self._put_metrics, self._delivery.metrics.drain(), now)

    def _put_metrics(self, statistics: dict[str, Statistic], now: int) -> None:
        if not self._cloudwatch.put_metrics(self._options.delivery_stream, statistics, now):
            # In the loop's thread, which alone changes them.
            self._events.put(lambda _: self._delivery.metrics.restore(statistics))

    def _report_errors(self, now: int) -> None:
        if "log" not in self._occasional:  # else they are counted further
            entries = self._log_fields(now)
            if any(entries.values()):
                self._spawn_single("log", self._put_log_entries, entries, now)

    def _log_fields(self, now: int, *, flush: bool = False) -> dict[LogTarget, list[dict[str, Any]]]:
        """Return the error log entries to put now, by log stream; write each to the worker's own log."""
        settings = self._delivery.settings
        by_target: dict[LogTarget, list[dict[str, Any]]] = {}
        for entry in self._delivery.error_log.due(now, flush=flush):
            _log.warning("%s: %s", entry.code, entry.message)
            target = settings.bucket.log if entry.of_bucket else settings.log
            if target:
                by_target.setdefault(target, []).append(log_fields(entry, settings, self._neighbours.url))
        return by_target

    def _put_log_entries(self, by_target: dict[LogTarget, list[dict[str, Any]]], now: int) -> None:
        for target, entries in by_target.items():
            self._cloudwatch.put_log_entries(target, entries, now)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _wake(_now: int) -> None:
    """Wake the loop."""


def _raise(error: Exception, _now: int) -> None:
    raise error
