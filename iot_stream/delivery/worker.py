"""The loop around the state machine: carries out its commands in threads and tells it what happened."""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from iot_stream.delivery.core.commands import Command, Confirm, Index, Invoke, Store
from iot_stream.delivery.core.metrics import Statistic
from iot_stream.delivery.core.settings import Settings, SettingsError
from iot_stream.delivery.core.state_machine import Delivery
from iot_stream.delivery.core.transformation import Stream
from iot_stream.delivery.edges.aws import Access, JsonApi
from iot_stream.delivery.edges.cloudwatch import CloudWatch, log_entry
from iot_stream.delivery.edges.describe import describe, find_endpoint
from iot_stream.delivery.edges.kinesis import ShardBatch, Source
from iot_stream.delivery.edges.lambda_ import Transform, pass_through
from iot_stream.delivery.edges.opensearch import Domain, sign_in
from iot_stream.delivery.edges.s3 import Backup
from iot_stream.delivery.edges.state_folder import StateFolder, claim
from iot_stream.delivery.errors import DeliveryError

__all__ = ["Options", "serve"]

_log = logging.getLogger(__name__)

_SAVE_EVERY: Final = 500
_PUBLISH_EVERY: Final = 10_000
_DESCRIBE_EVERY: Final = 3_000
_DRAIN_FOR: Final = 5_000


@dataclass(frozen=True)
class Options:
    """What DescribeDeliveryStream does not say: where AWS is and how to sign in to the domain."""

    delivery_stream: str
    state: Path
    region: str
    endpoint_url: str | None = None
    sign_in: str = "sigv4"
    jwt_key: Path | None = None
    ca_file: Path | None = None
    assume_roles: bool = True


class _Neighbours:
    """The function, the domain and the bucket that the settings name."""

    def __init__(self, options: Options, access: Access, settings: Settings) -> None:
        self.url = find_endpoint(access, settings)
        auth = sign_in(options.sign_in, access, settings.role_arn, settings.region, options.jwt_key)
        self.domain = Domain(self.url, auth, options.ca_file, with_ids=settings.with_ids)
        self.backup = Backup(access, settings.bucket)
        stream = Stream(settings.arn, settings.source_arn, settings.region)
        # Without a function (any more) what waits for one goes on as it is.
        self.transform = Transform(access, settings.function, stream).invoke if settings.function else pass_through


