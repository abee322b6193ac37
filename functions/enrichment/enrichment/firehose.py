"""Firehose's Lambda transformation: the request's records in, the response out.

Contract: Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data Firehose" (the parameters of
a response's record, the 6 MB of request and response). Every recordId comes back once, in order.
"""

from binascii import a2b_base64
from datetime import tzinfo
from itertools import batched
from typing import Any, Final, Literal, TypedDict

import msgspec

from enrichment import reading
from enrichment.reasons import Cause, ReadingError, Reason

__all__ = ["RESPONSE_LIMIT", "Batch", "EventError", "Result", "transform"]

RESPONSE_LIMIT: Final = 6_000_000  # bytes: Lambda's 6 MB for a synchronous response, in the smaller meaning of MB
_RESPONSE_OVERHEAD: Final = len('{"records": }')
_RESULT_OVERHEAD: Final = len('{"recordId": "", "result": "ProcessingFailed", "data": ""}, ')
_FAILED_OVERHEAD: Final = len("ProcessingFailed") - len("Ok")
_BLANKS: Final = 6  # after a record's colons and commas: Lambda's runtime writes them, msgspec does not
_CHUNK: Final = 500  # records at a time: keeps a large batch in the processor's cache, which saves a sixth of the time
_ESCAPED: Final = 6  # bytes that JSON makes of one character at most
_NOT_CONVERTED: Final = (msgspec.ValidationError, UnicodeEncodeError)  # the latter for half a surrogate pair
_NOT_FIREHOSE_S: Final = (
    "the event is not a Firehose transformation event: it has no list 'records' of objects with a 'recordId'."
    " Invoke this function through a delivery stream, or with a file of events/."
)


class EventError(ValueError):
    """The event is not a Firehose transformation event: the function was invoked by mistake."""


class _Event(msgspec.Struct, gc=False):
    records: list[Any]


class Result(TypedDict):
    """A record of the response. `Dropped` is never used: Firehose counts it as success and keeps no copy."""

    recordId: str
    result: Literal["Ok", "ProcessingFailed"]
    data: str


class Batch(msgspec.Struct):
    """The response to one invocation, and what its metrics and logs are made from."""

    results: list[Result]
    timestamps: list[str]
    """Device times of the readings that became documents."""
    bytes_in: int
    bytes_out: int
    failures: dict[Cause, list[str]] = msgspec.field(default_factory=dict)
    """RecordIds of the failed records by cause."""

    def fail(self, cause: Cause, record_id: str) -> None:
        """Add a failed record."""
        self.failures.setdefault(cause, []).append(record_id)


def transform(event: dict[str, Any], zone: tzinfo, limit: int = RESPONSE_LIMIT) -> Batch:
    """Turn each record of a Firehose event into a document, or into ProcessingFailed with its own data.

    Args:
        event: `{"records": [{"recordId", "data" (base64), "approximateArrivalTimestamp" (epoch ms),
            "kinesisRecordMetadata" (with a Kinesis source only)}]}`.
        zone: what a device time without an offset means.
        limit: most bytes that the response may have as JSON.

    Raises:
        EventError: the event has no such records.
    """
    given = _records_of(event)
    batch = Batch([], [], 0, 0)
    for some in batched(given, _CHUNK, strict=False):
        _transform_some(some, zone, batch)
    _fit(batch, given, limit)
    return batch


def _records_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return msgspec.convert(event, _Event).records
    except msgspec.ValidationError:
        raise EventError(_NOT_FIREHOSE_S) from None


def _transform_some(given: tuple[dict[str, Any], ...], zone: tzinfo, batch: Batch) -> None:
    ids, data = _ids_of(given), _data_of(given)
    documents, causes = _enrich_all(data, _arrivals_of(given), zone)
    lines = reading.encode(documents)
    texts = msgspec.to_builtins(lines)  # base64, in 60 % of the time that binascii takes for each line
    for position in causes:  # in ascending order, so that each text gets its position
        texts.insert(position, None)
    batch.results += [
        {"recordId": record_id, "result": "Ok", "data": text} if text is not None else _failed(original)
        for record_id, text, original in zip(ids, texts, given, strict=True)
    ]
    batch.timestamps += [document.timestamp for document in documents]
    batch.bytes_in += sum([len(each or b"") for each in data])
    batch.bytes_out += sum(map(len, lines))
    for position, cause in causes.items():
        batch.fail(cause, ids[position])


