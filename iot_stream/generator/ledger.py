"""The ledger of what the stream accepted: for each record its shard, its sequence number and a digest of its bytes.

That is enough to find every record again whatever it holds: its document by the id that shard and sequence number make,
and its failure object by the digest of `rawData` (docs/adr/0010).
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["Accepted", "Ledger", "digest_of"]

# Shard number, sequence number, digest. A SequenceNumber has up to 129 digits, a ShardId ends in its number (Kinesis
# API reference, PutRecordsResultEntry). The sequence number is kept as text, because a document's id contains it
# unchanged, with ministack's leading zeros. Entries have a fixed length, so that counting them is a division.
_ENTRY = struct.Struct(">Q129s16s")
_SHARD = "shardId-"


def digest_of(data: bytes) -> bytes:
    """Return a 16-byte digest that identifies a record's data."""
    return hashlib.blake2b(data, digest_size=16).digest()


class Accepted(NamedTuple):
    """One record that the stream accepted; `shard` and `sequence` are PutRecords' ShardId and SequenceNumber."""

    shard: str
    sequence: str
    digest: bytes


@cache
def _shard_number(shard: str) -> int:
    return int(shard.removeprefix(_SHARD))


@dataclass(frozen=True)
class Ledger:
    """A folder with one file for each run of the generator, to which each accepted batch is appended.

    An entry that a crash cut off is left out.
    """

    folder: Path

    def append(self, run: str, records: Iterable[Accepted]) -> None:
        """Add records to the file of `run`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        pack = _ENTRY.pack
        entries = [pack(_shard_number(shard), sequence.encode("ascii"), digest) for shard, sequence, digest in records]
        with (self.folder / f"{run}.accepted").open("ab") as file:
            file.write(b"".join(entries))

    def records(self) -> Iterator[Accepted]:
        """Yield every accepted record of all runs, without holding them in memory."""
        for path in self._files():
            with path.open("rb") as file:
                while len(entry := file.read(_ENTRY.size)) == _ENTRY.size:
                    shard, sequence, digest = _ENTRY.unpack(entry)
                    yield Accepted(f"{_SHARD}{shard:012}", sequence.rstrip(b"\0").decode("ascii"), digest)

    @property
    def sent(self) -> int:
        """Return the number of records accepted in all runs."""
        return sum(path.stat().st_size // _ENTRY.size for path in self._files())

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.accepted"))
