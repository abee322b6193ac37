"""Change a local stack that is running: start a part again that has ended, deploy what was edited.

Unlike `up`, which begins with empty state, this keeps everything that the local stack holds.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from iot_stream.errors import StackError
from iot_stream.local import deployment, ministack, opensearch
from iot_stream.local.gateway import process as gateway
from iot_stream.local.local_stack import (
    AWS_ENDED,
    DEFAULT_FOLDER,
    LIVE_PAGE,
    WORKER,
    LocalStack,
    deliver,
    deploy,
    launch_gateway,
    read,
    serve_live_page,
)
from iot_stream.local.parameters import check_parameters
from iot_stream.local.reader_role import create_reader_role
from iot_stream.stack import Stack

__all__ = ["restart_parts", "stop_part", "update"]


def restart_parts(folder: Path = DEFAULT_FOLDER, say: Callable[[str], None] = lambda _: None) -> LocalStack | None:
    """Start again those parts of the local stack in `folder` that have ended, with everything that it holds.

    Returns:
        The local stack; None if none is running, or if no part of it is missing.

    Raises:
        SetupError: a part does not start.
        StackError: the local AWS has ended, whose state was in memory.
    """
    local_stack = read(folder)
    if local_stack is None or not local_stack.alive:
        return None
    ended = [process for process in local_stack.running if not process.alive]
    if any(process.name == ministack.NAME for process in ended):
        raise StackError(AWS_ENDED)
    for process in ended:
        say(f"{process.name} has stopped; restarting it")
        process.stop()  # children that it left behind
        _STARTS[process.name](local_stack)
    return local_stack if ended else None


def update(
    local_stack: LocalStack, overrides: Mapping[str, str] | None = None, say: Callable[[str], None] = lambda _: None
) -> Stack:
    """Build and deploy the template as it is now onto a running local stack, which keeps what it holds.

    Args:
        local_stack: the running local stack.
        overrides: changed parameters of the template; all others keep the values that they have.
        say: called with one line for each step.

    Raises:
        SetupError: the template does not take a parameter, or the build failed.
        StackError: the deployment failed, with CloudFormation's reason; the stack is as it was.
    """
    check_parameters(overrides or {})
    before = local_stack.stack()
    say("sam build")
    deployment.build(local_stack.logs / "sam-build.log")
    say("sam deploy")
    kept = {name: before.parameters[name] for name in deployment.configured() if name in before.parameters}
    stack = deploy(local_stack, kept | dict(overrides or {}))
    if stack.output("IndexName") != before.output("IndexName"):
        create_reader_role(local_stack.opensearch, f"{stack.output('IndexName')}*")
    if stack.output("DeliveryStreamName") != before.output("DeliveryStreamName"):
        say(f"the delivery worker follows to {stack.output('DeliveryStreamName')}")
        stop_part(local_stack, WORKER)
        # A new delivery stream has no progress: it begins at the latest record, on AWS too.
        set_aside = local_stack.folder / f"delivery-{before.output('DeliveryStreamName')}"
        shutil.rmtree(set_aside, ignore_errors=True)  # of an earlier delivery stream of that name
        local_stack.delivery_state.rename(set_aside)
        deliver(local_stack, stack)
    # It reads names, description and dashboards once, at its start.
    stop_part(local_stack, LIVE_PAGE)
    serve_live_page(local_stack)
    return stack


def stop_part(local_stack: LocalStack, name: str) -> None:
    """Stop the part of that name, if there is one; it stays recorded, so that `restart_parts` starts it again."""
    process = local_stack.part(name)
    if process is not None:
        process.stop()


def _restart_opensearch(local_stack: LocalStack) -> None:
    """Start OpenSearch in the folder that has its data."""
    process = local_stack.opensearch.launch()
    local_stack.add(process)
    local_stack.opensearch.wait(process)


def _restart_gateway(local_stack: LocalStack) -> None:
    gateway.wait(launch_gateway(local_stack), local_stack.opensearch, local_stack.ports.domain)


_STARTS: Mapping[str, Callable[[LocalStack], None]] = {
    opensearch.NAME: _restart_opensearch,
    gateway.NAME: _restart_gateway,
    WORKER: lambda local_stack: deliver(local_stack, local_stack.stack()),
    LIVE_PAGE: serve_live_page,
}
"""What starts a part again, by its process's name; all but the local AWS."""
