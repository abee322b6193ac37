"""Alerts on the local stack: the built function, its real role, a real index, the schedule, messages that arrive."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from iot_stream.cli import cli
from iot_stream.local.alarm_messages import AlarmMessage, read_messages, subscribe_queue
from iot_stream.local.local_stack import LocalStack
from iot_stream.stack import Stack
from tests.alerts_function import MINUTE, last_run, put, remember, run, schedule_paused
from tests.polling import until

HOT, GONE = 990_001, 990_002
HOT_IN_TROUBLE, GONE_IN_TROUBLE, GONE_WHILE_LATE = 990_101, 990_102, 990_103
TROUBLED = [HOT_IN_TROUBLE, GONE_IN_TROUBLE, GONE_WHILE_LATE]

# Ago enough that a second reading shows more than `alert_after` (60 s) of heat, and long before `silent_after` (180 s)
# ends, however slow the machine is between the two.
HOT_FOR = 70_000
# Longer than `silent_after`, by more than delivery may have been late lately, in any test (device_alerts.progress).
GONE_FOR = 30 * MINUTE


@pytest.fixture(scope="module")
def stack(local_stack: LocalStack) -> Iterator[Stack]:
    """The stack, with its alarm topic subscribed as `iot-stream up` does it; afterwards the readings made here go."""
    stack = local_stack.stack()
    subscribe_queue(local_stack.aws, stack.output("AlarmTopicArn"))
    yield stack
    delete_readings(local_stack, stack, [HOT, GONE, *TROUBLED])


def delete_readings(local_stack: LocalStack, stack: Stack, devices: list[int]) -> None:
    """Delete the readings that a test made up."""
    client, query = local_stack.opensearch.admin_client(), {"query": {"terms": {"device_id": devices}}}
    client.delete_by_query(index=f"{stack.output('IndexName')}*", body=query, params={"refresh": "true"})


@pytest.fixture
def by_hand(local_stack: LocalStack, stack: Stack, runs_by_hand: list[int]) -> Iterator[None]:
    """Every run of the function is this test's: one of the schedule between two lines would do what it looks for."""
    with schedule_paused(local_stack, stack):
        yield
        runs_by_hand.append(last_run(local_stack, stack))


def messages(local_stack: LocalStack) -> list[AlarmMessage]:
    """Return the topic's messages about devices of this module."""
    return [each for each in read_messages(local_stack.aws) if str(HOT) in each.text or str(GONE) in each.text]


@pytest.mark.usefixtures("by_hand")
def test_what_goes_wrong_is_told_once_and_what_is_well_again_too(local_stack: LocalStack, stack: Stack) -> None:
    """A device overheats and another falls silent: one alert each, which opens, stays and closes; messages counted."""
    run(local_stack, stack)
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")
    now = time.time_ns() // 1_000_000
    remember(local_stack, stack, on_time_since=now - 10 * MINUTE, horizon=now - GONE_FOR - MINUTE)
    put(local_stack, stack, GONE, 20.0, iter([now - GONE_FOR]))
    put(local_stack, stack, HOT, 45.5, iter([now - HOT_FOR]))
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


def test_the_fleet_has_a_row_for_each_device(local_stack: LocalStack, stack: Stack) -> None:
    """Its latest measure, when it was last seen, and its state."""
    row = local_stack.opensearch.admin_client().get(index=stack.output("AlertsIndexName"), id=f"device:{HOT}")[
        "_source"
    ]
    assert (row["device_id"], row["temp_celsius"], row["fleet"]["state"]) == (HOT, 21.0, "ok")


