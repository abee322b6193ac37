"""Track every record in flight, and the position up to which each shard is complete.

Records complete out of order. The position that is kept on disk moves only over whole chunks whose records all have an
outcome. Records behind it are read again after a crash, with the same ids, except for those that are known to be in a
failure object.
"""

from collections import Counter, deque
from itertools import batched, groupby
from operator import attrgetter

from iot_stream.delivery.core.naming import IndexNaming
from iot_stream.delivery.core.progress import IndexDecision, Position, Progress, ShardProgress
from iot_stream.delivery.core.record import Chunk, Outcome, Record

__all__ = ["CHUNK", "CheckpointTracker", "backup_positions", "footprint"]

# Records of one chunk, approximately: few enough that little is repeated after a crash.
CHUNK = 500


_CHUNK_OF = attrgetter("chunk")
# What a record takes in memory besides its data, approximately: the object, its strings, its document.
_OVERHEAD = 1024


def footprint(record: Record) -> int:
    """Return approximately how many bytes a record takes in memory while it is in flight."""
    return record.size + _OVERHEAD


class _ShardState:
    def __init__(self, progress: ShardProgress) -> None:
        self.position = progress.position
        self.ended = progress.ended
        self.backed_up = progress.backed_up
        self.decisions = list(progress.decisions)
        self.chunks: deque[Chunk] = deque()
        self.read_to_end = progress.ended

    def is_backed_up(self, record: Record) -> bool:
        if self.backed_up is None:
            return False
        sequence, subsequence = self.backed_up
        return (int(record.sequence), record.subsequence or 0) <= (int(sequence), subsequence)

    def decide_indices(self, records: list[Record], naming: IndexNaming) -> None:
        """Give each record its index: the one decided when it was first read, else the one of `naming`."""
        undecided = 0 if self.decisions else None
        for number, record in enumerate(records):
            if undecided is not None:
                sequence = int(record.sequence)
                earlier = next((each for each in self.decisions if sequence <= int(each.last)), None)
                if earlier is not None:
                    record.index = earlier.naming.index_for(record.arrived)
                    undecided = number + 1
                    continue
                undecided = None  # sequence numbers increase
            record.index = naming.index_for(record.arrived)
        if records and undecided != len(records):
            if self.decisions and self.decisions[-1].naming == naming:
                self.decisions.pop()
            self.decisions.append(IndexDecision(records[-1].sequence, naming))


