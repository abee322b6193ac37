"""The account of every record that is under way, and of how far each shard is done.

Ways end out of order; the position that is kept on disk moves only over whole chunks whose records have all ended.
What is behind it is read again after a crash, with the same ids, except for what is known to be in a failure object.
"""

from collections import Counter, deque
from itertools import batched

from iot_stream.delivery.core.progress import Position, Progress, ShardProgress
from iot_stream.delivery.core.record import Chunk, Outcome, Record

__all__ = ["CHUNK", "CheckpointTracker", "backup_positions", "footprint"]

# Records of one chunk, about: small enough that little is done twice after a crash.
CHUNK = 500


# What a record takes in memory besides its data, about: itself, its strings, its document.
_OVERHEAD = 1024


def footprint(record: Record) -> int:
    """About how many bytes a record takes in memory while it is under way."""
    return record.size + _OVERHEAD


class _Shard:
    def __init__(self, kept: ShardProgress) -> None:
        self.position = kept.position
        self.ended = kept.ended
        self.backed_up = kept.backed_up
        self.chunks: deque[Chunk] = deque()
        self.at_end = kept.ended

    def is_backed_up(self, record: Record) -> bool:
        if self.backed_up is None:
            return False
        sequence, subsequence = self.backed_up
        return (int(record.sequence), record.subsequence or 0) <= (int(sequence), subsequence)


class CheckpointTracker:
    """Records in, ends in, positions out."""

    def __init__(self, progress: Progress, chunk: int = CHUNK) -> None:
        self._chunk = chunk
        self._shards = {name: _Shard(kept) for name, kept in progress.shards.items()}
        self._kept: Counter[Outcome] = Counter(progress.ends)
        self.stored = dict(progress.stored)
        self.ends: Counter[Outcome] = Counter(progress.ends)
        self.open = 0
        self.size = 0

    def admit(
        self, shard: str, records: list[Record], *, backup: bool, ended: bool
    ) -> tuple[list[Record], list[Record]]:
        """Take in records that were read from a shard, in order; `ended` says that none will follow.

        Returns:
            the records to deliver, and those to back up (all of them where `backup`, but for what is done already).
        """
        state = self._shards.setdefault(shard, _Shard(ShardProgress()))
        state.at_end = state.at_end or ended
        deliver: list[Record] = []
        to_back_up: list[Record] = []
        for run in _runs(records, self._chunk):
            chunk = Chunk(shard, run[-1].sequence, run, len(run), sum(map(footprint, run)), {})
            state.chunks.append(chunk)
            self.open += len(run)
            self.size += chunk.size
            for record in run:
                record.chunk = chunk
            if backup:
                missing = [record for record in run if not state.is_backed_up(record)]
                chunk.open += len(missing)
                to_back_up += missing
            if self.stored:
                run = self._skip_stored(run)  # noqa: PLW2901 - the rest of the run
            deliver += run
        self._advance(state)
        return deliver, to_back_up

    def end(self, record: Record, outcome: Outcome) -> None:
        """A record's way has ended."""
        chunk = record.chunk
        if chunk is None or record.outcome is not None:
            raise AssertionError(f"record {record.id} ended twice or was never admitted")
        record.outcome = outcome
        chunk.ends[outcome] = chunk.ends.get(outcome, 0) + 1
        self.ends[outcome] += 1
        self.open -= 1
        self._release(chunk)

    def store(self, record: Record, outcome: Outcome) -> None:
        """A record's way has ended in a failure object."""
        self.stored[record.id] = outcome
        self.end(record, outcome)

    def back_up(self, records: list[Record]) -> None:
        """Source records are in an object: records in the order of their arrival."""
        for shard, position in backup_positions(records).items():
            self._shards[shard].backed_up = position
        for record in records:
            if record.chunk is not None:
                self._release(record.chunk)

    def adopt_backup(self, positions: dict[str, Position]) -> None:
        """An object of source records turned out to exist."""
        for shard, position in positions.items():
            self._shards.setdefault(shard, _Shard(ShardProgress())).backed_up = position

    def oldest(self) -> int | None:
        """Arrival (epoch ms) of the oldest record whose way has not ended."""
        return min(filter(None, map(_oldest, self._shards.values())), default=None)

    def shards(self) -> dict[str, ShardProgress]:
        """How far each shard is, as it may be kept on disk."""
        return {
            name: ShardProgress(state.position, state.ended, state.backed_up) for name, state in self._shards.items()
        }

    def kept(self) -> dict[Outcome, int]:
        """How many records before the positions ended how."""
        return dict(self._kept)

    def _skip_stored(self, run: list[Record]) -> list[Record]:
        rest = []
        for record in run:
            outcome = self.stored.get(record.id)
            if outcome is None:
                rest.append(record)
            else:
                self.end(record, outcome)
        return rest

    def _release(self, chunk: Chunk) -> None:
        chunk.open -= 1
        if chunk.open == 0:
            self.size -= chunk.size
            chunk.records = [record for record in chunk.records if record.id in self.stored]
            self._advance(self._shards[chunk.shard])

    def _advance(self, state: _Shard) -> None:
        chunks = state.chunks
        while chunks and chunks[0].open == 0:
            chunk = chunks.popleft()
            state.position = chunk.last
            self._kept.update(chunk.ends)
            for record in chunk.records:
                self.stored.pop(record.id, None)
        if state.at_end and not chunks:
            state.ended = True


def _oldest(state: _Shard) -> int | None:
    pending = (record.arrived for chunk in state.chunks for record in chunk.records if record.outcome is None)
    return next(pending, None)


def backup_positions(records: list[Record]) -> dict[str, Position]:
    """The last of each shard's records, given in the order of their arrival."""
    return {record.shard: (record.sequence, record.subsequence or 0) for record in records}


def _runs(records: list[Record], size: int) -> list[list[Record]]:
    """The records in runs of about `size`, with all user records of one Kinesis record in the same run."""
    runs: list[list[Record]] = []
    for batch in batched(records, size, strict=False):
        if runs and runs[-1][-1].sequence == batch[0].sequence:
            runs[-1].extend(batch)
        else:
            runs.append(list(batch))
    return runs
