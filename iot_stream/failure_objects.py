"""Read what Amazon Data Firehose leaves in S3 when a record fails: the failure objects of a delivery stream.

A failure object is newline-delimited JSON, one line for each record ("Handle failure in data transformation" and
"Handle data delivery failure", Amazon Data Firehose Developer Guide). Which objects are failure objects follows from
the delivery stream's configured prefixes and, where a key fits both of them, from the object's content.

The documents and the objects seen in public disagree in details, so every known spelling is read:
`AmazonOpenSearchService_failed/` (developer guide), `AmazonOpenSearchService-failed/` (API reference) and
`elasticsearch-failed/` (older delivery streams); `lambdaArn` and `lambdaARN`; `esDocumentId` and `osDocumentId`
(Serverless); numbers as JSON numbers and as strings.

Nothing that is found in the bucket raises: what can't be read becomes a record with a `problem`, in its place, and the
records around it are still read. Objects are streamed: memory is bounded by one line, not by the object.
"""

import base64
import contextlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.compression import DamagedError, decompressed, lines
from iot_stream.errors import IotStreamError
from iot_stream.stack import Stack

__all__ = [
    "BackupLocation",
    "FailedRecord",
    "FailureKind",
    "FailureObject",
    "FailureObjects",
    "FailureReadError",
    "NoSuchFailureError",
    "failed_records",
]

_EXPRESSION: Final = re.compile(r"!\{(\w+):([^}]*)\}")
_ERROR_TYPE: Final = r"(?P<type>[A-Za-z][A-Za-z-]*[_-]failed)"
_PROCESSING: Final = "processing-failed"
_CHUNK: Final = 64 * 1024
_MESSAGE_CHARACTERS: Final = 4_096
_LARGEST: Final = 2**53  # the largest number that every reader of JSON holds exactly
_DOCUMENT_FIELDS: Final = ("esDocumentId", "osDocumentId", "esIndexName", "osIndexName")
_LAMBDA_FIELDS: Final = ("lambdaArn", "lambdaARN")


class FailureReadError(IotStreamError):
    """The backup bucket can't be read."""


class NoSuchFailureError(FailureReadError):
    """There is no such failure object, or no such line in it."""


class FailureKind(StrEnum):
    """What failed: the function on a record, or the domain on a document."""

    PROCESSING = "processing"
    DOCUMENT = "document"


@dataclass(frozen=True)
class BackupLocation:
    """Where a delivery stream writes to S3: bucket, `Prefix` and `ErrorOutputPrefix` as they are configured."""

    bucket: str
    prefix: str
    error_prefix: str

    @classmethod
    def of(cls, stack: Stack) -> "BackupLocation":
        """Return the location of a deployed stack, whose template gives both prefixes one value.

        Raises:
            StackError: the stack was deployed from another version of the template.
        """
        prefix = stack.output("BackupPrefix")
        return cls(stack.output("BackupBucketName"), prefix, prefix)

    @property
    def listed_prefix(self) -> str:
        """The longest text that every failure object's key begins with, for ListObjectsV2."""
        return _EXPRESSION.split(self.error_prefix or self.prefix, maxsplit=1)[0]

    def kind_of(self, key: str) -> FailureKind | None:
        """Return the kind of failure object that `key` names, or None when it doesn't name one.

        "Amazon S3 object name format": without expressions, the error type's folder follows the error prefix; with
        them, it stands where `!{firehose:error-output-type}` does.
        """
        if not (match := self._failures.match(key)):
            return None
        return FailureKind.PROCESSING if match["type"] == _PROCESSING else FailureKind.DOCUMENT

    def may_be_source(self, key: str) -> bool:
        """Return whether `key` could also name source records (`AllDocuments`), so that only the content can tell."""
        return bool(self._sources.match(key))

    @cached_property
    def _failures(self) -> re.Pattern[str]:
        prefix = self.error_prefix or self.prefix
        if _EXPRESSION.search(prefix):
            return re.compile(_as_pattern(prefix))
        return re.compile(f"{re.escape(prefix)}{_ERROR_TYPE}/")

    @cached_property
    def _sources(self) -> re.Pattern[str]:
        # A prefix without a timestamp gets yyyy/MM/dd/HH/ appended, with no slash put between.
        hour = "" if "!{timestamp:" in self.prefix else r"\d{4}/\d\d/\d\d/\d\d/"
        return re.compile(_as_pattern(self.prefix) + hour)


@dataclass(frozen=True)
class FailureObject:
    """One failure object of the bucket; `modified` is S3's `LastModified`."""

    key: str
    kind: FailureKind
    size: int
    modified: datetime


