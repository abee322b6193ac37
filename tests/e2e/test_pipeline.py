"""The whole way, through the built and deployed template: what devices send is what people find."""

import base64
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import requests
from click.testing import CliRunner

from iot_stream.cli import cli
from iot_stream.local import ministack, opensearch
from iot_stream.local.gateway import process as gateway
from iot_stream.local.local_stack import WORKER, LocalStack
from iot_stream.run.session import drain
from iot_stream.stack import Stack
from tests.hostile import FOLDER, HOSTILE
from tests.neighbours import Neighbours
from tests.polling import until

READING = {
    "uuid": "6fb0f0c1-8a3a-4a57-9d6b-0d9e6a1a6c01",
    "device_ts": "2026-11-22 10:15:30.123",
    "device_id": 7,
    "device_temp": 32,
    "track_id": 3,
    "activity_type": "Running",
}
# The seven fields byte for byte as the walkthrough's function wrote their values; the arrival time follows.
GOLDEN = (
    '{"uuid":"6fb0f0c1-8a3a-4a57-9d6b-0d9e6a1a6c01","timestamp":"2026-11-22T10:15:30.123","device_id":7,'
    '"temp_celsius":32,"temp_fahrenheit":89.6,"track_id":3,"activity_type":"Running","ingested_at":"%s"}'
)


@pytest.fixture(scope="module")
def stack(local_stack: LocalStack) -> Stack:
    """The deployed stack."""
    return local_stack.stack()


