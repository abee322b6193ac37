"""Invoke the deployed role mapper by hand: show, apply, migrate or remove what is in the domain.

The request is like CloudFormation's, without a `ResponseURL`, so the response is only returned. The caller
needs no access to the domain, and the same code runs as in a deployment, as the same owner.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import IotStreamError
from iot_stream.stack import Stack

__all__ = ["InvocationError", "Report", "deviation", "invoke", "properties"]

_MAPPING = "RoleMapping"  # its logical id in template.yaml, which is part of the owner's name
# botocore ends a connection without data after 60 seconds (its default read time-out): the function responds before.
_SECONDS = "55"
_REQUESTS = {"show": "Show", "apply": "Create", "migrate": "Migrate", "remove": "Delete"}
_FROM_PARAMETERS = {
    "RoleName": "OpenSearchRoleName",
    "IndexPattern": "OpenSearchRoleIndexPattern",
    "IndexName": "IndexName",
    "IndexRotationPeriod": "IndexRotationPeriod",
    "RetentionDays": "RetentionDays",
    "NumberOfShards": "NumberOfShards",
    "NumberOfReplicas": "NumberOfReplicas",
    "RefreshInterval": "RefreshInterval",
    "AdminRoleArn": "AdminRoleArn",
    "TakeOver": "TakeOver",
    "OverwriteDashboards": "OverwriteDashboards",
}
"""Properties of the custom resource, by the template's parameters that they are."""


class InvocationError(IotStreamError):
    """The role mapper could not be invoked, or reported FAILED."""


@dataclass(frozen=True)
class Report:
    """The function's result: one line for each kind of object, and its reason where there is no line."""

    lines: dict[str, str]
    reason: str

    @property
    def as_wanted(self) -> bool:
        """Whether every object is as the stack wants it."""
        return not any(deviation(kind, line) for kind, line in self.lines.items())

    def table(self) -> str:
        """Return the lines in two columns, or the reason."""
        width = max((len(kind) for kind in self.lines), default=0)
        return "\n".join(f"{kind:<{width}}  {text}" for kind, text in self.lines.items()) or self.reason


def deviation(kind: str, line: str) -> Literal["", "differs", "kept"]:
    """Return whether a line says that an object is not as wanted: it differs, or somebody else's is in its place.

    A line is `outcome: names; outcome: names` (functions/role_mapper, report). A dashboard that people changed is kept
    on purpose.
    """
    outcomes = set(re.findall(r"(?:^|; )(differs|kept):", line))
    if "differs" in outcomes:
        return "differs"
    return "kept" if "kept" in outcomes and kind != "Dashboards" else ""


def invoke(client: Any, stack: Stack, action: str) -> Report:
    """Invoke the deployed role mapper to `show`, `apply`, `migrate` or `remove` what the stack's parameters ask for.

    Args:
        client: a boto3 Lambda client.
        stack: the deployed stack.
        action: one of the four.

    Raises:
        InvocationError: the function could not be invoked, or reported FAILED; with its reason.
        StackError: the stack is of another version of the template.
    """
    request = {
        "RequestType": _REQUESTS[action],
        "ResponseURL": "",
        "StackId": stack.stack_id,
        "RequestId": "by-hand",
        "LogicalResourceId": _MAPPING,
        "PhysicalResourceId": "by-hand",
        "ResourceProperties": properties(stack),
    }
    function = stack.output("RoleMapperFunctionArn")
    try:
        response = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
        document = json.load(response["Payload"])
    except (ClientError, BotoCoreError) as error:
        raise InvocationError(f"the role mapper ({function}) could not be invoked: {error}") from error
    if response.get("FunctionError") or document.get("Status") != "SUCCESS":
        reason = document.get("Reason") or document.get("errorMessage") or "no reason given"
        raise InvocationError(f"the role mapper could not {action}: {reason}")
    return Report(document.get("Data", {}), document["Reason"])


def properties(stack: Stack) -> dict[str, str]:
    """Return the custom resource's properties, as the template derives them from the stack's parameters.

    Raises:
        StackError: the stack is of another version of the template.
    """
    derived = {name: stack.parameter(parameter) for name, parameter in _FROM_PARAMETERS.items()}
    return derived | {
        "ServiceTimeout": _SECONDS,
        "DomainEndpoint": stack.output("DomainEndpoint"),
        "DeliveryRoleArn": stack.output("DeliveryRoleArn"),
        "AlertsRoleArn": stack.outputs.get("DeviceAlertsRoleArn", ""),  # none with DeviceAlerts=false
        "IndexPattern": derived["IndexPattern"] or f"{derived['IndexName']}*",
    }
