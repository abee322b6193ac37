"""The local alarm topic's messages are read without taking them away, by botocore's model of SQS."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from iot_stream.local.alarm_messages import AlarmMessage, read_messages
from tests.aws_clients import aws_client

URL = "http://127.0.0.1:1/000000000000/iot-stream-alarm-messages"


def received(number: int) -> dict[str, Any]:
    """Return a message as SQS gives it, with SNS's notification in it ("Fanout to Amazon SQS queues")."""
    body = json.dumps({"Type": "Notification", "Subject": f"subject {number}", "Message": f"text {number}"})
    sent = {"SentTimestamp": str(1_795_342_500_000 + number)}
    return {"MessageId": str(number), "ReceiptHandle": f"handle {number}", "Body": body, "Attributes": sent}


def test_every_message_is_read_in_order_and_given_back() -> None:
    """In batches, until there is no more; a queue that is not there has none."""
    sqs = aws_client("sqs")
    aws: Any = SimpleNamespace(client=lambda _: sqs)
    with Stubber(sqs) as stubber:
        stubber.add_response("get_queue_url", {"QueueUrl": URL}, {"QueueName": "iot-stream-alarm-messages"})
        for batch in ([received(2)], [received(1)], []):
            stubber.add_response("receive_message", {"Messages": batch} if batch else {}, ANY_REQUEST)
        for number in (2, 1):
            expected = {"QueueUrl": URL, "ReceiptHandle": f"handle {number}", "VisibilityTimeout": 0}
            stubber.add_response("change_message_visibility", {}, expected)
        found = read_messages(aws)
        stubber.add_client_error("get_queue_url", "QueueDoesNotExist", http_status_code=400)
        assert read_messages(aws) == []
        stubber.assert_no_pending_responses()
    assert [(each.subject, each.text) for each in found] == [("subject 1", "text 1"), ("subject 2", "text 2")]


ANY_REQUEST = {"QueueUrl": URL, "MaxNumberOfMessages": 10, "VisibilityTimeout": ANY, "MessageSystemAttributeNames": ANY}


@pytest.mark.parametrize(
    ("state", "lines"),
    [
        ("ALARM", ["domain-red is ALARM: because", "The domain is red."]),
        ("INSUFFICIENT_DATA", ["domain-red is INSUFFICIENT_DATA: because", "The domain is red."]),
        ("OK", ["domain-red is OK: because"]),
    ],
)
def test_an_alarm_that_is_ok_does_not_describe_a_failure(state: str, lines: list[str]) -> None:
    """The description is in every message ("Amazon CloudWatch alarm notifications"), and says what ALARM means."""
    alarm = {"AlarmName": "domain-red", "AlarmDescription": "The domain is red."}
    text = json.dumps(alarm | {"NewStateValue": state, "NewStateReason": "because"})
    assert AlarmMessage(datetime(2026, 11, 28, tzinfo=UTC), "", text).lines == lines
