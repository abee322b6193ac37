"""Apply all managed objects in dependency order, and remove them in reverse.

The list of objects stands once, in `_objects`, for applying, previewing and removing.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from role_mapper.domain import Domain
from role_mapper.errors import (
    DeadlineExceededError,
    EffectError,
    OwnershipError,
    PropertiesError,
    ReadOnlyError,
    RoleMapperError,
    SecretError,
    UnreachableError,
    place,
)
from role_mapper.objects.access import AdministratorMapping, AlertsRole, AlertsRoleMapping, Role, RoleMapping
from role_mapper.objects.dashboards import Dashboards
from role_mapper.objects.index_template import AlertsIndexTemplate, IndexTemplate
from role_mapper.objects.indices import Indices
from role_mapper.objects.retention_policy import RetentionPolicy
from role_mapper.objects.write_alias import WriteAlias
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome

__all__ = ["apply", "exists", "narrow", "preview", "remove", "remove_or_leave", "withdraw"]

# What a further master user is mapped to ("Fine-grained access control in Amazon OpenSearch Service").
_ADMINISTRATORS = ("all_access", "security_manager")
_GONE_SECONDS = 30.0
_LEAVE_SECONDS = 60.0


class _Step(Protocol):
    """A step that brings one kind of object on the domain to its desired state."""

    kind: str
    name: str

    def ensure(self) -> list[Change]:
        """Make it what it should be."""


class _Object(_Step, Protocol):
    """One that is removed with the stack."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from every other one."""

    def remove(self) -> list[Change]:
        """Remove what this owner added."""


def _objects(domain: Domain, wanted: Properties, owner: Owner, also: str = "") -> list[list[_Object]]:
    """Return the objects, in the order in which they are made; each list is retried as a whole."""
    name, alerts = wanted.role_name, wanted.alerts_index
    patterns = [wanted.index_pattern, *([also] if also and also != wanted.index_pattern else [])]
    watching: list[list[_Object]] = [
        [AlertsIndexTemplate(domain, owner, wanted)],  # before its role, with which the function begins to write
        [
            AlertsRole(domain, owner, alerts, [f"{wanted.index_name}*"], adopt=wanted.take_over),
            AlertsRoleMapping(domain, owner, alerts, wanted.alerts_role_arn),
        ],
    ]
    return [
        [  # together, since a mapping can be written only while its role exists
            Role(domain, owner, name, patterns, adopt=wanted.take_over),
            RoleMapping(domain, owner, name, wanted.delivery_role_arn),
        ],
        [AdministratorMapping(domain, owner, role, arn) for role in _ADMINISTRATORS if (arn := wanted.admin_role_arn)],
        [IndexTemplate(domain, owner, wanted)],
        [RetentionPolicy(domain, owner, wanted)],
        *(watching if wanted.alerts_role_arn else []),
        [Dashboards(domain, owner, wanted)],
    ]


def _steps(domain: Domain, wanted: Properties, owner: Owner, also: str = "") -> list[Sequence[_Step]]:
    """Return the objects, and after them what they have effect on: it holds the readings, so it is never removed."""
    objects = _objects(domain, wanted, owner, also)
    [template] = [each for group in objects for each in group if isinstance(each, IndexTemplate)]
    return [*objects, [WriteAlias(domain, wanted)], [Indices(domain, wanted, template)]]


def exists(domain: Domain) -> bool:
    """Return whether there is a domain of that name; False once DNS has denied it for half a minute."""

    def look() -> bool:
        try:
            domain.check_reachable()  # without signing in: the secret may have been deleted with the domain
        except UnreachableError as error:
            if error.unknown_name:
                raise
        return True

    part = domain.deadline.part(_GONE_SECONDS)
    try:
        return part.retry(look)
    except DeadlineExceededError as error:
        return not isinstance(error.__cause__, UnreachableError)  # no time to check: the removal will show it


