"""What is on its way into the bucket: failures of each type and source records, gathered into objects.

An object's name is an intent, kept on disk before the object is written. A worker that finds an earlier one's intents
asks for each whether the object exists: so no failure is written twice, wherever the earlier one was killed.
"""

from collections.abc import Callable, Mapping

from iot_stream.delivery.core.buffer import Bounds, Buffer
from iot_stream.delivery.core.checkpoint import backup_positions
from iot_stream.delivery.core.commands import Confirm, Store
from iot_stream.delivery.core.naming import ErrorType, object_key
from iot_stream.delivery.core.progress import Intent
from iot_stream.delivery.core.record import Failure, Outcome, Record
from iot_stream.delivery.core.settings import Settings

__all__ = ["OUTCOMES", "BackupBuffer"]

OUTCOMES = {ErrorType.PROCESSING: Outcome.PROCESSING_FAILED, ErrorType.DOCUMENT: Outcome.DOCUMENT_FAILED}


class BackupBuffer:
    """Buffers for the bucket, one for each kind of object; one object of each kind is written at a time.

    Args:
        intents: those that an earlier worker left, by object key.
        token: gives a random UUID each time.
    """

    def __init__(self, intents: Mapping[str, Intent], token: Callable[[], str]) -> None:
        self.intents = dict(intents)
        self.unconfirmed = set(intents)
        self._token = token
        self._failures: dict[ErrorType, Buffer[Failure]] = {kind: Buffer(Bounds(0, 0)) for kind in ErrorType}
        self._sources: Buffer[Record] = Buffer(Bounds(0, 0))
        self._storing: set[ErrorType | None] = set()

    def configure(self, bounds: Bounds) -> None:
        """Gather within these bounds from now on."""
        for failures in self._failures.values():
            failures.bounds = bounds
        self._sources.bounds = bounds

    def fail(self, kind: ErrorType, record: Record, line: bytes, now: int) -> None:
        """Take in a failed record or document."""
        self._failures[kind].add(Failure(record, line), len(line), now)

    def back_up(self, records: list[Record], now: int) -> None:
        """Take in source records, in the order of their arrival."""
        for record in records:
            self._sources.add(record, record.size, now)

    def confirms(self) -> list[Confirm]:
        """One for each object that an earlier worker may have written."""
        return [Confirm(key) for key in self.intents]

    def stores(self, settings: Settings, now: int, *, flush: bool) -> list[Store]:
        """The objects to begin now; each is an intent from here on."""
        stores = []
        for kind, failures in self._failures.items():
            if kind not in self._storing and failures.due(now, flush=flush):
                cut = failures.cut()
                key = self._key(settings, kind, [failure.record for failure in cut])
                self.intents[key] = Intent(OUTCOMES[kind], [failure.record.id for failure in cut])
                stores.append(Store(key, kind, cut, [], now))
        if None not in self._storing and self._sources.due(now, flush=flush):
            records = self._sources.cut()
            key = self._key(settings, None, records)
            self.intents[key] = Intent(backed_up=backup_positions(records))
            stores.append(Store(key, None, [], records, now))
        self._storing |= {store.error_type for store in stores}
        return stores

    def stored(self, done: Store) -> None:
        """An object is written."""
        self._storing.discard(done.error_type)
        del self.intents[done.key]

    def confirmed(self, key: str) -> Intent:
        """Whether that object exists is known: what it was to hold."""
        self.unconfirmed.discard(key)
        return self.intents.pop(key)

    def due_at(self) -> list[int]:
        """When something in it is due (epoch ms)."""
        times = [failures.due_at() for kind, failures in self._failures.items() if kind not in self._storing]
        if None not in self._storing:
            times.append(self._sources.due_at())
        return [time for time in times if time is not None]

    @property
    def empty(self) -> bool:
        """Whether nothing is in it or on its way."""
        return not (self.intents or len(self._sources) or any(map(len, self._failures.values())))

    def _key(self, settings: Settings, kind: ErrorType | None, records: list[Record]) -> str:
        bucket = settings.bucket
        return object_key(
            bucket.prefix,
            bucket.error_prefix,
            kind,
            name=settings.name,
            version=settings.version,
            oldest=min(record.arrived for record in records),
            token=self._token,
            extension=bucket.extension,
        )
