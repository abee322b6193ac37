"""Collect failure lines of each kind and source records into objects for the bucket.

An object's key is saved as an intent before the object is written. A later worker checks for each intent whether the
object exists, so no failure is written twice, whenever the earlier worker was killed.
"""

from collections.abc import Callable, Mapping

from iot_stream.delivery.core.buffer import Bounds, Buffer
from iot_stream.delivery.core.checkpoint import backup_positions
from iot_stream.delivery.core.commands import Confirm, Store
from iot_stream.delivery.core.naming import object_key
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Intent
from iot_stream.delivery.core.record import BackupItem, FailureLine, Record, SourceCopy
from iot_stream.delivery.core.settings import Settings

__all__ = ["BackupBuffer"]


class BackupBuffer:
    """One buffer for each kind of object; one object of each kind is written at a time.

    Args:
        intents: those of an earlier worker, by object key.
        new_uuid: returns a random UUID each time it is called.
    """

    def __init__(self, intents: Mapping[str, Intent], new_uuid: Callable[[], str]) -> None:
        self.intents = dict(intents)
        self.unconfirmed = set(intents)
        self._new_uuid = new_uuid
        self._buffers: dict[ObjectKind, Buffer[BackupItem]] = {kind: Buffer(Bounds(0, 0)) for kind in ObjectKind}
        self._storing: set[ObjectKind] = set()

    def configure(self, bounds: Bounds) -> None:
        """Set the bounds of the buffers from now on."""
        for buffer in self._buffers.values():
            buffer.bounds = bounds

    def add_failure(self, kind: ObjectKind, record: Record, line: bytes, now: int) -> None:
        """Add a failed record or document."""
        self._buffers[kind].add(FailureLine(record, line), len(line), now)

    def add_sources(self, records: list[Record], now: int) -> None:
        """Add source records, in the order of their arrival."""
        for record in records:
            self._buffers[ObjectKind.SOURCE].add(SourceCopy(record), record.size, now)

    def confirms(self) -> list[Confirm]:
        """Return one command for each object that an earlier worker may have written."""
        return [Confirm(key) for key in self.intents]

    def stores(self, settings: Settings, now: int, *, flush: bool) -> list[Store]:
        """Return the objects to write now; each has an intent from here on."""
        stores = []
        for kind, buffer in self._buffers.items():
            if kind not in self._storing and buffer.due(now, flush=flush):
                items = buffer.cut()
                records = [item.record for item in items]
                key = self._key(settings, kind, records)
                if kind is ObjectKind.SOURCE:
                    self.intents[key] = Intent(kind, backed_up=backup_positions(records))
                else:
                    self.intents[key] = Intent(kind, [record.id for record in records])
                self._storing.add(kind)
                stores.append(Store(key, kind, items))
        return stores

    def stored(self, done: Store) -> None:
        """Record that an object is written."""
        self._storing.discard(done.kind)
        del self.intents[done.key]

    def confirmed(self, key: str) -> Intent:
        """Remove and return the intent of an object that is now known to exist, or not to exist."""
        self.unconfirmed.discard(key)
        return self.intents.pop(key)

    def due_at(self) -> list[int]:
        """Return when each buffer is due (epoch ms), for those that are not empty."""
        times = (buffer.due_at() for kind, buffer in self._buffers.items() if kind not in self._storing)
        return [time for time in times if time is not None]

    @property
    def empty(self) -> bool:
        """Return whether nothing is buffered or being written."""
        return not self.intents and not any(map(len, self._buffers.values()))

    def _key(self, settings: Settings, kind: ObjectKind, records: list[Record]) -> str:
        bucket = settings.bucket
        return object_key(
            bucket.prefix,
            bucket.error_prefix,
            kind,
            name=settings.name,
            version=settings.version,
            oldest=min(record.arrived for record in records),
            new_uuid=self._new_uuid,
            extension=bucket.extension,
        )
