"""The alarms of a deployed stack: which are raised, why, and where their runbook is."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import batched
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import StackError
from iot_stream.stack import Stack

__all__ = ["MISSING", "Alarm", "stack_alarms"]

MISSING: Final = "MISSING"
"""State of an alarm that the stack created and that no longer exists."""
_TYPES: Final = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
_NAMES: Final = 100  # of one DescribeAlarms (CloudWatch API reference)
_RUNBOOK: Final = re.compile(r"docs/operations\.md#\w+")
_FIRST: Final = {"ALARM": 0, MISSING: 1, "INSUFFICIENT_DATA": 2}


@dataclass(frozen=True)
class Alarm:
    """One alarm of a stack.

    Attributes:
        alarm: its logical id in the template, such as `DomainRedAlarm`.
        name: its name in CloudWatch.
        state: `OK`, `ALARM`, `INSUFFICIENT_DATA` (CloudWatch API reference, MetricAlarm), or `MISSING`.
        reason: CloudWatch's reason for the state.
        since: when it changed to this state, ISO 8601; empty for a missing one.
        runbook: the section of docs/operations.md that its description names; empty where it names none.
        notifies: whether its actions are enabled and there are some.
    """

    alarm: str
    name: str
    state: str
    reason: str = ""
    since: str = ""
    runbook: str = ""
    notifies: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def stack_alarms(cloudformation: Any, cloudwatch: Any, stack: Stack) -> list[Alarm]:
    """Return the alarms of a deployed stack: raised ones first, then missing ones, then by name.

    Args:
        cloudformation: a boto3 CloudFormation client.
        cloudwatch: a boto3 CloudWatch client.
        stack: the deployed stack.

    Raises:
        StackError: one of the two can't be asked.
    """
    try:
        names = dict(_names(cloudformation, stack))
        found: dict[str, dict[str, Any]] = {}
        for batch in batched(names, _NAMES, strict=False):
            response = cloudwatch.describe_alarms(
                AlarmNames=list(batch), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=_NAMES
            )
            for each in [*response.get("MetricAlarms", []), *response.get("CompositeAlarms", [])]:
                found[each["AlarmName"]] = each
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"the alarms of stack {stack.name} can't be read: {error}") from error
    alarms = [_alarm(logical, name, found.get(name)) for name, logical in names.items()]
    return sorted(alarms, key=lambda alarm: (_FIRST.get(alarm.state, len(_FIRST)), alarm.alarm))


def _names(cloudformation: Any, stack: Stack) -> Iterator[tuple[str, str]]:
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] in _TYPES and resource.get("PhysicalResourceId"):
                yield resource["PhysicalResourceId"], resource["LogicalResourceId"]


def _alarm(logical: str, name: str, found: dict[str, Any] | None) -> Alarm:
    if found is None:
        return Alarm(logical, name, MISSING, "it was deleted", runbook=f"docs/operations.md#{logical.lower()}")
    link = _RUNBOOK.search(found.get("AlarmDescription", ""))
    since = found.get("StateUpdatedTimestamp")
    return Alarm(
        logical,
        name,
        found["StateValue"],
        found.get("StateReason", ""),
        since.isoformat() if since else "",
        link.group() if link else "",
        bool(found.get("ActionsEnabled") and found.get("AlarmActions")),
    )
