"""The delivery stream as a state machine: events go in, commands come out, time is an argument.

It performs no I/O and is called from one thread. The worker carries out the commands and reports each one's result;
before it carries out a Store or an Index, it saves `snapshot()` where a later worker finds it.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final

from iot_stream.delivery.core import backoff, transformation
from iot_stream.delivery.core.backup_buffer import BackupBuffer
from iot_stream.delivery.core.buffer import Bounds, Buffer
from iot_stream.delivery.core.bulk import IndexingError, is_one_line
from iot_stream.delivery.core.bulk import wire_size as document_size
from iot_stream.delivery.core.checkpoint import CHUNK, CheckpointTracker
from iot_stream.delivery.core.commands import Command, Confirm, ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.error_log import ErrorLog
from iot_stream.delivery.core.failure_lines import document_failure, processing_failure
from iot_stream.delivery.core.metrics import BACKUP, INDEX, Metrics
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Document, Outcome, Record
from iot_stream.delivery.core.settings import Settings
from iot_stream.delivery.core.shard_reader import Gap
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.core.transformation import DROPPED, FLAGGED, ProcessingError, Verdict

__all__ = ["MAX_INDEXING", "MAX_INVOCATIONS", "Delivery"]

MAX_INVOCATIONS: Final = 5
MAX_INDEXING: Final = 3
_GATHER: Final = 100  # milliseconds that documents collect at least while a bulk request is under way
_FLOOR: Final = 12 * 1024 * 1024
_NOT_ONE_LINE: Final = IndexingError(400, "not a single-line JSON document: a bulk request cannot contain it")


class Delivery:
    """One delivery stream.

    Args:
        settings: what is configured; `configure` changes it later.
        progress: where an earlier worker stopped.
        new_uuid: returns a random UUID each time it is called.
        chunk: about how many records are checkpointed together.
        floor: bytes of memory for records in flight besides what the buffers are configured for.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        new_uuid: Callable[[], str],
        *,
        chunk: int = CHUNK,
        floor: int = _FLOOR,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.error_log = ErrorLog()
        self.flushing = False
        self._floor = floor
        self._origin = (progress.stream, progress.created)
        self._checkpoint = CheckpointTracker(progress, chunk)
        self._backup = BackupBuffer(progress.intents, new_uuid)
        self._records: Buffer[Record] = Buffer(Bounds(0, 0))
        self._documents: Buffer[Document] = Buffer(Bounds(0, 0))
        self._ready: list[Command] = [*self._backup.confirms()]
        self._waiting: list[tuple[int, int, Command]] = []
        self._index_retries: deque[Index] = deque()  # those whose wait is over
        self._order = count()
        self._invoking = 0
        self._indexing = 0
        self._refused = False  # the last bulk request as a whole, and it is retried
        self._index_at = 0  # when the next batch of documents may begin while the domain refuses
        self._transformed = 0  # of the records in flight
        self._processing_failed = 0  # of the records in flight
        self._gaps = progress.gaps
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Apply these settings from now on; they do not change what is in flight."""
        self.settings = settings
        function = settings.function
        if function:
            self._records.bounds = function.bounds._replace(payload=transformation.payload_bound())
        else:
            self._records.bounds = Bounds(settings.bounds.size, 0)
        self._documents.bounds = settings.bounds
        self._backup.configure(settings.bucket.bounds)

    # ---- events ----------------------------------------------------------------------------------------------

    def arrived(self, shard: str, records: list[Record], now: int, *, ended: bool = False) -> None:
        """Take in records that were read from a shard, in order; `ended` says that these were its last."""
        deliver, back_up = self._checkpoint.admit(
            shard, records, self.settings.naming, backup=self.settings.bucket.all_documents, ended=ended
        )
        self._backup.add_sources(back_up, now)
        if self.settings.function:
            for record in deliver:
                self._records.add(record, record.size, now, transformation.wire_size(record))
        else:
            for record in deliver:
                self._add_document(record, transformation.decode(record.data), now, attempt=0)

    def restart_shard(self, shard: str) -> None:
        """Forget a shard's saved positions, which do not exist in the stream; its records arrive from the start."""
        self._checkpoint.restart(shard)

    def missed(self, shard: str, gap: Gap, now: int) -> None:
        """Report that records of a shard may have left the stream before they were read."""
        self._gaps += 1
        self.error_log.add(ErrorLogEntry("Kinesis.RecordsExpired", gap.describe(shard)), now)

    def transformed(self, done: Invoke, result: list[Verdict] | ProcessingError, now: int, duration: float = 0) -> None:
        """Take in the result of an invocation: a verdict for each record, or an error for the whole batch.

        Args:
            done: the command.
            result: see `transformation.parse_response`.
            now: epoch milliseconds.
            duration: milliseconds that the invocation took.
        """
        function = self.settings.function
        self.metrics.add("ExecuteProcessing.Success", 0 if isinstance(result, ProcessingError) else 1)
        self.metrics.add("ExecuteProcessing.Duration", duration, "Milliseconds")
        if isinstance(result, ProcessingError):
            self.error_log.add(ErrorLogEntry(result.code, result.message, of_function=True), now)
            if function and done.attempt <= function.retries:
                self._retry(replace(done, attempt=done.attempt + 1), now + backoff.INVOKE.wait(done.attempt))
                return
            result = [result] * len(done.records)
        self._invoking -= 1
        succeeded = size = 0
        for record, verdict in zip(done.records, result, strict=True):
            if isinstance(verdict, bytes):
                succeeded += 1
                size += len(verdict)
                self._add_document(record, verdict, now, attempt=done.attempt)
            elif verdict is DROPPED:
                succeeded += 1
                self._checkpoint.complete([record], Outcome.DROPPED)
            else:
                self._fail_processing(record, verdict, done.attempt, now)
        errors = {verdict for verdict in result if isinstance(verdict, ProcessingError) and verdict is not FLAGGED}
        for error in sorted(errors):
            self.error_log.add(ErrorLogEntry(error.code, error.message, of_function=True), now)
        self.metrics.add("SucceedProcessing.Records", succeeded)
        self.metrics.add("SucceedProcessing.Bytes", size, "Bytes")

    def indexed(self, done: Index, result: list[IndexingError | None], now: int) -> None:
        """Take in the result of a bulk request: None for each document that is indexed, else the error."""
        self._indexing -= 1
        retry: list[Document] = []
        indexed = [document for document, error in zip(done.documents, result, strict=True) if error is None]
        by_code: dict[str, IndexingError] = {}
        expired = now - done.since >= self.settings.retry_duration
        oldest = self._checkpoint.oldest()
        for document, error in zip(done.documents, result, strict=True):
            if error is None:
                continue
            by_code.setdefault(error.log_code, error)
            if error.retryable and not expired:
                retry.append(document)
            else:
                self._fail_document(document, error, done.attempt, now)
        self._transformed -= len(indexed)
        self._checkpoint.complete([document.record for document in indexed], Outcome.INDEXED)
        if retry:
            end = done.since + self.settings.retry_duration
            at = min(now + backoff.INDEX.wait(done.attempt), max(end, now))
            self._retry(Index(retry, done.since, done.attempt + 1), at)
        self._refused = len(retry) == len(done.documents)
        for code, error in by_code.items():
            self.error_log.add(ErrorLogEntry(code, error.summary or error.message), now)
        responses = [error for error in by_code.values() if error.status is not None]
        self.metrics.add(f"{INDEX}.AuthFailure", int(any(error.unauthorized for error in responses)))
        self.metrics.add(f"{INDEX}.DeliveryRejected", int(any(not error.unauthorized for error in responses)))
        self.metrics.add(f"{INDEX}.Success", len(indexed) / len(done.documents))
        self.metrics.add(f"{INDEX}.Records", len(indexed))
        self.metrics.add(f"{INDEX}.Bytes", sum(len(document.body) for document in indexed), "Bytes")
        if indexed and oldest is not None:  # missing while nothing is delivered, as on AWS
            self.metrics.add(f"{INDEX}.DataFreshness", max(0, now - oldest) / 1000, "Seconds")

    def stored(self, done: Store, error: ErrorLogEntry | None, now: int) -> None:
        """Take in the result of a put: None when the object is written, else the error; retried without limit."""
        self.metrics.add(f"{BACKUP}.Success", 0 if error else 1)
        if error:
            self.error_log.add(error, now)
            self._retry(replace(done, attempt=done.attempt + 1), now + backoff.STORE.wait(done.attempt))
            return
        self._backup.stored(done)
        records = [item.record for item in done.items]
        if done.kind is ObjectKind.SOURCE:
            self._checkpoint.back_up(records)
        else:
            if done.kind is ObjectKind.PROCESSING_FAILURE:
                self._processing_failed -= len(records)
            for record in records:
                self._checkpoint.complete_stored(record, done.kind.outcome)
        if self.settings.bucket.all_documents:  # AWS emits these only "when you enable backup for all documents"
            self.metrics.add(f"{BACKUP}.Records", len(records))
            self.metrics.add(f"{BACKUP}.Bytes", done.size, "Bytes")
            if done.kind is ObjectKind.SOURCE:
                age = now - min(record.arrived for record in records)
                self.metrics.add(f"{BACKUP}.DataFreshness", max(0, age) / 1000, "Seconds")

    def confirmed(self, done: Confirm, result: bool | ErrorLogEntry, now: int) -> None:  # noqa: FBT001 - a response, not a switch
        """Take in whether an object exists, or the error that left it unknown."""
        if isinstance(result, ErrorLogEntry):
            self.error_log.add(result, now)
            self._retry(Confirm(done.key, done.attempt + 1), now + backoff.STORE.wait(done.attempt))
            return
        intent = self._backup.confirmed(done.key)
        if not result:
            return
        if intent.kind is ObjectKind.SOURCE:
            self._checkpoint.adopt_backup(intent.backed_up)
        else:
            self._checkpoint.stored.update(dict.fromkeys(intent.ids, intent.kind.outcome))

    # ---- commands --------------------------------------------------------------------------------------------

    def commands(self, now: int) -> list[Command]:
        """Return the commands to begin now."""
        commands, self._ready = self._ready, []
        while self._waiting and self._waiting[0][0] <= now:
            command = heapq.heappop(self._waiting)[2]
            if isinstance(command, Index):
                self._index_retries.append(command)
            else:
                commands.append(command)
        while self._indexing < MAX_INDEXING and self._index_retries:
            self._indexing += 1
            commands.append(self._index_retries.popleft())
        flush = self.flushing or self._free() <= 0  # without memory for more records no buffer can get any fuller
        while self._invoking < MAX_INVOCATIONS and self._records.due(now, flush=flush):
            self._invoking += 1
            commands.append(Invoke(self._records.cut()))
        while self._indexing < MAX_INDEXING and self._documents_due(now, flush=flush):
            self._indexing += 1
            self._index_at = now + backoff.INDEX.ceiling
            commands.append(Index(self._documents.cut(), now))
        commands += self._backup.stores(self.settings, now, flush=flush)
        return commands

    def due_at(self) -> int | None:
        """Return when `commands` may next return something without a new event (epoch ms), or None."""
        times = self._backup.due_at() + [at for at, _, _ in self._waiting[:1]]
        if self._invoking < MAX_INVOCATIONS:
            times += _known(self._records.due_at())
        if self._indexing < MAX_INDEXING:
            start = self._index_at * self._refused
            times += [max(at + self._gathering(), start) for at in _known(self._documents.due_at())]
        return min(times, default=None)

    @property
    def idle(self) -> bool:
        """Return whether nothing is in flight."""
        return not self._checkpoint.pending and self._backup.empty

    def room(self) -> int:
        """Return the bytes of memory for records that may still be read.

        It is 0 while an earlier worker's intents are unconfirmed.
        """
        return 0 if self._backup.unconfirmed else max(0, self._free())

    def snapshot(self) -> Progress:
        """Return what a later worker needs to continue from here."""
        stream, created = self._origin
        return Progress(
            stream,
            created,
            self._checkpoint.shards(),
            self._checkpoint.committed(),
            dict(self._checkpoint.stored),
            dict(self._backup.intents),
            self._gaps,
        )

    def status(self, now: int, behind: int = 0) -> DeliveryStatus:
        """Return the status; `behind` is how far reading is behind the tip of the stream (ms)."""
        checkpoint = self._checkpoint
        oldest = checkpoint.oldest()
        last = self.error_log.last
        # Once all that had arrived before it has an outcome, it is cured: what it cost is in the counts.
        lasting = last is not None and oldest is not None and oldest <= last.at
        outcomes = checkpoint.outcomes
        documents_failed = outcomes[Outcome.DOCUMENT_FAILED]
        return DeliveryStatus(
            read=outcomes.total() + checkpoint.pending,
            transformed=outcomes[Outcome.INDEXED] + documents_failed + self._transformed,
            dropped=outcomes[Outcome.DROPPED],
            processing_failed=outcomes[Outcome.PROCESSING_FAILED] + self._processing_failed,
            delivered=outcomes[Outcome.INDEXED],
            failed=outcomes[Outcome.PROCESSING_FAILED] + documents_failed,
            pending=checkpoint.pending,
            gaps=self._gaps,
            lag_ms=max(behind, 0 if oldest is None else now - oldest),
            oldest_undelivered=oldest,
            last_error=last.text if last and lasting else None,
            last_error_at=last.at if last and lasting else None,
            updated_at=now,
            version=self.settings.version,
            state="running" if self.room() > 0 else "paused",
        )

    # ---- internals -------------------------------------------------------------------------------------------

    def _free(self) -> int:
        """Return the bytes of memory that are left for records in flight."""
        settings = self.settings
        function = settings.function.bounds.size * MAX_INVOCATIONS if settings.function else 0
        # Each buffer on the way to the domain counts twice, so that the next one can fill meanwhile.
        bound = self._floor + 2 * (function + settings.bounds.size) + settings.bucket.bounds.size
        return bound - self._checkpoint.memory

    def _documents_due(self, now: int, *, flush: bool) -> bool:
        """Return whether a batch of documents should begin.

        Every batch that a refusing domain has seen is retried on its own, so documents collect meanwhile: many small
        batches would be as many requests for each backoff. And behind a request that is under way, they collect a
        moment although the buffer's interval is shorter: a document costs the domain less in a larger request.
        """
        if self._refused and not self.flushing and now < self._index_at:
            return self._documents.full
        return self._documents.due(now - self._gathering(), flush=flush)

    def _gathering(self) -> int:
        """Return the time by which documents are collected for longer than the buffer interval (ms)."""
        return max(0, _GATHER - self._documents.bounds.interval) if self._indexing else 0

    def _add_document(self, record: Record, body: bytes, now: int, attempt: int) -> None:
        document = Document(record, body.rstrip(b"\r\n"), record.index)
        self._transformed += 1
        if is_one_line(document.body):
            self._documents.add(document, document_size(document), now)
        else:
            self._fail_document(document, _NOT_ONE_LINE, attempt, now)

    def _fail_processing(self, record: Record, error: ProcessingError, attempts: int, now: int) -> None:
        function = self.settings.function
        self._processing_failed += 1
        line = processing_failure(
            record, error, attempts=attempts, now=now, function_arn=function.arn if function else ""
        )
        self._backup.add_failure(ObjectKind.PROCESSING_FAILURE, record, line, now)

    def _fail_document(self, document: Document, error: IndexingError, attempts: int, now: int) -> None:
        self._transformed -= 1
        line = document_failure(document, error, attempts=attempts, now=now, with_id=self.settings.with_ids)
        self._backup.add_failure(ObjectKind.DOCUMENT_FAILURE, document.record, line, now)

    def _retry(self, command: Command, at: int) -> None:
        heapq.heappush(self._waiting, (at, next(self._order), command))


def _known(time: int | None) -> list[int]:
    return [] if time is None else [time]
