"""The event that Firehose sends to a transformation function, and the check of the function's response.

Contract: "Transform source data in Amazon Data Firehose" and its status model; error codes and messages as in
"Lambda invocation errors" and as seen in failure objects that AWS wrote.
"""

import base64
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from iot_stream.delivery.core.record import Record
from iot_stream.delivery.errors import DECODE_ERRORS

__all__ = [
    "ACCESS_DENIED",
    "ASSUME_ROLE_DENIED",
    "DROPPED",
    "DUPLICATED",
    "FLAGGED",
    "FUNCTION_ERROR",
    "LIMIT_EXCEEDED",
    "MAX_PAYLOAD",
    "MISSING",
    "NOT_FOUND",
    "NOT_PARSED",
    "TIMED_OUT",
    "ProcessingError",
    "Stream",
    "Verdict",
    "build_event",
    "decode",
    "parse_error",
    "parse_response",
    "payload_bound",
    "wire_size",
]

# Lambda's limit for a synchronous request and for its response ("Lambda quotas"): 6 MB, base64 included.
MAX_PAYLOAD: Final = 6 * 1024 * 1024
# The most that one record takes in the event besides its data and partition key: names, ids, timestamps.
_FRAME: Final = 640
_HEAD: Final = 4096


class ProcessingError(NamedTuple):
    """Why a record or a whole batch was not processed: AWS's error code and message."""

    code: str
    message: str


class _Dropped(Enum):
    DROPPED = "Dropped"


DROPPED: Final = _Dropped.DROPPED
type Verdict = bytes | _Dropped | ProcessingError

FUNCTION_ERROR: Final = ProcessingError(
    "Lambda.FunctionError", "The Lambda function was successfully invoked but it returned an error result."
)
TIMED_OUT: Final = ProcessingError(
    "Lambda.FunctionTimedOut",
    "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.",
)
LIMIT_EXCEEDED: Final = ProcessingError(
    "Lambda.InvokeLimitExceeded",
    "The Lambda concurrent execution limit is exceeded. Increase the concurrent execution limit.",
)
NOT_FOUND: Final = ProcessingError(
    "Lambda.ResourceNotFound",
    "The specified Lambda function does not exist. Use a different function that does exist.",
)
ACCESS_DENIED: Final = ProcessingError(
    "Lambda.InvokeAccessDenied",
    "Access was denied. Ensure that the access policy allows access to the Lambda function.",
)
ASSUME_ROLE_DENIED: Final = ProcessingError(
    "Lambda.AssumeRoleAccessDenied",
    "Access was denied. Ensure that the trust policy for the provided IAM role allows Amazon Data Firehose to assume "
    "the role.",
)
NOT_PARSED: Final = ProcessingError(
    "Lambda.JsonProcessingException",
    "There was an error parsing returned records from the Lambda function. Ensure that the returned records follow "
    "the status model required by Amazon Data Firehose.",
)
DUPLICATED: Final = ProcessingError(
    "Lambda.DuplicatedRecordId",
    "Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique record "
    "IDs for each record.",
)
MISSING: Final = ProcessingError(
    "Lambda.MissingRecordId",
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.",
)
FLAGGED: Final = ProcessingError("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record")


class Stream(NamedTuple):
    """What the event says about where its records come from."""

    delivery_stream_arn: str
    source_arn: str
    region: str


class _Metadata(msgspec.Struct, rename="camel"):
    sequence_number: str
    subsequence_number: int | str
    partition_key: str
    shard_id: str
    approximate_arrival_timestamp: int


class _EventRecord(msgspec.Struct, rename="camel"):
    record_id: str
    approximate_arrival_timestamp: int
    data: str
    kinesis_record_metadata: _Metadata


class _Event(msgspec.Struct, rename="camel"):
    invocation_id: str
    source_kinesis_stream_arn: str
    delivery_stream_arn: str
    region: str
    records: list[_EventRecord]


