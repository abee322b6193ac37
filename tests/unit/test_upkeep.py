"""A running local stack is changed without losing what it holds: parts start again, edits are deployed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from iot_stream.errors import SetupError, StackError
from iot_stream.local import deployment, ministack, opensearch, upkeep
from iot_stream.local.gateway import process as gateway
from iot_stream.local.local_stack import LIVE_PAGE, WORKER, LocalStack, Ports, find
from iot_stream.local.processes import Process
from iot_stream.stack import Stack

NAMES = (opensearch.NAME, gateway.NAME, ministack.NAME, WORKER, LIVE_PAGE)
ME = psutil.Process()


def process(name: str, *, alive: bool = True) -> Process:
    """A process of the local stack: this one, or one that has ended."""
    return Process(name, ME.pid if alive else 2**22 + 1, ME.create_time() if alive else 0.0, "/nonexistent")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parts that were started again."""
    names: list[str] = []

    def start(name: str) -> Any:
        def add(stack: LocalStack) -> None:
            names.append(name)
            stack.add(process(name))

        return add

    assert set(upkeep._STARTS) == set(NAMES) - {ministack.NAME}
    monkeypatch.setattr(upkeep, "_STARTS", {name: start(name) for name in upkeep._STARTS})
    return names


def stack_with(folder: Path, *ended: str) -> LocalStack:
    """A recorded local stack of which some parts have ended."""
    stack = LocalStack(folder, Ports(), folder, running=[process(name, alive=name not in ended) for name in NAMES])
    stack.save()
    return stack


@pytest.mark.parametrize("ended", [(WORKER,), (LIVE_PAGE,), (opensearch.NAME, gateway.NAME)])
def test_only_what_has_ended_starts_again(tmp_path: Path, started: list[str], ended: tuple[str, ...]) -> None:
    """In the order of a start; the record keeps that order, by which `down` stops the parts."""
    stack_with(tmp_path, *ended)
    said: list[str] = []
    restarted = upkeep.restart_parts(tmp_path, said.append)
    assert started == list(ended)
    assert said == [f"{name} has stopped; restarting it" for name in ended]
    assert restarted is not None
    assert [each.name for each in find(tmp_path).running] == list(NAMES)
    assert all(each.alive for each in find(tmp_path).running)


def test_nothing_starts_where_nothing_has_ended_or_nothing_runs(tmp_path: Path, started: list[str]) -> None:
    """`up` then says that a local stack is running, or starts a new one."""
    assert upkeep.restart_parts(tmp_path) is None
    stack_with(tmp_path)
    assert upkeep.restart_parts(tmp_path) is None
    stack_with(tmp_path, *NAMES)
    assert upkeep.restart_parts(tmp_path) is None
    assert started == []


def test_an_aws_that_has_ended_is_said_before_anything_is_started(tmp_path: Path, started: list[str]) -> None:
    """What it held was in memory: a new one would be an empty account beside a full index."""
    stack_with(tmp_path, ministack.NAME, WORKER)
    with pytest.raises(StackError, match="`iot-stream down`, then `iot-stream up`"):
        upkeep.restart_parts(tmp_path)
    assert started == []
    with pytest.raises(StackError, match="`iot-stream down`, then `iot-stream up`"):
        find(tmp_path).stack()  # what `send`, `failures` and `status` begin with


def test_one_part_is_stopped_and_stays_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `up` starts it again; a part that was never started is none."""
    stopped: list[str] = []
    monkeypatch.setattr(Process, "stop", lambda each, **_: stopped.append(each.name))
    stack = stack_with(tmp_path)
    stack.running = [each for each in stack.running if each.name != LIVE_PAGE]
    upkeep.stop_part(stack, WORKER)
    upkeep.stop_part(stack, LIVE_PAGE)
    assert stopped == [WORKER]
    assert stack.part(WORKER) == process(WORKER)
    assert stack.part(LIVE_PAGE) is None


@dataclass
class Deployments:
    """Stands for sam: what was deployed, and the stack before and after."""

    before: Stack
    after: Stack
    given: list[Mapping[str, str]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


OUTPUTS = {"IndexName": "i", "DeliveryStreamName": "d", "BackupBucketName": "b", "BackupPrefix": "p/"}


def deployments(monkeypatch: pytest.MonkeyPatch, parameters: Mapping[str, str], **after: str) -> Deployments:
    """Deploy without sam."""
    made = Deployments(Stack("s", "id", OUTPUTS, dict(parameters)), Stack("s", "id", OUTPUTS | after))

    def deploy(_: LocalStack, overrides: Mapping[str, str]) -> Stack:
        made.given.append(overrides)
        return made.after

    monkeypatch.setattr(LocalStack, "stack", lambda _: made.before)
    monkeypatch.setattr(deployment, "build", lambda log: made.done.append(f"build {log.name}"))
    monkeypatch.setattr(upkeep, "deploy", deploy)
    monkeypatch.setattr(upkeep, "create_reader_role", lambda _, pattern: made.done.append(f"reader of {pattern}"))
    monkeypatch.setattr(upkeep, "deliver", lambda *_: made.done.append("deliver"))
    monkeypatch.setattr(upkeep, "serve_live_page", lambda _: made.done.append("live page"))
    monkeypatch.setattr(Process, "stop", lambda each, **_: made.done.append(f"stop {each.name}"))
    return made


def test_an_update_keeps_the_parameters_that_the_stack_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """samconfig.toml's would replace those that `up` was given; all others sam leaves as they are."""
    name = "DeliveryBufferIntervalInSeconds"
    assert name in deployment.configured()
    made = deployments(monkeypatch, {name: "5", "IndexName": "kept by sam"})
    upkeep.update(stack_with(tmp_path), {"ShardCount": "2"})
    assert made.given == [{name: "5", "ShardCount": "2"}]
    assert made.done == ["build sam-build.log", f"stop {LIVE_PAGE}", "live page"], "it shows a new panel or field"


def test_an_unknown_parameter_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the nearest name."""
    made = deployments(monkeypatch, {})
    with pytest.raises(SetupError, match=r"did you mean ShardCount\?"):
        upkeep.update(stack_with(tmp_path), {"ShardCounts": "2"})
    assert made.done == []


def test_the_parts_follow_to_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker to a new delivery stream, whose progress is its own; the live page to a new index."""
    made = deployments(monkeypatch, {}, IndexName="new", DeliveryStreamName="other")
    stack = stack_with(tmp_path)
    stack.delivery_state.mkdir()
    (stack.delivery_state / "progress").touch()
    upkeep.update(stack)
    assert made.done[1:] == ["reader of new*", f"stop {WORKER}", "deliver", f"stop {LIVE_PAGE}", "live page"]
    assert (tmp_path / "delivery-d" / "progress").exists()
    assert not stack.delivery_state.exists()


def test_a_name_that_is_used_again_does_not_stop_the_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From d to other, back and to other again: the folder of the first d makes room for that of the second."""
    made = deployments(monkeypatch, {}, DeliveryStreamName="other")
    stack = stack_with(tmp_path)
    for number in (1, 2):
        stack.delivery_state.mkdir()
        (stack.delivery_state / f"progress-{number}").touch()
        upkeep.update(stack)
        assert [each.name for each in (tmp_path / "delivery-d").iterdir()] == [f"progress-{number}"]
    assert made.done.count("deliver") == 2
