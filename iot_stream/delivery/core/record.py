"""Records on their way from the stream, and the ends that their way can have."""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["NOT_JSON", "Chunk", "Document", "Failure", "Outcome", "Record", "record_id"]


NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what was expected of another's answer."""


class Outcome(StrEnum):
    """Where a record's way ends; every record has exactly one."""

    INDEXED = "indexed"
    DROPPED = "dropped"
    PROCESSING_FAILED = "processing_failed"
    DOCUMENT_FAILED = "document_failed"


def record_id(shard: str, sequence: str, subsequence: int | None) -> str:
    """One record's name over every retry and restart: `shard number.sequence.subsequence`.

    It serves as Firehose's recordId and, with FIREHOSE_DEFAULT, as the document's `_id`. A sequence number is only
    promised to be unique within its shard ("Amazon Kinesis Data Streams Terminology"), so the shard belongs to it.
    """
    number = shard.removeprefix("shardId-").lstrip("0") or "0"
    return f"{number}.{sequence}.{subsequence or 0}"


class Chunk(msgspec.Struct, eq=False):
    """A run of records of one shard that the stream's position passes together.

    Attributes:
        shard: the shard's id.
        last: sequence number of its last Kinesis record, all of whose user records are in it.
        records: its records, until nothing is open any more.
        open: how much still has to happen to them: one for each delivery and one for each backup.
        size: bytes that they take in memory.
        ends: how many ended how.
    """

    shard: str
    last: str
    records: "list[Record]"
    open: int
    size: int
    ends: dict[Outcome, int]


class Record(msgspec.Struct, eq=False):
    """One user record of the stream (a KPL record taken apart gives several).

    Attributes:
        shard: its shard's id.
        sequence: its Kinesis record's sequence number.
        subsequence: its place in an aggregated Kinesis record, or None when it was not aggregated.
        partition_key: its partition key.
        arrived: approximate arrival, epoch milliseconds.
        data: what the producer sent, in base64.
        id: see `record_id`.
        size: bytes of the data once decoded.
        outcome: how its way ended, None until then.
        chunk: the run of records that it is checkpointed with.
    """

    shard: str
    sequence: str
    subsequence: int | None
    partition_key: str
    arrived: int
    data: str
    id: str
    size: int
    outcome: Outcome | None = None
    chunk: Chunk | None = None


class Document(msgspec.Struct, eq=False):
    """What the function made of a record: one line of JSON for one index."""

    record: Record
    body: bytes
    index: str


class Failure(msgspec.Struct, frozen=True, eq=False):
    """A record that will be a line in a failure object."""

    record: Record
    line: bytes
