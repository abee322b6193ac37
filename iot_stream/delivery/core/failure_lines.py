"""The lines of failure objects, in the fields and order that AWS documents.

"Handle failure in data transformation" and "Handle data delivery failure" (OpenSearch Service). Timestamps and counts
are JSON numbers, as in the objects that AWS writes; the pages show them as strings.
"""

import base64

import msgspec

from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.record import Document, Record
from iot_stream.delivery.core.transformation import ProcessingError

__all__ = ["document_failure", "processing_failure"]


class _ProcessingFailure(msgspec.Struct, rename="camel"):
    attempts_made: int
    arrival_timestamp: int
    error_code: str
    error_message: str
    attempt_ending_timestamp: int
    raw_data: str
    lambda_arn: str


class _DocumentFailure(msgspec.Struct, rename="camel"):
    attempts_made: int
    arrival_timestamp: int
    error_code: str
    error_message: str
    attempt_ending_timestamp: int
    es_document_id: str
    es_index_name: str
    es_type_name: str
    raw_data: str


def processing_failure(record: Record, error: ProcessingError, *, attempts: int, now: int, function_arn: str) -> bytes:
    """Return the line for a record that the function failed; `rawData` is the ORIGINAL data."""
    line = _ProcessingFailure(attempts, record.arrived, error.code, error.message, now, record.data, function_arn)
    return msgspec.json.encode(line) + b"\n"


def document_failure(document: Document, error: IndexingError, *, attempts: int, now: int, with_id: bool) -> bytes:
    """Return the line for a document that the domain rejected; `rawData` is the document."""
    record = document.record
    line = _DocumentFailure(
        attempts,
        record.arrived,
        error.code,
        error.message,
        now,
        record.id if with_id else "",
        document.index,
        "",  # OpenSearch has no types
        base64.b64encode(document.body).decode(),
    )
    return msgspec.json.encode(line) + b"\n"
