"""The Lambda handler, invoked by an EventBridge schedule."""

import logging
import os
import time
from dataclasses import asdict
from functools import cache
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config

from device_alerts.message import Message
from device_alerts.progress import CloudWatch
from device_alerts.rules import load
from device_alerts.run import Run, RunSettings
from device_alerts.search import Domain
from device_alerts.settings import Settings

__all__ = ["lambda_handler"]

_RULES: Final = load()
# One attempt: a message that SNS took without saying so is repeated by the next run, which says so.
_SNS_CONFIG: Final = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
# Within a VPC without a way to CloudWatch, these are seconds of each run.
_CLOUDWATCH_CONFIG: Final = Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2})

_DAY: Final = 86_400_000

logger = logging.getLogger("device_alerts")


class Context(Protocol):
    """The part of Lambda's context object that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""


def lambda_handler(_event: object, context: Context) -> dict[str, Any]:
    """Evaluate the alert rules for the whole fleet once; return the counts of the run.

    Args:
        _event: EventBridge's; nothing of it is used, so that anybody's invocation is a run like any other.
        context: Lambda's; only the remaining time is read.
    """
    settings, session, sns, cloudwatch = _environment()
    grace = settings.grace_seconds * 1000
    domain = Domain(
        settings.domain_endpoint,
        f"{settings.index_name}*",
        settings.alerts_index,
        session,
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    run = Run(
        _RULES,
        RunSettings(
            settings.index_name,
            grace=grace,
            late_after=settings.late_after_seconds * 1000,
            keep=settings.keep_days * _DAY,
        ),
        domain,
        lambda message: _publish(sns, settings.topic_arn, message),
        CloudWatch(cloudwatch, settings.delivery_stream, grace),
        clock=_now,
        lease=context.get_remaining_time_in_millis(),
    )
    summary = asdict(run.go())
    logger.warning("run", extra=summary)  # the level of a function's log is WARN unless it is set
    return summary


@cache
def _environment() -> tuple[Settings, boto3.Session, Any, Any]:
    """Return what all runs share: settings, signing credentials, and the clients of SNS and CloudWatch."""
    session = boto3.Session()
    return (
        Settings.from_environment(os.environ),
        session,
        session.client("sns", config=_SNS_CONFIG),
        session.client("cloudwatch", config=_CLOUDWATCH_CONFIG),
    )


def _publish(sns: Any, topic_arn: str, message: Message) -> None:
    sns.publish(
        TopicArn=topic_arn,
        Subject=message.subject,
        Message=message.text,
        MessageAttributes={
            "message_id": {"DataType": "String", "StringValue": message.id},
            "opened": {"DataType": "Number", "StringValue": str(message.opened)},
            "closed": {"DataType": "Number", "StringValue": str(message.closed)},
        },
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
