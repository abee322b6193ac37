"""The ledger: how far the stream's position may move, and what a later worker does not do again."""

from iot_stream.delivery.core.checkpoint import CheckpointTracker, footprint
from iot_stream.delivery.core.progress import Progress, ShardProgress
from iot_stream.delivery.core.record import Outcome, Record, record_id

SHARD = "shardId-000000000000"


def users(sequence: int, count: int) -> list[Record]:
    """The user records of one Kinesis record that the KPL aggregated."""
    return [Record(SHARD, str(sequence), n, "key", 1, "", record_id(SHARD, str(sequence), n), 10) for n in range(count)]


def singles(start: int, count: int) -> list[Record]:
    """Kinesis records that hold one record each."""
    names = [str(start + n) for n in range(count)]
    return [Record(SHARD, name, None, "key", 1, "", record_id(SHARD, name, None), 10) for name in names]


def test_the_position_moves_over_whole_chunks_in_order() -> None:
    """Records end out of order; the position stays before the first chunk with one whose way has not ended."""
    ledger = CheckpointTracker(Progress("arn", 1.0), chunk=2)
    records = singles(1, 6)
    ledger.admit(SHARD, records, backup=False, ended=False)
    for n in (5, 4, 3, 2, 0):
        ledger.end(records[n], Outcome.INDEXED)
    assert ledger.shards()[SHARD].position is None
    assert (ledger.open, ledger.size) == (1, sum(map(footprint, records[:2])))
    ledger.end(records[1], Outcome.DROPPED)
    assert ledger.shards()[SHARD].position == "6"
    assert ledger.kept() == {Outcome.INDEXED: 5, Outcome.DROPPED: 1}
    assert (ledger.open, ledger.size) == (0, 0)


def test_a_kpl_record_is_passed_whole() -> None:
    """No position lies within an aggregated record: what is left of it would be lost by a restart."""
    ledger = CheckpointTracker(Progress("arn", 1.0), chunk=4)
    records = users(1, 10) + users(2, 1)
    ledger.admit(SHARD, records, backup=False, ended=False)
    for record in records[:9]:
        ledger.end(record, Outcome.INDEXED)
    assert ledger.shards()[SHARD].position is None
    ledger.end(records[9], Outcome.INDEXED)
    assert ledger.shards()[SHARD].position in {None, "1"}
    ledger.end(records[10], Outcome.INDEXED)
    assert ledger.shards()[SHARD].position == "2"


def test_backup_goes_on_within_a_kpl_record() -> None:
    """An object of source records may end within an aggregated record: the next one begins behind it."""
    progress = Progress("arn", 1.0, {SHARD: ShardProgress(backed_up=("9", 2))})
    ledger = CheckpointTracker(progress)
    deliver, back_up = ledger.admit(SHARD, singles(8, 1) + users(9, 5) + singles(10, 1), backup=True, ended=False)
    assert len(deliver) == 7
    assert [(record.sequence, record.subsequence) for record in back_up] == [("9", 3), ("9", 4), ("10", None)]


def test_a_record_waits_for_its_backup_too() -> None:
    """With AllDocuments the position passes a record when it is delivered and backed up."""
    ledger = CheckpointTracker(Progress("arn", 1.0))
    records = singles(1, 2)
    ledger.admit(SHARD, records, backup=True, ended=False)
    for record in records:
        ledger.end(record, Outcome.INDEXED)
    assert ledger.shards()[SHARD] == ShardProgress()
    ledger.back_up(records)
    assert ledger.shards()[SHARD] == ShardProgress("2", backed_up=("2", 0))


def test_what_is_in_a_failure_object_is_not_delivered_again() -> None:
    """After a restart such a record is read again, counted, and skipped; once passed it is forgotten."""
    known, other = singles(1, 2)
    ledger = CheckpointTracker(Progress("arn", 1.0, stored={known.id: Outcome.PROCESSING_FAILED}))
    deliver, _ = ledger.admit(SHARD, [known, other], backup=False, ended=False)
    assert deliver == [other]
    assert ledger.ends == {Outcome.PROCESSING_FAILED: 1}
    ledger.end(other, Outcome.INDEXED)
    assert ledger.stored == {}
    assert ledger.shards()[SHARD].position == "2"
