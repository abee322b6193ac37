"""Create, Update and Delete of the custom resource, as calls to a domain; and Show, for people."""

import os

import boto3

from role_mapper import provision
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import PropertiesError, SettingsError
from role_mapper.master_user import sign_in
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import as_data
from role_mapper.settings import Settings

__all__ = ["handle"]


def handle(request: Request, deadline: Deadline) -> Response:
    """Do what the request asks for; returns only when it is done, so always a SUCCESS.

    Raises:
        RoleMapperError: why it could not be done.
    """
    match request.kind:
        case "Create":
            return _apply(request, None, _settings(request), deadline)
        case "Update":
            return _apply(request, _before(request), _settings(request), deadline)
        case "Delete":
            return _delete(request, deadline)
        case "Show":  # by hand only: CloudFormation never asks so
            return _show(request, _settings(request), deadline)
        case kind:
            raise PropertiesError(f"RequestType must be Create, Update, Delete or Show, not {kind!r}")


def _settings(request: Request) -> Settings:
    """Return the function's settings, if the request names no other domain than theirs."""
    settings = Settings.from_environment(os.environ)
    settings.check(request.properties)
    return settings


def _before(request: Request) -> Properties | None:
    """The old properties, or None where nothing can have been made with them."""
    try:
        return Properties.of(request.old_properties)
    except PropertiesError:
        return None


def _apply(request: Request, before: Properties | None, settings: Settings, deadline: Deadline) -> Response:
    wanted = Properties.of(request.properties)
    owner = Owner.of(request.stack_id, request.logical_id, wanted.domain_endpoint)
    domain = _domain(settings, deadline)
    try:
        changes = provision.apply(domain, wanted, owner)
        # What was made at another endpoint has another id: CloudFormation sends a Delete for that one.
        if before is not None and before.domain_endpoint == wanted.domain_endpoint:
            changes += provision.withdraw(domain, before, wanted, owner)
    finally:
        domain.close()
    return Response("SUCCESS", owner.name, data=as_data(changes))


def _delete(request: Request, deadline: Deadline) -> Response:
    try:
        before = Properties.of(request.properties)
    except PropertiesError as error:
        # With such properties Create fails before it touches the domain; its Delete must not block the rollback.
        return Response("SUCCESS", request.physical_id, f"nothing was made: {error}")
    try:
        settings = _settings(request)
    except (PropertiesError, SettingsError) as error:
        # CloudFormation's Delete for a domain that was replaced, which is deleted too: it must not fail the update.
        return Response("SUCCESS", request.physical_id, f"nothing was removed: {error}")
    owner = Owner.of(request.stack_id, request.logical_id, before.domain_endpoint)
    domain = _domain(settings, deadline)
    try:
        if not provision.exists(domain):
            return Response("SUCCESS", request.physical_id, "the domain no longer exists")
        changes = provision.remove(domain, before, owner)
    finally:
        domain.close()
    return Response("SUCCESS", request.physical_id, data=as_data(changes))


def _show(request: Request, settings: Settings, deadline: Deadline) -> Response:
    wanted = Properties.of(request.properties)
    owner = Owner.of(request.stack_id, request.logical_id, wanted.domain_endpoint)
    domain = _domain(settings, deadline, read_only=True)
    try:
        return Response("SUCCESS", owner.name, data=as_data(provision.preview(domain, wanted, owner)))
    finally:
        domain.close()


def _domain(settings: Settings, deadline: Deadline, *, read_only: bool = False) -> Domain:
    master_user = sign_in(settings, boto3.Session())
    return Domain(settings.domain_endpoint, master_user, deadline, read_only=read_only)
