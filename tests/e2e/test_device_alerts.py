"""Alerts on the local stack: the built function, its real role, a real index, the schedule, messages that arrive."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from device_alerts.documents import iso
from iot_stream.cli import cli
from iot_stream.local.alarm_messages import AlarmMessage, read_messages, subscribe_queue
from iot_stream.local.local_stack import LocalStack
from iot_stream.stack import Stack
from tests.delivery import until

HOT, GONE = 990_001, 990_002
MINUTE = 60_000


@pytest.fixture(scope="module")
def stack(local_stack: LocalStack) -> Iterator[Stack]:
    """The stack, with its alarm topic subscribed as `iot-stream up` does it; afterwards the readings made here go."""
    stack = local_stack.stack()
    subscribe_queue(local_stack.aws, stack.output("AlarmTopicArn"))
    yield stack
    query = {"query": {"terms": {"device_id": [HOT, GONE]}}}
    local_stack.opensearch.admin_client().delete_by_query(index=f"{stack.output('IndexName')}*", body=query)


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
    """Invoke the function until it is not the schedule's run that is at work; return what it did."""
    found: dict[str, Any] = {}

    def done() -> bool:
        response = local_stack.aws.client("lambda").invoke(FunctionName=stack.output("DeviceAlertsFunctionArn"))
        text = response["Payload"].read().decode()
        assert "FunctionError" not in response, text
        found.update(json.loads(text))
        return not found["skipped"]

    until(done, seconds=60, what="a run of one's own")
    return found


def messages(local_stack: LocalStack) -> list[AlarmMessage]:
    """Return the topic's messages about devices of this module."""
    return [each for each in read_messages(local_stack.aws) if str(HOT) in each.text or str(GONE) in each.text]


def test_what_goes_wrong_is_told_once_and_what_is_well_again_too(local_stack: LocalStack, stack: Stack) -> None:
    """A device overheats and another falls silent: one alert each, which opens, stays and closes; messages counted."""
    run(local_stack, stack)
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")
    # As after some minutes on time: silence is judged only then, and no test waits for so long.
    memory = client.get(index=index, id="run")["_source"]
    now = time.time_ns() // 1_000_000
    memory["memory"] |= {"on_time_since": now - 10 * MINUTE, "horizon": now - 10 * MINUTE}
    client.index(index=index, id="run", body=memory)
    put(local_stack, stack, GONE, 20.0, iter([now - 6 * MINUTE]))
    put(local_stack, stack, HOT, 45.5, iter([now - 3 * MINUTE]))
    run(local_stack, stack)
    put(local_stack, stack, HOT, 45.5, iter([time.time_ns() // 1_000_000]))
    run(local_stack, stack)
    run(local_stack, stack)
    told = messages(local_stack)
    lines = [line for message in told for line in message.text.splitlines() if "99000" in line]
    assert len(lines) == 2, lines
    assert any(f"Device {HOT}: Temperature 45.5 °C, above 38 °C" in line for line in lines)
    assert any(f"Device {GONE}: no reading since" in line for line in lines)
    listed = CliRunner().invoke(cli, ["alerts", "--state", str(local_stack.folder)])
    assert f"Device {HOT}: Temperature 45.5 °C" in listed.output, listed.output
    # Both are well again: the next readings arrive as time goes by, and an alert closes after a minute of them.
    begin = time.time_ns() // 1_000_000
    for device in (HOT, GONE):
        put(local_stack, stack, device, 21.0, iter([begin]))
    run(local_stack, stack)
    for device in (HOT, GONE):  # later than now by the allowance for clocks (queries.horizon)
        put(local_stack, stack, device, 21.0, iter([begin + MINUTE]))
    run(local_stack, stack)
    assert _states(client, index) == {"closed"}
    closing = [each for each in messages(local_stack) if each not in told]
    assert sum(each.text.count("(closed ") for each in closing) == 2, closing
    printed = CliRunner().invoke(cli, ["alerts", "--messages", "--state", str(local_stack.folder)])
    assert printed.output.count("Opened:") >= 1


def _states(client: Any, index: str) -> set[str]:
    """Return the states of the alerts about the devices of this module."""
    client.indices.refresh(index=index)
    clauses = [{"term": {"kind": "alert"}}, {"terms": {"device_id": [HOT, GONE]}}]
    hits = client.search(index=index, body={"size": 100, "query": {"bool": {"filter": clauses}}})["hits"]["hits"]
    return {hit["_source"]["alert"]["state"] for hit in hits}


def test_the_schedule_runs_the_function(local_stack: LocalStack, stack: Stack) -> None:
    """EventBridge's rule invokes it every minute, with the permission that the template gives."""
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")

    def number() -> int:
        return int(client.get(index=index, id="run")["_source"]["memory"]["run"])

    before = number()
    until(lambda: number() > before, seconds=100, what="a run of the schedule")


def test_the_fleet_has_a_row_for_each_device(local_stack: LocalStack, stack: Stack) -> None:
    """Its latest measure, when it was last seen, and its state."""
    row = local_stack.opensearch.admin_client().get(index=stack.output("AlertsIndexName"), id=f"device:{HOT}")[
        "_source"
    ]
    assert (row["device_id"], row["temp_celsius"], row["fleet"]["state"]) == (HOT, 21.0, "ok")
