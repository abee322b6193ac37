"""The messages of the alarm topic on this machine: a queue that is subscribed to it, instead of an e-mail address.

ministack sends no e-mail. `up` subscribes the queue; reading it takes nothing out of it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from iot_stream.errors import StackError
from iot_stream.local.ministack import Ministack

__all__ = ["AlarmMessage", "read_messages", "subscribe_queue"]

_QUEUE = "iot-stream-alarm-messages"
_SECONDS = 10


@dataclass(frozen=True)
class AlarmMessage:
    """One message that the topic delivered: when, its subject and its text."""

    sent_at: datetime
    subject: str
    text: str


def subscribe_queue(aws: Ministack, topic_arn: str) -> None:
    """Create the queue and subscribe it to the topic, as "Fanout to Amazon SQS queues" describes; again is harmless."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)


def read_messages(aws: Ministack) -> list[AlarmMessage]:
    """Return what the topic has delivered, oldest first.

    Raises:
        StackError: the local AWS does not respond.
    """
    try:
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(f"{aws.url}/_ministack/sqs/messages", timeout=_SECONDS)
            response.raise_for_status()
            accounts = response.json()["messages"]
    except requests.RequestException as error:
        raise StackError(
            f"the local AWS does not respond ({type(error).__name__}): is the local stack running?"
        ) from error
    found = [
        message
        for regions in accounts.values()
        for queues in regions.values()
        for url, messages in queues.items()
        if url.endswith(f"/{_QUEUE}")
        for message in messages
    ]
    return [_message(each) for each in sorted(found, key=lambda each: int(each["SentTimestamp"]))]


def _message(entry: dict[str, Any]) -> AlarmMessage:
    notification = json.loads(entry["Body"])
    sent_at = datetime.fromtimestamp(entry["SentTimestamp"], UTC)
    return AlarmMessage(sent_at, notification.get("Subject") or "", notification["Message"])
