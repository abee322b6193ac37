"""Another stack on the run's OpenSearch and AWS, beside that of the other end-to-end tests."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from iot_stream.local.local_stack import LocalStack, deploy
from iot_stream.stack import Stack
from tests.neighbours import Neighbours

__all__ = ["Beside"]

_SAM_BUCKET = "aws-sam-cli-managed-default"  # the stack in which sam keeps packages; the first deployment makes it


@dataclass(frozen=True)
class Beside:
    """A stack without delivery, with logs and a build of its own.

    Attributes:
        local_stack: its neighbours, name and logs.
        neighbours: those of the run.
        build: the folder of what is deployed, which a test may change.
    """

    local_stack: LocalStack
    neighbours: Neighbours
    build: Path

    def deploy(self, parameters: Mapping[str, str]) -> Stack:
        """Deploy it with sam (raises StackError)."""
        with ExitStack() as held:
            held.enter_context(self.neighbours.one_at_a_time("deployment"))
            stacks = self.local_stack.aws.client("cloudformation").list_stacks()["StackSummaries"]
            if _SAM_BUCKET in {each["StackName"] for each in stacks}:
                held.close()
            return deploy(self.local_stack, parameters)

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        client = self.local_stack.aws.client("cloudformation")
        client.delete_stack(StackName=self.local_stack.stack_name)
        waiter = client.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.local_stack.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
