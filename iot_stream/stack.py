"""A deployed stack and where its parts are, from its CloudFormation outputs."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.caller import advice
from iot_stream.errors import StackError

__all__ = ["Stack", "device_zone", "find_stack"]

_DEFAULT_NAME = "iot-stream"


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its name, id (ARN), outputs and parameters (CloudFormation API reference, DescribeStacks)."""

    name: str
    stack_id: str
    outputs: dict[str, str] = field(repr=False)
    parameters: dict[str, str] = field(default_factory=dict, repr=False)

    def output(self, key: str) -> str:
        """Return the value of output `key`.

        Raises:
            StackError: the stack has no such output: it was deployed from another version of the template.
        """
        return self._value("output", self.outputs, key)

    def parameter(self, key: str) -> str:
        """Return the value of parameter `key`.

        Raises:
            StackError: the stack has no such parameter: it was deployed from another version of the template.
        """
        return self._value("parameter", self.parameters, key)

    def _value(self, kind: str, values: dict[str, str], key: str) -> str:
        try:
            return values[key]
        except KeyError:
            raise StackError(
                f"stack {self.name} has no {kind} {key}: deploy it again from this version of template.yaml"
            ) from None


def find_stack(cloudformation: Any, name: str = _DEFAULT_NAME) -> Stack:
    """Return the deployed stack `name`.

    Args:
        cloudformation: a boto3 CloudFormation client.
        name: the stack's name.

    Raises:
        StackError: there is none, it was never complete, is being deleted, or CloudFormation can't be reached.
    """
    try:
        description = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            raise StackError(
                f"there is no stack {name} here: deploy it with `sam build && sam deploy`, or name another with --stack"
            ) from None
        raise StackError(f"CloudFormation refused to describe stack {name}: {advice(error)}") from error
    except BotoCoreError as error:
        raise StackError(f"CloudFormation could not be reached for stack {name}: {advice(error)}") from error
    status = description["StackStatus"]
    if not _has_all_parts(status):
        raise StackError(
            f"stack {name} is {status}: wait for it, or look at `aws cloudformation describe-stack-events`"
        )
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in description.get("Outputs", [])}
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in description.get("Parameters", [])}
    return Stack(name, description["StackId"], outputs, parameters)


def _has_all_parts(status: str) -> bool:
    """Return whether a stack in this state was once deployed completely ("Stack status codes").

    While it is updated, or stuck in an update or a deletion, it is examined and repaired by what it has.
    """
    return status in {"CREATE_COMPLETE", "DELETE_FAILED"} or status.startswith(("UPDATE_", "IMPORT_"))


def device_zone(stack: Stack) -> dt.tzinfo:
    """Return the zone in which the stack's function reads device times without an offset: its `DeviceTimeZone`.

    Raises:
        StackError: the stack has no such parameter, or no such zone is known here.
    """
    name = stack.parameter("DeviceTimeZone")
    if name == "UTC":
        return dt.UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise StackError(f"DeviceTimeZone {name} is not an IANA time zone: use a name such as Europe/Berlin") from None