class _WellFormedRecord(msgspec.Struct, rename="camel"):
    record_id: str
    result: str
    data: bytes | None = None  # msgspec decodes base64, and refuses what `validate=True` refuses


class _WellFormedResponse(msgspec.Struct):
    records: list[_WellFormedRecord]


class _AnyRecord(msgspec.Struct, rename="camel"):
    # Accept any JSON, so that one malformed record does not fail its batch.
    record_id: Any = None
    result: Any = None
    data: msgspec.Raw = msgspec.Raw(b"")


class _AnyResponse(msgspec.Struct):
    records: list[_AnyRecord]


def wire_size(record: Record) -> int:
    """Return the most bytes that a record takes in an event."""
    return len(record.data) + len(record.partition_key.encode()) * 6 + _FRAME


def decode(data: str) -> bytes:
    """Return the bytes of base64 `data` from the stream."""
    return base64.b64decode(data)


def payload_bound() -> int:
    """Return how many bytes of `wire_size` fit into one invocation."""
    return MAX_PAYLOAD - _HEAD


def build_event(stream: Stream, invocation_id: str, records: list[Record]) -> bytes:
    """Return the event for one batch, as JSON."""
    return msgspec.json.encode(
        _Event(
            invocation_id,
            stream.source_arn,
            stream.delivery_stream_arn,
            stream.region,
            [
                _EventRecord(
                    record.id,
                    record.arrived,
                    record.data,
                    _Metadata(
                        record.sequence,
                        "" if record.subsequence is None else record.subsequence,
                        record.partition_key,
                        record.shard,
                        record.arrived,
                    ),
                )
                for record in records
            ],
        )
    )


_decode_well_formed = msgspec.json.Decoder(_WellFormedResponse).decode
_decode_any = msgspec.json.Decoder(_AnyResponse).decode


def parse_response(records: list[Record], payload: bytes) -> list[Verdict]:
    """Return the verdict on each record of the batch, in the batch's order. Never raises.

    A verdict is the document (bytes), DROPPED, or the ProcessingError that makes the record a processing failure. A
    response that is not JSON or has no `records` fails the whole batch; a missing, duplicated or malformed response
    record fails only its own record; one for an unknown recordId is ignored.
    """
    names: list[Any]
    try:
        # The common case takes a quarter of the time; one malformed record needs the other.
        well_formed = _decode_well_formed(payload).records
        names = [item.record_id for item in well_formed]
        verdicts = [_verdict(item.result, item.data) for item in well_formed]
    except DECODE_ERRORS:
        try:
            returned = _decode_any(payload).records
        except DECODE_ERRORS:
            return [NOT_PARSED] * len(records)
        names = [item.record_id for item in returned]
        verdicts = [_verdict(item.result, _decode_data(bytes(item.data))) for item in returned]
    if names == [record.id for record in records]:
        return verdicts
    by_id: dict[str, Verdict] = {}
    for name, verdict in zip(names, verdicts, strict=True):
        if isinstance(name, str):
            by_id[name] = DUPLICATED if name in by_id else verdict
    return [by_id.get(record.id, MISSING) for record in records]


def parse_error(payload: bytes) -> ProcessingError:
    """Return the error for a response with FunctionError: a timeout, or any other error of the function."""
    return TIMED_OUT if b"Task timed out" in payload or b"Sandbox.Timedout" in payload else FUNCTION_ERROR


def _verdict(result: Any, data: bytes | None) -> Verdict:
    if result == "Ok":
        return NOT_PARSED if data is None else data
    if result == "Dropped":
        return DROPPED
    return FLAGGED if result == "ProcessingFailed" else NOT_PARSED


def _decode_data(data: bytes) -> bytes | None:
    """Return the bytes in a JSON string of base64, or None if it is anything else."""
    if data[:1] != b'"':
        return None
    try:
        # Base64 needs no JSON escape, so the quotes can simply be removed; but some writers escape / or =.
        text = msgspec.json.decode(data, type=str) if b"\\" in data else data[1:-1]
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one, and so is text that is not ASCII
        return None
