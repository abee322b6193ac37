"""What the delivery state machine asks its driver to do, and what it has to say to operators."""

from dataclasses import dataclass

from iot_stream.delivery.core.naming import ErrorType
from iot_stream.delivery.core.record import Document, Failure, Record

__all__ = ["Command", "Confirm", "ErrorLogEntry", "Index", "Invoke", "Store"]


@dataclass(frozen=True, eq=False)
class Invoke:
    """Send one batch to the function; `attempt` counts from 1."""

    records: list[Record]
    attempt: int = 1


@dataclass(frozen=True, eq=False)
class Index:
    """Send one batch to the domain; `since` is the first attempt's time (epoch ms)."""

    documents: list[Document]
    since: int
    attempt: int = 1


@dataclass(frozen=True, eq=False)
class Store:
    """Write one object: failures of one type, or (`error_type` None) source records."""

    key: str
    error_type: ErrorType | None
    failures: list[Failure]
    records: list[Record]
    since: int
    attempt: int = 1

    @property
    def size(self) -> int:
        """Bytes of its content before compression."""
        return sum(record.size for record in self.records) + sum(len(failure.line) for failure in self.failures)


@dataclass(frozen=True, eq=False)
class Confirm:
    """Find out whether an object exists that a killed worker was about to write."""

    key: str
    attempt: int = 1


type Command = Invoke | Index | Store | Confirm


@dataclass(frozen=True)
class ErrorLogEntry:
    """An entry for the delivery stream's error log; `of_bucket` chooses the S3 backup's log."""

    code: str
    message: str
    of_bucket: bool = False
    of_function: bool = False
