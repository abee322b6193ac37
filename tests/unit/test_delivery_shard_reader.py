"""What the stream's retention does to a reader that was away, against a model of one shard."""

import base64
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core.get_records import GetRecordsResponse, KinesisRecord
from iot_stream.delivery.core.shard_reader import MIN_RETENTION, Gap, ShardBatch, ShardReader
from tests.examples import examples

HOUR = 3_600_000
NOON = 1_700_000_000_000


@dataclass
class Shard:
    """A shard that keeps records for 24 hours, and continues with the oldest one it has where a position's is gone.

    That it does so is not in AWS's reference; clients report it (influxdata/telegraf pull request 19508: "once it falls
    behind the trim horizon, at the head of the stream"; harlow/kinesis-consumer issue 125).
    """

    now: int = NOON
    put: list[tuple[int, int]] = field(default_factory=list)  # sequence number and arrival, also of what is gone
    iterators: dict[str, int] = field(default_factory=dict)

    def arrive(self) -> None:
        """Put a record; sequence numbers have gaps."""
        self.put.append((10 * len(self.put) + 10, self.now))

    @property
    def gone(self) -> set[int]:
        """Return the sequence numbers of the records past the retention."""
        return {number for number, arrived in self.put if self.now - arrived >= MIN_RETENTION}

    def read(self, reader: ShardReader) -> ShardBatch | None:
        """Read on; return None when the position had to be left."""
        if reader.iterator is None:
            start = int(reader.after or 0) + (1 if reader.after and reader.verified else 0)
            reader.iterator = str(start)
        start = int(reader.iterator)
        left = [each for each in self.put if each[0] not in self.gone and each[0] >= start]
        taken = left[:3]
        behind = self.now - left[3][1] if left[3:] else 0
        following = str(taken[-1][0] + 1) if taken else reader.iterator
        data = base64.b64encode(b"{}").decode()
        records = [KinesisRecord(str(number), arrived / 1000, data, "key") for number, arrived in taken]
        response = GetRecordsResponse(records, following, max(behind, 1 if left[3:] else 0))
        return reader.batch(response) if reader.accept(response, self.now) else None


class Run:
    """A reader of a shard, and what it has read and reported."""

    def __init__(self, after: str | None = None) -> None:
        self.shard = Shard()
        self.reader = ShardReader("shardId-000000000000", after)
        self.read: list[int] = []
        self.gaps: list[Gap] = []
        self.restarted = 0

    def catch_up(self) -> None:
        """Read to the tip."""
        while True:
            batch = self.shard.read(self.reader)
            if batch is None:
                continue
            self.read += [int(record.sequence) for record in batch.records]
            self.gaps += [batch.gap] if batch.gap else []
            self.restarted += batch.restarted
            if batch.behind == 0:
                return

    def pass_time(self, hours: float) -> None:
        """Let time pass without a read; an iterator lasts for five minutes ("GetShardIterator")."""
        self.shard.now += round(hours * HOUR)
        if hours > 1 / 12:
            self.reader.lose_iterator()


STEPS = st.lists(st.sampled_from(["put", "put", "read", "hiccup", "minute", "hours", "day", "days"]), max_size=25)


@given(steps=STEPS)
@examples(150)
def test_what_left_the_stream_unread_is_reported(steps: list[str]) -> None:
    """Each record is read once, or lies within a gap that was reported; and no gap without a day unread."""
    run = Run()
    shard = run.shard
    reads = [NOON]
    for step in [*steps, "read"]:
        match step:
            case "put":
                shard.arrive()
            case "read":
                known = len(run.gaps)
                run.catch_up()
                if shard.now - reads[-1] < MIN_RETENTION:
                    assert len(run.gaps) == known, "nothing can have expired since the last read"
                reads.append(shard.now)
            case "hiccup":
                run.reader.lose_iterator()
            case _:
                run.pass_time({"minute": 1 / 60, "hours": 5, "day": 24, "days": 50}[step])
    assert len(run.read) == len(set(run.read))
    missing = [(number, arrived) for number, arrived in shard.put if number not in run.read]
    spans = [(gap.since or 0, gap.until if gap.until is not None else shard.now) for gap in run.gaps]
    for _, arrived in missing:
        before = reads[1] - arrived >= MIN_RETENTION  # gone before the first read: such a reader knows of nothing
        assert before or any(since <= arrived <= until for since, until in spans)


def test_an_idle_stream_is_no_gap() -> None:
    """The record at the position has expired, but the reader was at the tip a moment ago: nothing was missed."""
    run = Run()
    run.shard.arrive()
    run.catch_up()
    for _ in range(30):
        run.shard.now += HOUR
        run.catch_up()
    run.reader.lose_iterator()
    run.shard.arrive()
    run.catch_up()
    assert (run.read, run.gaps) == ([10, 20], [])


def test_a_paused_reader_reports_what_it_missed() -> None:
    """Two days away: the records of the first are gone, and the gap says between which moments."""
    run = Run()
    run.shard.arrive()
    run.catch_up()
    run.shard.arrive()
    run.pass_time(48)
    run.shard.arrive()
    run.catch_up()
    assert run.read == [10, 30]
    assert run.gaps == [Gap(NOON, NOON + 48 * HOUR)]


def test_a_saved_position_past_the_retention_is_a_gap() -> None:
    """A worker that was away for too long reads from the oldest record, and says that others may be missing."""
    run = Run(after="10")
    for _ in range(3):
        run.shard.arrive()
    run.shard.now += 48 * HOUR
    run.shard.arrive()
    run.catch_up()
    assert (run.read, run.restarted) == ([40], 1)
    assert run.gaps == [Gap(None, NOON + 48 * HOUR)]


def test_a_saved_position_in_the_future_is_no_gap() -> None:
    """It is wrong, and nothing has expired."""
    run = Run(after="99")
    run.shard.arrive()
    run.catch_up()
    assert (run.read, run.restarted, run.gaps) == ([10], 1, [])


def test_a_stream_that_was_made_again_is_read_from_its_start() -> None:
    """Its sequence numbers are others: Kinesis rejects the position, or has only records before it."""
    for rejected in (True, False):
        run = Run()
        for _ in range(5):
            run.shard.arrive()
        run.catch_up()
        run.shard.put = [(1, run.shard.now), (2, run.shard.now)]
        run.reader.lose_iterator()
        if rejected:
            run.reader.reject(run.shard.now)
            run.catch_up()
            assert run.read[-2:] == [1, 2]
        else:
            run.pass_time(24)
            run.shard.put = [(1, run.shard.now)]
            run.catch_up()
            assert run.read[-1:] == [1]


def test_a_shard_that_is_gone_ends_with_what_it_may_have_held() -> None:
    """A gap if the reader had not seen its tip within a day, or never."""
    for hours, expected in ((1, None), (48, Gap(NOON, None))):
        run = Run()
        run.shard.arrive()
        run.catch_up()
        run.pass_time(hours)
        run.reader.expire(run.shard.now)
        response = GetRecordsResponse([])
        assert run.reader.accept(response, run.shard.now)
        assert run.reader.batch(response) == ShardBatch(run.reader.shard, [], 0, ended=True, gap=expected)
    never = ShardReader("shardId-000000000000", "10")
    never.expire(NOON)
    assert never.batch(GetRecordsResponse([])).gap == Gap(None, None)
