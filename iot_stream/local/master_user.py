"""Create the domain's master user, as Amazon OpenSearch Service does and ministack does not.

On AWS the service creates the internal user of `MasterUserOptions` inside the domain, or maps the IAM role of
`MasterUserARN` to `all_access`. Here the administrator's certificate does it through the security API, with the name
and password that CloudFormation would have resolved (the secret's), or with the role's ARN.
"""

import json
from collections.abc import Callable
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import SetupError
from iot_stream.local.opensearch import OpenSearch

__all__ = ["DOMAIN", "IAM_MASTER_USER", "MASTER_USER_MODE", "MASTER_USER_SECRET", "create_master_user"]

# Names in template.yaml; unit tests hold that the domain's MasterUserOptions use them.
DOMAIN = "Domain"
MASTER_USER_MODE = "MasterUserMode"
MASTER_USER_SECRET = "MasterUserSecret"  # noqa: S105 - a name, not a password
IAM_MASTER_USER = "RoleMapperRole"

_API = "/_plugins/_security/api"


def create_master_user(client: Callable[[str], Any], stack: str, server: OpenSearch, made: str = "") -> str:
    """Create the master user once the stack's domain exists, and again when the settings ask for another one.

    Args:
        client: returns the boto3 client of a service of the local AWS.
        stack: the stack's name.
        server: the domain.
        made: what the user was made from, as an earlier call returned it.

    Returns:
        What it is made from now: the secret's version, or the role's ARN; `made` while there is no domain, while one of
        the servers does not respond, and after a conflict with another change.

    Raises:
        SetupError: the domain refused the user (AWS would fail the domain's creation).
    """
    cloudformation = client("cloudformation")
    try:
        if not _physical_id(cloudformation, stack, DOMAIN):
            return made
        if _mode(cloudformation, stack) == "IamRole":
            return _map_role(client("iam"), _physical_id(cloudformation, stack, IAM_MASTER_USER), server, made)
        secret = _physical_id(cloudformation, stack, MASTER_USER_SECRET)
        return _put_user(client("secretsmanager"), secret, server, made) if secret else made
    except (BotoCoreError, ClientError, requests.RequestException):
        return made  # if it stays so, the deployment fails, and says why


def _put_user(secretsmanager: Any, secret: str, server: OpenSearch, made: str) -> str:
    """Create or update the internal user that the secret names."""
    value = secretsmanager.get_secret_value(SecretId=secret)
    if value["VersionId"] != made:
        user = json.loads(value["SecretString"])
        wanted = {"password": user["password"], "opendistro_security_roles": ["all_access"]}
        _put(server, f"internalusers/{user['username']}", wanted)
    return str(value["VersionId"])


def _map_role(iam: Any, role: str, server: OpenSearch, made: str) -> str:
    """Add the role's ARN to the backend roles of `all_access`; other entries of the mapping stay."""
    if not role:
        return made
    arn = str(iam.get_role(RoleName=role)["Role"]["Arn"])
    if arn != made:
        with server.admin_session() as session:
            found = session.get(f"{server.url}{_API}/rolesmapping/all_access", timeout=10).json().get("all_access", {})
        entries = {kind: found.get(kind, []) for kind in ("backend_roles", "users", "hosts")}
        if arn in entries["backend_roles"]:  # written back, it could undo what another stack has just changed
            return arn
        entries["backend_roles"] = sorted({*entries["backend_roles"], arn})
        _put(server, "rolesmapping/all_access", entries)
    return arn


def _put(server: OpenSearch, path: str, body: dict[str, Any]) -> None:
    with server.admin_session() as session:
        response = session.put(f"{server.url}{_API}/{path}", json=body, timeout=10)
    if response.status_code == requests.codes.conflict:  # another change at the same time: the next call tries again
        raise requests.HTTPError(response.text, response=response)
    if response.status_code not in {requests.codes.ok, requests.codes.created}:
        raise SetupError(f"OpenSearch refused the master user ({response.status_code}): {response.text[:200]}")


def _mode(cloudformation: Any, stack: str) -> str:
    """Return the value of MasterUserMode that is being deployed; empty for a stack that has no such parameter."""
    parameters = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Parameters", [])
    values = [each["ParameterValue"] for each in parameters if each["ParameterKey"] == MASTER_USER_MODE]
    return str(values[0]) if values else ""


def _physical_id(cloudformation: Any, stack: str, logical_id: str) -> str:
    """Return the physical id of a resource that is complete, else an empty text."""
    try:
        detail = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    except ClientError:  # no such stack yet, or no such resource in it
        return ""
    resource = detail["StackResourceDetail"]
    complete = resource["ResourceStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    return resource.get("PhysicalResourceId", "") if complete else ""
