"""What the worker keeps on disk, so that a later worker continues where this one stopped."""

import hashlib
import re
from typing import Final

import msgspec

from iot_stream.delivery.core.naming import IndexNaming
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.record import Outcome

__all__ = ["IndexDecision", "Intent", "Position", "Progress", "ShardProgress", "decode_progress", "encode_progress"]

# The API's pattern is `0|([1-9]\d{0,128})` (SequenceNumber, Kinesis API reference); ministack pads with zeros.
_SEQUENCE_NUMBER: Final = re.compile(r"[0-9]{1,129}")

type Position = tuple[str, int]  # sequence number, subsequence number


class IndexDecision(msgspec.Struct, frozen=True):
    """Records up to `last` (sequence number) that no earlier decision covers go to the indices of `naming`."""

    last: str
    naming: IndexNaming


class ShardProgress(msgspec.Struct):
    """How far one shard is.

    Attributes:
        position: sequence number up to which every record has its outcome; None before the first.
        ended: whether the shard is closed and its last record has its outcome.
        backed_up: the last record in an object of source records (S3BackupMode AllDocuments).
        decisions: the indices of records after the position that have been read, in order. They are kept even if the
            settings differ when the records are read again.
    """

    position: str | None = None
    ended: bool = False
    backed_up: Position | None = None
    decisions: list[IndexDecision] = []


class Intent(msgspec.Struct):
    """An object that is about to be written; whether it exists tells a later worker whether it was.

    Attributes:
        kind: what the object holds.
        ids: for a failure kind, the ids of its records.
        backed_up: for source records, the last record of each shard.
    """

    kind: ObjectKind
    ids: list[str] = []
    backed_up: dict[str, Position] = {}


class Progress(msgspec.Struct):
    """Everything a worker needs to continue after another one was killed.

    Attributes:
        stream: the delivery stream's ARN.
        created: when it was created (epoch seconds); a later stream of the same name starts over.
        shards: by shard id.
        outcomes: how many of the records before the shards' positions have each outcome.
        stored: outcomes of records behind the positions that are in failure objects already, by record id.
        intents: by object key.
        gaps: how often records may have left the stream unread.
    """

    stream: str
    created: float
    shards: dict[str, ShardProgress] = {}
    outcomes: dict[Outcome, int] = {}
    stored: dict[str, Outcome] = {}
    intents: dict[str, Intent] = {}
    gaps: int = 0


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    """A progress file: the progress, and the SHA-256 of its bytes."""

    sha256: str
    progress: msgspec.Raw


def encode_progress(progress: Progress) -> bytes:
    """Encode a progress file; its digest reveals any change of a position, shard or count."""
    content = msgspec.json.encode(progress)
    return msgspec.json.encode(_Sealed(_digest(content), msgspec.Raw(content)))


def decode_progress(content: bytes) -> Progress:
    """Decode a progress file, or one that an earlier version saved without a digest.

    Raises:
        msgspec.DecodeError: it is not JSON, has another shape, was changed since it was saved, or has a position that
            is not a sequence number.
        UnicodeDecodeError, RecursionError: for some bytes that are not JSON.
    """
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
    except msgspec.ValidationError:  # another shape
        progress = msgspec.json.decode(content, type=Progress)
    else:
        if _digest(bytes(sealed.progress)) != sealed.sha256:
            raise msgspec.ValidationError("it was changed since it was saved")
        progress = msgspec.json.decode(sealed.progress, type=Progress)
    decided = [decision.last for shard in progress.shards.values() for decision in shard.decisions]
    positions = [shard.position for shard in progress.shards.values() if shard.position is not None]
    backed_up = [shard.backed_up for shard in progress.shards.values() if shard.backed_up is not None]
    backed_up += [position for intent in progress.intents.values() for position in intent.backed_up.values()]
    for sequence in (*decided, *positions, *(sequence for sequence, _ in backed_up)):
        if not _SEQUENCE_NUMBER.fullmatch(sequence):
            raise msgspec.ValidationError(f"{sequence[:129]!r} is not a sequence number")
    return progress


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
