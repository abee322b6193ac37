"""Replay: object by object, select, repair, check, send, confirm; fully confirmed objects move to `replayed/`.

Discarding is a replay that sends nothing, and so has the same selection, progress and lock.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from iot_stream.failure_objects import FailedRecord, FailureKind
from iot_stream.failures.broken import Broken
from iot_stream.failures.destinations import IndexDestination, Item, Sent, StreamDestination
from iot_stream.failures.progress import Progress, ProgressStore
from iot_stream.failures.reasons import VALID, Reasons
from iot_stream.failures.selection import Selection, Selector
from iot_stream.failures.transform import Transform, TransformError, unchanged

__all__ = ["Options", "Outcome", "Replay", "Source"]


class Source(NamedTuple):
    """One object and a way to read its records; a failure object moves when it is done, a backup stays."""

    key: str
    records: Callable[[], Iterator[FailedRecord]]
    move: bool = True


@dataclass(frozen=True)
class Options:
    """What to replay and how.

    Attributes:
        selection: the records to replay.
        limit: most records to send; None for all.
        dry_run: change nothing; only report what would be done.
        discard: don't send the selected records, but count them as done. Nothing is deleted: their objects move.
        check: leave a reading where it is if the function would reject it again.
        unsure: what to do with records for which it is unknown whether an earlier replay sent them.
    """

    selection: Selection = field(default_factory=Selection)
    limit: int | None = None
    dry_run: bool = False
    discard: bool = False
    check: bool = True
    unsure: Literal["ask", "send", "skip"] = "ask"


@dataclass
class Outcome:
    """What a replay did.

    Attributes:
        streamed: readings that the stream accepted (dry run: that would be sent).
        indexed: documents that the domain accepted (dry run: that would be sent).
        discarded: records that were given up (dry run: that would be).
        earlier: records that had been replayed or discarded before.
        other: records that were not selected.
        hints: what could be selected instead, if a filter selected nothing.
        now_valid: those of them that --reason left out although the function would accept them.
        stays: records that stay where they are, by reason.
        broken: rows that can't be read.
        moved: objects that moved to `replayed/`.
        objects: objects that were looked at.
    """

    streamed: int = 0
    indexed: int = 0
    discarded: int = 0
    earlier: int = 0
    other: int = 0
    now_valid: int = 0
    hints: list[str] = field(default_factory=list)
    stays: Counter[str] = field(default_factory=Counter)
    broken: Broken = field(default_factory=Broken)
    moved: int = 0
    objects: int = 0

    @property
    def sent(self) -> int:
        """Records sent by this replay."""
        return self.streamed + self.indexed

    @property
    def complete(self) -> bool:
        """Whether everything that was selected is confirmed."""
        return not self.stays and not self.broken.count

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        names = ("streamed", "indexed", "discarded", "earlier", "other", "now_valid", "hints", "moved", "objects")
        return {name: getattr(self, name) for name in names} | {"stays": dict(self.stays)} | self.broken.as_dict()


class _Batch:
    """Items on their way to one destination."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.size = 0

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.size += len(item.data)

    def clear(self) -> None:
        self.items, self.size = [], 0


