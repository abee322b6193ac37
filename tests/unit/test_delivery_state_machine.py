"""Single steps of the delivery state machine, each with a name."""

import base64
from itertools import count
from typing import Any

from iot_stream.delivery.core import backoff
from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.commands import Confirm, ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.naming import Rotation
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Intent, Progress
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.state_machine import Delivery
from iot_stream.delivery.core.transformation import FLAGGED, FUNCTION_ERROR
from tests.delivery_settings import MB, make_settings

NOW = 1_700_000_000_000
SHARD = "shardId-000000000000"


def make_delivery(*, progress: Progress | None = None, **changes: Any) -> Delivery:
    """Return a delivery stream without buffering, and without a function unless one is given."""
    tokens = count()
    return Delivery(make_settings(**changes), progress or Progress("arn", 1.0), lambda: f"token-{next(tokens):08d}")


FUNCTION = Function("arn:function", "role", 2, Bounds(MB, 0))


def records(*bodies: bytes, size: int | None = None, start: int = 1) -> list[Record]:
    """Return records of one shard with these data; `size` is the size that each claims to have."""
    return [
        Record(
            SHARD,
            f"{start + n:020d}",
            None,
            "key",
            NOW - 1000,
            base64.b64encode(body).decode(),
            record_id(SHARD, f"{start + n:020d}", None),
            len(body) if size is None else size,
        )
        for n, body in enumerate(bodies)
    ]


def test_delivery_pauses_when_nothing_accepts_and_then_resumes() -> None:
    """While domain and bucket refuse, reading stops at the memory bound and nothing is dropped."""
    delivery = make_delivery(retry_duration=0)
    now, sequence, attempted = NOW, 1, []
    while delivery.room() > 0:
        assert sequence < 1000
        delivery.arrived(SHARD, records(b"{}", size=MB, start=sequence), now)
        sequence += 1
    assert delivery.status(now).state == "paused"
    for _ in range(50):
        now += 1_000
        for command in delivery.commands(now):
            if isinstance(command, Index):
                delivery.indexed(command, [IndexingError(None, "down")] * len(command.documents), now)
            elif isinstance(command, Store):
                delivery.stored(command, ErrorLogEntry("S3.AccessDenied", "no"), now)
                attempted.append(command)
    status = delivery.status(now)
    assert (status.pending, status.failed, status.state) == (sequence - 1, 0, "paused")
    assert attempted
    assert len({command.key for command in attempted}) == 1
    while not delivery.idle:
        now += 10_000
        for command in delivery.commands(now):
            assert isinstance(command, Index | Store)
            if isinstance(command, Index):
                delivery.indexed(command, [None] * len(command.documents), now)
            else:
                delivery.stored(command, None, now)
    status = delivery.status(now)
    assert (status.pending, status.delivered + status.failed, status.state) == (0, sequence - 1, "running")


def test_a_function_that_keeps_failing_fails_its_batch_after_the_retries() -> None:
    """The attempts made are 1 + NumberOfRetries, with a wait before each retry."""
    delivery = make_delivery(function=FUNCTION)
    delivery.arrived(SHARD, records(b"{}", b"{}"), NOW)
    now = NOW
    for attempt in (1, 2, 3):
        (command,) = delivery.commands(now)
        assert isinstance(command, Invoke)
        assert command.attempt == attempt
        delivery.transformed(command, FUNCTION_ERROR, now)
        if attempt < 3:
            assert delivery.commands(now) == []
            assert delivery.due_at() == now + backoff.INVOKE.wait(attempt)
            now += backoff.INVOKE.wait(attempt)
    (store,) = delivery.commands(now)
    assert isinstance(store, Store)
    assert len(store.items) == 2
    assert b'"attemptsMade":3' in store.items[0].content
    assert store.key.startswith("backup/processing-failed/2023/11/14/22/d-1-2023-11-14-22-13-19-token-")
    delivery.stored(store, None, now)
    assert delivery.status(now).processing_failed == delivery.status(now).failed == 2


