"""Roles and mappings on the domain, through the security plugin's REST API.

Each function reads, decides, writes and reads back, so that it can be tried again as a whole at any moment. Contract:
OpenSearch documentation, "Security APIs".
"""

from typing import Any

from role_mapper import mapping
from role_mapper.domain import Domain, path
from role_mapper.errors import OwnershipError, ResponseError, VerificationError
from role_mapper.ownership import Owner, Ownership
from role_mapper.report import ROLE, ROLE_MAPPING, Change, Outcome

__all__ = ["ensure_mapping", "ensure_role", "remove_from_mapping", "remove_role"]

_BAD_REQUEST = 400
_NOT_FOUND = 404


def ensure_role(domain: Domain, name: str, index_pattern: str, owner: Owner, *, take_over: bool) -> Change:
    """The role exists, is the owner's and grants writing to `index_pattern`.

    Raises:
        OwnershipError: somebody else made it and `take_over` is off, or OpenSearch reserves it.
        CallError: a call failed, or the role reads back otherwise.
    """
    found = _find_role(domain, name)
    ownership = Ownership.OWNED
    if found is not None:
        protection = mapping.protection(found)
        if protection:
            raise OwnershipError(
                f"role {name} is {protection}: OpenSearch lets nobody change it; choose another RoleName"
            )
        ownership = owner.claim(f"role {name}", found.get("description"), take_over=take_over)
    wanted = mapping.role(index_pattern, owner.sign(f"Lets Data Firehose write to {index_pattern} indices.", ownership))
    if found is not None and mapping.same_role(found, wanted):
        return Change(ROLE, name, Outcome.UNCHANGED)
    domain.call("PUT", _role_path(name), wanted)
    written = _find_role(domain, name)
    if written is None or not mapping.same_role(written, wanted):
        raise VerificationError(f"role {name} reads back otherwise than it was written")
    return Change(ROLE, name, Outcome.CREATED if found is None else Outcome.CHANGED)


def ensure_mapping(domain: Domain, role: str, arn: str, owner: Owner) -> Change:
    """The IAM role `arn` is a backend role of `role`; everybody else who is mapped stays so.

    Raises:
        OwnershipError: the mapping is reserved or hidden.
        CallError: a call failed, or the ARN is not there when it is read back.
    """
    found = _find_mapping(domain, role)
    if found is None:
        purpose = f"Makes Data Firehose's delivery role {role}."
        _write(domain, "PUT", role, mapping.new_mapping(arn, owner.sign(purpose)), found)
        outcome = Outcome.CREATED
    else:
        protection = mapping.protection(found)
        if protection:
            raise OwnershipError(f"the mapping of role {role} is {protection}: choose another RoleName")
        patch = mapping.addition(found, arn)
        if not patch:
            return Change(ROLE_MAPPING, role, Outcome.UNCHANGED)
        _write(domain, "PATCH", role, patch, found)
        outcome = Outcome.CHANGED
    written = _find_mapping(domain, role)
    if written is None or mapping.addition(written, arn):
        raise VerificationError(f"the mapping of role {role} reads back without {arn}")
    return Change(ROLE_MAPPING, role, outcome)


def remove_from_mapping(domain: Domain, role: str, arn: str, owner: Owner) -> Change:
    """`arn` is no backend role of `role` any more; a mapping that this owner made and nobody needs goes too.

    Where the role itself is somebody else's, nothing was ever mapped to it here, so nothing is taken away.

    Raises:
        CallError: a call failed, or the ARN is still there when it is read back.
    """
    found = _find_mapping(domain, role)
    if found is None:
        return Change(ROLE_MAPPING, role, Outcome.ABSENT)
    found_role = _find_role(domain, role)
    if found_role is not None and owner.ownership_here(found_role.get("description")) is Ownership.FOREIGN:
        return Change(ROLE_MAPPING, role, Outcome.KEPT, "the role is not this stack's")
    made_here = owner.ownership_here(found.get("description")) is Ownership.OWNED
    patch = mapping.removal(found, arn)
    if found_role is None:
        # The plugin changes no mapping whose role is gone (404), and nobody is anything through it.
        if patch and not (made_here and mapping.is_empty(found, but=[arn])):
            return Change(ROLE_MAPPING, role, Outcome.KEPT, "its role is gone, others are still named in it")
    elif patch:
        _write(domain, "PATCH", role, patch, found)
        found = _find_mapping(domain, role)
        if found is not None and mapping.removal(found, arn):
            raise VerificationError(f"the mapping of role {role} reads back with {arn} still in it")
    # Only now, after another look: somebody may have been mapped while this entry was taken out.
    if found is not None and made_here and mapping.is_empty(found, but=[arn]):
        domain.delete(_mapping_path(role))
        return Change(ROLE_MAPPING, role, Outcome.REMOVED)
    if not patch:
        return Change(ROLE_MAPPING, role, Outcome.ABSENT)
    return Change(ROLE_MAPPING, role, Outcome.REMOVED, "only this stack's entry; others are mapped too")


def remove_role(domain: Domain, name: str, owner: Owner) -> Change:
    """The role is gone, unless somebody else made it or is mapped to it.

    Raises:
        CallError: a call failed, or the role still reads back.
    """
    found = _find_role(domain, name)
    if found is None:
        return Change(ROLE, name, Outcome.ABSENT)
    if owner.ownership_here(found.get("description")) is not Ownership.OWNED:
        return Change(ROLE, name, Outcome.KEPT, "not made by this stack")
    mapped = _find_mapping(domain, name)
    if mapped is not None and not mapping.is_empty(mapped):
        return Change(ROLE, name, Outcome.KEPT, "others are mapped to it")
    domain.delete(_role_path(name))
    if _find_role(domain, name) is not None:
        raise VerificationError(f"role {name} is still there after it was deleted")
    return Change(ROLE, name, Outcome.REMOVED)


def _write(domain: Domain, method: str, role: str, body: object, seen: dict[str, Any] | None) -> None:
    """Change a mapping that was read as `seen`; an error that somebody else's change explains is a passing one."""
    try:
        domain.call(method, _mapping_path(role), body)
    except ResponseError as refusal:
        if refusal.status not in {_BAD_REQUEST, _NOT_FOUND}:
            raise
        if _find_mapping(domain, role) == seen and _find_role(domain, role) is not None:
            raise
        raise VerificationError(f"{refusal}; it was changed at the same moment") from None


def _role_path(name: str) -> str:
    return path("_plugins", "_security", "api", "roles", name)


def _mapping_path(role: str) -> str:
    return path("_plugins", "_security", "api", "rolesmapping", role)


def _find_role(domain: Domain, name: str) -> dict[str, Any] | None:
    return _only(domain.find(_role_path(name)), name)


def _find_mapping(domain: Domain, role: str) -> dict[str, Any] | None:
    return _only(domain.find(_mapping_path(role)), role)


def _only(answer: Any, name: str) -> dict[str, Any] | None:
    """The one object of an answer, which the plugin puts under its name."""
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else None
