"""What the worker keeps on disk (Progress) and what it shows of itself (Status)."""

from typing import Any

import msgspec

from iot_stream.delivery.core.record import Outcome

__all__ = ["DeliveryStatus", "Intent", "Position", "Progress", "ShardProgress"]

type Position = tuple[str, int]  # sequence number, subsequence number


class ShardProgress(msgspec.Struct):
    """How far one shard is.

    Attributes:
        position: sequence number up to which every record's way has ended; None before the first.
        ended: whether the shard is closed and its last record's way has ended.
        backed_up: the last record in an object of source records (S3BackupMode AllDocuments).
    """

    position: str | None = None
    ended: bool = False
    backed_up: Position | None = None


class Intent(msgspec.Struct):
    """An object that is about to be written: after a crash, whether it exists decides whether this happened.

    Attributes:
        outcome: what its being written means for `ids`, records in a failure object.
        backed_up: for an object of source records, the last of each shard in it.
    """

    outcome: Outcome | None = None
    ids: list[str] = []
    backed_up: dict[str, Position] = {}


class Progress(msgspec.Struct):
    """All that a worker needs to go on where another one was killed.

    Attributes:
        stream: the delivery stream's ARN.
        created: its creation (epoch seconds): a new stream of the same name begins anew.
        shards: by shard id.
        ends: how many of the records before the shards' positions ended how.
        stored: records behind the positions that are in failure objects already, by record id.
        intents: by object key.
    """

    stream: str
    created: float
    shards: dict[str, ShardProgress] = {}
    ends: dict[Outcome, int] = {}
    stored: dict[str, Outcome] = {}
    intents: dict[str, Intent] = {}


class DeliveryStatus(msgspec.Struct, frozen=True):
    """What a worker did since its state began; counts are of user records.

    Attributes:
        read: taken from the stream.
        transformed: the function said Ok (or there is no function).
        dropped: the function said Dropped.
        processing_failed: the function failed them; they are in failure objects, or will be.
        delivered: indexed.
        failed: in failure objects, of all kinds.
        pending: read, with their way not ended.
        lag_ms: age of the oldest record that is read and whose way has not ended, or how far reading is behind the
            stream's tip, whichever is more; 0 when there is nothing to do.
        oldest_undelivered: arrival of that oldest record, epoch milliseconds.
        last_error: the last thing that went wrong, as in the error log.
        updated_at: when this was written, epoch milliseconds.
        version: the delivery stream's version that is in force.
        state: `running`, `paused` (no room: neither domain nor bucket accepts), or `stopped`.
    """

    read: int = 0
    transformed: int = 0
    dropped: int = 0
    processing_failed: int = 0
    delivered: int = 0
    failed: int = 0
    pending: int = 0
    lag_ms: int = 0
    oldest_undelivered: int | None = None
    last_error: str | None = None
    updated_at: int = 0
    version: str = ""
    state: str = "running"

    def to_dict(self) -> dict[str, Any]:
        """The status as plain data, for JSON."""
        return msgspec.structs.asdict(self)
