"""Bulk requests and responses, failure lines and object bodies."""

import base64
import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core import bulk
from iot_stream.delivery.core.bulk import IndexingError, build_body, parse_response
from iot_stream.delivery.core.commands import Store
from iot_stream.delivery.core.failure_lines import document_failure, processing_failure
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.record import Document, FailureLine, Record, SourceCopy
from iot_stream.delivery.core.transformation import FUNCTION_ERROR
from iot_stream.delivery.edges.s3 import object_body


def make_document(body: bytes, index: str = "i", number: int = 1) -> Document:
    """Return a document of a record whose original data is 'original'."""
    record = Record("shardId-000000000000", "9", None, "key", 1000 + number, "b3JpZ2luYWw=", f"0.9.{number}", 8)
    return Document(record, body, index)


lines = st.dictionaries(st.text(max_size=5), st.text(max_size=5)).map(lambda value: json.dumps(value).encode())


@given(st.lists(st.tuples(lines, st.sampled_from(["a", "b-2026", 'odd"name'])), min_size=1, max_size=10), st.booleans())
def test_a_body_is_pairs_of_lines(contents: list[tuple[bytes, str]], with_ids: bool) -> None:
    """For each document its action with index (and id), then the document, byte for byte; a newline ends it."""
    documents = [make_document(body, index, n) for n, (body, index) in enumerate(contents)]
    body = build_body(documents, with_ids=with_ids)
    assert body.endswith(b"\n")
    written = body[:-1].split(b"\n")
    assert written[1::2] == [document.body for document in documents]
    for action, document in zip(written[::2], documents, strict=True):
        identity = {"_id": document.record.id} if with_ids else {}
        assert json.loads(action) == {"index": {"_index": document.index} | identity}
    assert len(body) <= sum(map(bulk.wire_size, documents))


@pytest.mark.parametrize("body", [b"", b"  ", b'{"a":1}\n{"index":{}}', b"\n", b'{\n"a":1}'])
def test_what_would_shift_a_body_is_not_one_line(body: bytes) -> None:
    """An empty document or one with a newline would turn documents into actions."""
    assert not bulk.is_one_line(body)


def test_each_item_has_its_own_result() -> None:
    """2xx is indexed; 400 is final; 429, 5xx and 403 are retryable; the domain's error is kept."""
    items: list[dict[str, Any]] = [
        {"index": {"status": 201}},
        {"index": {"status": 200}},
        {"index": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}}},
        {"index": {"status": 429, "error": "rejected"}},
        {"index": {"status": 503, "error": {"type": "unavailable"}}},
        {"index": {"status": 403, "error": {"type": "security_exception"}}},
    ]
    results = parse_response(6, 200, json.dumps({"items": items}).encode())
    assert results[:2] == [None, None]
    assert results[2] is not None
    assert results[2].message == '{"type":"mapper_parsing_exception","reason":"no"}'
    assert [result.retryable for result in results[2:] if result] == [False, True, True, True]


def test_a_documents_values_stay_out_of_logs() -> None:
    """Values that a mapping error quotes are in the failure object, and not in the summary for the log."""
    reason = "failed to parse field [t] of type [long] in document with id '1'. Preview of field's value: 'secret'"
    caused = {"type": "illegal_argument_exception", "reason": 'For input string: "secret"'}
    error = {"type": "mapper_parsing_exception", "reason": reason, "caused_by": caused}
    (found,) = parse_response(1, 200, json.dumps({"items": [{"index": {"status": 400, "error": error}}]}).encode())
    assert found is not None
    assert json.loads(found.message) == error
    assert found.summary.startswith("mapper_parsing_exception: failed to parse field [t] of type [long]")
    assert "secret" not in found.summary


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"Forbidden", "Forbidden"),
        (b'{"message":"no.\\n\\nThe Canonical String for this request should have been\\n\'POST"}', '{"message":"no.'),
    ],
)
def test_an_error_keeps_the_domains_message_but_not_the_signed_request(payload: bytes, words: str) -> None:
    """The message ends exactly where the signed request begins."""
    (found,) = parse_response(1, 403, payload)
    assert found is not None
    assert found.message == words