def test_rejected_documents_are_retried_for_the_retry_duration() -> None:
    """429, 5xx, 403 and no response are retried for DurationInSeconds; then the document is a failure."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b'{"a":1}'), NOW)
    now, attempts, statuses = NOW, 0, [429, 503, 403, None]
    while isinstance((command := delivery.commands(now)[0]), Index):
        attempts += 1
        delivery.indexed(command, [IndexingError(statuses[attempts % 4], "no")], now)
        now = delivery.due_at() or now
    assert now == NOW + 10_000
    assert attempts == backoff.INDEX.attempts(10_000)
    assert isinstance(command, Store)
    assert f'"attemptsMade":{attempts}'.encode() in command.items[0].content
    assert command.key.startswith("backup/AmazonOpenSearchService_failed/")


def test_an_outage_of_the_domain_costs_few_requests() -> None:
    """While all is refused, new documents collect for a backoff's time; then each is indexed exactly once."""
    delivery = make_delivery(retry_duration=7_200_000)
    requests, indexed = 0, []
    for tick in range(1_200):  # two minutes of ten small reads a second
        now = NOW + tick * 100
        delivery.arrived(SHARD, records(b"{}", start=tick + 1), now)
        for command in delivery.commands(now):
            assert isinstance(command, Index)
            requests += 1
            delivery.indexed(command, [IndexingError(503, "down")] * len(command.documents), now)
    # A batch every five seconds, each with at most five requests while its backoff grows, then one every five seconds.
    batches = 120_000 // backoff.INDEX.ceiling
    assert requests <= batches * 5 + batches * (batches + 1) // 2
    while not delivery.idle:
        now += 1_000
        for command in delivery.commands(now):
            assert isinstance(command, Index)
            indexed += [document.record.sequence for document in command.documents]
            delivery.indexed(command, [None] * len(command.documents), now)
    assert sorted(indexed) == [f"{number:020d}" for number in range(1, 1_201)]
    delivery.arrived(SHARD, records(b"{}", start=1_201), now)
    assert [type(command) for command in delivery.commands(now)] == [Index]  # at once again


def test_a_stopping_worker_tries_what_has_collected_in_an_outage() -> None:
    """It does not wait for the backoff of other documents."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b"{}"), NOW)
    (command,) = delivery.commands(NOW)
    assert isinstance(command, Index)
    delivery.indexed(command, [IndexingError(None, "down")], NOW)
    delivery.arrived(SHARD, records(b"{}", start=2), NOW)
    assert delivery.commands(NOW) == []
    assert delivery.due_at() == NOW + backoff.INDEX.first  # of the retry; the collected ones begin later
    delivery.flushing = True
    assert [type(command) for command in delivery.commands(NOW)] == [Index]


def test_documents_collect_a_moment_behind_a_request_that_is_under_way() -> None:
    """Without buffering, the first goes at once; others when it is done, after a moment, or when a batch is full."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b'{"a":1}'), NOW)
    (first,) = delivery.commands(NOW)
    delivery.arrived(SHARD, records(b'{"a":2}', start=2), NOW + 10)
    delivery.arrived(SHARD, records(b'{"a":3}', start=3), NOW + 20)
    assert delivery.commands(NOW + 20) == []
    assert delivery.due_at() == NOW + 110
    (second,) = delivery.commands(NOW + 110)
    assert isinstance(second, Index)
    assert len(second.documents) == 2
    delivery.arrived(SHARD, records(b'{"a":4}', start=4), NOW + 120)
    assert delivery.commands(NOW + 120) == []
    for command in (first, second):
        assert isinstance(command, Index)
        delivery.indexed(command, [None] * len(command.documents), NOW + 130)
    assert len(delivery.commands(NOW + 130)) == 1
    delivery.arrived(SHARD, records(*[b'{"a":"%s"}' % (b"x" * 1000)] * 1100, start=5), NOW + 140)
    assert len(delivery.commands(NOW + 140)) == 1  # more than a batch holds: only what is left waits


def test_only_rejected_documents_are_sent_again() -> None:
    """The indexed documents of a batch are complete; a 400 fails immediately."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b'{"a":1}', b'{"a":2}', b'{"a":3}'), NOW)
    (command,) = delivery.commands(NOW)
    assert isinstance(command, Index)
    delivery.indexed(command, [None, IndexingError(429, "busy"), IndexingError(400, "bad")], NOW)
    again = [c for c in delivery.commands(NOW + 1_000) if isinstance(c, Index)]
    assert [[document.body for document in c.documents] for c in again] == [[b'{"a":2}']]
    status = delivery.status(NOW)
    assert (status.delivered, status.pending) == (1, 2)


def test_documents_that_are_not_one_line_never_reach_a_bulk_request() -> None:
    """They would be read as actions: they fail immediately; trailing newlines are removed from the others."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b'{"a":1}\n', b'{"a":2}\n{"delete":{}}', b"", b"\r\n"), NOW)
    commands = delivery.commands(NOW)
    bodies = [document.body for c in commands if isinstance(c, Index) for document in c.documents]
    assert bodies == [b'{"a":1}']
    assert sum(len(c.items) for c in commands if isinstance(c, Store)) == 3