def apply(domain: Domain, wanted: Properties, owner: Owner, before: Properties | None = None) -> list[Change]:
    """Create or change every object that the properties ask for, and read each one back.

    Args:
        domain: the domain.
        wanted: what it should be prepared for.
        owner: whose objects they are.
        before: what it is prepared for now: the delivery stream still writes there, so the role covers both.

    Raises:
        RoleMapperError: why not; what was done until then stays and is right.
    """
    also = _still_written(domain, before, wanted, owner) if before else ""
    changes: list[Change] = []
    for group in _steps(domain, wanted, owner, also):
        changes += domain.deadline.retry(_ensured(group))
    return changes


def narrow(domain: Domain, wanted: Properties, owner: Owner) -> list[Change]:
    """Reduce the role to what the properties ask for, once nothing writes to the earlier index.

    Raises:
        RoleMapperError: why not.
    """
    access = _objects(domain, wanted, owner)[0]
    return domain.deadline.retry(_ensured(access))


def preview(domain: Domain, wanted: Properties, owner: Owner) -> list[Change]:
    """Return what `apply` would find, on a read-only domain: each object as wanted, or what would be done about it.

    Raises:
        RoleMapperError: the domain does not respond.
    """
    changes: list[Change] = []
    for each in (each for group in _steps(domain, wanted, owner) for each in group):
        try:
            changes += domain.deadline.retry(each.ensure)
        except ReadOnlyError as call:
            changes.append(Change(each.kind, each.name, Outcome.DIFFERS, f"apply begins with {call}"))
        except OwnershipError as error:
            changes.append(Change(each.kind, each.name, Outcome.KEPT, str(error)))
        except (EffectError, PropertiesError) as error:
            changes.append(Change(each.kind, each.name, Outcome.DIFFERS, str(error)))
    return changes


def withdraw(domain: Domain, before: Properties, now: Properties, owner: Owner) -> list[Change]:
    """Remove what `before` had added and `now` does not want.

    Raises:
        RoleMapperError: why not.
    """
    wanted = {each.identity for group in _objects(domain, now, owner) for each in group}
    return _remove(domain, [each for each in _backwards(domain, before, owner) if each.identity not in wanted])


def remove(domain: Domain, before: Properties, owner: Owner) -> list[Change]:
    """Remove what this owner added; what others added or changed stays, and so does every index.

    Raises:
        RoleMapperError: why not.
    """
    return _remove(domain, _backwards(domain, before, owner))


def remove_or_leave(domain: Domain, before: Properties, owner: Owner) -> list[Change]:
    """Remove what this owner added, as `remove` does, but leave behind what can't be removed within a minute.

    Once the domain refuses the sign-in or does not respond for that long, the remaining objects are not tried.
    """
    changes: list[Change] = []
    unusable = ""
    for each in _backwards(domain, before, owner):
        if unusable:
            changes.append(Change(each.kind, each.name, Outcome.LEFT, unusable))
            continue
        try:
            changes += domain.deadline.part(_LEAVE_SECONDS).retry(each.remove)
        except RoleMapperError as error:
            changes.append(Change(each.kind, each.name, Outcome.LEFT, str(error)))
            unusable = str(error) if isinstance(error, DeadlineExceededError | SecretError) else ""
        except Exception as error:  # noqa: BLE001  # a fault of the function's own must not strand the stack either
            changes.append(Change(each.kind, each.name, Outcome.LEFT, f"unexpected {place(error)}: please report it"))
    return changes


def _still_written(domain: Domain, before: Properties, wanted: Properties, owner: Owner) -> str:
    """Return the earlier index pattern if the role has it; on a rollback it may never have been used.

    The alerts function's role is excluded, because the delivery stream never uses it.
    """
    if before.role_name in {before.alerts_index, wanted.alerts_index}:
        return ""
    role = Role(domain, owner, before.role_name)
    return before.index_pattern if domain.deadline.retry(lambda: role.covers(before.index_pattern)) else ""


def _backwards(domain: Domain, before: Properties, owner: Owner) -> list[_Object]:
    return [each for group in reversed(_objects(domain, before, owner)) for each in reversed(group)]


def _remove(domain: Domain, objects: list[_Object]) -> list[Change]:
    changes: list[Change] = []
    for each in objects:
        changes += domain.deadline.retry(each.remove)
    return changes


def _ensured(group: Sequence[_Step]) -> Callable[[], list[Change]]:
    return lambda: [change for each in group for change in each.ensure()]
