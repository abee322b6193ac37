"""The worker keeps little memory that is free, and does not search all records for cycles again and again."""

import gc
import platform
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import urllib3.util.connection

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.checkpoint import CheckpointTracker
from iot_stream.delivery.core.commands import Store
from iot_stream.delivery.core.naming import IndexNaming, Rotation
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Document, FailureLine, Outcome, Record, record_id
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.transformation import Stream
from iot_stream.delivery.edges.aws import AwsClients
from iot_stream.delivery.edges.lambda_ import Transform
from iot_stream.delivery.edges.memory import collect_rarely, limit_arenas
from iot_stream.delivery.edges.opensearch import Domain
from iot_stream.delivery.edges.s3 import BackupBucket
from tests.delivery_settings import make_settings


@pytest.fixture
def _others_objects_are_left_out() -> Iterator[None]:
    """Let a search for cycles look at what the test makes, not at a million objects of other tests."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_the_c_library_is_told_where_it_can_be() -> None:
    """Glibc takes the limit; another C library (musl, macOS) has no such call, and the worker goes on without."""
    assert limit_arenas() is (platform.libc_ver()[0] == "glibc")


def test_cycles_are_searched_for_rarely() -> None:
    """Ten times more rarely than by default, and without what was there before."""
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.get_threshold()[0] >= 10 * 2_000
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.usefixtures("_others_objects_are_left_out")
def test_records_with_an_outcome_are_freed_without_a_search() -> None:
    """A chunk and its records know each other only while they are in flight, so memory does not wait for a search."""
    tracker = CheckpointTracker(Progress("arn:stream", 1.0), chunk=10)
    gc.collect()
    gc.disable()
    try:
        records = [Record("s", f"{n:09}", None, "k", 1, "e30=", record_id("s", f"{n:09}", None), 2) for n in range(100)]
        tracker.admit("s", records, IndexNaming("index", Rotation.NONE), backup=False, ended=False)
        for record in records:
            tracker.complete([record], Outcome.INDEXED)
        del records, record
        assert [each for each in gc.get_objects() if isinstance(each, Record)] == []
    finally:
        gc.enable()


_BODY = 300_000


def _record(size: int) -> Record:
    return Record("shardId-1", "9", None, "key", 1000, "x" * size, "1.9.0", size)


def _index(_: AwsClients) -> Callable[[], Any]:
    domain = Domain("https://127.0.0.1:9", None, None, with_ids=True)
    return lambda: domain.index([Document(_record(2), b"x" * _BODY, "i")])


def _invoke(clients: AwsClients) -> Callable[[], Any]:
    transform = Transform(clients, Function("arn:f", "role", 0, Bounds(1, 1)), Stream("d", "s", "eu-west-1"))
    return lambda: transform.invoke([_record(_BODY)])


def _put(clients: AwsClients) -> Callable[[], Any]:
    bucket = BackupBucket(clients, make_settings().bucket)
    line = FailureLine(_record(2), b"x" * _BODY)
    return lambda: bucket.put(Store("key", ObjectKind.DOCUMENT_FAILURE, [line]))


@pytest.mark.usefixtures("_others_objects_are_left_out")
@pytest.mark.parametrize("make", [_index, _invoke, _put])
def test_a_request_that_finds_nobody_is_freed_at_once(
    make: Callable[[AwsClients], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an outage of ten minutes its body is several megabytes, every second, and cycles are searched for rarely."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ConnectionRefusedError

    monkeypatch.setattr(urllib3.util.connection, "create_connection", refuse)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    send = make(AwsClients("eu-west-1", "http://127.0.0.1:9", assume_roles=False))
    send()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            send()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 2 * _BODY
