"""Another stack on the run's OpenSearch and AWS, beside that of the other end-to-end tests."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import WaiterError

from iot_stream.errors import StackError
from iot_stream.local import deployment
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

    def update(self, parameters: Mapping[str, str]) -> Stack:
        """Change parameters of what is deployed, with the template that CloudFormation has (raises StackError).

        sam takes eight seconds of a processor to package and send what is there already. The master user stays.
        """
        client, name = self.local_stack.aws.client("cloudformation"), self.local_stack.stack_name
        values, started = deployment.configured() | dict(parameters), datetime.now(UTC)
        client.update_stack(
            StackName=name,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": key}
                | ({"ParameterValue": values[key]} if key in values else {"UsePreviousValue": True})
                for key in self.local_stack.stack().parameters
            ],
        )
        try:
            client.get_waiter("stack_update_complete").wait(
                StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
            )
        except WaiterError as error:
            raise StackError(deployment._failure(client, name, started)) from error
        return self.local_stack.stack()

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        client = self.local_stack.aws.client("cloudformation")
        client.delete_stack(StackName=self.local_stack.stack_name)
        waiter = client.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.local_stack.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