class Worker:
    """One delivery stream at work, until it is told to stop.

    Raises:
        DeliveryError: the delivery stream or its domain is not there, or another worker is at work on it.
        SettingsError: a setting is not supported.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._state = StateFolder(options.state)
        self._describe_api = JsonApi(Access(options.region, options.endpoint_url), "firehose")
        settings = describe(self._describe_api, options.delivery_stream)
        self._claim = claim(settings.arn, self._describe_api.url)
        self._access = Access(options.region, options.endpoint_url, settings.account, assume_roles=options.assume_roles)
        self._neighbours = _Neighbours(options, self._access, settings)
        self._observation = CloudWatch(self._access)
        progress = self._state.load(settings.arn, settings.created)
        self._delivery = Delivery(settings, progress, lambda: str(uuid4()))
        # Its put may interrupt its get: a signal handler calls it.
        self._happened: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
        self._behind: dict[str, int] = {}
        self._stopping = threading.Event()
        self._kept = progress
        self._source = Source(
            JsonApi(self._access, "kinesis", settings.source_role_arn),
            settings.source_arn,
            settings.start,
            progress.shards,
            post=self._receive,
            spawn=self._spawn,
        )

    def stop(self) -> None:
        """Read no more, deliver what can be delivered within seconds, keep the rest for the next start."""
        self._stopping.set()
        self._happened.put(_nothing)

    def run(self) -> None:
        """Deliver until `stop`; however it ends, the status says so."""
        try:
            self._deliver()
            self._save()
        finally:
            behind = max(self._behind.values(), default=0)
            self._state.show(msgspec.structs.replace(self._delivery.status(_now(), behind), state="stopped"))
            self._state.close()
            self._claim.close()
        self._publish(self._delivery.metrics.drain(), _now())  # last, for who answers it may be away
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
                self._keep(now)
                save_at = now + _SAVE_EVERY
            if now >= publish_at:
                self._spawn(self._publish, self._delivery.metrics.drain(), now)
                publish_at = now + _PUBLISH_EVERY
            if now >= describe_at:
                self._spawn(self._describe)
                describe_at = now + _DESCRIBE_EVERY
            if self._stopping.is_set() and drain_until is None:
                _log.info("stopping: delivering what is under way")
                self._source.stop()
                self._delivery.flushing = True
                drain_until = now + _DRAIN_FOR

    def _step(self, wake_at: int) -> int:
        """Let what happened happen, then begin what follows from it."""
        due = self._delivery.due_at()
        wait = (wake_at if due is None else min(due, wake_at)) - _now()
        try:
            happened = self._happened.get(timeout=max(wait, 0) / 1000)
        except queue.Empty:
            happened = _nothing
        now = _now()
        while True:
            happened(now)
            try:
                happened = self._happened.get_nowait()
            except queue.Empty:
                break
        now = _now()
        commands = self._delivery.commands(now)
        if any(isinstance(command, Store) for command in commands):
            self._save()
        for command in commands:
            self._spawn(self._carry_out, command)
        self._source.make_room(self._delivery.room())
        self._log_entries(now)
        return now

    # ---- in threads of their own -----------------------------------------------------------------------------

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop has to end with it, not hang
                self._happened.put(partial(_raise, error))

        threading.Thread(target=guarded, daemon=True).start()

    def _carry_out(self, command: Command) -> None:
        neighbours, delivery = self._neighbours, self._delivery
        began = time.monotonic()
        match command:
            case Invoke():
                verdicts = neighbours.transform(command.records)
                took = (time.monotonic() - began) * 1000
                self._happened.put(lambda now: delivery.transformed(command, verdicts, now, took=took))
            case Index():
                refusals = neighbours.domain.index(command.documents)
                self._happened.put(lambda now: delivery.indexed(command, refusals, now))
            case Store():
                error = neighbours.backup.write(command)
                self._happened.put(lambda now: delivery.stored(command, error, now))
            case Confirm():
                exists = neighbours.backup.exists(command.key)
                self._happened.put(lambda now: delivery.confirmed(command, exists, now))

    def _receive(self, reading: ShardBatch) -> threading.Event:
        taken = threading.Event()

        def take(now: int) -> None:
            if reading.throttled:  # it says nothing of how far behind the shard is
                self._delivery.metrics.add(f"Throttled{reading.throttled}", 1)
            else:
                self._take(reading, now)
            taken.set()

        self._happened.put(take)
        return taken

    def _take(self, reading: ShardBatch, now: int) -> None:
        self._behind[reading.shard] = reading.behind
        metrics = self._delivery.metrics
        metrics.add("ThrottledGetRecords", 0)
        metrics.add("ThrottledGetShardIterator", 0)
        metrics.add("KinesisMillisBehindLatest", reading.behind, "Milliseconds")
        if reading.records:
            metrics.add("DataReadFromKinesisStream.Records", len(reading.records))
            metrics.add("DataReadFromKinesisStream.Bytes", sum(r.size for r in reading.records), "Bytes")
        if not self._stopping.is_set():
            self._delivery.arrived(reading.shard, reading.records, now, ended=reading.ended)
        if reading.ended:
            del self._behind[reading.shard]

    def _describe(self) -> None:
        options, current = self._options, self._delivery.settings
        try:
            settings = describe(self._describe_api, options.delivery_stream, created=current.created)
            if settings.version == current.version:
                return
            neighbours = _Neighbours(options, self._access, settings)
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

        self._happened.put(change)

    def _publish(self, statistics: dict[str, Statistic], now: int) -> None:
        self._observation.publish(self._options.delivery_stream, statistics, now)

    # ---- on disk and to operators ----------------------------------------------------------------------------

    def _keep(self, now: int) -> None:
        status = self._delivery.status(now, max(self._behind.values(), default=0))
        self._save()
        self._state.show(status)

    def _save(self) -> None:
        progress = self._delivery.snapshot()
        if progress != self._kept:
            self._state.save(progress)
            self._kept = progress

    def _log_entries(self, now: int) -> None:
        entries, self._delivery.entries = self._delivery.entries, []
        settings = self._delivery.settings
        for of_bucket, target in ((False, settings.log), (True, settings.bucket.log)):
            chosen = [log_entry(e, settings, self._neighbours.url) for e in entries if e.of_bucket is of_bucket]
            for fields in chosen:
                _log.warning("%s: %s", fields["errorCode"], fields["message"])
            if chosen and target:
                self._spawn(self._observation.log, target, chosen, now)


def serve(options: Options) -> None:
    """Deliver until SIGTERM or SIGINT.

    Raises:
        DeliveryError, SettingsError: see `Worker`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    worker = Worker(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _nothing(_now: int) -> None:
    """Only wakes the loop."""


def _raise(error: Exception, _now: int) -> None:
    raise error
