"""What tests do to the alerts function of the local stack: its schedule, its readings, its runs, its memory.

And its domain on an OpenSearch without a stack, for benchmarks and pictures.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import requests

from device_alerts.documents import iso
from device_alerts.search import Domain
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.stack import Stack
from tests.polling import until

__all__ = ["MINUTE", "administrators_domain", "last_run", "put", "remember", "run", "schedule_paused"]

MINUTE = 60_000


@contextmanager
def schedule_paused(local_stack: LocalStack, stack: Stack) -> Iterator[None]:
    """Let only the test invoke the function, once a run of the schedule has ended."""
    events = local_stack.aws.client("events")
    [rule] = events.list_rule_names_by_target(TargetArn=stack.output("DeviceAlertsFunctionArn"))["RuleNames"]
    events.disable_rule(Name=rule)
    try:
        until(
            lambda: _memory(local_stack, stack)["lease_until"] < time.time_ns() // 1_000_000,
            what="the end of the schedule's run",
        )
        yield
    finally:
        events.enable_rule(Name=rule)


def last_run(local_stack: LocalStack, stack: Stack) -> int:
    """Return the number of the function's last run; 0 before the first."""
    return int(_memory(local_stack, stack)["run"])


def _memory(local_stack: LocalStack, stack: Stack) -> dict[str, Any]:
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")
    found = client.get(index=index, id="run", params={"ignore": 404})
    return found["_source"]["memory"] if found.get("found") else {"run": 0, "lease_until": 0}


def put(local_stack: LocalStack, stack: Stack, device: int, celsius: float, arrivals: Iterator[int]) -> None:
    """Put readings into the index as if they had arrived at these times (epoch milliseconds)."""
    client = local_stack.opensearch.admin_client()
    lines = []
    for arrived in arrivals:
        text = iso(arrived).removesuffix("Z")
        document = {"device_id": device, "temp_celsius": celsius, "timestamp": text, "ingested_at": text}
        lines += [{"index": {"_index": stack.output("IndexName")}}, document]
    response = client.bulk(body="".join(json.dumps(line) + "\n" for line in lines), params={"refresh": "true"})
    assert not response["errors"]


def run(local_stack: LocalStack, stack: Stack) -> dict[str, Any]:
    """Invoke the function until no other run is at work; return what it did."""
    found: dict[str, Any] = {}

    def done() -> bool:
        response = local_stack.aws.client("lambda").invoke(FunctionName=stack.output("DeviceAlertsFunctionArn"))
        text = response["Payload"].read().decode()
        assert "FunctionError" not in response, text
        found.update(json.loads(text))
        return not found["skipped"]

    until(done, seconds=60, what="a run of one's own")
    return found


def remember(local_stack: LocalStack, stack: Stack, **changes: int) -> None:
    """Change what the function remembers, as time would have: no test waits for so long."""
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")
    document = client.get(index=index, id="run")["_source"]
    document["memory"] |= {"lease_until": 0, **changes}
    client.index(index=index, id="run", body=document, params={"refresh": "true"})


def administrators_domain(server: OpenSearch, session: requests.Session, index: str) -> Domain:
    """Return the function's domain on an OpenSearch without a stack, in the session of an administrator."""
    unused = boto3.Session("a", "b", region_name="us-east-1")
    domain = Domain(f"127.0.0.1:{server.port}", f"{index}*", alerts_index(index), unused, lambda: 600.0)
    domain._http = session  # in place of a signature
    return domain