@pytest.mark.usefixtures("by_hand")
def test_what_breaks_meanwhile_changes_nothing_that_is_told(local_stack: LocalStack, stack: Stack) -> None:
    """The function is killed, delivery is late: the right alerts open and close, each told once.

    `test_outage.py` has the third: OpenSearch is away.
    """
    delete_readings(local_stack, stack, [HOT, GONE])  # the last ones arrive in a minute, and nothing is late before
    run(local_stack, stack)
    now = time.time_ns() // 1_000_000
    put(local_stack, stack, GONE_IN_TROUBLE, 20.0, iter([now - GONE_FOR]))
    put(local_stack, stack, HOT_IN_TROUBLE, 45.5, iter([now - HOT_FOR]))
    remember(local_stack, stack, on_time_since=now - 10 * MINUTE, horizon=now - GONE_FOR - MINUTE)
    kill_in_the_middle(local_stack, stack)
    put(local_stack, stack, HOT_IN_TROUBLE, 45.5, iter([time.time_ns() // 1_000_000]))
    kill_in_the_middle(local_stack, stack)
    run(local_stack, stack)
    assert opened(local_stack, stack) == {("too_high", HOT_IN_TROUBLE): "open", ("silent", GONE_IN_TROUBLE): "open"}
    with late_from(local_stack, stack, seconds=0):
        until(lambda: run(local_stack, stack) and pipeline(local_stack, stack) == ["open"], seconds=90, what="late")
        now = time.time_ns() // 1_000_000
        put(local_stack, stack, GONE_WHILE_LATE, 20.0, iter([now - GONE_FOR]))
        remember(local_stack, stack, horizon=now - GONE_FOR - MINUTE)
        run(local_stack, stack)
        assert ("silent", GONE_WHILE_LATE) not in opened(local_stack, stack)
    begin = time.time_ns() // 1_000_000
    for device in TROUBLED[:2]:
        put(local_stack, stack, device, 21.0, iter([begin]))
    run(local_stack, stack)
    remember(local_stack, stack, on_time_since=begin - 10 * MINUTE)
    run(local_stack, stack)
    assert pipeline(local_stack, stack) == ["closed"]
    assert opened(local_stack, stack)["silent", GONE_WHILE_LATE] == "open"
    put(local_stack, stack, GONE_WHILE_LATE, 21.0, iter([begin]))
    run(local_stack, stack)
    for device in TROUBLED:
        put(local_stack, stack, device, 21.0, iter([begin + MINUTE]))
    run(local_stack, stack)
    wanted = {("too_high", HOT_IN_TROUBLE), ("silent", GONE_IN_TROUBLE), ("silent", GONE_WHILE_LATE)}
    assert opened(local_stack, stack) == dict.fromkeys(wanted, "closed")
    every = {(f"- Device {device}", closed) for device in TROUBLED for closed in (False, True)}
    everything = read_messages(local_stack.aws)
    assert set(told(everything)) == every
    # A run that was killed while it published leaves the message to the next one, which says so.
    once = told([each for each in everything if "may be a duplicate" not in each.text])
    assert set(once.values()) == {1}, once


def told(found: list[AlarmMessage]) -> Counter[tuple[str, bool]]:
    """Count what messages say of the troubled devices: a line's beginning, and whether it is of a closing."""
    lines = [line for each in found for line in each.text.splitlines()]
    mine = [line for line in lines if any(str(device) in line for device in TROUBLED)]
    return Counter((line.split(":")[0], " (closed " in line) for line in mine)


def kill_in_the_middle(local_stack: LocalStack, stack: Stack) -> None:
    """Send SIGKILL to the function's process while a run is at work; its lease then ends, as after its time-out."""
    name = stack.output("DeviceAlertsFunctionArn").rsplit(":", 1)[-1]
    client, index, port = (
        local_stack.opensearch.admin_client(),
        stack.output("AlertsIndexName"),
        str(local_stack.aws.port),
    )

    def at_work() -> bool:
        return bool(client.get(index=index, id="run")["_source"]["memory"]["lease_until"])

    def killed() -> bool:
        invoke = local_stack.aws.client("lambda").invoke
        invocation = threading.Thread(target=invoke, kwargs={"FunctionName": name})
        invocation.start()
        while invocation.is_alive() and not at_work():
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))
        for process in psutil.process_iter(["environ"]):
            variables = process.info["environ"] or {}
            if variables.get("GATEWAY_PORT") == port and variables.get("AWS_LAMBDA_FUNCTION_NAME") == name:
                process.kill()
        invocation.join()
        return at_work()

    until(killed, seconds=60, what="a run that was killed in the middle")
    remember(local_stack, stack)


@contextmanager
def late_from(local_stack: LocalStack, stack: Stack, seconds: int) -> Iterator[None]:
    """Call the pipeline late from an age on that it reaches at once, in place of waiting for the parameter's."""
    functions, name = local_stack.aws.client("lambda"), stack.output("DeviceAlertsFunctionArn").rsplit(":", 1)[-1]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = before | {"LATE_AFTER_SECONDS": str(seconds)}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def search(local_stack: LocalStack, stack: Stack, clause: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alerts that match a clause, by their opening."""
    client, index = local_stack.opensearch.admin_client(), stack.output("AlertsIndexName")
    client.indices.refresh(index=index)
    query = {"bool": {"filter": [{"term": {"kind": "alert"}}, clause]}}
    body = {"size": 100, "query": query, "sort": [{"alert.opened_at": "asc"}]}
    return [hit["_source"] for hit in client.search(index=index, body=body)["hits"]["hits"]]


def opened(local_stack: LocalStack, stack: Stack) -> dict[tuple[str, int], str]:
    """Return the states of the troubled devices' alerts; each opened once."""
    found = search(local_stack, stack, {"terms": {"device_id": TROUBLED}})
    states = {(each["alert"]["rule"], each["device_id"]): each["alert"]["state"] for each in found}
    assert len(states) == len(found), found
    return states


def pipeline(local_stack: LocalStack, stack: Stack) -> list[str]:
    """Return the state of the latest alert about the pipeline."""
    return [
        each["alert"]["state"] for each in search(local_stack, stack, {"term": {"alert.rule": "pipeline_late"}})[-1:]
    ]