@pytest.fixture(scope="module", autouse=True)
def on_call(local_stack: LocalStack, stack: Stack) -> Callable[[], list[dict[str, Any]]]:
    """Return what the alarm topic has told its subscribers since the first test of this module."""
    sqs, sns = local_stack.aws.client("sqs"), local_stack.aws.client("sns")
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    sqs.set_queue_attributes(
        QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})}
    )
    sns.subscribe(TopicArn=stack.output("AlarmTopicArn"), Protocol="sqs", Endpoint=queue_arn)
    told: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            notification = json.loads(message["Body"])
            if not notification.get("Subject", "").startswith("Device alerts"):  # those are text for people
                told.append(json.loads(notification["Message"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return told

    return read


@pytest.fixture
def find(local_stack: LocalStack, stack: Stack) -> Callable[[dict[str, Any]], requests.Response]:
    """Ask the index a question, refreshed first."""

    def ask(query: dict[str, Any]) -> requests.Response:
        with local_stack.opensearch.admin_session() as session:
            url = f"{local_stack.opensearch.url}/{stack.output('IndexName')}"
            session.post(f"{url}/_refresh")
            return session.get(f"{url}/_search", json={"query": query, "size": 1000, "track_total_hits": True})

    return ask


def _hits(response: requests.Response) -> int:
    return int(response.json()["hits"]["total"]["value"]) if response.ok else 0


def _failure_lines(local_stack: LocalStack, stack: Stack) -> list[dict[str, Any]]:
    s3, bucket = local_stack.aws.client("s3"), stack.output("BackupBucketName")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_a_known_reading_becomes_the_golden_document(
    local_stack: LocalStack, stack: Stack, find: Callable[[dict[str, Any]], requests.Response]
) -> None:
    """Byte for byte, as OpenSearch keeps it; only the arrival time is the stream's own."""
    kinesis, name = local_stack.aws.client("kinesis"), stack.output("StreamName")
    put = kinesis.put_record(StreamName=name, Data=json.dumps(READING).encode(), PartitionKey="golden")
    iterator = kinesis.get_shard_iterator(
        StreamName=name,
        ShardId=put["ShardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=put["SequenceNumber"],
    )
    record = kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=1)["Records"][0]
    arrived = record["ApproximateArrivalTimestamp"]
    query = {"term": {"uuid": READING["uuid"]}}
    until(lambda: _hits(find(query)) == 1, what="the golden document")
    text = find(query).text
    document = text[text.index('"_source":') + len('"_source":') :].rstrip("]}") + "}"
    ingested_at = json.loads(document)["ingested_at"]
    assert document == GOLDEN % ingested_at
    milliseconds = round(arrived.timestamp() * 1000)
    assert abs(_epoch_ms(ingested_at) - milliseconds) <= 1


def _epoch_ms(text: str) -> int:
    return round(dt.datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=dt.UTC).timestamp() * 1000)


def test_one_undecodable_record_among_500_leaves_499_documents_and_itself(
    local_stack: LocalStack, stack: Stack, find: Callable[[dict[str, Any]], requests.Response]
) -> None:
    """The failure object's rawData is the original record, byte for byte."""
    broken = b"\xff\xfe not JSON, not even UTF-8 \x00"
    readings = [READING | {"uuid": f"batch-{number}", "activity_type": "one-of-500"} for number in range(500)]
    data = [json.dumps(reading).encode() for reading in readings]
    data[250] = broken
    records = [{"Data": item, "PartitionKey": str(number)} for number, item in enumerate(data)]
    response = local_stack.aws.client("kinesis").put_records(StreamName=stack.output("StreamName"), Records=records)
    assert response["FailedRecordCount"] == 0
    query = {"term": {"activity_type": "one-of-500"}}
    until(lambda: _hits(find(query)) == 499, what="499 documents")

    def kept() -> list[dict[str, Any]]:
        encoded = base64.b64encode(broken).decode()
        return [line for line in _failure_lines(local_stack, stack) if line.get("rawData") == encoded]

    until(lambda: bool(kept()), what="the failure object")
    assert [line["errorCode"] for line in kept()] == ["Lambda.ProcessingFailedStatus"]
    assert _hits(find(query)) == 499


def test_a_failure_object_raises_the_stacks_own_alarm(
    local_stack: LocalStack, stack: Stack, on_call: Callable[[], list[dict[str, Any]]]
) -> None:
    """Whoever subscribes to the topic is told twice: by the alarm, and of the object's key by EventBridge."""
    kinesis, cloudwatch = local_stack.aws.client("kinesis"), local_stack.aws.client("cloudwatch")
    before = cloudwatch.describe_alarms(AlarmNamePrefix=stack.name, StateValue="ALARM")["MetricAlarms"]
    for alarm in before:  # other tests make this stack's records fail too
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the test begins")
    kinesis.put_record(StreamName=stack.output("StreamName"), Data=b"broken", PartitionKey="alarm")
    folder = f"{stack.output('BackupPrefix')}processing-failed/"

    def keys() -> list[str]:
        return [message["detail"]["object"]["key"] for message in on_call() if "detail" in message]

    def alarms() -> list[str]:
        return [message["AlarmName"] for message in on_call() if message.get("NewStateValue") == "ALARM"]

    until(lambda: any(key.startswith(folder) for key in keys()), what="the message about the object")
    until(lambda: any("FailedRecordsAlarm" in name for name in alarms()), what="the alarm")
    raised = cloudwatch.describe_alarms(AlarmNamePrefix=stack.name, StateValue="ALARM")["MetricAlarms"]
    assert "DeliveryToS3.Success" in {alarm["MetricName"] for alarm in raised}
    earlier = {alarm["MetricName"] for alarm in before}
    assert {alarm["MetricName"] for alarm in raised} - earlier <= {"DeliveryToS3.Success"}, "nothing else is wrong"


def test_the_command_sends_and_every_reading_is_accounted_for(local_stack: LocalStack, stack: Stack) -> None:
    """`iot-stream send` and `status --json` work on a running stack, and each accepted record is found."""
    runner = CliRunner()
    state = ["--state", str(local_stack.folder)]
    before = drain(local_stack, stack, lambda _: None).sent  # a marked reading of the doctor's, say
    sent = runner.invoke(cli, ["send", *state, "--rate", "400", "--count", "1000", "--seed", "5", "--json"])
    assert sent.exit_code == 0, sent.output
    shown = json.loads(sent.output)
    assert {name: shown[name] for name in ("sent", "retried", "abandoned", "seed")} == {
        "sent": 1000,
        "retried": 0,
        "abandoned": 0,
        "seed": 5,
    }
    assert 0 < shown["rate"] <= 450
    result = drain(local_stack, stack, lambda _: None)
    assert (result.sent, result.searchable) == (before + 1000, before + 1000)
    assert (result.missing, result.duplicates) == (0, 0)
    status = json.loads(runner.invoke(cli, ["status", *state, "--json"]).output)
    assert status["sent"] == before + 1000
    assert status["delivered"] >= 1000
    assert status["searchable"] >= 1000
    assert status["lag_ms"] == 0
    assert status["delivering"] is True
    faults = ["--lively", "--devices", "8", "--late", "5", "--duplicate", "10", "--faulty", "10"]
    sent = runner.invoke(cli, ["send", *state, "--rate", "400", "--count", "500", "--seed", "6", "--json", *faults])
    assert json.loads(sent.output)["sent"] == 500, "faults are within the number, not on top"
    result = drain(local_stack, stack, lambda _: None)
    assert (result.sent, result.missing, result.duplicates) == (before + 1500, 0, 0)
    assert 20 < result.failed < 90, "what the function refuses is a failure object, also where bytes are equal"


def test_the_stack_runs_where_its_caller_s_environment_was_hostile(
    local_stack: LocalStack, neighbours: Neighbours
) -> None:
    """It started with foreign proxies, profile, region and certificates, of which no part has one (tests/hostile.py).

    The locale C, a HOME that can't be written and a folder with blanks and umlauts are there to this moment.
    """
    assert local_stack.folder.name == FOLDER
    parts = [process.environ() for process in _parts(local_stack, neighbours)]
    for variables in parts:
        assert variables["HOME"] == "/dev/null/home"
        assert [name for name, value in HOSTILE.items() if variables.get(name) == value] == []
    assert "C" in {variables["LC_ALL"] for variables in parts}


def _parts(local_stack: LocalStack, neighbours: Neighbours) -> list[psutil.Process]:
    """Return the processes of OpenSearch, its gateway, the local AWS and the worker."""
    recorded = [*neighbours.processes().values(), *local_stack.running]
    assert {process.name for process in recorded} >= {opensearch.NAME, ministack.NAME, gateway.NAME, WORKER}
    return [psutil.Process(process.pid) for process in recorded]


def test_other_users_see_neither_secrets_nor_documents(
    local_stack: LocalStack, stack: Stack, neighbours: Neighbours
) -> None:
    """No command line, which every user can read, holds a secret; no file with documents can be read by others."""
    secrets = local_stack.aws.client("secretsmanager")
    password = json.loads(secrets.get_secret_value(SecretId=stack.output("MasterUserSecretArn"))["SecretString"])
    known = {
        "the root user's secret key": local_stack.aws.environment()["AWS_SECRET_ACCESS_KEY"],
        "the root user's access key": local_stack.aws.environment()["AWS_ACCESS_KEY_ID"],
        "the key of tokens": local_stack.opensearch.jwt_key_file.read_text(),
        "the master user's password": password["password"],
    }
    started = _parts(local_stack, neighbours)
    started += [child for each in started for child in each.children(recursive=True)]
    lines = {process.pid: " ".join(process.cmdline()) for process in started}
    assert [name for name, secret in known.items() for line in lines.values() if secret in line] == []
    folders = [local_stack.delivery_state, local_stack.folder / "opensearch" / "data", local_stack.folder / "aws"]
    made = [path for folder in folders for path in folder.rglob("*")]
    assert len(made) > 20
    assert [path for path in made if path.lstat().st_mode & 0o077] == []
