"""Read the records of a source backup (`S3BackupMode` AllDocuments), which are concatenated without a delimiter.

So only JSON objects can be separated. From the first byte that is not part of one, the rest of the S3 object is one
row.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.compression import LONGEST_LINE, DamagedError, decompressed
from iot_stream.failure_objects import BackupLocation, FailedRecord, FailureKind, FailureReadError
from iot_stream.failures.progress import REPLAYED

__all__ = ["SourceBackup", "SourceObject", "source_records"]

_CHUNK: Final = 64 * 1024


class SourceObject(NamedTuple):
    """One object with source records; `modified` is S3's `LastModified`."""

    key: str
    modified: datetime


class SourceBackup:
    """The source records at `location`, read through a boto3 S3 client."""

    def __init__(self, s3: Any, location: BackupLocation) -> None:
        self._s3 = s3
        self._location = location

    def objects(self, until: datetime | None = None) -> Iterator[SourceObject]:
        """Yield the objects with source records written up to `until`, in the order of their keys.

        Firehose also backs up replayed readings, so without `until` a replay would never end.

        Raises:
            FailureReadError: the bucket can't be listed.
        """
        location = self._location
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=location.bucket)
        try:
            for page in pages:
                for entry in page.get("Contents", []):
                    key, modified = entry["Key"], entry["LastModified"]
                    if key.startswith(REPLAYED) or (until is not None and modified > until):
                        continue
                    if location.may_be_source(key) and not location.kind_of(key):
                        yield SourceObject(key, modified)
        except (ClientError, BotoCoreError) as error:
            raise FailureReadError(f"bucket {location.bucket} can't be listed: {error}") from error

    def records(self, entry: SourceObject) -> Iterator[FailedRecord]:
        """Yield the records of one object; one that can't be read has a `problem`.

        The objects contain no arrival times; the time at which the object was written is used instead, which is up to a
        buffer interval later.
        """
        key = entry.key
        try:
            body = self._s3.get_object(Bucket=self._location.bucket, Key=key)["Body"]
        except (ClientError, BotoCoreError) as error:
            yield _problem(key, 0, f"the object can't be read: {error}")
            return
        arrived_ms = round(entry.modified.timestamp() * 1000)
        yield from source_records(key, body.iter_chunks(_CHUNK), arrived_ms)


def source_records(key: str, body: Iterable[bytes], arrived_ms: int | None = None) -> Iterator[FailedRecord]:
    """Yield the JSON objects that follow one another in the bytes of one object; none raise."""
    number = 0
    text = ""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for piece in decompressed(body):
            text += decode(piece)
            texts, text = _split(text)
            for each in texts:
                yield FailedRecord(key, number, FailureKind.PROCESSING, arrived_ms=arrived_ms, data=each.encode())
                number += 1
            if text and not text.startswith("{"):
                break
            if len(text) > LONGEST_LINE:
                break
        else:
            text += decode(b"", final=True)
    except UnicodeDecodeError:
        yield _problem(key, number, "not UTF-8 from here on")
        return
    except (DamagedError, BotoCoreError) as error:
        yield _problem(key, number, f"the object can't be read from here on: {error}")
        return
    if text:
        yield _problem(key, number, "not a JSON object from here on")


def _split(text: str) -> tuple[list[str], str]:
    """Return the complete JSON objects at the beginning of `text`, and the rest."""
    found: list[str] = []
    start = 0
    decoder = json.JSONDecoder()
    while True:
        while start < len(text) and text[start].isspace():
            start += 1
        if not text.startswith("{", start):
            return found, text[start:]
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return found, text[start:]
        found.append(text[start:end])
        start = end


def _problem(key: str, number: int, problem: str) -> FailedRecord:
    return FailedRecord(key, number, FailureKind.PROCESSING, problem=problem)
