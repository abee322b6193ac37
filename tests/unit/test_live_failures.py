"""What failed and why, read from failure objects as AWS writes them."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from iot_stream.live.failures import FailureReadError, Failures, NoSuchFailureError

BUCKET, PREFIX = "backup", "opensearch_backup/"
PROCESSING = PREFIX + "processing-failed/2026/11/22/10/stream-1"
# A line of each kind: what a capture of 2022 and one of 2025 hold, and the documents' strings for numbers.
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
def s3() -> Iterator[Any]:
    """An S3 client with an empty backup bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3: Any, key: str, *lines: Any) -> None:
    """Write a failure object."""
    s3.put_object(Bucket=BUCKET, Key=key, Body="".join(json.dumps(line) + "\n" for line in lines).encode())


def test_a_failure_tells_where_and_why_but_not_the_record(s3: Any) -> None:
    """The list carries no payload."""
    put(s3, PROCESSING, LINE)
    (failure,) = Failures(s3, BUCKET, PREFIX).recent()
    assert (failure.step, failure.code) == ("Transform", "Lambda.ProcessingFailedStatus")
    assert failure.message == "ProcessingFailed status set for record"
    assert (failure.arrived_ms, failure.attempts) == (1_763_806_530_123, 1)
    assert "device_ts" not in repr(failure)


@pytest.mark.parametrize("spelling", ["AmazonOpenSearchService_failed", "AmazonOpenSearchService-failed"])
def test_a_refused_document_failed_at_the_index(s3: Any, spelling: str) -> None:
    """AWS's two documents spell the folder in two ways; numbers may come as strings."""
    refused = {**LINE, "errorCode": "400", "errorMessage": "mapper_parsing_exception", "attemptsMade": "4"}
    put(s3, f"{PREFIX}{spelling}/2026/11/22/10/stream-1", refused)
    (failure,) = Failures(s3, BUCKET, PREFIX).recent()
    assert (failure.step, failure.attempts) == ("Index", 4)


def test_the_record_is_given_for_one_line(s3: Any) -> None:
    """Decoded, when asked for."""
    put(s3, PROCESSING, {**LINE, "rawData": ""}, LINE)
    assert Failures(s3, BUCKET, PREFIX).payload(PROCESSING, 1) == '{"device_ts": "broken"}'


def test_a_record_that_is_no_text_stays_base64(s3: Any) -> None:
    """Bytes of any kind can be shown."""
    data = base64.b64encode(b"\xff\x00").decode()
    put(s3, PROCESSING, {**LINE, "rawData": data})
    assert data in Failures(s3, BUCKET, PREFIX).payload(PROCESSING, 0)


@pytest.mark.parametrize(("key", "line"), [(PROCESSING, 7), ("secret/other.txt", 0)], ids=["line", "key"])
def test_nothing_else_of_the_bucket_is_given_out(s3: Any, key: str, line: int) -> None:
    """Only lines of failure objects under the prefix can be asked for."""
    put(s3, PROCESSING, LINE)
    put(s3, "secret/other.txt", LINE)
    with pytest.raises(NoSuchFailureError):
        Failures(s3, BUCKET, PREFIX).payload(key, line)


def test_gzip_and_unreadable_lines_are_read_as_far_as_they_go(s3: Any) -> None:
    """A compressed object is opened; a line that is no JSON is listed as such."""
    body = gzip.compress(json.dumps(LINE).encode() + b"\nnot json\n")
    s3.put_object(Bucket=BUCKET, Key=PROCESSING, Body=body)
    codes = [failure.code for failure in Failures(s3, BUCKET, PREFIX).recent()]
    assert codes == ["Lambda.ProcessingFailedStatus", "unreadable line"]


def test_the_list_has_an_end(s3: Any) -> None:
    """A million failures do not make a page of a million rows."""
    put(s3, PROCESSING, *[LINE] * 500)
    assert len(Failures(s3, BUCKET, PREFIX).recent(limit=100)) == 100


def test_objects_that_are_no_failures_are_passed_over(s3: Any) -> None:
    """With a backup of all source records, those lie under the same prefix."""
    put(s3, f"{PREFIX}2026/11/22/10/stream-1", LINE)
    assert Failures(s3, BUCKET, PREFIX).recent() == []


def test_a_bucket_that_is_not_there_is_said(s3: Any) -> None:
    """The page shows the reason instead of an empty list."""
    with pytest.raises(FailureReadError, match="gone"):
        Failures(s3, "gone", PREFIX).recent()
