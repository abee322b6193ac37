"""Roles and mappings of the security plugin, as documents (pure).

What Firehose needs of a domain with fine-grained access control: AWS page "Controlling access with Amazon Data
Firehose", a role with these permissions and the delivery role's ARN as one of its backend roles.

Changes to a mapping are JSON Patches (the plugin knows `add`, `remove` and `replace`), because the plugin applies a
patch to what is there at that moment. A PUT would replace what others wrote since it was read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "addition",
    "alerts_role",
    "deviations",
    "index_patterns",
    "is_empty",
    "new_mapping",
    "protection",
    "removal",
    "role",
    "same_role",
    "writable",
]

type Document = Mapping[str, Any]
type Operation = dict[str, Any]

_CLUSTER_PERMISSIONS = ("cluster_composite_ops", "cluster_monitor")
_INDEX_PERMISSIONS = ("create_index", "crud", "manage")
_ALERTS_CLUSTER_PERMISSIONS = ("indices:data/read/mget", "indices:data/write/bulk")
_READING = ("indices:data/read/search",)
_OWN_INDEX = (
    "create_index",
    "indices:admin/refresh*",
    "indices:data/read/get",
    "indices:data/read/mget*",
    "indices:data/read/search",
    "indices:data/write/bulk*",
    "indices:data/write/delete",
    "indices:data/write/index",
)
_MEMBERS = ("backend_roles", "and_backend_roles", "users", "hosts")
_PROTECTIONS = ("reserved", "hidden", "static")


def role(index_patterns: Iterable[str], description: str) -> dict[str, Any]:
    """Return the body that creates or replaces the role: it may write to `index_patterns`, and nothing else."""
    return {
        "description": description,
        "cluster_permissions": list(_CLUSTER_PERMISSIONS),
        "index_permissions": [
            {"index_patterns": list(index_patterns), "allowed_actions": list(_INDEX_PERMISSIONS)},
        ],
        "tenant_permissions": [],
    }


def index_patterns(role: Document) -> set[str]:
    """Return the index patterns that a role names."""
    return {pattern for grant in role.get("index_permissions", ()) for pattern in grant.get("index_patterns", ())}


def alerts_role(readings: Iterable[str], alerts: str, description: str) -> dict[str, Any]:
    """Return the body of the role that may search `readings`, read and write `alerts`, and nothing else."""
    return {
        "description": description,
        "cluster_permissions": list(_ALERTS_CLUSTER_PERMISSIONS),
        "index_permissions": [
            {"index_patterns": list(readings), "allowed_actions": list(_READING)},
            {"index_patterns": [alerts], "allowed_actions": list(_OWN_INDEX)},
        ],
        "tenant_permissions": [],
    }


def same_role(found: Document, wanted: Document) -> bool:
    """Return whether the role that was read grants exactly the same as the desired one, in any order."""
    return _essence(found) == _essence(wanted)


def writable(found: Document) -> dict[str, Any]:
    """Return a role that was read as a body that creates it again: without the flags that only the plugin sets."""
    return {key: value for key, value in found.items() if key not in _PROTECTIONS}


def deviations(found: Document, wanted: Document) -> list[str]:
    """Return which parts of a role grant something else than the wanted one does."""
    wanted_parts = _essence(wanted)
    return [part for part, value in _essence(found).items() if value != wanted_parts[part]]


def _essence(document: Document) -> dict[str, Any]:
    return {
        "description": document.get("description"),
        "cluster_permissions": frozenset(document.get("cluster_permissions", ())),
        "index_permissions": frozenset(_grant(grant) for grant in document.get("index_permissions", ())),
        "tenant_permissions": bool(document.get("tenant_permissions")),
    }


def _grant(grant: Document) -> tuple[Any, ...]:
    """Return an index permission to compare; one that hides documents or fields is a different one."""
    return (
        frozenset(grant.get("index_patterns", ())),
        frozenset(grant.get("allowed_actions", ())),
        grant.get("dls") or "",
        frozenset(grant.get("fls") or ()),
        frozenset(grant.get("masked_fields") or ()),
    )


def new_mapping(arn: str, description: str) -> dict[str, Any]:
    """Return the body that creates a mapping with one backend role."""
    return {"description": description, "backend_roles": [arn]}


def addition(mapping: Document, arn: str) -> list[Operation]:
    """Return the patch that adds a backend role; empty when it is there.

    It appends to what is there when it is applied, so that it commutes with everybody else's changes.
    """
    members = _backend_roles(mapping)
    if arn in members:
        return []
    if members:
        return [{"op": "add", "path": "/backend_roles/-", "value": arn}]
    return [
        {"op": "add", "path": "/backend_roles", "value": [arn]}
    ]  # an empty list is not stored: no list to append to


def removal(mapping: Document, arn: str) -> list[Operation]:
    """Return the patch that removes a backend role; empty when it is not there.

    A patch removes by position, and the plugin knows no `test`. Appending does not move positions; the first two
    operations make the whole patch fail (400) if the list has become shorter since it was read.
    """
    members = _backend_roles(mapping)
    places = [place for place, member in enumerate(members) if member == arn]
    if not places:
        return []
    end = f"/backend_roles/{len(members)}"
    unchanged = [{"op": "add", "path": end, "value": arn}, {"op": "remove", "path": end}]
    return unchanged + [{"op": "remove", "path": f"/backend_roles/{place}"} for place in reversed(places)]


def is_empty(mapping: Document, *, but: Iterable[str] = ()) -> bool:
    """Return whether nobody is mapped, apart from the backend roles in `but`."""
    return all(set(mapping.get(kind) or ()) <= (set(but) if kind == "backend_roles" else set()) for kind in _MEMBERS)


def protection(document: Document) -> str:
    """Return why the plugin does not let this object be changed: `reserved`, `hidden`, `static`, or nothing."""
    return next((kind for kind in _PROTECTIONS if document.get(kind)), "")


def _backend_roles(mapping: Document) -> list[str]:
    return list(mapping.get("backend_roles") or ())