def test_a_term_that_is_too_long_stays_out_of_logs() -> None:
    """Lucene's message, as a real OpenSearch returns it, holds the beginning of the text as numbers."""
    reason = (
        'Document contains at least one immense term in field="k" (whose UTF8 encoding is longer than the max length '
        "32766), all of which were skipped.  Please correct the analyzer to not produce such terms.  The prefix of the "
        "first immense term is: '[115, 101, 99, 114, 101, 116]...', original message: bytes can be at most 32766 in "
        "length; got 48000"
    )
    error = {"type": "illegal_argument_exception", "reason": reason}
    (found,) = parse_response(1, 200, json.dumps({"items": [{"index": {"status": 400, "error": error}}]}).encode())
    assert found is not None
    assert 'immense term in field="k"' in found.summary
    assert "115, 101" not in found.summary


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, True), (403, True), (413, False), (429, True), (500, True), (503, True)],
)
def test_an_error_of_the_whole_request_applies_to_each_document(status: int, retryable: bool) -> None:
    """A new domain's 401 and 503, a missing mapping's 403, and 429 are retryable; other errors are final."""
    results = parse_response(2, status, b"plain text")
    assert results == [IndexingError(status, "plain text")] * 2
    assert all(result is not None and result.retryable is retryable for result in results)


@pytest.mark.parametrize("payload", [b"", b"<html>", b"{}", b'{"items": []}', b'{"items": [{"index": {}}, {}]}'])
def test_a_foreign_response_says_nothing(payload: bytes) -> None:
    """A body that is not the response to this request counts as no response: the documents are retried."""
    assert all(result is not None and result.retryable for result in parse_response(2, 200, payload))


def test_codes_are_awss() -> None:
    """Failure objects have HTTP codes; the log has AWS's name for a missing mapping."""
    assert (IndexingError(403, "").code, IndexingError(403, "").log_code) == ("403", "OS.BulkWritePermissionDenied")
    assert (IndexingError(None, "").code, IndexingError(None, "").log_code) == (
        "OS.ServiceException",
        "OS.ServiceException",
    )
    assert IndexingError(429, "").log_code == "OS.429"


def test_a_processing_failure_keeps_the_original() -> None:
    """Fields and order as documented, numbers as numbers, rawData the record's own base64."""
    record = make_document(b"{}").record
    line = processing_failure(record, FUNCTION_ERROR, attempts=4, now=5000, function_arn="arn:function")
    assert line == (
        b'{"attemptsMade":4,"arrivalTimestamp":1001,"errorCode":"Lambda.FunctionError","errorMessage":'
        b'"The Lambda function was successfully invoked but it returned an error result.",'
        b'"attemptEndingTimestamp":5000,"rawData":"b3JpZ2luYWw=","lambdaArn":"arn:function"}\n'
    )


def test_a_document_failure_keeps_the_document() -> None:
    """Fields and order as documented; the id of the document, and an empty one with NO_DOCUMENT_ID."""
    document = make_document(b'{"a":1}', "iot-stream")
    line = document_failure(document, IndexingError(400, "no"), attempts=1, now=5000, with_id=True)
    assert line == (
        b'{"attemptsMade":1,"arrivalTimestamp":1001,"errorCode":"400","errorMessage":"no",'
        b'"attemptEndingTimestamp":5000,"esDocumentId":"0.9.1","esIndexName":"iot-stream","esTypeName":"",'
        b'"rawData":"eyJhIjoxfQ=="}\n'
    )
    without = document_failure(document, IndexingError(400, "no"), attempts=1, now=5000, with_id=False)
    assert json.loads(without)["esDocumentId"] == ""


def test_objects_are_lines_or_concatenated_sources() -> None:
    """Failures are lines; source records are concatenated without a delimiter; both are compressed the same way."""
    record = make_document(b"{}").record
    lines = [FailureLine(record, b"one\n"), FailureLine(record, b"two\n")]
    failures = Store("k", ObjectKind.PROCESSING_FAILURE, lines)
    sources = Store("dir/name.zip", ObjectKind.SOURCE, [SourceCopy(record), SourceCopy(record)])
    assert object_body(failures, "UNCOMPRESSED") == b"one\ntwo\n"
    assert object_body(sources, "UNCOMPRESSED") == b"originaloriginal"
    assert gzip.decompress(object_body(failures, "GZIP")) == b"one\ntwo\n"
    with zipfile.ZipFile(io.BytesIO(object_body(sources, "ZIP"))) as archive:
        assert archive.namelist() == ["name"]
        assert archive.read("name") == base64.b64decode(record.data) * 2
