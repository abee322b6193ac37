"""Create, Update and Delete of the custom resource, as calls to a domain; and Show and Migrate, for people."""

import os

import boto3

from role_mapper import provision
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import PropertiesError, SettingsError
from role_mapper.master_user import sign_in
from role_mapper.objects.migration import migrate
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Outcome, as_data
from role_mapper.settings import Settings

__all__ = ["handle"]


def handle(request: Request, physical_id: str, deadline: Deadline) -> Response:
    """Carry out the request and return its SUCCESS response; every failure raises.

    Args:
        request: Create, Update or Delete, as CloudFormation sends them, or Show or Migrate.
        physical_id: what the resource is called from now on.
        deadline: the time there is.

    Raises:
        RoleMapperError: why it could not be done.
    """
    match request.kind:
        case "Create":
            return _apply(request, physical_id, None, deadline)
        case "Update":
            return _apply(request, physical_id, _before(request), deadline)
        case "Delete":
            return _delete(request, physical_id, deadline)
        case "Show":  # by hand only: CloudFormation never asks so
            return _show(request, physical_id, deadline)
        case "Migrate":  # the same
            return _migrate(request, physical_id, deadline)
        case kind:
            raise PropertiesError(f"RequestType must be Create, Update, Delete, Show or Migrate, not {kind!r}")


def _before(request: Request) -> Properties | None:
    """Return the old properties, or None where nothing can have been made with them."""
    try:
        return Properties.of(request.old_properties)
    except PropertiesError:
        return None


def _apply(request: Request, physical_id: str, before: Properties | None, deadline: Deadline) -> Response:
    wanted = Properties.of(request.properties)
    settings = Settings.for_request(os.environ, request, wanted)
    owner = _owner(request, wanted)
    domain = _domain(settings, deadline)
    try:
        # Objects at another endpoint have another physical id, for which CloudFormation sends a Delete of its own.
        if before is None or before.domain_endpoint != wanted.domain_endpoint:
            changes = provision.apply(domain, wanted, owner)
        else:
            # The delivery stream still writes to the earlier index; `change_over` takes that right away later.
            changes = provision.apply(domain, wanted, owner, before)
            changes += provision.withdraw(domain, before, wanted, owner)
    finally:
        domain.close()
    return Response("SUCCESS", physical_id, data=as_data(changes))


def _delete(request: Request, physical_id: str, deadline: Deadline) -> Response:
    """Remove what the stack made. What can't be removed is left behind and reported: a stack must not be stranded."""
    try:
        before = Properties.of(request.properties)
    except PropertiesError as error:
        # With such properties Create fails before it touches the domain; its Delete must not block the rollback.
        return Response("SUCCESS", physical_id, f"nothing was made: {error}")
    try:
        settings = Settings.for_request(os.environ, request)
    except (PropertiesError, SettingsError) as error:
        # A Delete for the domain that an update replaced and deleted: it must not fail the update.
        return Response("SUCCESS", physical_id, f"nothing was removed: {error}")
    domain = _domain(settings, deadline)
    try:
        if not provision.exists(domain):
            return Response("SUCCESS", physical_id, "the domain no longer exists")
        changes = provision.remove_or_leave(domain, before, _owner(request, before))
    finally:
        domain.close()
    left = [change for change in changes if change.outcome is Outcome.LEFT]
    reason = f"left in the domain: {', '.join(f'{each.kind} {each.name}' for each in left)}" if left else ""
    reason += f", because {left[0].detail}" if left else ""
    return Response("SUCCESS", physical_id, reason, data=as_data(changes))


def _show(request: Request, physical_id: str, deadline: Deadline) -> Response:
    settings = Settings.for_request(os.environ, request)
    wanted = Properties.of(request.properties)
    domain = _domain(settings, deadline, read_only=True)
    try:
        changes = provision.preview(domain, wanted, _owner(request, wanted))
    finally:
        domain.close()
    return Response("SUCCESS", physical_id, data=as_data(changes))


def _migrate(request: Request, physical_id: str, deadline: Deadline) -> Response:
    wanted = Properties.of(request.properties)
    settings = Settings.for_request(os.environ, request, wanted)
    domain = _domain(settings, deadline)
    try:
        changes = migrate(domain, wanted.index_name)
    finally:
        domain.close()
    return Response("SUCCESS", physical_id, data=as_data(changes))


def _owner(request: Request, properties: Properties) -> Owner:
    return Owner.of(request.stack_id, request.logical_id, properties.domain_endpoint)


def _domain(settings: Settings, deadline: Deadline, *, read_only: bool = False) -> Domain:
    return Domain(settings.domain_endpoint, sign_in(settings, boto3.Session()), deadline, read_only=read_only)
