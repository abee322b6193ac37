"""List the newest failed records with their reasons for the page, without the records themselves.

A record may be private, so only one is returned at a time, on request, and none reaches a log.
"""

import base64
import itertools
from dataclasses import dataclass

from iot_stream.failure_objects import FailedRecord, FailureKind, FailureObjects
from iot_stream.failures.progress import ProgressStore, Remaining

__all__ = ["Failure", "Failures"]

_PAYLOAD_CHARACTERS = 16_384
_STEPS = {FailureKind.PROCESSING: "Transform", FailureKind.DOCUMENT: "Index"}


@dataclass(frozen=True)
class Failure:
    """One record that did not become a document, without the record itself.

    Attributes:
        key: its object in the backup bucket.
        line: its line there, from 0.
        step: `Transform` when the function failed it, `Index` when OpenSearch did not take it.
        code: AWS's error code, e.g. `Lambda.ProcessingFailedStatus`; `unreadable` when there is none.
        message: AWS's or OpenSearch's own words, or why the line can't be read.
        arrived_ms: when it arrived in the stream, epoch milliseconds; None when the object does not say.
        attempts: how often it was tried; None when the object does not say.
    """

    key: str
    line: int
    step: str
    code: str
    message: str
    arrived_ms: int | None
    attempts: int | None


class Failures:
    """The failed records of a stack that were neither replayed nor discarded, as rows for people."""

    def __init__(self, objects: FailureObjects, store: ProgressStore) -> None:
        self._objects = objects
        self._store = store

    def recent(self, limit: int = 100) -> list[Failure]:
        """Return the newest failures, newest object first, `limit` at most.

        Raises:
            FailureReadError, ProgressError: the bucket can't be read.
        """
        newest = self._objects.newest(limit)  # each has one row at least
        remaining = Remaining(self._store).of(self._objects.records_of(newest))
        return [_row(record) for record in itertools.islice(remaining, limit)]

    def payload(self, key: str, line: int) -> str:
        """Return the record of one failure as text, cut after 16,384 characters; other bytes as base64.

        Raises:
            NoSuchFailureError: there is no such failure.
        """
        record = self._objects.record(key, line)
        if record.data is None:
            return record.problem
        try:
            text = record.data.decode("utf-8")
        except UnicodeDecodeError:
            text = f"not UTF-8 text; in base64: {base64.b64encode(record.data).decode()}"
        return text[:_PAYLOAD_CHARACTERS]


def _row(record: FailedRecord) -> Failure:
    return Failure(
        key=record.key,
        line=record.line,
        step=_STEPS[record.kind],
        code=record.code or "unreadable",
        message=" · ".join(filter(None, (record.message, record.problem))),
        arrived_ms=record.arrived_ms,
        attempts=record.attempts,
    )