class Replay:
    """Replays objects.

    Args:
        stream: where readings go.
        index: where documents go; created for the first document, because most replays have none.
        store: keeps the progress.
        reasons: of the function.
        options: what to replay and how.
        clock: seconds since the epoch.
        transform: repairs each record.
        on_step: called after each batch and object.
    """

    def __init__(
        self,
        stream: StreamDestination,
        index: Callable[[], IndexDestination],
        store: ProgressStore,
        reasons: Reasons,
        options: Options,
        *,
        clock: Callable[[], float],
        transform: Transform = unchanged,
        on_step: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._stream = stream
        self._index = index
        self._store = store
        self._reasons = reasons
        self._options = options
        self._selector = Selector(options.selection, reasons.of)
        self._clock = clock
        self._transform = transform
        self._on_step = on_step
        self.outcome = Outcome()
        self._taken = 0

    def run(self, sources: Iterable[Source]) -> Outcome:
        """Replay the objects one after the other and return the outcome of their records.

        Raises:
            DestinationError, ProgressError, FailureReadError: the replay can't continue. What is confirmed is
                kept, and the same command continues from there.
        """
        for source in sources:
            if self._full:
                break
            self._object(source)
            self.outcome.objects += 1
            self._on_step(self.outcome)
        self.outcome.hints = self._selector.hints()
        return self.outcome

    @property
    def _full(self) -> bool:
        return self._options.limit is not None and self._taken >= self._options.limit

    def _object(self, source: Source) -> None:
        progress = self._store.load(source.key)
        if not self._options.discard:
            self._settle(source.key, progress)
        readings, documents = _Batch(), _Batch()
        whole = True
        for record in source.records():
            if record.line in progress.done:
                self.outcome.earlier += 1
                continue
            if self._full:
                whole = False
                break
            item = self._item(record)
            if item is None:
                whole = False
                continue
            self._taken += 1
            batch, most = (documents, IndexDestination) if item.document_id else (readings, StreamDestination)
            if batch.items and (len(batch.items) >= most.most_records or batch.size + len(item.data) > most.most_bytes):
                whole &= self._flush(source.key, progress, batch, to_index=batch is documents)
            batch.add(item)
        whole &= self._flush(source.key, progress, readings, to_index=False)
        whole &= self._flush(source.key, progress, documents, to_index=True)
        if whole and source.move and progress.done and not self._options.dry_run:
            self._store.finish(source.key)
            self.outcome.moved += 1

    def _settle(self, key: str, progress: Progress) -> None:
        """Find the outcome of the batch that an earlier replay was sending when it ended."""
        if not progress.pending or self._options.dry_run:
            return
        if self._options.unsure == "ask":
            progress.done |= self._stream.find(key, progress.pending, progress.since_ms)
        elif self._options.unsure == "skip":
            progress.done |= set(progress.pending)
        progress.pending, progress.since_ms = (), 0
        self._store.save(key, progress)

    def _item(self, record: FailedRecord) -> Item | None:
        """Return the item to send for a record, or None if the record stays."""
        if (record.problem or record.data is None) and not self._discards_unreadable(record):
            self.outcome.broken.add(record)
            return None
        if not self._selector.takes(record):
            self.outcome.other += 1
            self.outcome.now_valid += bool(self._options.selection.reasons) and self._reasons.of(record) == (VALID,)
            return None
        if self._options.discard:
            return Item(record.line, b"")
        try:
            data = self._transform(record)
        except TransformError as error:
            return self._stay(str(error))
        if data is None:
            return self._stay("skipped by the transform script")
        if record.kind is FailureKind.DOCUMENT:
            if not record.index:
                return self._stay("the failure object does not name its index")
            made = hashlib.sha256(f"{record.key}:{record.line}".encode()).hexdigest()[:32]
            return Item(record.line, data, record.index, record.document_id or f"replay-{made}")
        if len(data) > StreamDestination.largest:
            return self._stay("too large for a record of the stream")
        again = self._reasons.of_reading(data) if self._options.check else ()
        return self._stay(f"would fail again: {', '.join(again)}") if again else Item(record.line, data)

    def _discards_unreadable(self, record: FailedRecord) -> bool:
        """Return whether everything is discarded, and nobody can read this record later either."""
        return self._options.discard and self._options.selection == Selection() and not record.unread

    def _stay(self, reason: str) -> Item | None:
        self.outcome.stays[reason] += 1
        return None

    def _flush(self, key: str, progress: Progress, batch: _Batch, *, to_index: bool) -> bool:
        """Send a batch; return whether all of it is confirmed."""
        if not batch.items:
            return True
        if self._options.dry_run or self._options.discard:
            sent = Sent(confirmed={item.line for item in batch.items})
        elif to_index:
            sent = self._index().send(batch.items)
        else:
            progress.pending = tuple(item.line for item in batch.items)
            progress.since_ms = round(self._clock() * 1000)
            self._store.save(key, progress)
            sent = self._stream.send(key, batch.items, progress.since_ms)
        if self._options.discard:
            self.outcome.discarded += len(sent.confirmed)
        elif to_index:
            self.outcome.indexed += len(sent.confirmed)
        else:
            self.outcome.streamed += len(sent.confirmed)
        self.outcome.stays.update(sent.refused.values())
        batch.clear()
        if not self._options.dry_run:
            progress.done |= sent.confirmed
            # A discard may leave lines of an interrupted replay pending; otherwise they are this batch's.
            left = self._options.discard and tuple(line for line in progress.pending if line not in progress.done)
            progress.pending, progress.since_ms = (left, progress.since_ms) if left else ((), 0)
            self._store.save(key, progress)
        self._on_step(self.outcome)
        return not sent.refused
