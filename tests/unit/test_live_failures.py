"""The page's list of failures: the newest first, and one record at a time."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from iot_stream.failure_objects import BackupLocation, FailureKind, FailureObject, FailureObjects, NoSuchFailureError
from iot_stream.failures.progress import Progress, ProgressStore
from iot_stream.live.failures import Failures

BUCKET, PREFIX = "backup", "opensearch_backup/"
PROCESSING = PREFIX + "processing-failed/2026/11/22/10/stream-1"
LINE = {
    "attemptsMade": 1,
    "arrivalTimestamp": 1_763_806_530_123,
    "errorCode": "Lambda.ProcessingFailedStatus",
    "errorMessage": "ProcessingFailed status set for record",
    "attemptEndingTimestamp": 1_763_806_532_000,
    "rawData": base64.b64encode(b'{"device_ts": "broken"}').decode(),
    "lambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:iot-enrichment",
}


@pytest.fixture
def failures(s3: Any) -> Failures:
    """The failures in the backup bucket."""
    return Failures(FailureObjects(s3, BackupLocation(BUCKET, PREFIX, PREFIX)), ProgressStore(s3, BUCKET))


def put(s3: Any, key: str, *lines: Any) -> None:
    """Write a failure object."""
    s3.put_object(Bucket=BUCKET, Key=key, Body="".join(json.dumps(line) + "\n" for line in lines).encode())


def test_a_failure_tells_where_and_why_but_not_the_record(s3: Any, failures: Failures) -> None:
    """The list carries no payload."""
    put(s3, PROCESSING, LINE)
    (failure,) = failures.recent()
    assert (failure.step, failure.code) == ("Transform", "Lambda.ProcessingFailedStatus")
    assert failure.message == "ProcessingFailed status set for record"
    assert (failure.arrived_ms, failure.attempts) == (1_763_806_530_123, 1)
    assert "device_ts" not in repr(failure)


@pytest.mark.parametrize("spelling", ["AmazonOpenSearchService_failed", "AmazonOpenSearchService-failed"])
def test_a_refused_document_failed_at_the_index(s3: Any, failures: Failures, spelling: str) -> None:
    """AWS's two documents spell the folder in two ways; numbers may come as strings."""
    refused = {name: value for name, value in LINE.items() if name != "lambdaArn"}
    refused |= {"errorCode": "400", "errorMessage": "mapper_parsing_exception", "attemptsMade": "4"}
    put(s3, f"{PREFIX}{spelling}/2026/11/22/10/stream-1", refused)
    (failure,) = failures.recent()
    assert (failure.step, failure.attempts) == ("Index", 4)


def test_the_newest_object_comes_first(s3: Any) -> None:
    """Yesterday's failures must not hide today's, whatever the objects' names."""
    day = datetime(2026, 11, 22, tzinfo=UTC)
    days = {"b": day, "c": day - timedelta(days=1), "a": day - timedelta(days=2)}

    class Listed(FailureObjects):
        """Objects of three days, one failure in each."""

        def objects(self) -> Iterator[FailureObject]:
            return (FailureObject(PREFIX + "processing-failed/" + k, FailureKind.PROCESSING, 1, days[k]) for k in "abc")

    for name in days:
        put(s3, f"{PREFIX}processing-failed/{name}", {**LINE, "errorCode": name})
    failures = Failures(Listed(s3, BackupLocation(BUCKET, PREFIX, PREFIX)), ProgressStore(s3, BUCKET))
    assert [failure.code for failure in failures.recent()] == ["b", "c", "a"]
    assert [failure.code for failure in failures.recent(limit=1)] == ["b"]


def test_a_record_that_was_replayed_is_not_in_the_list(s3: Any, failures: Failures) -> None:
    """Others of its object still are."""
    put(s3, PROCESSING, *[LINE] * 3)
    ProgressStore(s3, BUCKET).save(PROCESSING, Progress({0, 2}))
    assert [failure.line for failure in failures.recent(limit=1)] == [1]


def test_the_record_is_given_for_one_line(s3: Any, failures: Failures) -> None:
    """Decoded, when asked for."""
    put(s3, PROCESSING, {**LINE, "rawData": ""}, LINE)
    assert failures.payload(PROCESSING, 1) == '{"device_ts": "broken"}'


def test_a_record_that_is_not_text_stays_base64(s3: Any, failures: Failures) -> None:
    """Bytes of any kind can be shown."""
    data = base64.b64encode(b"\xff\x00").decode()
    put(s3, PROCESSING, {**LINE, "rawData": data})
    assert data in failures.payload(PROCESSING, 0)


@pytest.mark.parametrize(("key", "line"), [(PROCESSING, 7), ("secret/other.txt", 0)], ids=["line", "key"])
def test_nothing_else_of_the_bucket_is_given_out(s3: Any, failures: Failures, key: str, line: int) -> None:
    """Only lines of failure objects under the prefix can be asked for."""
    put(s3, PROCESSING, LINE)
    put(s3, "secret/other.txt", LINE)
    with pytest.raises(NoSuchFailureError):
        failures.payload(key, line)


def test_an_unreadable_line_is_a_row_that_says_so(s3: Any, failures: Failures) -> None:
    """In its place, and its record is the reason too."""
    s3.put_object(Bucket=BUCKET, Key=PROCESSING, Body=json.dumps(LINE).encode() + b"\nnot json\n")
    assert [failure.code for failure in failures.recent()] == ["Lambda.ProcessingFailedStatus", "unreadable"]
    assert failures.recent()[1].message == failures.payload(PROCESSING, 1) == "not a line of a failure object"


def test_the_list_has_an_end(s3: Any, failures: Failures) -> None:
    """A million failures do not make a page of a million rows."""
    put(s3, PROCESSING, *[LINE] * 500)
    assert len(failures.recent(limit=100)) == 100


def test_objects_that_are_not_failures_are_passed_over(s3: Any, failures: Failures) -> None:
    """With a backup of all source records, those lie under the same prefix."""
    put(s3, f"{PREFIX}2026/11/22/10/stream-1", LINE)
    assert failures.recent() == []


def test_a_long_record_is_cut(s3: Any, failures: Failures) -> None:
    """After 16,384 characters: the page shows records, it is no way to copy them."""
    put(s3, PROCESSING, *({**LINE, "rawData": base64.b64encode(b"x" * size).decode()} for size in (16_384, 16_385)))
    assert [len(failures.payload(PROCESSING, line)) for line in range(2)] == [16_384, 16_384]


def test_as_many_objects_are_read_as_rows_are_asked_for(s3: Any, failures: Failures) -> None:
    """A page that refreshes does not read a whole bucket, and leaves none out that it asked for."""
    for number in range(61):
        put(s3, f"{PREFIX}processing-failed/{number:02}", {**LINE, "errorCode": str(number)})
    assert len(failures.recent(limit=1_000)) == 61
    assert len(failures.recent(limit=60)) == 60
