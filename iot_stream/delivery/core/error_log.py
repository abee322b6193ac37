"""The delivery stream's error log: the first error of a kind is reported at once, its repeats once a minute."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from iot_stream.delivery.core.commands import ErrorLogEntry

__all__ = ["ErrorLog"]

_INTERVAL: Final = 60_000
_KINDS: Final = 100

type _Kind = tuple[str, bool]


@dataclass
class _Repeats:
    entry: ErrorLogEntry
    count: int = 0
    reported_at: int | None = None

    def due(self, now: int) -> bool:
        return self.count > 0 and (self.reported_at is None or now - self.reported_at >= _INTERVAL)


class LastError(NamedTuple):
    """The last entry as one line, and when it was added (epoch ms)."""

    text: str
    at: int


class ErrorLog:
    """Collects entries by error code; takes bounded memory, however often an error repeats.

    Attributes:
        last: the last entry that was added.
    """

    def __init__(self) -> None:
        self.last: LastError | None = None
        self._repeats: dict[_Kind, _Repeats] = {}

    def add(self, entry: ErrorLogEntry, now: int) -> None:
        """Add an entry; only the latest entry of each code is reported."""
        self.last = LastError(f"{entry.code}: {entry.message}", now)
        kind = (entry.code, entry.of_bucket)
        known = self._repeats.pop(kind, None) or _Repeats(entry)
        known.entry = entry
        known.count += 1
        self._repeats[kind] = known
        if len(self._repeats) > _KINDS:
            del self._repeats[next(iter(self._repeats))]

    def due(self, now: int, *, flush: bool = False) -> list[ErrorLogEntry]:
        """Return the entries to report now, each with the number of its repeats; with `flush`, all that are left."""
        entries = []
        for repeats in self._repeats.values():
            if not repeats.due(now) and not (flush and repeats.count):
                continue
            entry = repeats.entry
            if repeats.count > 1:
                since = f"{(now - repeats.reported_at) // 1000} s" if repeats.reported_at is not None else "a moment"
                entry = replace(entry, message=f"{entry.message} ({repeats.count} times in {since})")
            entries.append(entry)
            repeats.count, repeats.reported_at = 0, now
        return entries
