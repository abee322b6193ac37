"""The worker keeps little memory that is free, and does not search all records for cycles again and again."""

import gc
import platform

from iot_stream.delivery.core.checkpoint import CheckpointTracker
from iot_stream.delivery.core.naming import IndexNaming, Rotation
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Outcome, Record, record_id
from iot_stream.delivery.edges.memory import collect_rarely, limit_arenas


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
