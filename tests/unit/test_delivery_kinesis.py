"""Reading the stream, from a fake Kinesis that closes shards, throttles and lets iterators expire."""

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core import backoff
from iot_stream.delivery.core.backoff import Backoff
from iot_stream.delivery.core.get_records import epoch_ms
from iot_stream.delivery.core.progress import ShardProgress
from iot_stream.delivery.core.record import Record
from iot_stream.delivery.core.shard_reader import Gap, ShardBatch
from iot_stream.delivery.edges import kinesis as kinesis_module
from iot_stream.delivery.edges.kinesis import Source
from iot_stream.delivery.errors import DECODE_ERRORS, ResponseError
from tests.kpl import UserRecord, aggregate

STREAM = "arn:aws:kinesis:eu-west-1:000000000000:stream/s"


class FakeKinesis:
    """Shards that are lists of data; a shard in `closed` has no iterator after its last record.

    An iterator that got an error once has expired: it never works again ("GetRecords" in the Kinesis API).
    """

    def __init__(self, shards: dict[str, list[bytes]], parents: dict[str, list[str]], closed: set[str]) -> None:
        self.shards = shards
        self.parents = parents
        self.closed = closed
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.expired: set[str] = set()
        self.iterators = 0
        self.errors: list[str] = []
        self.expired_records = 0  # of each shard, past the retention
        self.foreign = 0  # responses of something else before its own

    def call(self, operation: str, parameters: dict[str, Any], parse: Callable[[bytes], Any]) -> Any:
        """Respond like Kinesis, or to GetRecords with the next of `errors`."""
        try:
            return parse(self._respond(operation, parameters))
        except DECODE_ERRORS as error:  # as JsonApi does
            raise ResponseError("not Kinesis") from error

    def _respond(self, operation: str, parameters: dict[str, Any]) -> bytes:
        self.calls.append((operation, parameters))
        if self.foreign:
            self.foreign -= 1
            return b'{"message": "hello from a proxy"}'
        assert parameters["StreamARN"] == STREAM
        if operation == "ListShards":
            return json.dumps({"Shards": [self._describe(name) for name in self.shards]}).encode()
        if operation == "GetShardIterator":
            start = int(parameters.get("StartingSequenceNumber", 0))
            start -= parameters["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"
            self.iterators += 1
            return json.dumps({"ShardIterator": f"{parameters['ShardId']}:{start}:{self.iterators}"}).encode()
        if parameters["ShardIterator"] in self.expired:
            raise ClientError({"Error": {"Code": "ExpiredIteratorException"}}, operation)
        if self.errors:
            code = self.errors.pop(0)
            self.expired.add(parameters["ShardIterator"])
            raise ResponseError("no JSON") if code == "no JSON" else ClientError({"Error": {"Code": code}}, operation)
        assert parameters["Limit"] <= 10_000
        shard, start, _ = parameters["ShardIterator"].split(":")
        start = str(max(int(start), self.expired_records))  # it continues with the oldest one that is left
        taken = self.shards[shard][int(start) : int(start) + 2]
        after = int(start) + len(taken)
        response: dict[str, Any] = {
            "Records": [
                {
                    "SequenceNumber": str(int(start) + n + 1),
                    "ApproximateArrivalTimestamp": 1_700_000_000.1234,
                    "Data": base64.b64encode(data).decode(),
                    "PartitionKey": "key",
                }
                for n, data in enumerate(taken)
            ],
            "MillisBehindLatest": 5 if after < len(self.shards[shard]) else 0,
        }
        if not (shard in self.closed and after == len(self.shards[shard])):
            response["NextShardIterator"] = f"{shard}:{after}:0"
        return json.dumps(response).encode()

    def _describe(self, name: str) -> dict[str, Any]:
        keys = ("ParentShardId", "AdjacentParentShardId")
        return {"ShardId": name} | dict(zip(keys, self.parents.get(name, []), strict=False))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read without pauses, also after errors: that they grow is what test_delivery_buffer.py shows."""
    monkeypatch.setattr(kinesis_module, "_PAUSE", 0.0)
    monkeypatch.setattr(kinesis_module, "_LIST_PAUSE", 0.01)
    monkeypatch.setattr(backoff, "READ", Backoff(first=1, ceiling=1))


def spawn(work: Callable[..., None], *arguments: object) -> None:
    """Run a function in a thread."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


@contextmanager
def reading(
    kinesis: FakeKinesis, until: Any, progress: dict[str, ShardProgress] | None = None
) -> Iterator[list[ShardBatch]]:
    """Yield the batches that are read until `until(batches)` holds."""
    batches: list[ShardBatch] = []
    done = threading.Event()

    def post(item: ShardBatch) -> threading.Event:
        batches.append(item)
        taken = threading.Event()
        taken.set()
        if until(batches):
            done.set()
        return taken

    source = Source(kinesis, STREAM, 1_700_000_000.5, progress or {}, post=post, spawn=spawn)  # type: ignore[arg-type]
    source.set_room(2**20)
    source.start()
    try:
        assert done.wait(60)
        yield batches
    finally:
        source.stop()


def records(batches: list[ShardBatch]) -> list[Record]:
    """Return all records, in the order of their arrival."""
    return [record for item in batches for record in item.records]


def test_closed_shards_are_read_to_their_end_and_then_their_children() -> None:
    """After a split and a merge: no child is read before its parents' last record; each end is reported once."""
    kinesis = FakeKinesis(
        {"1": [b"a", b"b", b"c"], "2": [b"d"], "3": [b"e"], "4": [b"f", b"g"]},
        {"2": ["1"], "3": ["1"], "4": ["2", "3"]},
        {"1", "2", "3", "4"},
    )
    with reading(kinesis, lambda items: sum(item.ended for item in items) == 4) as batches:
        order = [record.shard for record in records(batches)]
        assert order[:3] == ["1", "1", "1"]
        assert sorted(order[3:5]) == ["2", "3"]
        assert order[5:] == ["4", "4"]
        assert sorted(item.shard for item in batches if item.ended) == ["1", "2", "3", "4"]


def test_a_shard_without_progress_is_read_from_the_delivery_streams_start() -> None:
    """AT_TIMESTAMP of the moment it became ACTIVE, however much later the worker starts."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    with reading(kinesis, records):
        asked = next(parameters for operation, parameters in kinesis.calls if operation == "GetShardIterator")
        assert (asked["ShardIteratorType"], asked["Timestamp"]) == ("AT_TIMESTAMP", 1_700_000_000.5)


def test_a_restart_continues_after_the_position() -> None:
    """Finished shards are not read again; others are read from after their position."""
    kinesis = FakeKinesis({"1": [b"a"], "2": [b"b", b"c"]}, {"2": ["1"]}, {"1"})
    progress = {"1": ShardProgress("1", ended=True), "2": ShardProgress("1")}
    with reading(kinesis, records, progress) as batches:
        assert [(record.shard, record.data) for record in records(batches)] == [("2", "Yw==")]


def test_a_position_that_the_shard_does_not_have_is_read_from_the_start() -> None:
    """A position in the future would skip records in silence: the shard is read again, and says so."""
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c"]}, {}, set())
    with reading(kinesis, lambda items: len(records(items)) == 3, {"1": ShardProgress("99")}) as batches:
        assert [record.sequence for record in records(batches)] == ["1", "2", "3"]
        assert [item.restarted for item in batches if item.records] == [True, False]


def test_a_wrong_position_between_records_skips_none() -> None:
    """Sequence numbers have gaps: where a position has no record, those before it may never have been delivered."""

    class Sparse(FakeKinesis):
        def _respond(self, operation: str, parameters: dict[str, Any]) -> bytes:
            number = parameters.get("StartingSequenceNumber")
            if number == "25":  # between the second record and the third
                parameters = parameters | {"StartingSequenceNumber": "3"}
            return super()._respond(operation, parameters)

    kinesis = Sparse({"1": [b"a", b"b", b"c"]}, {}, set())
    with reading(kinesis, lambda items: len(records(items)) == 3, {"1": ShardProgress("25")}) as batches:
        assert [record.sequence for record in records(batches)] == ["1", "2", "3"]
        assert [item.restarted for item in batches if item.records] == [True, False]


def test_a_position_that_kinesis_rejects_is_read_from_the_start() -> None:
    """InvalidArgumentException for a position of another stream ("GetShardIterator" in the Kinesis API)."""

    class Strict(FakeKinesis):
        def _respond(self, operation: str, parameters: dict[str, Any]) -> bytes:
            if parameters.get("StartingSequenceNumber") == "99":
                raise ClientError({"Error": {"Code": "InvalidArgumentException"}}, operation)
            return super()._respond(operation, parameters)

    with reading(Strict({"1": [b"a"]}, {}, set()), records, {"1": ShardProgress("99")}) as batches:
        assert [(record.sequence, batches[0].restarted) for record in records(batches)] == [("1", True)]


def test_a_reader_that_was_away_for_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days pass after the first read: the iterator has expired, and so have two records that nobody read."""
    read_at = 1_700_000_000_500
    monkeypatch.setattr(kinesis_module, "_now", lambda: read_at)
    kinesis = FakeKinesis({"1": [b"a", b"b"]}, {}, set())

    def pass_two_days(items: list[ShardBatch]) -> bool:
        if len(records(items)) == 2 and not kinesis.expired_records:
            monkeypatch.setattr(kinesis_module, "_now", lambda: read_at + 48 * 3_600_000)
            kinesis.shards["1"] += [b"c", b"d", b"e"]
            kinesis.expired_records = 4
            kinesis.errors = ["ExpiredIteratorException"]
        return len(records(items)) == 3

    with reading(kinesis, pass_two_days) as batches:
        assert [record.sequence for record in records(batches)] == ["1", "2", "5"]
        assert [item.gap for item in batches if item.records] == [None, Gap(read_at, 1_700_000_000_123)]


def test_progress_of_an_unknown_shard_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A shard that the stream does not list is named once; the others are read."""
    with reading(FakeKinesis({"1": [b"a"]}, {}, set()), records, {"7": ShardProgress("3")}) as batches:
        assert [record.shard for record in records(batches)] == ["1"]
    assert [line for line in caplog.messages if "not listed" in line] == [
        "7 has progress but is not listed: past the stream's retention, or another stream's"
    ]


def test_throttling_and_expired_iterators_lose_nothing() -> None:
    """Whatever error GetRecords returns, reading continues after the last record; throttling is reported."""
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c"]}, {}, set())
    kinesis.errors = ["ProvisionedThroughputExceededException", "ExpiredIteratorException", "no JSON"]
    with reading(kinesis, lambda items: len(records(items)) == 3) as batches:
        assert [record.sequence for record in records(batches)] == ["1", "2", "3"]
        assert [item.throttled for item in batches if item.throttled] == ["GetRecords"]


def test_foreign_responses_end_nothing() -> None:
    """Calls that a proxy responds to with 200 and its own page are retried until Kinesis responds."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    kinesis.foreign = 3
    with reading(kinesis, records) as batches:
        assert [record.sequence for record in records(batches)] == ["1"]


def test_a_shard_that_is_still_listed_has_not_expired() -> None:
    """One ResourceNotFoundException ends nothing: the stream may be unavailable or have been created again."""
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c"]}, {}, set())
    kinesis.errors = ["ResourceNotFoundException"]
    with reading(kinesis, lambda items: len(records(items)) == 3) as batches:
        assert not any(item.ended for item in batches)


def test_a_shard_past_its_retention_has_ended() -> None:
    """It is neither readable nor listed; its children need not wait for it."""

    class Forgetful(FakeKinesis):
        def _respond(self, operation: str, parameters: dict[str, Any]) -> bytes:
            if operation == "GetRecords":
                self.shards = {}
                self.errors = ["ResourceNotFoundException"]
            return super()._respond(operation, parameters)

    with reading(Forgetful({"1": [b"a"]}, {}, set()), lambda items: items[-1].ended) as batches:
        assert [item.shard for item in batches] == ["1"]


def test_kpl_records_are_deaggregated() -> None:
    """Each user record has its own key, data, subsequence number and id; other records have no subsequence."""
    users = [UserRecord("k1", b"one"), UserRecord("k2", b"two")]
    kinesis = FakeKinesis({"shardId-000000000003": [aggregate(users), b"plain"]}, {}, set())
    with reading(kinesis, records) as batches:
        found = [(r.id, r.partition_key, r.subsequence, base64.b64decode(r.data), r.size) for r in records(batches)]
    assert found == [
        ("3.1.0", "k1", 0, b"one", 3),
        ("3.1.1", "k2", 1, b"two", 3),
        ("3.2.0", "key", None, b"plain", 5),
    ]
    assert {record.arrived for record in records(batches)} == {1_700_000_000_123}


class _Moments(threading.Event):
    """An event that never waits: it notes for how long, and is set once it was asked for the `last` time."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether it is set."""
        self.waited.append(timeout or 0.0)
        if len(self.waited) == self.last:
            self.set()
        return self.is_set()


def read_twice(monkeypatch: pytest.MonkeyPatch, processed: threading.Event) -> tuple[list[ShardBatch], list[float]]:
    """Return the batches of a shard that is read until its second pause, at 100 ms a read, and the pauses."""
    now, reader = itertools.count(1000.0, 0.1), threading.current_thread()

    def monotonic() -> float:
        """Give the time; a thread that another test has left behind does not move it."""
        return next(now) if threading.current_thread() is reader else time.monotonic()

    monkeypatch.setattr(kinesis_module, "time", SimpleNamespace(monotonic=monotonic, time_ns=time.time_ns))
    monkeypatch.setattr(kinesis_module, "_PAUSE", 0.25)
    kinesis = FakeKinesis({"1": [b"a", b"b", b"c", b"d", b"e"]}, {}, set())
    batches: list[ShardBatch] = []

    def post(item: ShardBatch) -> threading.Event:
        batches.append(item)
        return processed

    source = Source(kinesis, STREAM, 0, {}, post=post, spawn=spawn)  # type: ignore[arg-type]
    source.set_room(2**20)
    pauses = _Moments(2)
    source._stopped = pauses
    source._read_shard("1")
    return batches, pauses.waited


def test_reads_of_a_shard_begin_a_quarter_of_a_second_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard allows five a second ("Quotas and limits"); the time that a read takes counts."""
    processed = threading.Event()
    processed.set()
    batches, pauses = read_twice(monkeypatch, processed)
    assert len(batches) == 2
    assert pauses == pytest.approx([0.15, 0.15])


def test_a_batch_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on when it is processed, however often the wait ends without it."""
    batches, _ = read_twice(monkeypatch, _Moments(3))
    assert [record.sequence for record in records(batches)] == ["1", "2", "3", "4"]


def test_nothing_is_read_without_room() -> None:
    """No GetRecords is sent while there is no memory for records."""
    kinesis = FakeKinesis({"1": [b"a"]}, {}, set())
    taken = threading.Event()
    source = Source(kinesis, STREAM, 0, {}, post=lambda _: taken, spawn=spawn)  # type: ignore[arg-type]
    source.start()
    try:
        assert not taken.wait(0.2)
        assert "GetRecords" not in [operation for operation, _ in kinesis.calls]
    finally:
        source.stop()


def test_the_limit_is_what_fits() -> None:
    """The limit follows the size of the last records: within 10 MB, within memory, and never above 10,000."""
    kinesis = FakeKinesis({"1": [b"x" * 50_000] * 4}, {}, set())
    with reading(kinesis, lambda items: len(records(items)) == 4):
        limits = [parameters["Limit"] for operation, parameters in kinesis.calls if operation == "GetRecords"]
    assert limits[0] == 100
    assert limits[1] == 2**20 // (50_000 + 1024)


@pytest.mark.parametrize("factor", [1, 1000, 10**6, 10**9], ids=["seconds", "milliseconds", "micro", "nano"])
@given(milliseconds=st.integers(1_000_000_000_000, 4_000_000_000_000))
def test_an_arrival_time_in_a_finer_unit_is_the_same_moment(factor: int, milliseconds: int) -> None:
    """AWS writes seconds with a fraction (Kinesis API reference, Record); others write milliseconds."""
    assert abs(epoch_ms(milliseconds / 1000 * factor) - milliseconds) <= 1
