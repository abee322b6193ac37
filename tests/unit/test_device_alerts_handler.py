"""The handler signs in, publishes what SNS takes, and says what is missing in its environment."""

from collections.abc import Iterator

import pytest
from botocore.stub import ANY, Stubber

from device_alerts import handler
from device_alerts.handler import lambda_handler
from device_alerts.message import Message, message
from device_alerts.progress import Progress
from device_alerts.rules import parse
from device_alerts.settings import Settings, SettingsError
from iot_stream.description import load
from iot_stream.readings.alert_files import alert_rules
from tests.alerts_index import Killer, MemoryIndex
from tests.lambda_context import LambdaContext

ENVIRONMENT = {
    "DOMAIN_ENDPOINT": "search-builders.us-east-1.es.amazonaws.com",
    "INDEX_NAME": "iot-stream",
    "ALERTS_INDEX": "device-alerts-iot-stream",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "DELIVERY_STREAM": "iot-stream-delivery",
    "TRANSFORM_BUFFER_SECONDS": "60",
    "DELIVERY_BUFFER_SECONDS": "30",
    "LATE_AFTER_SECONDS": "600",
    "KEEP_DAYS": "90",
}
AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
}
NOW = 1_795_342_500_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The function's environment, as the template and Lambda set it."""
    for name, value in (ENVIRONMENT | AWS).items():
        monkeypatch.setenv(name, value)
    handler._environment.cache_clear()
    yield
    handler._environment.cache_clear()


def test_a_run_publishes_what_sns_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By botocore's model of Publish, to the topic of the environment."""
    clock = [NOW]
    index = MemoryIndex(lambda: clock[0], Killer())
    monkeypatch.setattr(handler, "Domain", lambda *_: index)
    monkeypatch.setattr(handler, "_RULES", parse(alert_rules(load())))  # whatever the project describes
    monkeypatch.setattr(handler, "_now", lambda: clock[0])
    monkeypatch.setattr(handler, "_RULES", parse(alert_rules(load())))
    expected = {
        "TopicArn": ENVIRONMENT["TOPIC_ARN"],
        "Subject": "Device alerts of iot-stream: 1 opened",
        "Message": ANY,
        "MessageAttributes": {
            "message_id": {"DataType": "String", "StringValue": "iot-stream:1-4"},
            "opened": {"DataType": "Number", "StringValue": "1"},
            "closed": {"DataType": "Number", "StringValue": "0"},
        },
    }
    summaries = []
    monkeypatch.setattr(handler, "CloudWatch", lambda *_: lambda _now: Progress())
    with Stubber(handler._environment()[2]) as sns:
        sns.add_response("publish", {"MessageId": "m"}, expected)
        for _ in range(4):
            clock[0] += 25_000
            index.add({"device_id": 7, "temp_celsius": 40.0, "timestamp": clock[0], "ingested_at": clock[0]})
            summaries.append(lambda_handler({}, LambdaContext(seconds=50)))
        sns.assert_no_pending_responses()
    assert summaries[-1] == {
        "run": 4,
        "skipped": "",
        "devices": 1,
        "not_looked_at": 0,
        "opened": 1,
        "closed": 0,
        "messages": 1,
        "forgotten": 0,
    }


def test_settings_are_the_environment_s() -> None:
    """Both buffers are the grace."""
    settings = Settings.from_environment(ENVIRONMENT)
    assert (settings.grace_seconds, settings.late_after_seconds) == (90, 600)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DOMAIN_ENDPOINT", "https://x", "DOMAIN_ENDPOINT is 'https://x': set it to the domain's host"),
        ("DOMAIN_ENDPOINT", "", "DOMAIN_ENDPOINT is missing"),
        ("TOPIC_ARN", "", "TOPIC_ARN is missing"),
        ("DELIVERY_STREAM", "", "DELIVERY_STREAM is missing"),
        ("LATE_AFTER_SECONDS", "soon", "LATE_AFTER_SECONDS is 'soon': set it to a whole number"),
        ("KEEP_DAYS", "-1", "KEEP_DAYS is '-1': set it to a whole number of days"),
    ],
)
def test_a_wrong_environment_is_named(name: str, value: str, says: str) -> None:
    """Before anything is called."""
    with pytest.raises(SettingsError, match=says):
        Settings.from_environment(ENVIRONMENT | {name: value})


def test_a_subject_is_what_sns_takes() -> None:
    """ASCII, one line, fewer than 100 characters (API reference, Publish)."""
    none = {"hits": {"total": {"value": 0}, "hits": []}, "aggregations": {"rules": {"buckets": []}}}
    alert = {"alert": {"text": "one\nline of ünïcode " + "x" * 1000}}
    some = {
        "hits": {"total": {"value": 3}, "hits": [{"_source": alert}]},
        "aggregations": {"rules": {"buckets": [{"key": "silent", "doc_count": 3}]}},
    }
    made = message("é" * 70, 1, 10**9, some, none)
    assert isinstance(made, Message)
    assert len(made.subject) < 100
    assert made.subject.isascii()
    assert made.subject.isprintable()
    assert "- one?line of ünïcode xxx" in made.text
    assert len(made.text) < 600
    assert message("i", 1, 1, none, none) is None