class CheckpointTracker:
    """Tracks records and their outcomes, and returns positions.

    Attributes:
        stored: outcomes of records behind the positions that are in failure objects, by record id.
        outcomes: how many records have each outcome.
        pending: records in flight.
        memory: bytes that the records in flight take, approximately.
    """

    def __init__(self, progress: Progress, chunk: int = CHUNK) -> None:
        self._chunk = chunk
        self._shards = {name: _ShardState(shard) for name, shard in progress.shards.items()}
        self._committed: Counter[Outcome] = Counter(progress.outcomes)
        self.stored = dict(progress.stored)
        self.outcomes: Counter[Outcome] = Counter(progress.outcomes)
        self.pending = 0
        self.memory = 0

    def admit(
        self, shard: str, records: list[Record], naming: IndexNaming, *, backup: bool, ended: bool
    ) -> tuple[list[Record], list[Record]]:
        """Take in records that were read from a shard, in order, and decide their indices.

        Args:
            shard: the shard's id.
            records: the records.
            naming: for records that are read for the first time.
            backup: whether source records are backed up.
            ended: whether these are the shard's last records.

        Returns:
            the records to deliver, and the records to back up (with `backup`, all that are not backed up already).
        """
        state = self._shards.setdefault(shard, _ShardState(ShardProgress()))
        state.read_to_end = state.read_to_end or ended
        state.decide_indices(records, naming)
        deliver: list[Record] = []
        back_up: list[Record] = []
        for run in _runs(records, self._chunk):
            chunk = Chunk(shard, run[-1].sequence, run, len(run), sum(map(footprint, run)), {})
            state.chunks.append(chunk)
            self.pending += len(run)
            self.memory += chunk.memory
            for record in run:
                record.chunk = chunk
            if backup:
                missing = [record for record in run if not state.is_backed_up(record)]
                chunk.pending += len(missing)
                back_up += missing
            if self.stored:
                run = self._skip_stored(run)  # noqa: PLW2901 - the rest of the run
            deliver += run
        self._advance(state)
        return deliver, back_up

    def restart(self, shard: str) -> None:
        """Forget the saved positions of a shard, before any of its records is admitted."""
        self._shards[shard] = _ShardState(ShardProgress())

    def complete(self, records: list[Record], outcome: Outcome) -> None:
        """Record the outcome of records."""
        for chunk, group in groupby(records, _CHUNK_OF):
            done = 0
            for record in group:
                if chunk is None or record.outcome is not None:
                    raise AssertionError(f"record {record.id} has an outcome already or was never admitted")
                record.outcome = outcome
                done += 1
            chunk.outcomes[outcome] = chunk.outcomes.get(outcome, 0) + done
            self.outcomes[outcome] += done
            self.pending -= done
            self._release(chunk, done)

    def complete_stored(self, record: Record, outcome: Outcome) -> None:
        """Record the outcome of a record that is in a failure object."""
        self.stored[record.id] = outcome
        self.complete([record], outcome)

    def back_up(self, records: list[Record]) -> None:
        """Record that source records, in the order of their arrival, are in an object."""
        for shard, position in backup_positions(records).items():
            self._shards[shard].backed_up = position
        for record in records:
            if record.chunk is not None:
                self._release(record.chunk, 1)

    def adopt_backup(self, positions: dict[str, Position]) -> None:
        """Record that an earlier worker's object of source records exists."""
        for shard, position in positions.items():
            self._shards.setdefault(shard, _ShardState(ShardProgress())).backed_up = position

    def oldest(self) -> int | None:
        """Return the arrival (epoch ms) of the oldest record in flight; None when there is none."""
        return min(filter(None, map(_oldest, self._shards.values())), default=None)

    def shards(self) -> dict[str, ShardProgress]:
        """Return how far each shard is complete."""
        return {
            name: ShardProgress(state.position, state.ended, state.backed_up, list(state.decisions))
            for name, state in self._shards.items()
        }

    def committed(self) -> dict[Outcome, int]:
        """Return how many records before the positions have each outcome."""
        return dict(self._committed)

    def _skip_stored(self, run: list[Record]) -> list[Record]:
        rest = []
        for record in run:
            outcome = self.stored.get(record.id)
            if outcome is None:
                rest.append(record)
            else:
                self.complete([record], outcome)
        return rest

    def _release(self, chunk: Chunk, done: int) -> None:
        chunk.pending -= done
        if chunk.pending == 0:
            self.memory -= chunk.memory
            chunk.records = [record for record in chunk.records if record.id in self.stored]
            self._advance(self._shards[chunk.shard])

    def _advance(self, state: _ShardState) -> None:
        chunks = state.chunks
        while chunks and chunks[0].pending == 0:
            chunk = chunks.popleft()
            state.position = chunk.last
            self._committed.update(chunk.outcomes)
            for record in chunk.records:
                self.stored.pop(record.id, None)
        while state.decisions and state.position and int(state.decisions[0].last) <= int(state.position):
            del state.decisions[0]
        if state.read_to_end and not chunks:
            state.ended = True


def _oldest(state: _ShardState) -> int | None:
    pending = (record.arrived for chunk in state.chunks for record in chunk.records if record.outcome is None)
    return next(pending, None)


def backup_positions(records: list[Record]) -> dict[str, Position]:
    """Return the position of each shard's last record, given the records in the order of their arrival."""
    return {record.shard: (record.sequence, record.subsequence or 0) for record in records}


def _runs(records: list[Record], size: int) -> list[list[Record]]:
    """Return the records in runs of about `size`; all user records of one Kinesis record are in the same run."""
    runs: list[list[Record]] = []
    for batch in batched(records, size, strict=False):
        if runs and runs[-1][-1].sequence == batch[0].sequence:
            runs[-1].extend(batch)
        else:
            runs.append(list(batch))
    return runs
