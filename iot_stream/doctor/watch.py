"""Judge the alarms, their topic, the device alerts, and the failures in the bucket. Pure."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from iot_stream.alarms import MISSING, Alarm
from iot_stream.doctor.finding import RESTORE, RESTORING, Finding, State

__all__ = ["FAILED_RECORDS", "judge_alarms", "judge_device_alerts", "judge_failures", "judge_topic"]

FAILED_RECORDS: Final = frozenset({
    "DeliveryErrorsAlarm", "FailedRecordsAlarm", "FailureObjectAlarm", "TransformFailureAlarm",
})  # fmt: skip
"""The alarms that count what failed in their last five minutes; then they clear, whatever became of it."""
_COMBINED: Final = "DataLossAlarm"  # raised by others
_PUBLISHERS: Final = {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
_UNCONFIRMED: Final = {"PendingConfirmation", "Deleted"}  # in place of an ARN (SNS, ListSubscriptionsByTopic)


def judge_alarms(alarms: Collection[Alarm], *, failures_left: bool = True) -> Iterator[Finding]:
    """Judge the stack's alarms; `failures_left`: there are failed records that were not replayed."""
    raised = {alarm.alarm for alarm in alarms if alarm.state == "ALARM"}
    past = set() if failures_left else raised & FAILED_RECORDS
    if past and raised - past == {_COMBINED}:
        past = raised
    for alarm in alarms:
        section = alarm.runbook.rpartition("#")[2]
        if alarm.alarm in past:
            text = f"{alarm.alarm} is raised by past events: no failed record is left to replay; it clears in minutes"
            yield Finding("alarms", State.WARNING, text, "", section)
        elif alarm.state == "ALARM":
            text = f"{alarm.alarm} is raised: {alarm.reason} (it clears within minutes once its cause is gone)"
            yield Finding("alarms", State.REFUSES, text, f"see {alarm.runbook or 'its description'}", section)
        elif alarm.state == MISSING:
            yield Finding("alarms", State.WARNING, f"{alarm.alarm} was deleted", RESTORE, RESTORING)
        elif not alarm.notifies:
            cure = f"aws cloudwatch enable-alarm-actions --alarm-names {alarm.name}"
            yield Finding("alarms", State.WARNING, f"{alarm.alarm} notifies nobody", cure, section)
    if all(alarm.state not in {"ALARM", MISSING} and alarm.notifies for alarm in alarms):
        yield Finding("alarms", State.OK, f"none of {len(alarms)} alarms is raised")


def judge_topic(topic: str, policy: str | None, subscriptions: Collection[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the alarm topic: its Policy attribute (None: there is no topic) and its Subscriptions."""
    if policy is None:
        cure = "sam deploy --parameter-overrides AlarmTopicArn=… with an existing topic"
        yield Finding("alarms", State.WARNING, f"topic {topic} does not exist", cure, "notifications")
        return
    for service in sorted(_PUBLISHERS - _publishers(policy)):
        cure = f"aws sns set-topic-attributes --topic-arn {topic} --attribute-name Policy --attribute-value …"
        yield Finding(
            "alarms",
            State.WARNING,
            f"the topic's policy does not allow {service} to publish",
            cure,
            "failuremessagealarm",
        )
    if not any(each["SubscriptionArn"] not in _UNCONFIRMED for each in subscriptions):
        waits = " (a subscription is not confirmed yet)" if subscriptions else ""
        cure = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint you@example.org"
        yield Finding("alarms", State.WARNING, f"nobody is notified of alarms{waits}", cure, "notifications")


def judge_device_alerts(
    name: str, rule: Mapping[str, Any] | None, function: Mapping[str, Any] | None, counts: Mapping[str, float]
) -> Iterator[Finding]:
    """Judge the alerts function and its rule. Without them readings get through, but there are no device alerts.

    Args:
        name: of its rule.
        rule: DescribeRule of EventBridge; None: there is none.
        function: GetFunctionConfiguration; None: there is none.
        counts: Errors and Throttles of a quarter of an hour (`AWS/Lambda`).
    """
    layer, found = "device alerts", []
    if function is None:
        text = "the alerts function does not exist: it was deleted"
        found.append(Finding(layer, State.WARNING, text, RESTORE, RESTORING))
    if rule is None:
        text = f"rule {name}, which invokes the alerts function, does not exist: it was deleted"
        found.append(Finding(layer, State.WARNING, text, RESTORE, RESTORING))
    elif rule.get("State") == "DISABLED":
        cure = f"aws events enable-rule --name {name}"
        found.append(
            Finding(
                layer, State.WARNING, f"rule {name} is disabled: there are no alerts", cure, "devicealertsmissedalarm"
            )
        )
    if counts.get("Errors"):
        text = f"the alerts function failed {counts['Errors']:,.0f} times in the last 15 minutes"
        found.append(Finding(layer, State.WARNING, text, "iot-stream domain apply", "devicealertserrorsalarm"))
    if counts.get("Throttles"):
        text = f"Lambda throttled {counts['Throttles']:,.0f} invocations of the alerts function: no concurrency is left"
        cure = "request an increase in Service Quotas: Lambda, Concurrent executions"
        found.append(Finding(layer, State.WARNING, text, cure, "devicealertsthrottlesalarm"))
    yield from found or [Finding(layer, State.OK, f"rule {name} is enabled")]


def judge_failures(counts: Mapping[str, int], *, more: bool) -> Iterator[Finding]:
    """Judge the number of failure objects in the backup bucket by kind; `more`: there are more than were counted."""
    if not counts:
        yield Finding("failures", State.OK, "no failed records are in the bucket")
        return
    text = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    what = f"failure objects in the bucket: {text}{' or more' if more else ''}"
    yield Finding("failures", State.WARNING, what, "iot-stream failures list", "failureobjectalarm")


def _publishers(policy: str) -> set[str]:
    """Return the services that a topic's policy allows to publish."""
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return set()
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        actions = statement.get("Action", [])
        actions = {each.lower() for each in (actions if isinstance(actions, list) else [actions])}
        if statement.get("Effect") == "Allow" and actions & {"sns:publish", "sns:*", "*"}:
            found |= set(services if isinstance(services, list) else [services])
    return found
