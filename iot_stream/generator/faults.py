"""Simulate faults of real devices by percentage: readings that are late, duplicated or broken."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from iot_stream.description import Description

__all__ = ["Disturbance", "Faults"]

_SHORTEST_DELAY: Final = 60_000  # milliseconds
_LONGEST_DELAY: Final = 60 * _SHORTEST_DELAY


@dataclass(frozen=True)
class Faults:
    """The percentages of records that are late, equal to the previous one, or broken."""

    late: float = 0
    duplicate: float = 0
    faulty: float = 0


class Disturbance:
    """Faults with the random series that select them; the same seed gives the same faults."""

    def __init__(self, faults: Faults, description: Description, seed: int) -> None:
        self._faults = faults
        self._time_path = description.time.path
        self._late, self._duplicate, self._faulty = (
            random.Random(f"{seed} {name}") for name in ("late", "duplicate", "faulty")
        )
        self._before: bytes | None = None

    def delayed(self, times: Sequence[int]) -> Sequence[int]:
        """Return the times, some of them shifted back by a minute to an hour, mostly by minutes."""
        if not self._faults.late:
            return times
        ratio = _LONGEST_DELAY / _SHORTEST_DELAY
        draws = [(self._late.random(), self._late.random()) for _ in times]
        return [
            time - int(_SHORTEST_DELAY * ratio**amount) if chance * 100 < self._faults.late else time
            for time, (chance, amount) in zip(times, draws, strict=True)
        ]

    def disturbed(self, records: list[bytes]) -> list[bytes]:
        """Return the same number of records, some of them broken or equal to the previous one."""
        if self._faults.faulty:
            draws = [(self._faulty.random(), self._faulty.random()) for _ in records]
            records = [
                self._broken(record, kind) if chance * 100 < self._faults.faulty else record
                for record, (chance, kind) in zip(records, draws, strict=True)
            ]
        if self._faults.duplicate:
            records = [*map(self._again, records)]
        return records

    def _again(self, record: bytes) -> bytes:
        """Return the previous record in some cases, otherwise `record`."""
        if self._duplicate.random() * 100 >= self._faults.duplicate or self._before is None:
            self._before = record
        return self._before

    def _broken(self, record: bytes, kind: float) -> bytes:
        """Return a record that the function rejects: truncated, not UTF-8, without its time, or with an invalid time.

        Args:
            record: a reading.
            kind: from 0 to 1, which of them.
        """
        middle = len(record) // 2
        ways = [record[:middle], record[:middle] + b"\xff" + record[middle:]]
        ways += filter(None, (_with_time(record, self._time_path, time) for time in (None, "yesterday")))
        return ways[int(kind * len(ways))]


def _with_time(record: bytes, path: Sequence[str], time: str | None) -> bytes | None:
    """Return a reading with another time or, for None, without one; None if the reading has no time to change."""
    try:
        whole: Any = json.loads(record)
        inner = whole
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    if time is not None:
        inner[path[-1]] = time
    return json.dumps(whole).encode() + b"\n"
