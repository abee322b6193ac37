"""Keep track of the records of each failure object that were replayed or discarded, in a small object in the bucket.

An interrupted replay can therefore continue, also on another machine, without sending a record twice.

Before a batch is put into the stream, its lines are recorded as pending, and afterwards as done. If a replay ended in
between, it is unknown whether the stream accepted the batch, so the next replay searches the stream (destinations).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import FailedRecord

__all__ = ["REPLAYED", "Progress", "ProgressError", "ProgressStore", "Remaining"]

REPLAYED: Final = "replayed/"
_FAILURES: Final = f"{REPLAYED}progress/"
_BACKUPS: Final = f"{REPLAYED}backup-progress/"
_BACKUP_START: Final = f"{REPLAYED}backup-start"
_ENDING: Final = ".json"
_STEP_SECONDS: Final = 1.0


class ProgressError(IotStreamError):
    """The progress of a replay can't be read or written, or an object can't be moved."""


@dataclass
class Progress:
    """The state of one object.

    Attributes:
        done: its lines that are confirmed, or discarded.
        pending: lines that were being put into the stream.
        since_ms: when (epoch milliseconds); 0 when nothing is pending.
    """

    done: set[int] = field(default_factory=set)
    pending: tuple[int, ...] = ()
    since_ms: int = 0

    def to_json(self) -> bytes:
        """Return the progress as JSON, with done lines as ranges to keep it small."""
        state = {"done": _ranges(self.done), "pending": list(self.pending), "since_ms": self.since_ms}
        return json.dumps(state, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Progress":
        """Return the progress that `to_json` wrote.

        Raises:
            ProgressError: it did not.
        """
        try:
            state = json.loads(body)
            done = {line for first, last in state["done"] for line in range(first, last + 1)}
            return cls(done, tuple(map(int, state["pending"])), int(state["since_ms"]))
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            raise ProgressError(f"not the progress of a replay ({type(error).__name__})") from None


class ProgressStore:
    """Keeps the progress of each object in a folder of `bucket`, and moves finished objects.

    Args:
        s3: a boto3 client.
        bucket: its name.
        backup: keep the progress of the source backup, which stays for ever because its objects don't move.
    """

    def __init__(self, s3: Any, bucket: str, *, backup: bool = False) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = _BACKUPS if backup else _FAILURES

    def load(self, key: str) -> Progress:
        """Return the progress of the object `key`, or empty progress if none is stored."""
        stored = self._progress_key(key)
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=stored)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                return Progress()
            raise ProgressError(f"the progress of {key} can't be read: {error}") from error
        except BotoCoreError as error:
            raise ProgressError(f"the progress of {key} can't be read: {error}") from error
        try:
            return Progress.from_json(body)
        except ProgressError as error:
            cure = "delete it, and all records of its object count as failed again"
            raise ProgressError(f"s3://{self._bucket}/{stored}: {error}: {cure}") from None

    def started(self) -> set[str]:
        """Return the keys of the objects that have progress. Few have: it is removed when an object moves."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._folder)
        try:
            return {
                entry["Key"].removeprefix(self._folder).removesuffix(_ENDING)
                for page in pages
                for entry in page.get("Contents", ())
            }
        except (ClientError, BotoCoreError) as error:
            raise ProgressError(f"{self._folder} of bucket {self._bucket} can't be listed: {error}") from error

    def save(self, key: str, progress: Progress) -> None:
        """Write the progress of the object `key`."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._progress_key(key), Body=progress.to_json())
        except (ClientError, BotoCoreError) as error:
            raise ProgressError(f"the progress of {key} can't be written: {error}") from error

    def backup_start(self) -> datetime | None:
        """Return when the source backup was first fed back, by S3's clock in whole seconds; None if it never was."""
        try:
            found: datetime = self._s3.head_object(Bucket=self._bucket, Key=_BACKUP_START)["LastModified"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                return None
            raise ProgressError(f"{_BACKUP_START} can't be read: {error}") from error
        except BotoCoreError as error:
            raise ProgressError(f"{_BACKUP_START} can't be read: {error}") from error
        return found

    def start_backup(self, sleep: Callable[[float], None]) -> datetime:
        """Return `backup_start`; set it to the current time if it is not set.

        After setting it, wait a second (the resolution of `LastModified`): replayed records are backed up later.
        """
        if (start := self.backup_start()) is not None:
            return start
        try:
            self._s3.put_object(Bucket=self._bucket, Key=_BACKUP_START, Body=b"")
        except (ClientError, BotoCoreError) as error:
            raise ProgressError(f"{_BACKUP_START} can't be written: {error}") from error
        if (start := self.backup_start()) is None:
            raise ProgressError(f"{_BACKUP_START} was deleted during the replay: run it again")
        sleep(_STEP_SECONDS)
        return start

    def finish(self, key: str) -> None:
        """Move the object `key` to `replayed/`; interrupted anywhere and repeated, it comes to the same end."""
        try:
            source = {"Bucket": self._bucket, "Key": key}
            self._s3.copy_object(Bucket=self._bucket, Key=REPLAYED + key, CopySource=source)
            self._s3.delete_object(Bucket=self._bucket, Key=key)
            self._s3.delete_object(Bucket=self._bucket, Key=self._progress_key(key))
        except (ClientError, BotoCoreError) as error:
            raise ProgressError(f"{key} is resolved but can't be moved to {REPLAYED}: {error}") from error

    def _progress_key(self, key: str) -> str:
        return f"{self._folder}{key}{_ENDING}"


class Remaining:
    """Leaves out the failed records that were replayed or discarded.

    Attributes:
        resolved: how many were left out.
    """

    def __init__(self, store: ProgressStore) -> None:
        self._store = store
        self.resolved = 0

    def of(self, records: Iterable[FailedRecord]) -> Iterator[FailedRecord]:
        """Yield the other records; those of one object follow each other.

        Raises:
            ProgressError: the progress can't be read.
        """
        started = self._store.started()
        for key, lines in groupby(records, key=lambda record: record.key):
            done = self._store.load(key).done if key in started else frozenset()
            for record in lines:
                if record.line in done:
                    self.resolved += 1
                else:
                    yield record


def _ranges(lines: Iterable[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for line in sorted(lines):
        if ranges and ranges[-1][1] == line - 1:
            ranges[-1] = (ranges[-1][0], line)
        else:
            ranges.append((line, line))
    return ranges
