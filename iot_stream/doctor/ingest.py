"""Judge the stack, key, stream, delivery stream and its role, logs and metrics. Pure.

Arguments are the members of AWS's responses, as botocore's models name them.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from iot_stream.doctor.finding import RESTORE, RESTORING, Finding, State

__all__ = [
    "judge_delivery_stream",
    "judge_key",
    "judge_log",
    "judge_metric",
    "judge_policies",
    "judge_stack",
    "judge_stream",
]

_STUCK: Final = {
    "ROLLBACK_COMPLETE": "sam delete --stack-name {name}, then deploy again",
    "ROLLBACK_FAILED": "aws cloudformation delete-stack --stack-name {name} --retain-resources …",
    "CREATE_FAILED": "fix the cause, then sam deploy",
    "UPDATE_FAILED": "fix the cause, then sam deploy",
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback --stack-name {name}",
    "DELETE_FAILED": "empty the backup bucket, then sam delete --stack-name {name}",
}
"""How to recover, by StackStatus: docs/operations.md, "Stuck stacks"."""
_DURATION_LIMIT: Final = 48_000  # milliseconds; of FunctionDurationAlarm
_METRICS: Final = {
    "WriteProvisionedThroughputExceeded": (
        0,
        "the stream throttled {value:,.0f} records in the last 15 minutes: it has too few shards",
        "sam deploy --parameter-overrides ShardCount=0",
        "producersthrottledalarm",
    ),
    "KinesisMillisBehindLatest": (
        600_000,
        "the delivery stream is {value:,.0f} ms behind the newest record",
        "check the layers below: a delivery stream that can't deliver stops reading",
        "readdelayalarm",
    ),
    "DeliveryToAmazonOpenSearchService.DataFreshness": (
        600,
        "the oldest undelivered record is {value:,.0f} s old",
        "check the layers below: the domain is too small or unhealthy",
        "deliverydelayalarm",
    ),
    "Throttles": (
        0,
        "Lambda throttled {value:,.0f} invocations of the function in the last 15 minutes",
        "aws service-quotas list-service-quotas --service-code lambda",
        "functionthrottlesalarm",
    ),
    "Duration": (
        _DURATION_LIMIT,
        "an invocation of the function took {value:,.0f} of 60,000 ms",
        "sam deploy --parameter-overrides EnrichmentMemorySize=512",
        "functiondurationalarm",
    ),
    "CPUCreditBalance": (
        -1,
        "the domain's t3 node has {value:,.0f} CPU credits left",
        "sam deploy --parameter-overrides InstanceType=m7g.large.search",
        "domaincreditalarm",
    ),
}
"""By metric: the highest acceptable value (in the metric's unit), the finding above it, the cure and the runbook."""


def judge_stack(description: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge a stack of DescribeStacks by its StackStatus."""
    name, status = description["StackName"], description["StackStatus"]
    reason = description.get("StackStatusReason", "")
    text = f"stack {name} is {status}" + (f": {reason}" if reason else "")
    if status in _STUCK:
        yield Finding("stack", State.REFUSES, text, _STUCK[status].format(name=name), "stuck-stacks")
    elif status == "UPDATE_ROLLBACK_COMPLETE":
        what = f"{text}: the last update failed and was rolled back"
        yield Finding("stack", State.WARNING, what, "fix the cause, then sam deploy", "stuck-stacks")
    elif status.endswith("_IN_PROGRESS"):
        yield Finding("stack", State.REFUSES, text, "wait until the operation has finished", "stuck-stacks")
    else:
        yield Finding("stack", State.OK, text)


def judge_key(metadata: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge the stack's own key by KeyMetadata of KMS's DescribeKey."""
    key, state = metadata["KeyId"], metadata["KeyState"]
    if state == "PendingDeletion":
        yield Finding(
            "key",
            State.REFUSES,
            f"key {key} is scheduled for deletion",
            f"aws kms cancel-key-deletion --key-id {key}",
            "domainkeyinaccessiblealarm",
        )
    elif state != "Enabled":
        yield Finding(
            "key", State.REFUSES, f"key {key} is {state}", f"aws kms enable-key --key-id {key}", "domainkeyerroralarm"
        )
    else:
        yield Finding("key", State.OK, f"key {key} is enabled")


def judge_stream(summary: Mapping[str, Any] | None, name: str) -> Iterator[Finding]:
    """Judge the data stream by StreamDescriptionSummary of DescribeStreamSummary; None: there is none."""
    if summary is None:
        yield Finding(
            "stream",
            State.REFUSES,
            f"stream {name} does not exist: it was deleted",
            f"aws kinesis create-stream --stream-name {name}",
        )
    elif summary["StreamStatus"] in {"ACTIVE", "UPDATING"}:
        mode = summary.get("StreamModeDetails", {}).get("StreamMode", "")
        shards, hours = summary["OpenShardCount"], summary["RetentionPeriodHours"]
        text = f"stream {name} is {summary['StreamStatus']}: {mode}, shards {shards}, retention {hours} h"
        yield Finding("stream", State.OK, text)
    else:
        yield Finding(
            "stream", State.REFUSES, f"stream {name} is {summary['StreamStatus']}", "wait, then deploy the stack again"
        )


def judge_metric(layer: str, metric: str, value: float | None, limit: float | None = None) -> Iterator[Finding]:
    """Judge the highest value (for credits, the lowest) of the last 15 minutes; None if there is no data."""
    allowed, text, cure, section = _METRICS[metric]
    if value is None:
        return
    beyond = value < 1 if metric == "CPUCreditBalance" else value > (allowed if limit is None else limit)
    if beyond:
        yield Finding(layer, State.WARNING, text.format(value=value), cure, section)


def judge_policies(role: str, wanted: Mapping[str, str], attached: Collection[str] | None) -> Iterator[Finding]:
    """Judge the delivery role.

    Args:
        role: its name.
        wanted: the ARN of each policy that the template attaches to it, by its name in the template.
        attached: the ARNs of AttachedPolicies (ListAttachedRolePolicies); None: there is no such role.
    """
    layer = "delivery role"
    if attached is None:
        yield Finding(
            layer,
            State.REFUSES,
            f"role {role} does not exist: the delivery stream has no permissions",
            RESTORE,
            RESTORING,
        )
        return
    for policy, arn in wanted.items():
        if arn not in attached:
            section = {"BackupPolicy": "backupfailurealarm", "TransformPolicy": "processingfailurealarm"}
            yield Finding(
                layer,
                State.REFUSES,
                f"{policy} is not attached to role {role}",
                f"aws iam attach-role-policy --role-name {role} --policy-arn {arn}",
                section.get(policy, "nothingreadalarm"),
            )
    if all(arn in attached for arn in wanted.values()):
        yield Finding(layer, State.OK, f"role {role} has its {len(wanted)} policies")


def judge_delivery_stream(description: Mapping[str, Any] | None, name: str, stream: str) -> Iterator[Finding]:
    """Judge DeliveryStreamDescription of DescribeDeliveryStream; None: there is none."""
    layer = "delivery stream"
    again = "sam deploy --parameter-overrides DeliveryStreamName=… (CloudFormation does not notice the deletion)"
    if description is None:
        yield Finding(
            layer, State.REFUSES, f"delivery stream {name} does not exist: it was deleted", again, "nothingreadalarm"
        )
        return
    status = description["DeliveryStreamStatus"]
    source = description.get("Source", {}).get("KinesisStreamSourceDescription", {}).get("KinesisStreamARN", "")
    if status != "ACTIVE":
        reason = description.get("FailureDescription", {}).get("Details", "")
        text = f"delivery stream {name} is {status}" + (f": {reason}" if reason else "")
        yield Finding(
            layer, State.REFUSES, text, "wait until it is ACTIVE" if status == "CREATING" else again, "nothingreadalarm"
        )
    elif source.rpartition("/")[2] != stream:
        text = f"delivery stream {name} reads {source or 'no stream'}, not {stream}"
        yield Finding(layer, State.REFUSES, text, again, "changing-names-and-settings")
    else:
        yield Finding(layer, State.OK, f"delivery stream {name} is ACTIVE and reads {stream}")


def judge_log(layer: str, messages: Collection[str] | None, group: str) -> Iterator[Finding]:
    """Judge a log's errors of the last 15 minutes, oldest first.

    Firehose writes errorCode and errorMessage, Lambda's runtime errorType and errorMessage, which may be empty; the
    report of an invocation has a status, and mostly an errorType.

    Without a log group (None), errors are lost: neither Firehose nor a function with this role creates one.
    """
    if messages is None:
        text = f"log group {group} does not exist: it was deleted, and errors are not logged"
        section = "deliveryerrorsalarm" if layer == "delivery stream" else "functionerrorsalarm"
        yield Finding(layer, State.WARNING, text, f"aws logs create-log-group --log-group-name {group}", section)
        return
    if not messages:
        return
    entry = _entry(list(messages)[-1])
    code = str(entry.get("errorCode", ""))
    report = entry["record"] if isinstance(entry.get("record"), dict) else {}
    words = (entry.get("message"), entry.get("errorMessage"), entry.get("errorType"))
    text = code or str(next(filter(None, (*words, report.get("errorType"), report.get("status"))), "an error"))[:200]
    yield Finding(
        layer,
        State.WARNING,
        f"errors in the last 15 minutes: {len(messages)}, most recently {text}",
        f"aws logs tail {group} --since 1h",
        _section(code) if layer == "delivery stream" else "functionerrorsalarm",
    )


def _section(code: str) -> str:
    """Return the runbook of an error code of Firehose ("Monitor Amazon Data Firehose Using CloudWatch Logs")."""
    if code.startswith("Lambda."):
        return "transformfailurealarm" if code == "Lambda.ProcessingFailedStatus" else "processingfailurealarm"
    if code.startswith("S3."):
        return "backupfailurealarm"
    if code.endswith(("AccessDenied", "PermissionDenied")) or code == "403":
        return "deliveryauthfailurealarm"
    return "deliveryerrorsalarm"


def _entry(message: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(message)
    except ValueError:
        return {"message": message.strip()}
    return entry if isinstance(entry, dict) else {"message": message}
