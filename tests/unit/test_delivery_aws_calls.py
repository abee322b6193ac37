"""What the edges send to CloudWatch, S3 and Lambda, checked against botocore's models by its Stubber."""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from iot_stream.delivery.core import transformation
from iot_stream.delivery.core.commands import ErrorLogEntry, Store
from iot_stream.delivery.core.metrics import Metrics
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.record import FailureLine, Record
from iot_stream.delivery.core.settings import Bucket, Function, LogTarget
from iot_stream.delivery.core.transformation import Stream
from iot_stream.delivery.edges.aws import AwsClients
from iot_stream.delivery.edges.cloudwatch import CloudWatch
from iot_stream.delivery.edges.lambda_ import Transform
from iot_stream.delivery.edges.s3 import BackupBucket
from tests.aws_clients import aws_client
from tests.delivery_settings import make_settings

NOW = 1_700_000_000_000
RECORD = Record("shardId-000000000001", "9", None, "key", NOW, "e30=", "1.9.0", 2)
STORE = Store("k", ObjectKind.PROCESSING_FAILURE, [FailureLine(RECORD, b"line\n")])


class StubbedClients:
    """boto3 clients that send nothing: each call has to be the next one that its stubber expects."""

    def __init__(self) -> None:
        self.clients = {name: aws_client(name, "eu-west-1") for name in ("cloudwatch", "logs", "s3", "lambda")}
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}

    def client(self, service: str, _role_arn: str | None = None, *, read_timeout: float | None = None) -> Any:
        """Return the stubbed client, which needs no time."""
        del read_timeout
        return self.clients[service]


@contextmanager
def stubbed() -> Iterator[StubbedClients]:
    """Yield stubbed clients; every expected call has to be made."""
    clients = StubbedClients()
    with ExitStack() as stubs:
        for stub in clients.stubs.values():
            stubs.enter_context(stub)
        yield clients
        for stub in clients.stubs.values():
            stub.assert_no_pending_responses()


def test_metrics_are_put_as_statistic_sets() -> None:
    """Minimum, maximum, sum and count keep their names; the dimension is the delivery stream."""
    metrics = Metrics()
    for value in (5, 1, 3):
        metrics.add("DeliveryToAmazonOpenSearchService.DataFreshness", value, "Seconds")
    datum = {
        "MetricName": "DeliveryToAmazonOpenSearchService.DataFreshness",
        "Dimensions": [{"Name": "DeliveryStreamName", "Value": "d"}],
        "Timestamp": datetime.fromtimestamp(NOW / 1000, UTC),
        "Unit": "Seconds",
        "StatisticValues": {"SampleCount": 3, "Sum": 9, "Minimum": 1, "Maximum": 5},
    }
    with stubbed() as clients:
        clients.stubs["cloudwatch"].add_response(
            "put_metric_data", {}, {"Namespace": "AWS/Firehose", "MetricData": [datum]}
        )
        assert CloudWatch(clients).put_metrics("d", metrics.drain(), NOW)  # type: ignore[arg-type]


def test_log_entries_are_put_into_their_stream() -> None:
    """One event for each entry, with the time and the fields as JSON."""
    event = {"timestamp": NOW, "message": '{"errorCode":"OS.429"}'}
    with stubbed() as clients:
        clients.stubs["logs"].add_response(
            "put_log_events", {}, {"logGroupName": "group", "logStreamName": "stream", "logEvents": [event]}
        )
        CloudWatch(clients).put_log_entries(LogTarget("group", "stream"), [{"errorCode": "OS.429"}], NOW)  # type: ignore[arg-type]


def test_cloudwatch_errors_stop_nothing() -> None:
    """Log entries that CloudWatch rejects are lost, metrics are known to be, and delivery continues."""
    with stubbed() as clients:
        clients.stubs["cloudwatch"].add_client_error("put_metric_data", "AccessDenied")
        clients.stubs["logs"].add_client_error("put_log_events", "ResourceNotFoundException")
        assert not CloudWatch(clients).put_metrics("d", {}, NOW)  # type: ignore[arg-type]
        CloudWatch(clients).put_log_entries(LogTarget("group", "stream"), [{}], NOW)  # type: ignore[arg-type]


def test_a_cloudwatch_that_never_responds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each put may take seconds, because the last ones hold up the worker's end; a function may take five minutes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    clients = AwsClients("eu-west-1", "http://127.0.0.1:1")
    edge = CloudWatch(clients)
    for client in (edge._metrics, edge._logs):
        assert client.meta.config.read_timeout <= 5
        assert client.meta.config.connect_timeout <= 5
        assert client.meta.config.retries["total_max_attempts"] == 1
    assert clients.client("lambda").meta.config.read_timeout > 300


