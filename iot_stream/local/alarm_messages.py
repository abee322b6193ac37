"""Receive the alarm topic's messages locally, through a subscribed queue instead of an e-mail address.

ministack sends no e-mail. `up` subscribes the queue; reading it takes nothing out of it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import StackError
from iot_stream.local.ministack import Ministack

__all__ = ["AlarmMessage", "read_messages", "subscribe_queue"]

_QUEUE = "iot-stream-alarm-messages"
_SECONDS = 30


@dataclass(frozen=True)
class AlarmMessage:
    """One message that the topic delivered: when, its subject and its text."""

    sent_at: datetime
    subject: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Return readable lines for the JSON of an alarm or an event, or else the text unchanged.

        "Amazon CloudWatch alarm notifications" (CloudWatch user guide) and "Amazon S3 event message structure for
        EventBridge" (S3 user guide) have the members.
        """
        try:
            match json.loads(self.text):
                case {"AlarmName": name, "NewStateValue": state, "NewStateReason": reason, **more}:
                    about = more.get("AlarmDescription") if state != "OK" else None  # it describes the failure
                    return [f"{name} is {state}: {reason}", *([str(about)] if about else [])]
                case {"source": "aws.s3", "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}:
                    return [f"Failure object written: s3://{bucket}/{key}"]
        except ValueError:
            pass
        return self.text.splitlines()

    def as_dict(self) -> dict[str, str]:
        """Return it as a JSON object."""
        return {"sent_at": self.sent_at.isoformat(), "subject": self.subject, "text": self.text}


def subscribe_queue(aws: Ministack, topic_arn: str) -> None:
    """Create the queue and subscribe it to the topic ("Fanout to Amazon SQS queues"); can be repeated."""
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

    Each message is received, and given back at once: reading again finds it again.

    Raises:
        StackError: the local AWS does not respond.
    """
    sqs = aws.client("sqs")
    try:
        return _peek(sqs, sqs.get_queue_url(QueueName=_QUEUE)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist:
        return []
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"the alarm topic's messages can't be read: {error}") from error


def _peek(sqs: Any, url: str) -> list[AlarmMessage]:
    received: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=_SECONDS,  # so that the next batch has others
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages"):
        received += messages
    for each in received:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"], VisibilityTimeout=0)
    return [_message(each) for each in sorted(received, key=_sent)]


def _sent(entry: dict[str, Any]) -> int:
    return int(entry["Attributes"]["SentTimestamp"])


def _message(entry: dict[str, Any]) -> AlarmMessage:
    notification = json.loads(entry["Body"])
    return AlarmMessage(
        datetime.fromtimestamp(_sent(entry) / 1000, UTC), notification.get("Subject") or "", notification["Message"]
    )