def _ids_of(given: tuple[dict[str, Any], ...]) -> list[str]:
    """Return the recordIds: opaque, about 160 characters each."""
    try:
        return msgspec.convert([record["recordId"] for record in given], list[str])
    except (TypeError, KeyError, msgspec.ValidationError):
        raise EventError(_NOT_FIREHOSE_S) from None


def _data_of(given: tuple[dict[str, Any], ...]) -> list[bytes | None]:
    """Return each record's data, None where it is not base64."""
    texts = [record.get("data", "") for record in given]
    try:
        return [*msgspec.convert(texts, list[bytes])]
    except _NOT_CONVERTED:  # at least one record is not base64
        return [_decode(text) for text in texts]


def _decode(text: object) -> bytes | None:
    try:
        return msgspec.convert(text, bytes)
    except _NOT_CONVERTED:
        return None


def _arrivals_of(given: tuple[dict[str, Any], ...]) -> list[object]:
    """Return when Kinesis took each record, or Firehose where there is no stream: epoch milliseconds."""
    try:
        return [record["kinesisRecordMetadata"]["approximateArrivalTimestamp"] for record in given]
    except (KeyError, TypeError):
        return [_arrival_of(record) for record in given]


def _arrival_of(record: dict[str, Any]) -> object:
    metadata = record.get("kinesisRecordMetadata")
    return (metadata if isinstance(metadata, dict) else record).get("approximateArrivalTimestamp")


def _enrich_all(
    data: list[bytes | None], arrivals: list[object], zone: tzinfo
) -> tuple[list[reading.Document], dict[int, Cause]]:
    """Return the documents in order, and the causes of the failed records by position."""
    documents: list[reading.Document] = []
    causes: dict[int, Cause] = {}
    for position, raw in enumerate(data):
        if raw is None:
            causes[position] = Cause(Reason.NOT_BASE64)
            continue
        try:
            documents.append(reading.enrich(raw, arrivals[position], zone))
        except ReadingError as error:
            causes[position] = error.cause
    return documents, causes


def _failed(record: dict[str, Any]) -> Result:
    data = record.get("data")
    # Only text can take the place of base64, and a lone surrogate can't be encoded.
    original = data.encode(errors="replace").decode() if isinstance(data, str) else ""
    return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": original}


def _fit(batch: Batch, given: list[dict[str, Any]], limit: int) -> None:
    """Replace the fewest documents by their original data so that the response is within the limit.

    That is always enough: the request, with the same data in a larger envelope, had the same limit.
    """
    results = batch.results
    ids = sum([len(result["recordId"]) for result in results])
    documents = (batch.bytes_out + 2 * len(results)) * 4 // 3  # in base64, padded
    if (
        not batch.failures
        and documents + _ESCAPED * ids + _RESULT_OVERHEAD * len(results) + _RESPONSE_OVERHEAD <= limit
    ):
        return  # the usual case, without computing the exact size
    excess = _RESPONSE_OVERHEAD + len(msgspec.json.encode(results)) + _BLANKS * len(results) - 1 - limit
    if excess <= 0:
        return
    savings = [
        (len(result["data"]) - len(original["data"]) - _FAILED_OVERHEAD, index)
        for index, (result, original) in enumerate(zip(results, given, strict=True))
        if result["result"] == "Ok"
    ]
    for saved, index in sorted(savings, reverse=True):
        if excess <= 0 or saved <= 0:
            return
        excess -= saved
        batch.bytes_out -= len(a2b_base64(results[index]["data"]))
        results[index] = _failed(given[index])
        batch.fail(Cause(Reason.RESPONSE_TOO_LARGE), given[index]["recordId"])
