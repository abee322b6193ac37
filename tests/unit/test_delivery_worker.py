"""The worker's loop with fake edges: what it reports, and that it stays small while its neighbours are away."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from iot_stream.delivery import worker as worker_module
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.commands import Store
from iot_stream.delivery.core.record import Document, Record, record_id
from iot_stream.delivery.core.settings import LogTarget
from iot_stream.delivery.core.shard_reader import Gap, ShardBatch
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.delivery.errors import DeliveryError
from iot_stream.delivery.worker import Options, Worker
from tests.delivery_settings import make_settings
from tests.polling import until

SHARD: Final = "shardId-000000000000"
INDEX: Final = "DeliveryToAmazonOpenSearchService"


class Edges:
    """The neighbours of one worker; a cleared event makes calls of that kind hang."""

    def __init__(self) -> None:
        self.settings = make_settings(log=LogTarget("group", "stream"), retry_duration=0)
        self.error: IndexingError | None = None
        self.cloudwatch_works = threading.Event()
        self.describe_works = threading.Event()
        self.cloudwatch_works.set()
        self.describe_works.set()
        self.entries: list[dict[str, Any]] = []
        self.metrics: list[str] = []
        self.refusals = 0
        self.refused: list[dict[str, Any]] = []
        self.accepted: list[dict[str, Any]] = []
        self.described = 0
        self.indexed = 0
        self.stored: list[Store] = []
        self.url = "https://domain"
        self.domain = self.bucket = self
        self.post: Callable[[ShardBatch], threading.Event]

    def describe(self, *_: object, **__: object) -> Any:
        """Return the settings, as `describe_delivery_stream` does."""
        self.described += 1
        if self.described > 1:
            self.describe_works.wait()
        return self.settings

    def put_metrics(self, _: str, statistics: dict[str, Any], __: int) -> bool:
        """Take metrics, as `CloudWatch` does."""
        self.cloudwatch_works.wait()
        if self.refusals:
            self.refusals -= 1
            self.refused.append(statistics)
            return False
        self.metrics += statistics
        self.accepted.append(statistics)
        return True

    def put_log_entries(self, _: LogTarget, entries: list[dict[str, Any]], __: int) -> None:
        """Take log entries, as `CloudWatch` does."""
        self.cloudwatch_works.wait()
        self.entries += entries

    def transform(self, records: list[Record]) -> Any:
        """Return documents."""
        return [b"{}"] * len(records)

    def index(self, documents: list[Document]) -> list[IndexingError | None]:
        """Return the error, or None for each document, as `Domain` does."""
        self.indexed += len(documents)
        return [self.error] * len(documents)

    def put(self, store: Store) -> None:
        """Take an object, as `BackupBucket` does."""
        self.stored.append(store)

    def source(self, *_: object, post: Any, spawn: object) -> "Edges":
        """Stand in for `Source`: the test posts the batches."""
        del spawn
        self.post = post
        return self

    def start(self) -> None:
        """Do nothing: the test posts the batches."""

    def stop(self) -> None:
        """Do nothing."""

    def set_room(self, _: int) -> None:
        """Do nothing: the test decides how much it posts."""

    def close(self) -> None:
        """Release the claim."""


class Running:
    """A worker that runs in a thread."""

    def __init__(self, edges: Edges, folder: Path) -> None:
        self.edges = edges
        self.folder = folder
        self.sequence = 0
        self.worker = Worker(Options("d", folder, "eu-west-1"))
        self.error: DeliveryError | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except DeliveryError as error:
            self.error = error

    def read(self, count: int, behind: int = 0) -> None:
        """Post records and wait until the worker has taken them."""
        assert self.edges.post(self.batch(count, behind)).wait(60)

    def batch(self, count: int, behind: int = 0, data: str = "e30=") -> ShardBatch:
        """Return the next records."""
        names = [f"{self.sequence + n:020d}" for n in range(count)]
        self.sequence += count
        now = time.time_ns() // 1_000_000
        records = [Record(SHARD, name, None, "k", now, data, record_id(SHARD, name, None), 2) for name in names]
        return ShardBatch(SHARD, records, behind, ended=False)

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def until(self, condition: Callable[[DeliveryStatus], bool]) -> DeliveryStatus:
        """Return the first status for which the condition holds."""
        deadline = time.monotonic() + 60
        while True:
            status = read_status(self.folder)
            if condition(status):
                return status
            assert time.monotonic() < deadline, status
            threading.Event().wait(0.01)


@pytest.fixture
def edges() -> Edges:
    """Return neighbours that work."""
    return Edges()


@pytest.fixture
def running(edges: Edges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Run a worker with these neighbours."""
    for name, fake in {
        "describe_delivery_stream": edges.describe,
        "_Neighbours": lambda *_: edges,
        "CloudWatch": lambda _: edges,
        "AwsClients": lambda *_, **__: None,
        "JsonApi": lambda *_: edges,
        "Source": edges.source,
        "claim": lambda *_: edges,
        "_PUBLISH_EVERY": 5,
        "_DESCRIBE_EVERY": 5,
        "_SAVE_EVERY": 10,
    }.items():
        monkeypatch.setattr(worker_module, name, fake)
    started = Running(edges, tmp_path)
    yield started
    edges.cloudwatch_works.set()
    edges.describe_works.set()
    started.stop()


def test_the_status_tells_how_far_reading_is_behind(running: Running) -> None:
    """`lag_ms` follows MillisBehindLatest, and `pending` falls to 0 when everything is delivered."""
    running.read(3, behind=50_000)
    status = running.until(lambda status: status.delivered == 3)
    assert (status.lag_ms, status.pending) == (50_000, 0)
    running.read(0, behind=0)
    running.until(lambda status: status.lag_ms == 0)