def test_a_function_that_flags_a_record_isolates_it() -> None:
    """One ProcessingFailed among many is one failure line after one attempt; the others are delivered."""
    delivery = make_delivery(function=FUNCTION)
    delivery.arrived(SHARD, records(*[b"{}"] * 500), NOW)
    (command,) = delivery.commands(NOW)
    assert isinstance(command, Invoke)
    delivery.transformed(command, [b"{}"] * 499 + [FLAGGED], NOW)
    index, store = delivery.commands(NOW)
    assert isinstance(index, Index)
    assert isinstance(store, Store)
    assert (len(index.documents), len(store.items)) == (499, 1)
    assert b'"attemptsMade":1,' in store.items[0].content


def test_events_are_cut_before_they_exceed_lambdas_limit() -> None:
    """An event of many small records is larger than their data: the wire size bounds a batch too."""
    delivery = make_delivery(function=Function("arn:f", "role", 0, Bounds(3 * MB, 0)))
    delivery.arrived(SHARD, records(*[b"x"] * 20_000), NOW)
    sizes = [len(command.records) for command in delivery.commands(NOW) if isinstance(command, Invoke)]
    assert sum(sizes) == 20_000
    assert len(sizes) == 3


def test_nothing_is_read_before_intents_are_confirmed() -> None:
    """The worker first checks objects that a killed worker may have written; their records are not delivered again."""
    known = records(b"{}", b"{}")
    intent = Intent(ObjectKind.DOCUMENT_FAILURE, [known[0].id])
    delivery = make_delivery(progress=Progress("arn", 1.0, intents={"key": intent}))
    assert delivery.room() == 0
    (command,) = delivery.commands(NOW)
    assert isinstance(command, Confirm)
    delivery.confirmed(command, ErrorLogEntry("S3.AccessDenied", "no"), NOW)
    assert delivery.room() == 0
    (command,) = delivery.commands(NOW + 10_000)
    assert isinstance(command, Confirm)
    delivery.confirmed(command, True, NOW + 10_000)
    assert delivery.room() > 0
    delivery.arrived(SHARD, known, NOW + 10_000)
    (index,) = delivery.commands(NOW + 10_000)
    assert isinstance(index, Index)
    assert [document.record.id for document in index.documents] == [known[1].id]
    status = delivery.status(NOW)
    assert (status.failed, status.pending) == (1, 1)


def test_new_settings_apply_from_now_on() -> None:
    """After an update of the delivery stream new documents go to the new index; those in flight stay as they were."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b"{}"), NOW)
    changed = make_delivery(index="other", version="2", rotation=Rotation.DAY).settings
    delivery.configure(changed)
    delivery.arrived(SHARD, records(b"{}", start=2), NOW)
    documents = [d for c in delivery.commands(NOW) if isinstance(c, Index) for d in c.documents]
    assert [document.index for document in documents] == ["index", "other-2023-11-14"]
    assert delivery.status(NOW).version == "2"


def test_a_shard_ends_with_its_last_record() -> None:
    """A closed shard is marked as ended only when all of its records have outcomes."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b"{}"), NOW)
    delivery.arrived(SHARD, [], NOW, ended=True)
    assert not delivery.snapshot().shards[SHARD].ended
    (command,) = delivery.commands(NOW)
    assert isinstance(command, Index)
    delivery.indexed(command, [None], NOW)
    assert delivery.snapshot().shards[SHARD].ended


def test_lag_is_the_age_of_the_oldest_pending_record() -> None:
    """Or how far reading is behind, whichever is greater; without records in flight it is 0."""
    delivery = make_delivery()
    assert delivery.status(NOW).lag_ms == 0
    delivery.arrived(SHARD, records(b"{}"), NOW)
    status = delivery.status(NOW + 500)
    assert (status.lag_ms, status.oldest_undelivered) == (1500, NOW - 1000)
    assert delivery.status(NOW, behind=9000).lag_ms == 9000


def test_an_error_is_reported_until_what_it_held_up_is_delivered() -> None:
    """With its time; a later record that waits for something else does not bring it back."""
    delivery = make_delivery()
    delivery.arrived(SHARD, records(b'{"a":1}'), NOW)
    [indexing] = [each for each in delivery.commands(NOW) if isinstance(each, Index)]
    busy = IndexingError(429, "busy")
    delivery.indexed(indexing, [busy], NOW + 5)
    assert delivery.status(NOW + 6).last_error_at == NOW + 5
    assert "busy" in (delivery.status(NOW + 6).last_error or "")
    [again] = [each for each in delivery.commands(NOW + 600_000) if isinstance(each, Index)]
    delivery.indexed(again, [None], NOW + 600_001)
    assert (delivery.status(NOW + 600_002).last_error, delivery.status(NOW + 600_002).last_error_at) == (None, None)
