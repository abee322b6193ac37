"""What was sent from this machine: enough to make every sent reading's uuid again, so that none is lost unnoticed.

Readings are seeded, so a ledger entry is a seed and a count, whatever the number of readings.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iot_stream.generator.readings import Readings

__all__ = ["Entry", "Ledger"]

_ANY_TIME = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # the uuids do not depend on it


@dataclass(frozen=True)
class Entry:
    """One run of the generator: its seed and how many of its readings the stream accepted."""

    seed: int
    records: int

    def uuids(self) -> Iterator[str]:
        """The uuid of every accepted reading."""
        readings = Readings(self.seed)
        for _ in range(self.records):
            yield readings.next(_ANY_TIME).uuid


@dataclass(frozen=True)
class Ledger:
    """A folder with one file for each run of the generator, replaced as a whole at each step."""

    folder: Path

    def write(self, run: str, entry: Entry) -> None:
        """Set the entry of `run`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{run}.new"
        temporary.write_text(json.dumps({"seed": entry.seed, "records": entry.records}), encoding="utf-8")
        temporary.replace(self.folder / f"{run}.json")

    def entries(self) -> list[Entry]:
        """All entries."""
        return [Entry(**json.loads(file.read_text(encoding="utf-8"))) for file in sorted(self.folder.glob("*.json"))]

    @property
    def sent(self) -> int:
        """Records accepted in all runs."""
        return sum(entry.records for entry in self.entries())
