"""The worker's metrics: exactly AWS's names and units, in exactly AWS's cases (`tests/aws_metrics.py`)."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.commands import ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.metrics import Metrics, Statistic
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.state_machine import Delivery
from iot_stream.delivery.core.transformation import FLAGGED
from tests.aws_metrics import FIREHOSE, ONLY_WITH_ALL_DOCUMENTS
from tests.delivery_settings import MB, make_settings

NOW = 1_700_000_000_000
SHARD = "shardId-000000000000"
INDEX = "DeliveryToAmazonOpenSearchService"


def make_delivery(*, all_documents: bool) -> Delivery:
    """Return a delivery stream with a function, without buffering."""
    plain = make_settings(function=Function("arn:function", "role", 0, Bounds(MB, 0)))
    settings = replace(plain, bucket=replace(plain.bucket, all_documents=all_documents))
    return Delivery(settings, Progress("arn", 1.0), lambda: "token")


def records(count: int) -> list[Record]:
    """Return records that arrived two seconds ago."""
    data = base64.b64encode(b'{"a":1}').decode()
    names = [f"{n:020d}" for n in range(count)]
    return [Record(SHARD, name, None, "key", NOW - 2000, data, record_id(SHARD, name, None), 7) for name in names]


def deliver(
    delivery: Delivery, errors: list[IndexingError | None], *, flagged: int = 0, bucket: ErrorLogEntry | None = None
) -> dict[str, Statistic]:
    """Return the metrics of one document for each of `errors` and `flagged` records that the function flags."""
    delivery.arrived(SHARD, records(len(errors) + flagged), NOW)
    stores: list[Any] = []
    (invoke,) = (command for command in delivery.commands(NOW) if isinstance(command, Invoke) or stores.append(command))
    assert isinstance(invoke, Invoke)
    delivery.transformed(invoke, [b'{"a":1}'] * len(errors) + [FLAGGED] * flagged, NOW, duration=12)
    for command in [*stores, *delivery.commands(NOW)]:
        if isinstance(command, Index):
            delivery.indexed(command, errors, NOW)
        else:
            assert isinstance(command, Store)
            delivery.stored(command, bucket, NOW)
    return delivery.metrics.drain()


@pytest.mark.parametrize("all_documents", [False, True], ids=["FailedDocumentsOnly", "AllDocuments"])
def test_names_and_units_are_the_documented_ones(*, all_documents: bool) -> None:
    """Nothing that AWS does not list; what it emits only with AllDocuments appears only there."""
    statistics = deliver(make_delivery(all_documents=all_documents), [None, IndexingError(400, "bad")], flagged=1)
    assert {name: statistic.unit for name, statistic in statistics.items()}.items() <= FIREHOSE.items()
    assert ONLY_WITH_ALL_DOCUMENTS.keys() & statistics.keys() == (
        ONLY_WITH_ALL_DOCUMENTS.keys() if all_documents else set()
    )
    rest = {"ThrottledDescribeStream", "ThrottledGetRecords", "ThrottledGetShardIterator", "KinesisMillisBehindLatest"}
    rest |= {"DataReadFromKinesisStream.Bytes", "DataReadFromKinesisStream.Records"}  # the worker adds those it reads
    assert FIREHOSE.keys() - statistics.keys() - ONLY_WITH_ALL_DOCUMENTS.keys() == rest


def test_values_count_what_was_delivered() -> None:
    """One document is indexed, one is rejected, a third record is flagged; each object put is one success."""
    statistics = deliver(make_delivery(all_documents=False), [None, IndexingError(400, "bad")], flagged=1)
    assert {name: statistic.sum for name, statistic in statistics.items()} == {
        "ExecuteProcessing.Duration": 12,
        "ExecuteProcessing.Success": 1,
        "SucceedProcessing.Records": 2,
        "SucceedProcessing.Bytes": 14,
        f"{INDEX}.AuthFailure": 0,
        f"{INDEX}.DeliveryRejected": 1,
        f"{INDEX}.Success": 0.5,
        f"{INDEX}.Records": 1,
        f"{INDEX}.Bytes": 7,
        f"{INDEX}.DataFreshness": 2,
        "DeliveryToS3.Success": 1,
    }


def test_source_objects_have_sizes_and_an_age() -> None:
    """With AllDocuments: the records and bytes put, and the age of the oldest record."""
    statistics = deliver(make_delivery(all_documents=True), [None, None])
    assert {name: statistics[name].sum for name in ONLY_WITH_ALL_DOCUMENTS} == {
        "DeliveryToS3.Records": 2,
        "DeliveryToS3.Bytes": 14,
        "DeliveryToS3.DataFreshness": 2,
    }


@pytest.mark.parametrize(
    ("error", "auth_failure", "rejected"),
    [
        (None, 0, 0),
        (IndexingError(401, "who?"), 1, 0),
        (IndexingError(403, "no permissions"), 1, 0),
        (IndexingError(429, "busy"), 0, 1),
        (IndexingError(400, "bad"), 0, 1),
        (IndexingError(None, "no response"), 0, 0),
    ],
)
def test_rejections_are_distinguished_from_authentication(
    error: IndexingError | None, auth_failure: int, rejected: int
) -> None:
    """AuthFailure and DeliveryRejected are 0 or 1 for each bulk request; an unreachable domain is neither."""
    statistics = deliver(make_delivery(all_documents=False), [error, error])
    assert statistics[f"{INDEX}.AuthFailure"].sum == auth_failure
    assert statistics[f"{INDEX}.DeliveryRejected"].sum == rejected


def test_freshness_is_missing_where_nothing_is_delivered() -> None:
    """As on AWS: an alarm on it gets no data while the domain is down; `Success` is 0 then."""
    statistics = deliver(make_delivery(all_documents=False), [IndexingError(503, "down")])
    assert f"{INDEX}.DataFreshness" not in statistics
    assert statistics[f"{INDEX}.Success"].sum == 0


def test_a_failed_put_is_not_a_success() -> None:
    """A failed put adds 0 to Success, and no records or bytes."""
    refused = ErrorLogEntry("S3.AccessDenied", "no", of_bucket=True)
    statistics = deliver(make_delivery(all_documents=True), [None], bucket=refused)
    assert statistics["DeliveryToS3.Success"] == Statistic("Count", 1, 0, 0, 0)
    assert not ONLY_WITH_ALL_DOCUMENTS.keys() & statistics.keys()


def test_a_statistic_holds_minimum_and_maximum() -> None:
    """It has the minimum, maximum, sum and count of the values, and is empty after it was drained."""
    metrics = Metrics()
    for value in (3, 1, 2):
        metrics.add("KinesisMillisBehindLatest", value, "Milliseconds")
    drained = metrics.drain()
    assert drained == {"KinesisMillisBehindLatest": Statistic("Milliseconds", 3, 6, 1, 3)}
    metrics.add("KinesisMillisBehindLatest", 9, "Milliseconds")
    metrics.restore(drained)
    assert metrics.drain() == {"KinesisMillisBehindLatest": Statistic("Milliseconds", 4, 15, 1, 9)}
    assert metrics.drain() == {}