def test_an_update_is_in_force_within_moments(edges: Edges, running: Running) -> None:
    """A new version of the settings is described, applied and reported, without a restart."""
    assert running.until(lambda status: status.updated_at > 0).version == "1"
    edges.settings = replace(edges.settings, version="2")
    running.until(lambda status: status.version == "2")


def test_a_slow_cloudwatch_takes_one_thread_for_each_kind(edges: Edges, running: Running) -> None:
    """Hundreds of errors while CloudWatch and DescribeDeliveryStream hang add three threads at most."""
    edges.cloudwatch_works.clear()
    edges.describe_works.clear()
    before = threading.active_count()
    most = 0
    for batch in range(1, 101):
        edges.error = IndexingError(400 + batch, "each time another error")
        running.read(1)
        running.until(lambda status, failed=batch: status.failed == failed)  # type: ignore[misc]
        most = max(most, threading.active_count())
    assert most <= before + 3 + 3  # and one each for the requests that are in flight
    edges.cloudwatch_works.set()


def test_errors_are_reported_when_cloudwatch_is_back(edges: Edges, running: Running) -> None:
    """Nothing is lost while it was away: the repeats are counted, and reported at the end."""
    edges.error = IndexingError(429, "busy")
    for _ in range(5):
        running.read(1)
    running.until(lambda status: status.failed == 5)
    running.stop()
    assert [entry["errorCode"] for entry in edges.entries] in (["OS.429"], ["OS.429", "OS.429"])
    assert "DeliveryToAmazonOpenSearchService.Success" in edges.metrics


def test_metrics_that_cloudwatch_refuses_are_put_with_the_next_ones(edges: Edges, running: Running) -> None:
    """The sums of what it accepts in the end are those of all records."""
    edges.refusals = 1_000_000
    running.read(2)
    until(lambda: any(f"{INDEX}.Records" in each for each in edges.refused), what="a refused put with the records")
    running.read(3)
    running.until(lambda status: status.delivered == 5)
    edges.refusals = 0

    def accepted() -> float:
        name = f"{INDEX}.Records"
        return sum(each[name].sum for each in list(edges.accepted) if name in each)

    until(lambda: accepted() == 5, what="the records of all puts")


def test_records_that_may_have_expired_unread_are_counted_and_reported(edges: Edges, running: Running) -> None:
    """One entry of the error log names the shard and the time; the count outlives the worker."""
    gap = Gap(1_700_000_000_000, 1_700_100_000_000)
    assert edges.post(ShardBatch(SHARD, [], 0, ended=False, gap=gap)).wait(60)
    running.until(lambda status: status.gaps == 1)
    until(lambda: edges.entries, what="the entry of the error log")
    [entry] = edges.entries
    assert entry["errorCode"] == "Kinesis.RecordsExpired"
    assert entry["message"] == (
        f"records of {SHARD} that arrived after 2023-11-14T22:13Z and before 2023-11-16T02:00Z may have left the "
        "stream unread"
    )
    running.stop()
    later = Running(edges, running.folder)
    try:
        assert later.until(lambda status: status.state == "running").gaps == 1
    finally:
        later.stop()


def test_a_full_disk_delays_delivery_and_loses_nothing(
    edges: Edges, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """No document is sent that the saved progress does not know; when there is space again, delivery continues."""
    running.until(lambda status: status.state == "running")
    blocked = running.folder / ".progress.json.new"
    until(lambda: _blocked(blocked), what="a moment without the file")  # as good as a full disk: it can't be written
    assert edges.post(running.batch(3)).wait(60)
    until(lambda: "can't be saved" in caplog.text, what="a line in the log")
    assert edges.indexed == 0
    blocked.rmdir()
    running.until(lambda status: status.delivered == 3)
    assert edges.indexed == 3
    assert "Traceback" not in caplog.text


def test_a_failure_object_is_written_once_its_intent_is_saved(
    edges: Edges, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the next worker could not know of it, and would write it again."""
    running.until(lambda status: status.state == "running")
    blocked = running.folder / ".progress.json.new"
    until(lambda: _blocked(blocked), what="a moment without the file")
    two_lines = "ewp9"  # fails without a bulk request
    assert edges.post(running.batch(1, data=two_lines)).wait(60)
    until(lambda: "can't be saved" in caplog.text, what="a line in the log")
    assert edges.stored == []
    blocked.rmdir()
    running.until(lambda status: status.failed == 1)
    assert (len(edges.stored), edges.indexed) == (1, 0)


def _blocked(path: Path) -> bool:
    """Put a folder where a file is to be written, unless the worker is writing it now."""
    try:
        path.mkdir()
    except FileExistsError:
        return path.is_dir()
    return True


def test_a_worker_that_is_stopped_on_a_full_disk_says_what_follows(edges: Edges, running: Running) -> None:
    """It ends with one line, and without having delivered what it could not save."""
    running.until(lambda status: status.state == "running")
    for name in (".progress.json.new", ".status.json.new"):
        until(lambda path=running.folder / name: _blocked(path), what=f"a moment without {name}")
    assert edges.post(running.batch(3)).wait(60)
    running.stop()
    assert "the progress could not be saved" in str(running.error)
    assert edges.indexed == 0


def test_a_worker_with_a_password_and_no_named_domain_does_not_start(tmp_path: Path) -> None:
    """Before anything is asked or written."""
    with pytest.raises(DeliveryError, match="needs --domain-url or --ca"):
        Worker(Options("d", tmp_path / "state", "eu-west-1", sign_in="basic"))
    assert not (tmp_path / "state").exists()
