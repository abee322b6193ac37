"""Checkpoints: how far a shard's position may move, and what a later worker does not repeat."""

from iot_stream.delivery.core.checkpoint import CheckpointTracker, footprint
from iot_stream.delivery.core.naming import IndexNaming, Rotation
from iot_stream.delivery.core.progress import IndexDecision, Progress, ShardProgress
from iot_stream.delivery.core.record import Outcome, Record, record_id

SHARD = "shardId-000000000000"
NAMING = IndexNaming("i", Rotation.NONE)


def users(sequence: int, count: int) -> list[Record]:
    """Return the user records of one aggregated Kinesis record."""
    return [Record(SHARD, str(sequence), n, "key", 1, "", record_id(SHARD, str(sequence), n), 10) for n in range(count)]


def singles(start: int, count: int) -> list[Record]:
    """Return Kinesis records that are not aggregated."""
    names = [str(start + n) for n in range(count)]
    return [Record(SHARD, name, None, "key", 1, "", record_id(SHARD, name, None), 10) for name in names]


def test_the_position_moves_over_whole_chunks_in_order() -> None:
    """Records complete out of order; the position stays before the first chunk with a record in flight."""
    tracker = CheckpointTracker(Progress("arn", 1.0), chunk=2)
    records = singles(1, 6)
    tracker.admit(SHARD, records, NAMING, backup=False, ended=False)
    for n in (5, 4, 3, 2, 0):
        tracker.complete([records[n]], Outcome.INDEXED)
    assert tracker.shards()[SHARD].position is None
    assert (tracker.pending, tracker.memory) == (1, sum(map(footprint, records[:2])))
    tracker.complete([records[1]], Outcome.DROPPED)
    assert tracker.shards()[SHARD].position == "6"
    assert tracker.committed() == {Outcome.INDEXED: 5, Outcome.DROPPED: 1}
    assert (tracker.pending, tracker.memory) == (0, 0)


def test_a_kpl_record_is_passed_whole() -> None:
    """No position lies within an aggregated record: a restart would lose the rest of it."""
    tracker = CheckpointTracker(Progress("arn", 1.0), chunk=4)
    records = users(1, 10) + users(2, 1)
    tracker.admit(SHARD, records, NAMING, backup=False, ended=False)
    for record in records[:9]:
        tracker.complete([record], Outcome.INDEXED)
    assert tracker.shards()[SHARD].position is None
    tracker.complete([records[9]], Outcome.INDEXED)
    assert tracker.shards()[SHARD].position in {None, "1"}
    tracker.complete([records[10]], Outcome.INDEXED)
    assert tracker.shards()[SHARD].position == "2"


def test_backup_continues_within_a_kpl_record() -> None:
    """An object of source records may end within an aggregated record; the next object continues after it."""
    progress = Progress("arn", 1.0, {SHARD: ShardProgress(backed_up=("9", 2))})
    tracker = CheckpointTracker(progress)
    deliver, back_up = tracker.admit(
        SHARD, singles(8, 1) + users(9, 5) + singles(10, 1), NAMING, backup=True, ended=False
    )
    assert len(deliver) == 7
    assert [(record.sequence, record.subsequence) for record in back_up] == [("9", 3), ("9", 4), ("10", None)]


def test_a_record_waits_for_its_backup_too() -> None:
    """With AllDocuments, the position passes a record only when it is both delivered and backed up."""
    tracker = CheckpointTracker(Progress("arn", 1.0))
    records = singles(1, 2)
    tracker.admit(SHARD, records, NAMING, backup=True, ended=False)
    for record in records:
        tracker.complete([record], Outcome.INDEXED)
    assert tracker.shards()[SHARD].position is None
    tracker.back_up(records)
    assert tracker.shards()[SHARD] == ShardProgress("2", backed_up=("2", 0))


def test_what_is_in_a_failure_object_is_not_delivered_again() -> None:
    """After a restart, such a record is read again, counted and skipped; once passed, it is forgotten."""
    known, other = singles(1, 2)
    tracker = CheckpointTracker(Progress("arn", 1.0, stored={known.id: Outcome.PROCESSING_FAILED}))
    deliver, _ = tracker.admit(SHARD, [known, other], NAMING, backup=False, ended=False)
    assert deliver == [other]
    assert tracker.outcomes == {Outcome.PROCESSING_FAILED: 1}
    tracker.complete([other], Outcome.INDEXED)
    assert tracker.stored == {}
    assert tracker.shards()[SHARD].position == "2"


def test_a_records_index_is_decided_when_it_is_first_read() -> None:
    """After a restart with other settings, records that were read before go where they went before."""
    tracker = CheckpointTracker(Progress("arn", 1.0))
    tracker.admit(SHARD, singles(1, 2), NAMING, backup=False, ended=False)
    other = IndexNaming("other", Rotation.DAY)
    tracker.admit(SHARD, singles(3, 1), other, backup=False, ended=False)
    progress = Progress("arn", 1.0, tracker.shards())
    assert progress.shards[SHARD].decisions == [IndexDecision("2", NAMING), IndexDecision("3", other)]
    again = singles(1, 4)
    CheckpointTracker(progress).admit(SHARD, again, IndexNaming("third", Rotation.NONE), backup=False, ended=False)
    assert [record.index for record in again] == ["i", "i", "other-1970-01-01", "third"]


def test_what_is_read_again_in_parts_keeps_its_decision() -> None:
    """An earlier worker read ten records; a later one reads five of them again, and then the index is changed."""
    decided = Progress("arn", 1.0, {SHARD: ShardProgress(decisions=[IndexDecision("10", NAMING)])})
    tracker = CheckpointTracker(decided)
    tracker.admit(SHARD, singles(1, 5), NAMING, backup=False, ended=False)
    assert tracker.shards()[SHARD].decisions == [IndexDecision("10", NAMING)]
    rest = singles(6, 6)
    tracker.admit(SHARD, rest, IndexNaming("other", Rotation.NONE), backup=False, ended=False)
    assert [record.index for record in rest] == ["i"] * 5 + ["other"]


def test_decisions_are_forgotten_behind_the_position() -> None:
    """What is delivered needs no decision any more: there are as many as there were changes in flight."""
    tracker = CheckpointTracker(Progress("arn", 1.0))
    records, later = singles(8, 2), singles(10, 1)  # numbers of one digit and of two: it is no comparison of texts
    other = IndexNaming("other", Rotation.NONE)
    tracker.admit(SHARD, records[:1], NAMING, backup=False, ended=False)
    tracker.admit(SHARD, records[1:], NAMING, backup=False, ended=False)
    tracker.admit(SHARD, later, other, backup=False, ended=False)
    assert tracker.shards()[SHARD].decisions == [IndexDecision("9", NAMING), IndexDecision("10", other)]
    for record in (*later, *records):
        tracker.complete([record], Outcome.INDEXED)
    assert tracker.shards()[SHARD].decisions == []
