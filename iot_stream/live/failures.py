"""What failed and why: the failure objects in the backup bucket, newest first.

Each line of such an object is one record: its error code and message, and the record itself in base64 ("Handle
failure in data transformation" and "Handle data delivery failure", Amazon Data Firehose Developer Guide). The
record may be private, so it is given out for one line at a time, when asked for, and never kept in a log.
"""

import base64
import binascii
import gzip
import itertools
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import IotStreamError

__all__ = ["Failure", "FailureReadError", "Failures", "NoSuchFailureError"]

_OBJECTS = 50
_KEPT = 100
_PAYLOAD_CHARACTERS = 16_384
_GZIP = b"\x1f\x8b"


class FailureReadError(IotStreamError):
    """The failure objects, or one of them, can't be read."""


class NoSuchFailureError(FailureReadError):
    """There is no such failure object, or no such line in it."""


@dataclass(frozen=True)
class Failure:
    """One record that did not become a document, without the record itself.

    Attributes:
        key: its object in the backup bucket.
        line: its line there, from 0.
        step: `Transform` when the function failed it, `Index` when OpenSearch did not take it.
        code: AWS's error code, e.g. `Lambda.ProcessingFailedStatus`.
        message: AWS's or OpenSearch's own words.
        arrived_ms: when it arrived in the stream, epoch milliseconds; None when the object does not say.
        attempts: how often it was tried.
    """

    key: str
    line: int
    step: str
    code: str
    message: str
    arrived_ms: int | None
    attempts: int | None


class Failures:
    """Reads the failure objects under `prefix` of `bucket` through a boto3 S3 client."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def recent(self, limit: int = 100) -> list[Failure]:
        """Answer the newest failures, newest object first, `limit` at most.

        Raises FailureReadError when the bucket can't be read.
        """
        return list(itertools.islice(self._each(), limit))

    def payload(self, key: str, line: int) -> str:
        """Answer the record of one failure as text, cut after 16,384 characters; bytes that are no text as base64.

        Raises NoSuchFailureError when there is none, FailureReadError when it can't be read.
        """
        found = next((entry for entry in self._objects() if entry["Key"] == key), None)
        if found is None:
            raise NoSuchFailureError(f"there is no failure object {key}")
        rows = self._read(found).splitlines()
        if not 0 <= line < len(rows):
            raise NoSuchFailureError(f"{key} has no line {line}")
        text = str(_parse(rows[line]).get("rawData", ""))
        try:
            text = base64.b64decode(text, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = f"no text; in base64: {text}"
        return text[:_PAYLOAD_CHARACTERS]

    def _each(self) -> Iterator[Failure]:
        newest = sorted(self._objects(), key=lambda entry: entry["LastModified"], reverse=True)
        for entry in newest[:_OBJECTS]:
            for number, row in enumerate(self._read(entry).splitlines()):
                yield _failure(entry["Key"], number, _parse(row))

    def _objects(self) -> list[dict[str, Any]]:
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            entries = [entry for page in pages for entry in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise FailureReadError(f"bucket {self._bucket} can't be listed: {error}") from error
        return [entry for entry in entries if "failed" in entry["Key"]]

    def _read(self, entry: Mapping[str, Any]) -> bytes:
        """The object's lines. An object never changes under its ETag, so the latest hundred are kept."""
        name = (entry["Key"], entry["ETag"])
        if name not in self._bodies:
            try:
                body: bytes = self._s3.get_object(Bucket=self._bucket, Key=entry["Key"])["Body"].read()
                self._bodies[name] = gzip.decompress(body) if body.startswith(_GZIP) else body
            except (ClientError, BotoCoreError, OSError) as error:
                raise FailureReadError(f"{entry['Key']} can't be read: {error}") from error
            while len(self._bodies) > _KEPT:
                self._bodies.popitem(last=False)
        return self._bodies[name]


def _parse(row: bytes) -> dict[str, Any]:
    try:
        value = json.loads(row)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _failure(key: str, line: int, row: Mapping[str, Any]) -> Failure:
    return Failure(
        key=key,
        line=line,
        step="Transform" if "processing-failed" in key else "Index",
        code=str(row.get("errorCode", "unreadable line")),
        message=str(row.get("errorMessage", "")),
        arrived_ms=_number(row.get("arrivalTimestamp")),
        attempts=_number(row.get("attemptsMade")),
    )


def _number(value: Any) -> int | None:
    """AWS writes numbers and documents strings: both are read."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
