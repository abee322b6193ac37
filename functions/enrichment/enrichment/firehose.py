"""Firehose's Lambda transformation: the request's records in, the response out.

Contract: Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data Firehose" (the parameters of
a response's record, the 6 MB of request and response). Every recordId comes back once, in order.
"""

from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypedDict

import msgspec

from enrichment import reading
from enrichment.reading import Enricher
from enrichment.reasons import Cause, Reason

__all__ = ["RESPONSE_LIMIT", "Batch", "EventError", "Result", "transform"]

RESPONSE_LIMIT: Final = 6_000_000  # bytes: Lambda's 6 MB for a synchronous response, in the smaller meaning of MB
_RESPONSE_OVERHEAD: Final = len('{"records": }')
_RESULT_OVERHEAD: Final = len('{"recordId": "", "result": "ProcessingFailed", "data": ""}, ')
_FAILED_OVERHEAD: Final = len("ProcessingFailed") - len("Ok")
_BLANKS: Final = 6  # after a record's colons and commas: Lambda's runtime writes them, msgspec does not
_CHUNK: Final = 500  # records at a time: keeps a large batch in the processor's cache, which saves a sixth of the time
_ESCAPED: Final = 6  # bytes that JSON makes of one character at most
_NOT_CONVERTED: Final = (msgspec.ValidationError, UnicodeEncodeError)  # the latter for half a surrogate pair
_MSK_DATA: Final = "kafkaRecordValue"  # where a record has its data when the source is Amazon MSK
_NOT_FIREHOSE_S: Final = (
    "the event is not a Firehose transformation event: it has no list 'records' of objects with a 'recordId'."
    " Invoke this function through a delivery stream, or with a file of events/."
)


class EventError(ValueError):
    """The event is not a Firehose transformation event: the function was invoked by mistake."""


class _Data(msgspec.Struct, gc=False):
    """Base64 to decode. A struct, because msgspec compiles its types once, and a bare `list[bytes]` at every call."""

    texts: list[bytes]


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

    failed: int = 0
    """Records that failed, each with one cause or more."""
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    """How many documents lack an undescribed field that their reading had, by its path."""

    def fail(self, causes: Iterable[Cause], record_id: str) -> None:
        """Add a failed record."""
        self.failed += 1
        for cause in causes:
            self.failures.setdefault(cause, []).append(record_id)


def transform(event: dict[str, Any], enricher: Enricher, limit: int = RESPONSE_LIMIT) -> Batch:
    """Turn each record of a Firehose event into a document, or into ProcessingFailed with its own data.

    Args:
        event: `{"records": [{"recordId", "data" (base64), "approximateArrivalTimestamp" (epoch ms),
            "kinesisRecordMetadata" (with a Kinesis source only)}]}`.
        enricher: makes documents of readings.
        limit: most bytes that the response may have as JSON.

    Raises:
        EventError: the event has no such records.
    """
    given = _records_of(event)
    ids = _ids_of(given)
    batch = Batch([], [], 0, 0)
    for start in range(0, len(given), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        _transform_some(given[chunk], ids[chunk], enricher, batch)
    _fit(batch, given, ids, limit)
    return batch


def _records_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    records = event.get("records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        raise EventError(_NOT_FIREHOSE_S)
    return records


def _transform_some(given: list[dict[str, Any]], ids: list[str], enricher: Enricher, batch: Batch) -> None:
    data = _data_of(given)
    enriched = enricher.enrich_all(data, _arrivals_of(given))
    causes = enriched.causes
    good = [record_id for position, record_id in enumerate(ids) if position not in causes] if causes else ids
    lines = reading.encode(enriched.documents)
    texts = msgspec.to_builtins(lines)  # base64, in 60 % of the time that binascii takes for each line
    results: list[Result] = [
        {"recordId": record_id, "result": "Ok", "data": text} for record_id, text in zip(good, texts, strict=True)
    ]
    for position, why in causes.items():  # in ascending order, so that each result gets its position
        results.insert(position, _failed(given[position]))
        from_msk = _MSK_DATA in given[position]  # what the bytes say does not matter then
        batch.fail([Cause(Reason.MSK_RECORD)] if from_msk else why, ids[position])
    batch.results += results
    batch.timestamps += enriched.timestamps
    batch.bytes_in += sum(map(len, filter(None, data)))
    batch.bytes_out += sum(map(len, lines))
    for name, count in enriched.dropped.items():
        batch.dropped[name] = batch.dropped.get(name, 0) + count


def _ids_of(given: list[dict[str, Any]]) -> list[str]:
    """Return the recordIds: opaque, about 160 characters each."""
    try:
        ids = [record["recordId"] for record in given]
        ascii_only = "".join(ids).isascii()
    except (TypeError, KeyError):
        raise EventError(_NOT_FIREHOSE_S) from None
    # One that can't be written would break the response; so Firehose misses that record alone.
    return ids if ascii_only else [_encodable(record_id) for record_id in ids]


def _data_of(given: list[dict[str, Any]]) -> Sequence[bytes | None]:
    """Return each record's data, None where it is not base64."""
    try:
        return msgspec.convert({"texts": [record["data"] for record in given]}, _Data).texts
    except (KeyError, *_NOT_CONVERTED):  # at least one record has no data, or what is not base64
        return [_decode(record.get("data", "")) for record in given]


def _decode(text: object) -> bytes | None:
    try:
        return msgspec.convert(text, bytes)
    except _NOT_CONVERTED:
        return None


def _arrivals_of(given: list[dict[str, Any]]) -> list[object]:
    """Return when Kinesis took each record, or Firehose where there is no stream: epoch milliseconds."""
    try:
        return [record["kinesisRecordMetadata"]["approximateArrivalTimestamp"] for record in given]
    except (KeyError, TypeError):
        return [_arrival_of(record) for record in given]


def _arrival_of(record: dict[str, Any]) -> object:
    metadata = record.get("kinesisRecordMetadata")
    return (metadata if isinstance(metadata, dict) else record).get("approximateArrivalTimestamp")


def _failed(record: dict[str, Any]) -> Result:
    data = record.get("data", record.get(_MSK_DATA))
    original = _encodable(data) if isinstance(data, str) else ""
    return {"recordId": _encodable(record["recordId"]), "result": "ProcessingFailed", "data": original}


def _encodable(text: str) -> str:
    """Return text with a question mark for each half of a surrogate pair, which has no UTF-8 form."""
    return text.encode(errors="replace").decode()


def _fit(batch: Batch, given: list[dict[str, Any]], ids: list[str], limit: int) -> None:
    """Replace the fewest documents by their original data so that the response is within the limit.

    That is always enough: the request, with the same data in a larger envelope, had the same limit.
    """
    results = batch.results
    documents = (batch.bytes_out + 2 * len(results)) * 4 // 3  # in base64, padded
    if (
        not batch.failures
        and documents + _ESCAPED * len("".join(ids)) + _RESULT_OVERHEAD * len(results) + _RESPONSE_OVERHEAD <= limit
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
        batch.fail([Cause(Reason.RESPONSE_TOO_LARGE)], given[index]["recordId"])