@dataclass(frozen=True)
class FailedRecord:
    """One line of a failure object: a record that did not become a document.

    Attributes:
        key: its object in the backup bucket.
        line: its line there, from 0.
        kind: what failed.
        code: AWS's error code, e.g. `Lambda.ProcessingFailedStatus`; empty when the line doesn't say.
        message: AWS's or OpenSearch's own words.
        arrived_ms: when the record arrived in the stream, epoch milliseconds; None when the line doesn't say.
        attempts: how often it was tried; None when the line doesn't say.
        index: for a document, the index it was meant for; else empty.
        document_id: for a document, its id; else empty.
        data: the original record, or for a document its JSON text; None when the line doesn't hold it.
        problem: why this can't be read, or only in part; empty when nothing is wrong.
        unread: whether this stands for records that S3 did not deliver: nobody knows them, and a later attempt may.
    """

    key: str
    line: int
    kind: FailureKind
    code: str = ""
    message: str = ""
    arrived_ms: int | None = None
    attempts: int | None = None
    index: str = ""
    document_id: str = ""
    data: bytes | None = field(default=None, repr=False)
    problem: str = ""
    unread: bool = False


class FailureObjects:
    """The failure objects at `location`, read through a boto3 S3 client."""

    def __init__(self, s3: Any, location: BackupLocation) -> None:
        self._s3 = s3
        self.location = location

    @classmethod
    def of(cls, stack: Stack, s3: Any) -> "FailureObjects":
        """Return those of a deployed stack.

        Raises:
            StackError: the stack was deployed from another version of the template.
        """
        return cls(s3, BackupLocation.of(stack))

    def objects(self, until: datetime | None = None) -> Iterator[FailureObject]:
        """Yield the failure objects written up to `until`, in the order of their keys.

        Where a key may name source records too, the object is read to tell.

        Raises:
            FailureReadError: the bucket can't be listed.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.location.bucket, Prefix=self.location.listed_prefix
        )
        try:
            for page in pages:
                for entry in page.get("Contents", []):
                    if until is not None and entry["LastModified"] > until:
                        continue
                    key = entry["Key"]
                    kind = self.location.kind_of(key)
                    if kind and not (self.location.may_be_source(key) and self._holds_source(key, kind)):
                        yield FailureObject(key, kind, entry["Size"], entry["LastModified"])
        except (ClientError, BotoCoreError) as error:
            raise FailureReadError(f"bucket {self.location.bucket} can't be listed: {error}") from error

    def any_left(self) -> bool:
        """Return whether there is a failure object: with records that were neither replayed nor discarded.

        Without expressions in the prefix one listing of folders tells, however many objects they hold.

        Raises:
            FailureReadError: the bucket can't be listed.
        """
        prefix = self.location.error_prefix or self.location.prefix
        if _EXPRESSION.search(prefix):
            return any(True for _ in self.objects())
        try:
            found = self._s3.list_objects_v2(Bucket=self.location.bucket, Prefix=prefix, Delimiter="/")
        except (ClientError, BotoCoreError) as error:
            raise FailureReadError(f"bucket {self.location.bucket} can't be listed: {error}") from error
        return any(self.location.kind_of(each["Prefix"]) for each in found.get("CommonPrefixes", ()))

    def newest(self, limit: int | None) -> list[FailureObject]:
        """Return the newest failure objects, newest first, `limit` at most. Memory grows with `limit` only.

        Without a limit all of them are returned: their names, not what they hold.

        Raises:
            FailureReadError: the bucket can't be listed.
        """
        if limit is None:
            return sorted(self.objects(), key=_age, reverse=True)
        return heapq.nlargest(limit, self.objects(), key=_age)

    def records(self, key: str) -> Iterator[FailedRecord]:
        """Yield each record of the failure object `key`, in the order of its lines.

        An object that can't be read, whole or from some point on, ends in one record with the `problem`; an empty
        object is one such record.

        Raises:
            NoSuchFailureError: `key` doesn't name a failure object, or there is none.
        """
        kind = self.location.kind_of(key)
        if kind is None:
            raise NoSuchFailureError(f"{key} is not a failure object of {self.location.bucket}")
        rows = self._records(key, kind)
        first = next(rows)  # there is always one
        if self.location.may_be_source(key) and _is_foreign(first):
            raise NoSuchFailureError(f"{key} holds source records, not failed ones")
        yield from chain((first,), rows)

    def records_of(self, objects: Iterable[FailureObject]) -> Iterator[FailedRecord]:
        """Yield each record of each object; an object that was deleted since it was listed is skipped."""
        for entry in objects:
            with contextlib.suppress(NoSuchFailureError):
                yield from self.records(entry.key)

    def record(self, key: str, line: int) -> FailedRecord:
        """Return one record.

        Raises:
            NoSuchFailureError: there is no such object, or no such line in it.
        """
        for row in self.records(key):
            if row.line == line:
                return row
        raise NoSuchFailureError(f"{key} has no line {line}")

    def _records(self, key: str, kind: FailureKind) -> Iterator[FailedRecord]:
        try:
            body = self._s3.get_object(Bucket=self.location.bucket, Key=key)["Body"]
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                raise NoSuchFailureError(f"there is no failure object {key}") from error
            yield FailedRecord(key, 0, kind, problem=f"the object can't be read: {error}", unread=True)
            return
        yield from failed_records(key, kind, body.iter_chunks(_CHUNK))

    def _holds_source(self, key: str, kind: FailureKind) -> bool:
        try:
            return _is_foreign(next(self._records(key, kind)))
        except NoSuchFailureError:  # deleted since it was listed
            return True


def _age(entry: FailureObject) -> tuple[datetime, str]:
    return entry.modified, entry.key


_FOREIGN: Final = "not a line of a failure object"


def failed_records(key: str, kind: FailureKind, body: Iterable[bytes]) -> Iterator[FailedRecord]:
    """Yield the records of one failure object from its bytes; any bytes give at least one, and none raise.

    Args:
        key: the object's key, for the records.
        kind: what the key says; a line's own fields come first.
        body: the object in pieces of any size: plain, gzip or zip.
    """
    number = -1
    read = False
    try:
        for number, line in lines(decompressed(body)):
            if line is None or line.strip():
                read = True
                yield _failed_record(key, number, kind, line)
    except (DamagedError, BotoCoreError) as error:
        problem, unread = f"the object can't be read from here on: {error}", isinstance(error, BotoCoreError)
        yield FailedRecord(key, number + 1, kind, problem=problem, unread=unread)
        return
    if not read:
        yield FailedRecord(key, 0, kind, problem="the object is empty")


def _failed_record(key: str, number: int, kind: FailureKind, line: bytes | None) -> FailedRecord:
    row = _parsed(line) if line is not None else None
    if row is None or not ("rawData" in row or "errorCode" in row):
        return FailedRecord(key, number, kind, problem=_FOREIGN if line is not None else f"{_FOREIGN}: it is too long")
    if any(name in row for name in _LAMBDA_FIELDS):
        kind = FailureKind.PROCESSING
    elif any(name in row for name in _DOCUMENT_FIELDS):
        kind = FailureKind.DOCUMENT
    data, problem = _decoded(row.get("rawData"))
    return FailedRecord(
        key,
        number,
        kind,
        code=_text(row.get("errorCode")),
        message=_text(row.get("errorMessage")),
        arrived_ms=_number(row.get("arrivalTimestamp")),
        attempts=_number(row.get("attemptsMade")),
        index=_text(row.get("esIndexName") or row.get("osIndexName")),
        document_id=_text(row.get("esDocumentId") or row.get("osDocumentId")),
        data=data,
        problem=problem,
    )


def _is_foreign(row: FailedRecord) -> bool:
    return row.problem.startswith(_FOREIGN)


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _decoded(raw: Any) -> tuple[bytes | None, str]:
    if not isinstance(raw, str):
        return None, "the line has no rawData"
    try:
        return base64.b64decode(raw, validate=True), ""
    except ValueError:
        return None, "rawData is not valid base64"


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:_MESSAGE_CHARACTERS]


def _number(value: Any) -> int | None:
    """Return a number that is JSON's or text: AWS writes numbers, and its documentation shows strings."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LARGEST else None


def _as_pattern(prefix: str) -> str:
    """Return a regular expression for what a prefix with expressions becomes ("Custom prefixes for S3 objects")."""
    parts: list[str] = []
    end = 0
    for match in _EXPRESSION.finditer(prefix):
        parts.append(re.escape(prefix[end : match.start()]))
        end = match.end()
        namespace, word = match.groups()
        if namespace == "timestamp":
            parts.append(_time_pattern(word))
        elif word == "error-output-type" and _ERROR_TYPE not in parts:
            parts.append(_ERROR_TYPE)
        else:
            parts.append(r"[^/]+?")
    return "".join([*parts, re.escape(prefix[end:])])


def _time_pattern(form: str) -> str:
    """Return a regular expression for a time by a pattern of Java's DateTimeFormatter."""
    runs = re.finditer(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']+", form)
    return "".join(
        (r"\d+" if run[2] in "yuMdDHms" else r"[^/]+?")
        if run[2]
        else re.escape(run.group() if run[1] is None else run[1])
        for run in runs
    )
