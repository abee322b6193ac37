"""What Amazon OpenSearch Service does around a domain, and ministack does not: make its internal master user.

On AWS the service creates the user of `MasterUserOptions` inside the domain. Here the administrator's certificate
does it through the security API, with the name and password that CloudFormation would have resolved: the secret's.
"""

import json
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import SetupError
from iot_stream.local.opensearch import OpenSearch

__all__ = ["DOMAIN", "MASTER_USER_SECRET", "create_master_user"]

# Logical ids in template.yaml; a unit test holds that the domain's MasterUserOptions name this secret.
DOMAIN = "Domain"
MASTER_USER_SECRET = "MasterUserSecret"  # noqa: S105 - a name, not a password


def create_master_user(cloudformation: Any, secretsmanager: Any, stack: str, server: OpenSearch, made: str = "") -> str:
    """Make the master user once the stack's domain exists, and again when its secret has another value.

    Args:
        cloudformation: a boto3 client, as `secretsmanager` is.
        secretsmanager: where the user's name and password are.
        stack: the stack's name.
        server: the domain.
        made: the version of the secret that the user was made from, as an earlier call returned it.

    Returns:
        The version that it is made from now; `made` while there is no domain, or somebody does not answer.

    Raises:
        SetupError: the domain refused the user (AWS would fail the domain's creation).
    """
    try:
        if not _physical_id(cloudformation, stack, DOMAIN):
            return made
        secret = _physical_id(cloudformation, stack, MASTER_USER_SECRET)
        if not secret:  # MasterUserMode=IamRole: nobody to make
            return made
        value = secretsmanager.get_secret_value(SecretId=secret)
        if value["VersionId"] == made:
            return made
        user = json.loads(value["SecretString"])
        with server.admin_session() as session:
            answer = session.put(
                f"{server.url}/_plugins/_security/api/internalusers/{user['username']}",
                json={"password": user["password"], "opendistro_security_roles": ["all_access"]},
                timeout=10,
            )
    except (BotoCoreError, ClientError, requests.RequestException):
        return made  # if it stays so, the deployment fails, and says why
    if answer.status_code not in {requests.codes.ok, requests.codes.created}:
        raise SetupError(f"OpenSearch refused the master user ({answer.status_code}): {answer.text[:200]}")
    return str(value["VersionId"])


def _physical_id(cloudformation: Any, stack: str, logical_id: str) -> str:
    """The physical id of a resource that is complete, else an empty text."""
    try:
        detail = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    except ClientError:  # no such stack yet, or no such resource in it
        return ""
    resource = detail["StackResourceDetail"]
    complete = resource["ResourceStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    return resource.get("PhysicalResourceId", "") if complete else ""