KEY = "arn:aws:kms:eu-west-1:000000000000:key/k"


@pytest.mark.parametrize(
    ("kms_key", "headers"),
    [(None, {}), (KEY, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY})],
    ids=["plain", "KMSEncryptionConfig"],
)
def test_objects_are_encrypted_as_configured(kms_key: str | None, headers: dict[str, str]) -> None:
    """With KMSEncryptionConfig each object is put with the key; without it the bucket's default applies."""
    bucket = replace(make_settings().bucket, kms_key=kms_key)
    put = {"Bucket": "bucket", "Key": "k", "Body": b"line\n", "ContentType": "application/octet-stream"}
    with stubbed() as clients:
        clients.stubs["s3"].add_response("put_object", {}, put | headers)
        assert BackupBucket(clients, bucket).put(STORE) is None  # type: ignore[arg-type]


def bucket_of(clients: StubbedClients) -> BackupBucket:
    """Return the bucket of the test settings."""
    bucket: Bucket = make_settings().bucket
    return BackupBucket(clients, bucket)  # type: ignore[arg-type]


def test_s3_errors_are_log_entries() -> None:
    """AWS's codes and messages; the object is retried by the state machine."""
    with stubbed() as clients:
        clients.stubs["s3"].add_client_error("put_object", "AccessDenied", http_status_code=403)
        entry = bucket_of(clients).put(STORE)
        assert isinstance(entry, ErrorLogEntry)
        assert (entry.code, entry.of_bucket) == ("S3.AccessDenied", True)
        assert entry.message.startswith("Access was denied.")


def test_whether_an_object_exists_is_true_false_or_unknown() -> None:
    """Only 404 means that it does not exist; any other error leaves it unknown."""
    with stubbed() as clients:
        stub = clients.stubs["s3"]
        stub.add_response("head_object", {}, {"Bucket": "bucket", "Key": "k"})
        stub.add_client_error("head_object", "404", http_status_code=404)
        stub.add_client_error("head_object", "403", http_status_code=403)
        bucket = bucket_of(clients)
        assert bucket.exists("k") is True
        assert bucket.exists("k") is False
        unknown = bucket.exists("k")
        assert isinstance(unknown, ErrorLogEntry)
        assert unknown.code == "S3.AccessDenied"


def invoke(payload: bytes, **response: Any) -> Any:
    """Return what `Transform.invoke` makes of a response of Lambda."""
    function = Function("function", "role", 0, make_settings().bounds)
    body = StreamingBody(io.BytesIO(payload), len(payload))
    with stubbed() as clients:
        clients.stubs["lambda"].add_response("invoke", {"StatusCode": 200, "Payload": body} | response)
        return Transform(clients, function, Stream("d", "s", "eu-west-1")).invoke([RECORD])  # type: ignore[arg-type]


def response_of(size: int) -> bytes:
    """Return a valid response of the function with exactly `size` bytes."""
    record = {"recordId": RECORD.id, "result": "Dropped"}
    empty = json.dumps({"records": [record], "padding": ""}).encode()
    return json.dumps({"records": [record], "padding": "x" * (size - len(empty))}).encode()


def test_a_response_above_6_mb_is_the_functions_error() -> None:
    """Lambda itself rejects it on AWS ("Lambda quotas": 6 MB for a synchronous invocation); ministack returns it."""
    assert transformation.MAX_PAYLOAD == 6 * 1024 * 1024
    assert invoke(response_of(transformation.MAX_PAYLOAD)) == [transformation.DROPPED]
    assert invoke(response_of(transformation.MAX_PAYLOAD + 1)) == transformation.FUNCTION_ERROR


def test_lambda_errors_have_awss_codes() -> None:
    """FunctionError, and errors of Invoke itself, become the error of the batch."""
    assert invoke(b'{"errorType":"ValueError"}', FunctionError="Unhandled") == transformation.FUNCTION_ERROR
    function = Function("function", "role", 0, make_settings().bounds)
    for code, error in [
        ("TooManyRequestsException", transformation.LIMIT_EXCEEDED),
        ("ResourceNotFoundException", transformation.NOT_FOUND),
        ("AccessDeniedException", transformation.ACCESS_DENIED),
    ]:
        with stubbed() as clients:
            clients.stubs["lambda"].add_client_error("invoke", code)
            transform = Transform(clients, function, Stream("d", "s", "eu-west-1"))  # type: ignore[arg-type]
            assert transform.invoke([RECORD]) == error
