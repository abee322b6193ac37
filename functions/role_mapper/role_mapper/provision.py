"""Everything a domain is told, in order; and taken back, in the opposite order."""

from typing import TYPE_CHECKING

from role_mapper.dashboards import ensure_dashboards, remove_dashboards
from role_mapper.domain import Domain
from role_mapper.errors import GaveUpError, OwnershipError, ReadOnlyError, TimeUpError, UnreachableError
from role_mapper.index_templates import ensure_index_template, remove_index_template
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import DASHBOARDS, INDEX_TEMPLATE, RETENTION_POLICY, ROLE, ROLE_MAPPING, Change, Outcome
from role_mapper.retention import ensure_retention, remove_retention
from role_mapper.security_api import ensure_mapping, ensure_role, remove_from_mapping, remove_role

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["apply", "exists", "preview", "remove", "withdraw"]

_GONE_SECONDS = 30.0


def exists(domain: Domain) -> bool:
    """False once DNS has said for half a minute that there is no domain of that name."""

    def look() -> bool:
        try:
            domain.check_reachable()  # without signing in: the secret may be gone with the domain
        except UnreachableError as error:
            if error.unknown_name:
                raise
        except TimeUpError:
            pass  # its removal will tell
        return True

    try:
        return domain.deadline.part(_GONE_SECONDS).retry(look)
    except GaveUpError:
        return False


def apply(domain: Domain, wanted: Properties, owner: Owner) -> list[Change]:
    """The domain is as the properties want it: every object reads back so.

    Raises:
        RoleMapperError: why not; what was done until then stays and is right.
    """
    wanted.check()
    retry = domain.deadline.retry
    return [
        *retry(lambda: _ensure_access(domain, wanted, owner)),
        retry(lambda: ensure_index_template(domain, wanted, owner)),
        retry(lambda: ensure_retention(domain, wanted, owner)),
        *retry(lambda: ensure_dashboards(domain, wanted, owner)),
    ]


def _ensure_access(domain: Domain, wanted: Properties, owner: Owner) -> list[Change]:
    """The role, then its mapping: one step, for a mapping can only be written while its role is there."""
    name = wanted.role_name
    return [
        ensure_role(domain, name, wanted.index_pattern, owner, take_over=wanted.take_over),
        ensure_mapping(domain, name, wanted.delivery_role_arn, owner),
    ]


def preview(domain: Domain, wanted: Properties, owner: Owner) -> list[Change]:
    """What `apply` would find, on a read-only domain: each object as wanted, or what would be done about it.

    Raises:
        RoleMapperError: the domain can't be asked.
    """
    wanted.check()
    role, index = wanted.role_name, wanted.index_name
    looks: list[tuple[str, str, Callable[[], Change | list[Change]]]] = [
        (ROLE, role, lambda: ensure_role(domain, role, wanted.index_pattern, owner, take_over=wanted.take_over)),
        (ROLE_MAPPING, role, lambda: ensure_mapping(domain, role, wanted.delivery_role_arn, owner)),
        (INDEX_TEMPLATE, index, lambda: ensure_index_template(domain, wanted, owner)),
        (RETENTION_POLICY, index, lambda: ensure_retention(domain, wanted, owner)),
        (DASHBOARDS, index, lambda: ensure_dashboards(domain, wanted, owner)),
    ]
    changes: list[Change] = []
    for kind, name, look in looks:
        try:
            found = domain.deadline.retry(look)
            changes += found if isinstance(found, list) else [found]
        except ReadOnlyError as call:
            changes.append(Change(kind, name, Outcome.DIFFERS, f"apply begins with {call}"))
        except OwnershipError as refusal:
            changes.append(Change(kind, name, Outcome.KEPT, str(refusal)))
    return changes


def withdraw(domain: Domain, before: Properties, now: Properties, owner: Owner) -> list[Change]:
    """What `before` had added and `now` does not want is gone.

    Raises:
        RoleMapperError: why not.
    """
    changes = []
    if before.index_name != now.index_name:
        changes += _remove_index_objects(domain, before.index_name, owner)
    if before.role_name != now.role_name:
        changes += _remove_access(domain, before, owner)
    elif before.delivery_role_arn != now.delivery_role_arn:
        changes.append(
            domain.deadline.retry(
                lambda: remove_from_mapping(domain, before.role_name, before.delivery_role_arn, owner)
            )
        )
    return changes


def remove(domain: Domain, before: Properties, owner: Owner) -> list[Change]:
    """What this owner added is gone; what others added or changed stays, and so does every index.

    Raises:
        RoleMapperError: why not.
    """
    return _remove_index_objects(domain, before.index_name, owner) + _remove_access(domain, before, owner)


def _remove_index_objects(domain: Domain, name: str, owner: Owner) -> list[Change]:
    retry = domain.deadline.retry
    return [
        *retry(lambda: remove_dashboards(domain, name, owner)),
        retry(lambda: remove_retention(domain, name, owner)),
        retry(lambda: remove_index_template(domain, name, owner)),
    ]


def _remove_access(domain: Domain, before: Properties, owner: Owner) -> list[Change]:
    """The mapping first, since a mapping outlives its role, and can't be changed without it."""
    retry = domain.deadline.retry
    role = before.role_name
    return [
        retry(lambda: remove_from_mapping(domain, role, before.delivery_role_arn, owner)),
        retry(lambda: remove_role(domain, role, owner)),
    ]
