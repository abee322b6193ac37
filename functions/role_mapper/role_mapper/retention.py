"""The retention policy on the domain, where it has Index State Management (ISM).

Contract: OpenSearch documentation, "ISM API" and "Managed indexes"; the plugin's source for what it answers: an index
keeps the version of the policy that it was given, so existing indices are given the new one.
"""

from itertools import batched
from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import CallError, VerificationError
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import RETENTION_POLICY, Change, Outcome

__all__ = ["ensure_retention", "remove_retention"]

_ISM = ("_plugins", "_ism")
_POLICIES = path(*_ISM, "policies")
_POLICY_OF_INDEX = "index.plugins.index_state_management.policy_id"
_INDICES_A_CALL = 20  # their names are in the URL, which OpenSearch takes up to 4 kB


def ensure_retention(domain: Domain, properties: Properties, owner: Owner) -> Change:
    """Old indices are deleted after `retention_days`, or the policy that did so is gone where that is 0.

    Raises:
        OwnershipError: somebody else made a policy of that name and `take_over` is off.
        CallError: a call failed, or the policy reads back otherwise.
    """
    name = properties.index_name
    if not domain.has(_POLICIES):
        return _not_installed(name)
    if not properties.retention_days:  # nothing may be deleted any more, by a policy that was taken over neither
        return _remove(domain, name, owner, {Ownership.OWNED, Ownership.ADOPTED})
    found = _find(domain, name)
    ownership = Ownership.OWNED
    if found is not None:
        description = found["policy"].get("description")
        ownership = owner.claim(f"retention policy {name}", description, take_over=properties.take_over)
    purpose = f"Deletes indices of {name} after {properties.retention_days} days."
    wanted = files.retention_policy(properties, owner.sign(purpose, ownership))
    outcome = Outcome.UNCHANGED
    if found is None or not _agrees(found["policy"], wanted["policy"]):
        outcome = Outcome.CREATED if found is None else Outcome.CHANGED
        found = _write(domain, name, wanted, found)
    # Each time, since an earlier try may have ended between the two.
    return Change(RETENTION_POLICY, name, outcome, _hand_to_indices(domain, name, found["_seq_no"]))


def remove_retention(domain: Domain, name: str, owner: Owner) -> Change:
    """The policy is gone, unless somebody else made it. Indices stay.

    Raises:
        CallError: a call failed.
    """
    return _remove(domain, name, owner, {Ownership.OWNED}) if domain.has(_POLICIES) else _not_installed(name)


def _not_installed(name: str) -> Change:
    return Change(RETENTION_POLICY, name, Outcome.SKIPPED, "the domain has no Index State Management")


def _remove(domain: Domain, name: str, owner: Owner, removable: set[Ownership]) -> Change:
    found = _find(domain, name)
    if found is None:
        return Change(RETENTION_POLICY, name, Outcome.ABSENT)
    if owner.ownership_here(found["policy"].get("description")) not in removable:
        return Change(RETENTION_POLICY, name, Outcome.KEPT, "not made by this stack")
    # Off its indices first: an index goes on following the policy that it was given.
    _tell(domain, "remove", [index for index, (policy, _) in _indices(domain, name).items() if policy == name])
    domain.delete(path(*_ISM, "policies", name))
    return Change(RETENTION_POLICY, name, Outcome.REMOVED)


def _find(domain: Domain, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = domain.find(path(*_ISM, "policies", name))
    return found


def _write(domain: Domain, name: str, wanted: dict[str, Any], found: dict[str, Any] | None) -> dict[str, Any]:
    """Create or replace the policy as it was read; a change in between is a 409, and it is read again."""
    params = None
    if found is not None:
        params = {"if_seq_no": str(found["_seq_no"]), "if_primary_term": str(found["_primary_term"])}
    domain.call("PUT", path(*_ISM, "policies", name), wanted, params=params)
    written = _find(domain, name)
    if written is None or not _agrees(written["policy"], wanted["policy"]):
        raise VerificationError(f"retention policy {name} reads back otherwise than it was written")
    return written


def _hand_to_indices(domain: Domain, name: str, version: int) -> str:
    """Give the policy to the indices that follow none or an older version of it; others keep theirs."""
    body = {"policy_id": name}
    indices = _indices(domain, name)
    free = [index for index, (policy, _) in indices.items() if policy is None and files.is_rotated(index, name)]
    _tell(domain, "add", free, body)
    older = [index for index, (policy, at) in indices.items() if policy == name and at not in {None, version}]
    _tell(domain, "change_policy", older, body)
    return f"{len(free) + len(older)} existing indices now follow it" if free or older else ""


def _indices(domain: Domain, name: str) -> dict[str, tuple[str | None, int | None]]:
    """The stream's indices, each with the policy that it follows and the version of that, None before its first run."""
    answer = domain.call("GET", path(*_ISM, "explain", files.rotated_indices(name)))
    return {
        index: (told.get(_POLICY_OF_INDEX), told.get("policy_seq_no"))
        for index, told in answer.items()
        if isinstance(told, dict)
    }


def _tell(domain: Domain, verb: str, indices: list[str], body: dict[str, str] | None = None) -> None:
    for some in batched(indices, _INDICES_A_CALL, strict=False):
        answer = domain.call("POST", path(*_ISM, verb, ",".join(some)), body)
        failed = [f"{each.get('index_name')}: {each.get('reason')}" for each in answer.get("failed_indices", ())]
        if failed:  # an index in transition, or one that another request handed over: it passes
            raise CallError(f"ISM {verb} failed for {'; '.join(failed)}", retryable=True)


def _agrees(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is found so; ISM adds retries, times and a schema version."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_agrees(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_agrees(one, other) for one, other in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
