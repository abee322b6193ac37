"""The custom resource that lets old names work until the delivery stream uses the new ones.

CloudFormation calls a delivery stream updated at once, and Firehose goes on with the old settings for a while: "The
updated configurations are usually effective within a few minutes" (API reference, UpdateDestination). So this resource,
which is updated after the delivery stream, waits. Then it takes the right to the earlier index from the role.
CloudFormation deletes what was replaced, as the old function and its policies, only when all resources are updated.
"""

import logging
import os
from typing import Final

import boto3

from role_mapper import provision
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import PropertiesError, RoleMapperError
from role_mapper.master_user import sign_in
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.settings import Settings

__all__ = ["handle"]

_NAMES: Final = ("DomainEndpoint", "EnrichmentFunction", "IndexPattern", "RoleName")
"""Properties that name what the delivery stream uses."""

logger = logging.getLogger("role_mapper")


def handle(request: Request, physical_id: str, deadline: Deadline) -> Response:
    """Wait while something renamed is in use under both names, then narrow the role.

    There is nothing to create, nothing to delete, and nothing to wait for where no name has changed.

    Raises:
        PropertiesError: a property is missing or wrong; names it.
    """
    before, now = request.old_properties, request.properties
    if request.kind != "Update" or all(now.get(name) == before.get(name) for name in _NAMES):
        return Response("SUCCESS", physical_id)
    deadline.pause(_seconds(now.get("WaitSeconds")))
    mapping = now.get("RoleMapping")
    if not isinstance(mapping, str) or not mapping:
        raise PropertiesError("RoleMapping is missing: set it to the logical id of the role mapping")
    wanted = Properties.of(now)
    try:
        _narrow(request, wanted, Owner.of(request.stack_id, mapping, wanted.domain_endpoint), deadline)
    except RoleMapperError as error:
        # The rename has succeeded: it must not be rolled back because the role may write to one index too many.
        logger.warning("not narrowed", extra={"error": str(error)})
        return Response("SUCCESS", physical_id, f"the role still covers the earlier index: {error}")
    return Response("SUCCESS", physical_id)


def _narrow(request: Request, wanted: Properties, owner: Owner, deadline: Deadline) -> None:
    settings = Settings.for_request(os.environ, request, wanted)
    domain = Domain(settings.domain_endpoint, sign_in(settings, boto3.Session()), deadline)
    try:
        provision.narrow(domain, wanted, owner)
    finally:
        domain.close()


def _seconds(value: object) -> int:
    if not (isinstance(value, str) and value.isascii() and value.isdecimal()):
        raise PropertiesError("WaitSeconds must be a whole number of seconds")
    return int(value)
