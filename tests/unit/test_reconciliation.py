"""Every record that the stream accepted is found, in the index or in a failure object, or said to be missing."""

import io
import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import pytest

from iot_stream.errors import SetupError
from iot_stream.failure_objects import FailedRecord, FailureKind, failed_records
from iot_stream.generator.ledger import Accepted, digest_of
from iot_stream.run.reconciliation import Reconciliation, reconcile
from iot_stream.run.session import check_parameters


class _Index:
    """An index that can be searched by ids, as OpenSearch does (Query DSL, IDs)."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = list(ids)

    def search(self, index: str, body: dict[str, Any], params: dict[str, str]) -> dict[str, Any]:
        assert (index, params) == ("iot-stream*", {"ignore_unavailable": "true"})
        wanted = set(body["query"]["ids"]["values"])
        hits = [{"_id": name} for name in self.ids if name in wanted]
        assert len(hits) <= body["size"] <= 10_000
        return {"hits": {"hits": hits}}


def _record(number: int, data: bytes | None = None) -> Accepted:
    return Accepted("shardId-000000000002", str(number), digest_of(data or str(number).encode()))


def _processing(data: bytes | None) -> FailedRecord:
    return FailedRecord("key", 0, FailureKind.PROCESSING, data=data)


def test_each_record_is_searchable_failed_or_missing() -> None:
    """A doubled document does not make up for a lost record, and what others sent counts for nothing."""
    sent = [_record(number) for number in range(12_000)]
    ids = [f"2.{number}.0" for number in range(11_997)]
    index: Any = _Index([*ids, ids[0], "2.99999.0"])
    rejected = FailedRecord("key", 1, FailureKind.DOCUMENT, document_id="2.11998.0", data=b"{}")
    result = reconcile(sent, index, "iot-stream*", [_processing(b"11997"), rejected, _processing(b"foreign")])
    assert result == Reconciliation(sent=12_000, searchable=11_997, failed=2, missing=1, duplicates=1)
    assert not result.complete


def test_a_record_in_both_places_counts_once() -> None:
    """At-least-once delivery may leave a failure object for a document that a retry has written."""
    index: Any = _Index(["2.1.0"])
    assert reconcile([_record(1)], index, "iot-stream*", [_processing(b"1")]) == Reconciliation(1, 1, 0, 0, 0)


def test_records_of_equal_bytes_need_a_failure_each() -> None:
    """One failed line does not account for two records."""
    index: Any = _Index([])
    records = [_record(1, b"same"), _record(2, b"same"), _record(3, b"same")]
    result = reconcile(records, index, "iot-stream*", [_processing(b"same"), _processing(b"same"), _processing(None)])
    assert result == Reconciliation(sent=3, searchable=0, failed=2, missing=1, duplicates=0)


def test_a_record_without_any_field_is_accounted_for() -> None:
    """Bytes that are not JSON: the failure object's rawData is what the stream accepted."""
    data = b"\xff\x00 not JSON"
    line = json.dumps({"rawData": b64encode(data).decode(), "errorCode": "Lambda.ProcessingFailedStatus"}).encode()
    failures = failed_records("key", FailureKind.PROCESSING, io.BytesIO(line + b"\n"))
    index: Any = _Index([])
    assert reconcile([_record(1, data)], index, "iot-stream*", failures).complete


def test_a_run_that_can_not_be_accounted_for_is_refused_before_it_starts() -> None:
    """Documents without ids can't be found one by one; anything else is allowed."""
    check_parameters({"DocumentIdFormat": "FIREHOSE_DEFAULT", "IndexName": "NO_DOCUMENT_ID"})
    with pytest.raises(SetupError, match="DocumentIdFormat=NO_DOCUMENT_ID leaves none: use `iot-stream up`"):
        check_parameters({"DocumentIdFormat": "NO_DOCUMENT_ID"})
