"""The index template on the domain.

Contract: OpenSearch documentation, "Index templates". It says how new indices are made; existing ones stay as they
are.
"""

from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import VerificationError
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import INDEX_TEMPLATE, Change, Outcome

__all__ = ["ensure_index_template", "remove_index_template"]


def ensure_index_template(domain: Domain, properties: Properties, owner: Owner) -> Change:
    """The template is there, word for word, and the owner's.

    Raises:
        OwnershipError: somebody else made one of that name and `take_over` is off.
        CallError: a call failed, or the template reads back otherwise.
    """
    name = properties.index_name
    found = _find(domain, name)
    ownership = Ownership.OWNED
    if found is not None:
        ownership = owner.claim(f"index template {name}", _description(found), take_over=properties.take_over)
    wanted = files.index_template(properties, owner.sign("Fields of the device readings.", ownership))
    if found is not None and _same(found, wanted):
        return Change(INDEX_TEMPLATE, name, Outcome.UNCHANGED)
    domain.call("PUT", path("_index_template", name), wanted)
    written = _find(domain, name)
    if written is None or not _same(written, wanted):
        raise VerificationError(f"index template {name} reads back otherwise than it was written")
    return Change(INDEX_TEMPLATE, name, Outcome.CREATED if found is None else Outcome.CHANGED)


def remove_index_template(domain: Domain, name: str, owner: Owner) -> Change:
    """The template is gone, unless somebody else made it. Indices stay.

    Raises:
        CallError: a call failed.
    """
    found = _find(domain, name)
    if found is None:
        return Change(INDEX_TEMPLATE, name, Outcome.ABSENT)
    if owner.ownership_here(_description(found)) is not Ownership.OWNED:
        return Change(INDEX_TEMPLATE, name, Outcome.KEPT, "not made by this stack")
    domain.delete(path("_index_template", name))
    return Change(INDEX_TEMPLATE, name, Outcome.REMOVED)


def _find(domain: Domain, name: str) -> dict[str, Any] | None:
    answer = domain.find(path("_index_template", name))
    found = answer["index_templates"] if answer else []
    return found[0]["index_template"] if found else None


def _description(found: dict[str, Any]) -> object:
    return (found.get("_meta") or {}).get("description")


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether they say the same; the domain adds an empty `composed_of`."""
    return {key: value for key, value in found.items() if value != []} == wanted
