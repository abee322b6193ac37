"""The Lambda handler: send exactly one response for each CloudFormation event.

Only the standard library and modules that need nothing else are imported here; the clients are imported under the guard
of the ResponseSender, so that a package that can't be imported gets a response too.
"""

import logging
import os
from typing import Any, Protocol

from role_mapper import cloudformation, logs
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.errors import RoleMapperError, place
from role_mapper.ownership import Owner
from role_mapper.response_sender import ResponseSender

__all__ = ["lambda_handler"]

# The template's other custom resources.
_DEPLOYMENT_CHECK = "Custom::DeploymentCheck"
_CHANGE_OVER = "Custom::ChangeOver"

logger = logging.getLogger("role_mapper")


class Context(Protocol):
    """What is used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the function."""


def lambda_handler(event: object, context: Context) -> dict[str, Any]:
    """Prepare the domain as the event asks for, and send CloudFormation the response.

    Args:
        event: a request as in AWS page "Custom resource request and response reference". Without a `ResponseURL`
            nothing is sent: the event was made by hand.
        context: Lambda's; only the remaining time is read.

    Returns:
        The response, as it was sent.

    Raises:
        ResponseNotSentError: the `ResponseURL` is not CloudFormation's, so nothing was done; or it did not accept the
            response.
    """
    logs.configure()
    request = Request.of(event)
    cloudformation.check_response_url(request.response_url, os.environ)
    seconds = min(context.get_remaining_time_in_millis() / 1000, request.service_timeout)
    physical_id = _physical_id(request)
    with ResponseSender(request, seconds, physical_id) as sender:
        return sender.send(_respond(request, physical_id, sender.deadline))


def _respond(request: Request, physical_id: str, deadline: Deadline) -> Response:
    try:
        if request.resource_type == _DEPLOYMENT_CHECK:
            from role_mapper import deployment_check  # noqa: PLC0415  # under the guard, see above

            return deployment_check.handle(request, deadline)
        if request.resource_type == _CHANGE_OVER:
            from role_mapper import change_over  # noqa: PLC0415  # under the guard, see above

            return change_over.handle(request, physical_id, deadline)
        from role_mapper import custom_resource  # noqa: PLC0415  # under the guard, see above

        return custom_resource.handle(request, physical_id, deadline)
    except RoleMapperError as error:
        return Response("FAILED", physical_id, str(error))
    except ImportError as error:
        return Response(
            "FAILED", physical_id, f"cannot import {error.name}: the function's package is incomplete, run sam build"
        )
    except Exception as error:  # noqa: BLE001  # anything unforeseen gets a response as well
        where = place(error)
        logger.error("unexpected", extra={"error": where})  # noqa: TRY400  # no traceback with values
        return Response("FAILED", physical_id, f"unexpected {where}: please report it")


def _physical_id(request: Request) -> str:
    """Return the resource's id: the same as long as it is the same resource at the same domain."""
    endpoint = request.properties.get("DomainEndpoint")
    if request.kind != "Delete" and isinstance(endpoint, str) and endpoint:
        return Owner.of(request.stack_id, request.logical_id, endpoint).name
    return request.physical_id or Owner.of(request.stack_id, request.logical_id, "").name
