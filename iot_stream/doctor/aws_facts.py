"""Ask AWS about one thing each: the facts that the doctor judges, None where a thing does not exist."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

__all__ = [
    "FUNCTION_ERRORS",
    "attached_policies",
    "concurrency",
    "errors_of_function",
    "errors_of_log",
    "exists",
    "highest",
    "invoke",
    "resources",
    "subscriptions",
    "topic_policy",
    "unless_missing",
]

_MISSING: Final = {"ResourceNotFoundException", "NoSuchEntity", "NotFound", "NotFoundException", "NoSuchBucket", "404"}
_RECENT: Final = timedelta(minutes=15)
_MOST_EVENTS: Final = 10_000
# An uncaught exception as Lambda's runtime logs it in JSON (its runtime interface client for Python writes `log_level`
# before version 4.0.4, and `level` since), and the platform's report of an invocation that timed out, ran out of memory
# or exited (Lambda Telemetry API event schema, platform.report and Status: success, failure, error or timeout).
_NO_SUCCESS: Final = ("error", "failure", "timeout")
FUNCTION_ERRORS: Final = (
    " || ".join(
        ['{ $.level = "ERROR"', '$.log_level = "ERROR"', *(f'$.record.status = "{each}"' for each in _NO_SUCCESS)]
    )
    + " }"
)
_PLAIN_ERROR: Final = re.compile(r"^[\w.]+(Error|Exception)\b|timed out", re.MULTILINE)


def unless_missing[T](call: Callable[[], T]) -> T | None:
    """Return what `call` does; None where AWS says that there is no such thing."""
    try:
        return call()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _MISSING:
            return None
        raise


def exists(call: Callable[[], Any]) -> bool:
    """Whether the thing that `call` describes exists."""
    return unless_missing(lambda: (call(),)) is not None


def resources(cloudformation: Any, stack: str) -> dict[str, str]:
    """Return the physical id of each resource of a stack, by its name in the template."""
    found: dict[str, str] = {}
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
        found |= {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in page["StackResourceSummaries"]
        }
    return found


def attached_policies(iam: Any, role: str) -> set[str] | None:
    """Return the ARNs of the managed policies attached to a role; None where there is no such role."""
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return unless_missing(lambda: {each["PolicyArn"] for page in pages for each in page["AttachedPolicies"]})


def highest(
    cloudwatch: Any, namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str = "Maximum"
) -> float | None:
    """Return the highest value of a metric in the last quarter of an hour; a Sum over all of it, None without data."""
    now = datetime.now(UTC)
    response = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - _RECENT,
        EndTime=now,
        Period=300,
        Statistics=[statistic],
    )
    values = [point[statistic] for point in response["Datapoints"]]
    if not values:
        return None
    if statistic == "Sum":
        return float(sum(values))
    return float(min(values) if statistic == "Minimum" else max(values))


def errors_of_log(logs: Any, group: str) -> list[str] | None:
    """Return the messages of the last quarter of an hour of a log that has errors only, oldest first.

    Without the log group, return None: nobody knows whether there were errors.
    """
    return _messages(logs, group, "")


def errors_of_function(logs: Any, group: str) -> list[str] | None:
    """Return a function's own errors of the last quarter of an hour, oldest first; None without its log group.

    What a function logs of its records is not an error of it, whatever the devices call their fields. An invocation
    that failed is one error, though the runtime and the platform may both report it.
    """
    messages = _messages(logs, group, FUNCTION_ERRORS)
    if messages is None:
        return None
    found: dict[str, str] = {}
    for number, message in enumerate(messages):
        if (request := _failed_request(message)) is not None:
            found.setdefault(request or f"line {number}", message)
    return list(found.values())


def _messages(logs: Any, group: str, pattern: str) -> list[str] | None:
    """Read all pages: FilterLogEvents may return an empty one before others (its API reference)."""
    since = datetime.now(UTC) - _RECENT

    def read() -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            startTime=int(since.timestamp() * 1000),
            filterPattern=pattern,
            PaginationConfig={"MaxItems": _MOST_EVENTS},
        )
        events = sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
        return [event["message"] for event in events]

    return unless_missing(read)


def _failed_request(message: str) -> str | None:
    """Return the id of the request that a line reports as failed, empty where it has none; None for another line.

    This is what FUNCTION_ERRORS selects, because the local AWS has no patterns of JSON and returns all lines. Its
    runtime writes an exception as plain text.
    """
    try:
        entry = json.loads(message)
    except ValueError:
        return "" if _PLAIN_ERROR.search(message) else None
    if not isinstance(entry, dict):
        return None
    record = entry.get("record")
    if isinstance(record, dict) and record.get("status") in _NO_SUCCESS:
        return str(record.get("requestId", ""))
    return str(entry.get("requestId", "")) if "ERROR" in (entry.get("level"), entry.get("log_level")) else None


def concurrency(client: Any, function: str) -> tuple[int | None, int | None]:
    """Return the function's reserved concurrency (None: none is reserved) and the account's."""
    reserved = client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions")
    limit = client.get_account_settings().get("AccountLimit", {}).get("ConcurrentExecutions")
    return reserved, limit


def invoke(client: Any, function: str, data: bytes, region: str) -> tuple[str, Mapping[str, Any] | None]:
    """Invoke the function with one record as Firehose does ("Data transformation", Firehose developer guide).

    Returns:
        Its error, empty where it responded; and the record of its response, None where it has not exactly that one.
    """
    event = {
        "invocationId": "doctor",
        "deliveryStreamArn": f"arn:aws:firehose:{region}:123456789012:deliverystream/doctor",
        "region": region,
        "records": [
            {
                "recordId": "doctor",
                "approximateArrivalTimestamp": int(datetime.now(UTC).timestamp() * 1000),
                "data": base64.b64encode(data).decode(),
            }
        ],
    }
    try:
        response = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    except ClientError as error:
        return str(error), None
    payload = response["Payload"].read()
    if "FunctionError" in response:
        return _words(payload), None
    try:
        [record] = json.loads(payload)["records"]
    except (ValueError, KeyError, TypeError):
        return "", None
    return "", record if isinstance(record, dict) and record.get("recordId") == "doctor" else None


def topic_policy(sns: Any, topic: str) -> str | None:
    """Return the policy of a topic; None where there is no such topic."""
    found = unless_missing(lambda: sns.get_topic_attributes(TopicArn=topic))
    return None if found is None else str(found["Attributes"].get("Policy", ""))


def subscriptions(sns: Any, topic: str) -> list[Mapping[str, Any]]:
    """Return the subscriptions of a topic."""
    return list(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"])


def _words(payload: bytes) -> str:
    """Return a failed function's own words (AWS page "Lambda function errors")."""
    try:
        error = json.loads(payload)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return "without a reason; check its log"
