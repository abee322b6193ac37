"""What the delivery state machine asks the worker to do, and what it reports to operators."""

from collections.abc import Sequence
from dataclasses import dataclass

from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.record import BackupItem, Document, Record

__all__ = ["Command", "Confirm", "ErrorLogEntry", "Index", "Invoke", "Store"]


@dataclass(frozen=True, eq=False)
class Invoke:
    """Invoke the function with one batch; `attempt` counts from 1."""

    records: list[Record]
    attempt: int = 1


@dataclass(frozen=True, eq=False)
class Index:
    """Send one bulk request; `since` is the time of the first attempt (epoch ms)."""

    documents: list[Document]
    since: int
    attempt: int = 1


@dataclass(frozen=True, eq=False)
class Store:
    """Put one object into the bucket."""

    key: str
    kind: ObjectKind
    items: Sequence[BackupItem]
    attempt: int = 1

    @property
    def size(self) -> int:
        """Return the number of bytes of the content before compression."""
        return sum(item.size for item in self.items)


@dataclass(frozen=True, eq=False)
class Confirm:
    """Check whether an object exists that an earlier worker was about to write."""

    key: str
    attempt: int = 1


type Command = Invoke | Index | Store | Confirm


@dataclass(frozen=True)
class ErrorLogEntry:
    """An entry of the delivery stream's error log; `of_bucket` selects the log of the S3 backup."""

    code: str
    message: str
    of_bucket: bool = False
    of_function: bool = False
