"""Another stack on the run's OpenSearch and AWS, beside that of the other end-to-end tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from iot_stream.errors import StackError
from iot_stream.local import deployment
from iot_stream.local.local_stack import LocalStack, deploy, master_user_maker
from iot_stream.stack import Stack
from tests.neighbours import Neighbours
from tests.polling import until

__all__ = ["Beside"]

_BUCKET = "packaged-templates"


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

    def create(self, parameters: Mapping[str, str]) -> Stack:
        """Create it from an unchanged build (raises StackError).

        The first stack of a run is deployed with sam, and each later one from the template that sam made of it: sam
        takes eight seconds of a processor to package and upload the same files again.
        """
        kept = self.neighbours.folder / "template.url"
        with self.neighbours.one_at_a_time("deployment"):
            if not kept.exists():
                stack = self.deploy(parameters)
                kept.write_text(self._upload_template(), encoding="ascii")
                return stack
        return self._change("create_stack", deployment.configured() | parameters, TemplateURL=kept.read_text("ascii"))

    def deploy(self, parameters: Mapping[str, str]) -> Stack:
        """Deploy it with sam, after a change of the build (raises StackError)."""
        return deploy(self.local_stack, parameters)

    def update(self, parameters: Mapping[str, str]) -> Stack:
        """Change parameters of what is deployed, with the template that CloudFormation has (raises StackError)."""
        values = self.local_stack.stack().parameters | deployment.configured() | parameters
        return self._change("update_stack", values, UsePreviousTemplate=True)

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        client = self.local_stack.aws.client("cloudformation")
        client.delete_stack(StackName=self.local_stack.stack_name)
        waiter = client.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.local_stack.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def _change(self, action: str, parameters: Mapping[str, str], **template: object) -> Stack:
        """Create or update the stack, and meanwhile its master user."""
        cloudformation, name = self.local_stack.aws.client("cloudformation"), self.local_stack.stack_name
        make_master_user, started = master_user_maker(self.local_stack), datetime.now(UTC)
        getattr(cloudformation, action)(
            StackName=name,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            **template,
        )

        def ended() -> str:
            make_master_user()
            status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
            return "" if status.endswith("_IN_PROGRESS") else status

        status = until(ended, seconds=600, what=f"the end of {action}")
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise StackError(deployment.failure(cloudformation, name, started) or status)
        return self.local_stack.stack()

    def _upload_template(self) -> str:
        """Upload the template that sam deployed, which names the uploaded code, and return its URL."""
        aws = self.local_stack.aws
        name, stage = self.local_stack.stack_name, "Original"
        template = aws.client("cloudformation").get_template(StackName=name, TemplateStage=stage)["TemplateBody"]
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        s3.put_object(Bucket=_BUCKET, Key="template.yaml", Body=template.encode())
        return f"{aws.url}/{_BUCKET}/template.yaml"
