"""The delivery stream as a state machine: what happened goes in, what to do comes out, time is an argument.

It does nothing itself and is called from one thread. Its driver carries out the commands and reports each one's end;
before it carries out a Store it keeps `snapshot()` where a later worker finds it.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final

from iot_stream.delivery.core import backoff, transformation
from iot_stream.delivery.core.backup_buffer import OUTCOMES, BackupBuffer
from iot_stream.delivery.core.buffer import Bounds, Buffer
from iot_stream.delivery.core.bulk import IndexingError, is_one_line
from iot_stream.delivery.core.bulk import wire_size as document_size
from iot_stream.delivery.core.checkpoint import CHUNK, CheckpointTracker
from iot_stream.delivery.core.commands import Command, Confirm, ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.failure_lines import document_failure, processing_failure
from iot_stream.delivery.core.metrics import BACKUP, INDEX, Metrics
from iot_stream.delivery.core.naming import ErrorType, index_name
from iot_stream.delivery.core.progress import DeliveryStatus, Progress
from iot_stream.delivery.core.record import Document, Outcome, Record
from iot_stream.delivery.core.settings import Settings
from iot_stream.delivery.core.transformation import DROPPED, FLAGGED, ProcessingError, Verdict

__all__ = ["MAX_INDEXING", "MAX_INVOCATIONS", "Delivery"]

MAX_INVOCATIONS: Final = 5
MAX_INDEXING: Final = 3
_FLOOR: Final = 32 * 1024 * 1024
_NOT_ONE_LINE: Final = IndexingError(400, "not a single-line JSON document: a bulk request can't hold it")


class Delivery:
    """One delivery stream.

    Args:
        settings: what is configured; `configure` changes it later.
        progress: where an earlier worker stopped.
        token: gives a random UUID each time.
        chunk: about how many records are checkpointed together.
    """

    def __init__(self, settings: Settings, progress: Progress, token: Callable[[], str], *, chunk: int = CHUNK) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.entries: list[ErrorLogEntry] = []
        self.flushing = False
        self._origin = (progress.stream, progress.created)
        self._checkpoint = CheckpointTracker(progress, chunk)
        self._backup = BackupBuffer(progress.intents, token)
        self._records: Buffer[Record] = Buffer(Bounds(0, 0))
        self._documents: Buffer[Document] = Buffer(Bounds(0, 0))
        self._ready: list[Command] = [*self._backup.confirms()]
        self._waiting: list[tuple[int, int, Command]] = []
        self._index_again: deque[Index] = deque()  # those that waited long enough
        self._order = count()
        self._invoking = 0
        self._indexing = 0
        self._transformed = 0  # of those whose way has not ended
        self._processing_failed = 0  # of the same
        self._last_error: str | None = None
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Work by these settings from now on; what is under way stays as it was begun."""
        self.settings = settings
        function = settings.function
        if function:
            self._records.bounds = function.bounds._replace(payload=transformation.payload_bound())
        else:
            self._records.bounds = Bounds(settings.bounds.size, 0)
        self._documents.bounds = settings.bounds
        self._backup.configure(settings.bucket.bounds)

    # ---- what happened ---------------------------------------------------------------------------------------

    def arrived(self, shard: str, records: list[Record], now: int, *, ended: bool = False) -> None:
        """Records were read from a shard, in order; `ended` when the shard is closed and these were its last."""
        deliver, back_up = self._checkpoint.admit(
            shard, records, backup=self.settings.bucket.all_documents, ended=ended
        )
        self._backup.back_up(back_up, now)
        if self.settings.function:
            for record in deliver:
                self._records.add(record, record.size, now, transformation.wire_size(record))
        else:
            for record in deliver:
                self._admit_document(record, transformation.decode(record.data), now, attempt=0)

    def transformed(self, done: Invoke, result: list[Verdict] | ProcessingError, now: int, took: float = 0) -> None:
        """The function answered after `took` ms (a verdict for each record), or the invocation failed (a fault)."""
        function = self.settings.function
        self.metrics.add("ExecuteProcessing.Success", 0 if isinstance(result, ProcessingError) else 1)
        self.metrics.add("ExecuteProcessing.Duration", took, "Milliseconds")
        if isinstance(result, ProcessingError):
            self._report(ErrorLogEntry(result.code, result.message, of_function=True))
            if function and done.attempt <= function.retries:
                self._again(replace(done, attempt=done.attempt + 1), now + backoff.INVOKE.wait(done.attempt))
                return
            result = [result] * len(done.records)
        self._invoking -= 1
        succeeded = size = 0
        for record, verdict in zip(done.records, result, strict=True):
            if isinstance(verdict, bytes):
                succeeded += 1
                size += len(verdict)
                self._admit_document(record, verdict, now, attempt=done.attempt)
            elif verdict is DROPPED:
                succeeded += 1
                self._checkpoint.end(record, Outcome.DROPPED)
            else:
                self._fail_processing(record, verdict, done.attempt, now)
        faults = {verdict for verdict in result if isinstance(verdict, ProcessingError) and verdict is not FLAGGED}
        for fault in sorted(faults):
            self._report(ErrorLogEntry(fault.code, fault.message, of_function=True))
        self.metrics.add("SucceedProcessing.Records", succeeded)
        self.metrics.add("SucceedProcessing.Bytes", size, "Bytes")

    def indexed(self, done: Index, result: list[IndexingError | None], now: int) -> None:
        """The domain answered: None for each document that is indexed, else why it is not."""
        self._indexing -= 1
        again: list[Document] = []
        size = indexed = 0
        refusals: dict[str, IndexingError] = {}
        over = now - done.since >= self.settings.retry_duration
        oldest = self._checkpoint.oldest()
        for document, refusal in zip(done.documents, result, strict=True):
            if refusal is None:
                size += len(document.body)
                indexed += 1
                self._transformed -= 1
                self._checkpoint.end(document.record, Outcome.INDEXED)
                continue
            refusals.setdefault(refusal.log_code, refusal)
            if refusal.retryable and not over:
                again.append(document)
            else:
                self._fail_document(document, refusal, done.attempt, now)
        if again:
            end = done.since + self.settings.retry_duration
            at = min(now + backoff.INDEX.wait(done.attempt), max(end, now))
            self._again(Index(again, done.since, done.attempt + 1), at)
        for code, refusal in refusals.items():
            self._report(ErrorLogEntry(code, refusal.summary or refusal.message))
        errors = [error for error in result if error is not None and error.status is not None]
        self.metrics.add(f"{INDEX}.AuthFailure", int(any(error.unauthorized for error in errors)))
        self.metrics.add(f"{INDEX}.DeliveryRejected", int(any(not error.unauthorized for error in errors)))
        self.metrics.add(f"{INDEX}.Success", indexed / len(done.documents))
        self.metrics.add(f"{INDEX}.Records", indexed)
        self.metrics.add(f"{INDEX}.Bytes", size, "Bytes")
        if indexed and oldest is not None:  # missing where nothing is delivered, as on AWS
            self.metrics.add(f"{INDEX}.DataFreshness", max(0, now - oldest) / 1000, "Seconds")

    def stored(self, done: Store, error: ErrorLogEntry | None, now: int) -> None:
        """The object is written, or (`error`) it is not, or not known to be: it is tried for ever."""
        self.metrics.add(f"{BACKUP}.Success", 0 if error else 1)
        if error:
            self._report(error)
            self._again(replace(done, attempt=done.attempt + 1), now + backoff.STORE.wait(done.attempt))
            return
        self._backup.stored(done)
        if done.error_type is None:
            self._checkpoint.back_up(done.records)
        else:
            if done.error_type is ErrorType.PROCESSING:
                self._processing_failed -= len(done.failures)
            for failure in done.failures:
                self._checkpoint.store(failure.record, OUTCOMES[done.error_type])
        if self.settings.bucket.all_documents:  # AWS emits these only "when you enable backup for all documents"
            self.metrics.add(f"{BACKUP}.Records", len(done.records) + len(done.failures))
            self.metrics.add(f"{BACKUP}.Bytes", done.size, "Bytes")
            if done.records:
                age = now - min(record.arrived for record in done.records)
                self.metrics.add(f"{BACKUP}.DataFreshness", max(0, age) / 1000, "Seconds")

    def confirmed(self, done: Confirm, exists: bool | ErrorLogEntry, now: int) -> None:  # noqa: FBT001 - an answer, not a switch
        """Whether the object exists, or (an entry) why that is not known."""
        if isinstance(exists, ErrorLogEntry):
            self._report(exists)
            self._again(Confirm(done.key, done.attempt + 1), now + backoff.STORE.wait(done.attempt))
            return
        intent = self._backup.confirmed(done.key)
        if exists:
            if intent.outcome:
                self._checkpoint.stored.update(dict.fromkeys(intent.ids, intent.outcome))
            self._checkpoint.adopt_backup(intent.backed_up)

    # ---- what to do ------------------------------------------------------------------------------------------

    def commands(self, now: int) -> list[Command]:
        """Everything that should be begun now."""
        commands, self._ready = self._ready, []
        while self._waiting and self._waiting[0][0] <= now:
            command = heapq.heappop(self._waiting)[2]
            if isinstance(command, Index):
                self._index_again.append(command)
            else:
                commands.append(command)
        while self._indexing < MAX_INDEXING and self._index_again:
            self._indexing += 1
            commands.append(self._index_again.popleft())
        flush = self.flushing or self._free() <= 0  # with no room left no buffer can get fuller than it is
        while self._invoking < MAX_INVOCATIONS and self._records.due(now, flush=flush):
            self._invoking += 1
            commands.append(Invoke(self._records.cut()))
        while self._indexing < MAX_INDEXING and self._documents.due(now, flush=flush):
            self._indexing += 1
            commands.append(Index(self._documents.cut(), now))
        commands += self._backup.stores(self.settings, now, flush=flush)
        return commands

    def due_at(self) -> int | None:
        """When `commands` may next have something without anything happening (epoch ms); None: not before."""
        times = self._backup.due_at() + [at for at, _, _ in self._waiting[:1]]
        if self._invoking < MAX_INVOCATIONS:
            times += _known(self._records.due_at())
        if self._indexing < MAX_INDEXING:
            times += _known(self._documents.due_at())
        return min(times, default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._checkpoint.open and self._backup.empty

    def room(self) -> int:
        """Bytes of memory for records that may still be read; 0 while an earlier worker's intents are unconfirmed."""
        return 0 if self._backup.unconfirmed else max(0, self._free())

    def snapshot(self) -> Progress:
        """What a later worker needs to go on from here."""
        stream, created = self._origin
        return Progress(
            stream,
            created,
            self._checkpoint.shards(),
            self._checkpoint.kept(),
            dict(self._checkpoint.stored),
            dict(self._backup.intents),
        )

    def status(self, now: int, behind: int = 0) -> DeliveryStatus:
        """What was done so far; `behind` is how far reading is behind the stream's tip (ms)."""
        ledger = self._checkpoint
        oldest = ledger.oldest()
        ends = ledger.ends
        documents_failed = ends[Outcome.DOCUMENT_FAILED]
        return DeliveryStatus(
            read=ends.total() + ledger.open,
            transformed=ends[Outcome.INDEXED] + documents_failed + self._transformed,
            dropped=ends[Outcome.DROPPED],
            processing_failed=ends[Outcome.PROCESSING_FAILED] + self._processing_failed,
            delivered=ends[Outcome.INDEXED],
            failed=ends[Outcome.PROCESSING_FAILED] + documents_failed,
            pending=ledger.open,
            lag_ms=max(behind, 0 if oldest is None else now - oldest),
            oldest_undelivered=oldest,
            last_error=self._last_error,
            updated_at=now,
            version=self.settings.version,
            state="running" if self.room() > 0 else "paused",
        )

    # ---- within ----------------------------------------------------------------------------------------------

    def _free(self) -> int:
        """Bytes of memory that are left for records under way."""
        settings = self.settings
        function = settings.function.bounds.size * MAX_INVOCATIONS if settings.function else 0
        # On the way to the domain each buffer counts twice, so that the next one fills meanwhile.
        bound = _FLOOR + 2 * (function + settings.bounds.size) + settings.bucket.bounds.size
        return bound - self._checkpoint.size

    def _admit_document(self, record: Record, body: bytes, now: int, attempt: int) -> None:
        settings = self.settings
        document = Document(record, body.rstrip(b"\r\n"), index_name(settings.index, settings.rotation, record.arrived))
        self._transformed += 1
        if is_one_line(document.body):
            self._documents.add(document, document_size(document), now)
        else:
            self._fail_document(document, _NOT_ONE_LINE, attempt, now)

    def _fail_processing(self, record: Record, fault: ProcessingError, attempts: int, now: int) -> None:
        function = self.settings.function
        self._processing_failed += 1
        line = processing_failure(
            record, fault, attempts=attempts, now=now, function_arn=function.arn if function else ""
        )
        self._backup.fail(ErrorType.PROCESSING, record, line, now)

    def _fail_document(self, document: Document, refusal: IndexingError, attempts: int, now: int) -> None:
        self._transformed -= 1
        line = document_failure(document, refusal, attempts=attempts, now=now, with_id=self.settings.with_ids)
        self._backup.fail(ErrorType.DOCUMENT, document.record, line, now)

    def _again(self, command: Command, at: int) -> None:
        heapq.heappush(self._waiting, (at, next(self._order), command))

    def _report(self, entry: ErrorLogEntry) -> None:
        self._last_error = f"{entry.code}: {entry.message}"
        self.entries.append(entry)


def _known(time: int | None) -> list[int]:
    return [] if time is None else [time]
