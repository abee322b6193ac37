"""Records in flight, what they become, and their outcomes."""

import base64
from enum import StrEnum
from functools import cache

import msgspec

__all__ = ["BackupItem", "Chunk", "Document", "FailureLine", "Outcome", "Record", "SourceCopy", "record_id"]


class Outcome(StrEnum):
    """The outcome of a record; every record has exactly one."""

    INDEXED = "indexed"
    DROPPED = "dropped"
    PROCESSING_FAILED = "processing_failed"
    DOCUMENT_FAILED = "document_failed"


def record_id(shard: str, sequence: str, subsequence: int | None) -> str:
    """Return a record's id, the same over every retry and restart: `shard number.sequence.subsequence`.

    It is the recordId of the transformation event and, with FIREHOSE_DEFAULT, the document's `_id`. A sequence number
    is unique only within its shard ("Amazon Kinesis Data Streams Terminology"), so the shard is part of the id.
    """
    return f"{_shard_number(shard)}.{sequence}.{subsequence or 0}"


@cache
def _shard_number(shard: str) -> str:
    return shard.removeprefix("shardId-").lstrip("0") or "0"


class Chunk(msgspec.Struct, eq=False):
    """Consecutive records of one shard that the checkpoint passes together.

    Attributes:
        shard: the shard's id.
        last: sequence number of the last Kinesis record; all of its user records are in this chunk.
        records: the records; once nothing is pending, only those that are in a failure object.
        pending: deliveries and backups that are not complete.
        memory: bytes that the records take in memory.
        outcomes: how many records have each outcome.
    """

    shard: str
    last: str
    records: "list[Record]"
    pending: int
    memory: int
    outcomes: dict[Outcome, int]


class Record(msgspec.Struct, eq=False):
    """One user record of the stream; an aggregated KPL record holds several.

    Attributes:
        shard: the shard's id.
        sequence: sequence number of its Kinesis record.
        subsequence: its position in an aggregated Kinesis record; None when the record was not aggregated.
        partition_key: its partition key.
        arrived: approximate arrival, epoch milliseconds.
        data: what the producer sent, in base64.
        id: see `record_id`.
        size: bytes of the decoded data.
        index: the index of its document, decided once: when the record was first read.
        outcome: None while it is in flight.
        chunk: the chunk that it is checkpointed with.
    """

    shard: str
    sequence: str
    subsequence: int | None
    partition_key: str
    arrived: int
    data: str
    id: str
    size: int
    index: str = ""
    outcome: Outcome | None = None
    chunk: Chunk | None = None


class Document(msgspec.Struct, eq=False):
    """What the function returned for a record: one line of JSON for one index."""

    record: Record
    body: bytes
    index: str


class SourceCopy(msgspec.Struct, frozen=True, eq=False):
    """A source record in a backup object (S3BackupMode AllDocuments)."""

    record: Record

    @property
    def content(self) -> bytes:
        """Return the producer's bytes."""
        return base64.b64decode(self.record.data)

    @property
    def size(self) -> int:
        """Return the number of bytes of the content."""
        return self.record.size


class FailureLine(msgspec.Struct, frozen=True, eq=False):
    """A failed record or document in a failure object."""

    record: Record
    content: bytes

    @property
    def size(self) -> int:
        """Return the number of bytes of the line."""
        return len(self.content)


type BackupItem = SourceCopy | FailureLine
