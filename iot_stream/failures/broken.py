"""Count the rows of failure objects that can't be read, and keep the first ones to show."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from iot_stream.failure_objects import FailedRecord

__all__ = ["Broken"]

_MOST: Final = 1000  # rows that are kept


class _Row(NamedTuple):
    key: str
    line: int
    problem: str


@dataclass
class Broken:
    """The first rows that can't be read, and the number of all."""

    rows: list[_Row] = field(default_factory=list)
    count: int = 0

    def add(self, record: FailedRecord) -> None:
        """Add the row of `record`."""
        self.count += 1
        if len(self.rows) < _MOST:
            self.rows.append(_Row(record.key, record.line, record.problem or "no data"))

    def as_dict(self) -> dict[str, Any]:
        """Return the count and the kept rows as two entries of a JSON object."""
        return {"broken_count": self.count, "broken": [row._asdict() for row in self.rows]}

    def lines(self, most: int) -> list[str]:
        """Return lines for people: the first `most` rows, and how many more there are."""
        shown = [f"can't be read: {row.key}, line {row.line}: {row.problem}" for row in self.rows[:most]]
        more = [f"… and {self.count - most:,} more that can't be read"] if self.count > most else []
        return shown + more
