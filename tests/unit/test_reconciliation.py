"""Every reading sent is found, in the index or in a failure object, or said to be missing."""

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Any

import boto3
from moto import mock_aws

from iot_stream.failure_objects import BackupLocation, FailureObjects
from iot_stream.run.reconciliation import Reconciliation, failed_uuids, reconcile


class _Index:
    """An index that answers terms queries on uuid."""

    def __init__(self, uuids: Iterable[str]) -> None:
        self.uuids = list(uuids)

    def search(self, index: str, body: dict[str, Any], params: dict[str, str]) -> dict[str, Any]:
        assert (index, params) == ("iot-stream*", {"ignore_unavailable": "true"})
        wanted = set(body["query"]["terms"]["uuid"])
        hits = [{"_source": {"uuid": name}} for name in self.uuids if name in wanted]
        assert len(hits) <= body["size"]
        return {"hits": {"hits": hits}}


def test_each_reading_is_searchable_failed_or_missing() -> None:
    """A doubled document does not make up for a lost reading, and a foreign document counts for nothing."""
    sent = [f"u{number}" for number in range(12_000)]
    index: Any = _Index([*sent[:11_998], sent[0], "foreign"])
    result = reconcile(sent, index, "iot-stream*", [sent[11_998], "foreign too"])
    assert result == Reconciliation(sent=12_000, searchable=11_998, failed=1, missing=1, duplicates=1)
    assert not result.complete


def test_a_reading_in_both_places_counts_once() -> None:
    """At-least-once delivery may leave a failure object for a document that a retry has written."""
    index: Any = _Index(["a"])
    assert reconcile(["a"], index, "iot-stream*", ["a"]) == Reconciliation(1, 1, 0, 0, 0)


@mock_aws
def test_failure_objects_give_their_readings(monkeypatch: Any) -> None:
    """Plain and compressed objects, of any folder below the prefix; data that is no reading is passed over."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="backup")

    def line(data: bytes) -> bytes:
        return json.dumps({"rawData": base64.b64encode(data).decode(), "errorCode": "x"}).encode() + b"\n"

    s3.put_object(
        Bucket="backup", Key="p/processing-failed/1", Body=line(b'{"uuid": "a"}') + line(b"\xff\x00") + line(b"[]")
    )
    s3.put_object(
        Bucket="backup", Key="p/AmazonOpenSearchService_failed/2.gz", Body=gzip.compress(line(b'{"uuid": "b"}'))
    )
    s3.put_object(Bucket="backup", Key="elsewhere/3", Body=line(b'{"uuid": "c"}'))
    assert sorted(failed_uuids(FailureObjects(s3, BackupLocation("backup", "p/", "p/")))) == ["a", "b"]
