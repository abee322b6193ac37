"""The retention policy, where the domain has Index State Management (ISM).

Contract: OpenSearch documentation, "ISM API", and the plugin 3.4.0.0 itself (tests/fixtures/index-management.json). An
index follows the copy of the policy that it was given: a changed or deleted policy changes nothing for it. So each
index's own copy is compared, and one that differs is taken off the policy and put back on it, which has effect at once,
also while the index is in transition; `change_policy` would have effect at the next run only, or not at all.
"""

import math
from collections.abc import Mapping
from typing import Any, override

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import PropertiesError, UnexpectedResponseError, VerificationError
from role_mapper.objects import managed_indices, stream_indices
from role_mapper.objects.managed import Document, ManagedObject
from role_mapper.objects.managed_indices import ManagedIndex
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import RETENTION_POLICY, Change, Outcome

__all__ = ["RetentionPolicy"]

_SHARDS_PER_NODE = 1000  # cluster.max_shards_per_node, as OpenSearch has it by default


class RetentionPolicy(ManagedObject):
    """The policy that deletes indices which rotation or rollover made, once their readings are `retention_days` old."""

    kind = RETENTION_POLICY

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        name = properties.index_name
        where = path("_plugins", "_ism", "policies", name)
        super().__init__(domain, owner, name, f"retention policy {name}", where, adopt=properties.take_over)
        self._properties = properties
        self._removable = {Ownership.OWNED}

    @override
    def unavailable(self) -> str:
        return "" if stream_indices.are_managed(self.domain) else "the domain has no Index State Management"

    @override
    def find(self) -> Document | None:
        body = self.domain.get(self.path)
        if body is None:
            return None
        numbered = isinstance(body.get("_seq_no"), int) and isinstance(body.get("_primary_term"), int)
        if not numbered or not isinstance(body.get("policy"), dict):
            raise UnexpectedResponseError(f"GET {self.path}", "a JSON object that is not a policy")
        return body

    @override
    def description(self, found: Document) -> object:
        return found["policy"].get("description")

    @override
    def desired(self, ownership: Ownership) -> Document:
        purpose = f"Deletes indices of {self.name} after {self._properties.retention_days} days."
        return files.retention_policy(self._properties, self.owner.sign(purpose, ownership))

    @override
    def same(self, found: Document, desired: Document) -> bool:
        return _agrees(found["policy"], desired["policy"])

    @override
    def write(self, desired: Document, found: Document | None) -> None:
        """Create or replace the policy as it was read; a change in between is a 409, and it is read again."""
        params = None
        if found is not None:
            params = {"if_seq_no": str(found["_seq_no"]), "if_primary_term": str(found["_primary_term"])}
        self.domain.call("PUT", self.path, desired, params=params)

    @override
    def ensure(self) -> list[Change]:
        """Create or change the policy; with 0 days, remove it, even one that was taken over."""
        if self._properties.retention_days:
            if not self.unavailable():
                self._check_shards()
            return super().ensure()
        self._removable = {Ownership.OWNED, Ownership.ADOPTED}
        return self.remove()

    @override
    def follow_up(self, written: Document) -> tuple[bool, str]:
        """Attach the indices without a policy or with an old copy of it; those with another policy keep theirs."""
        wanted = self._out_of_line(written)
        closed = managed_indices.tell(
            self.domain, "remove", [name for name, index in wanted.items() if index.policy is not None]
        )
        to_add = [name for name in wanted if name not in closed and not self._is_parted_otherwise(name)]
        closed |= managed_indices.tell(self.domain, "add", to_add, {"policy_id": self.name})
        indices = managed_indices.read(self.domain, self.name)
        late = (self._out_of_line(written, indices).keys() if wanted else set()) - closed
        if late:  # explain is up to a second late
            raise VerificationError(f"these indices do not follow {self.title} yet: {', '.join(sorted(late))}")
        changed = len(wanted.keys() - closed)
        following = len(set(to_add) - closed)
        said = [f"{following} existing indices now follow it"] if following else []
        if closed:
            said.append(f"closed, so not updated until they are opened: {', '.join(sorted(closed))}")
        left = sorted(
            name for name, index in indices.items() if index.policy is None and self._is_parted_otherwise(name)
        )
        if left:
            said.append(f"created with another IndexRotationPeriod, so never deleted: {', '.join(left)}")
        said += [f"failed for {name}: {each.failure}" for name, each in indices.items() if each.failure]
        return changed > 0, "; ".join(said)

    @override
    def keep(self, found: Document) -> str:
        removable = self.owner.ownership_here(self.description(found)) in self._removable
        return "" if removable else "not made by this stack"

    @override
    def remove(self) -> list[Change]:
        """Detach the indices from the policy and delete it; keep an adopted policy, but make it delete nothing."""
        if self.unavailable():
            return super().remove()
        found = self.find()
        if found is None:
            count = len(self._take_off(ours_only=True))
            detail = f"detached from indices that still followed the deleted policy: {count}" if count else ""
            return [Change(self.kind, self.name, Outcome.REMOVED if count else Outcome.ABSENT, detail)]
        adopted = self.owner.ownership_here(self.description(found)) is Ownership.ADOPTED
        if adopted and Ownership.ADOPTED not in self._removable:
            self._release(found)
            return [Change(self.kind, self.name, Outcome.KEPT, "it was adopted; it no longer deletes anything")]
        return super().remove()

    @override
    def delete(self, found: Document) -> None:
        """Delete the policy after detaching its indices, which would otherwise keep following their copies."""
        self._take_off(ours_only=False)
        super().delete(found)

    def _release(self, found: Document) -> None:
        empty = {"name": "keep", "actions": [], "transitions": []}
        purpose = f"Deletes nothing. Was used by {self.owner.name}"
        kept = {"policy": {"description": purpose, "default_state": "keep", "states": [empty], "ism_template": []}}
        self._take_off(ours_only=False)
        self.write(kept, found)
        written = self.find()
        if written is None or not _agrees(written["policy"]["states"], kept["policy"]["states"]):
            raise VerificationError(f"{self.title} does not read back as it was written")

    def _take_off(self, *, ours_only: bool) -> set[str]:
        """Detach the indices from the policy; return their names.

        Args:
            ours_only: only those whose copy of the policy says that this owner wrote it.
        """
        following = {
            name
            for name, index in managed_indices.read(self.domain, self.name).items()
            if self._follows(index, ours_only=ours_only)
        }
        closed = managed_indices.tell(self.domain, "remove", sorted(following))
        left = {
            name
            for name, index in managed_indices.read(self.domain, self.name).items()
            if self._follows(index, ours_only=ours_only)
        } - closed
        if left:
            raise VerificationError(f"these indices still follow {self.title}: {', '.join(sorted(left))}")
        return following - closed

    def _follows(self, index: ManagedIndex, *, ours_only: bool) -> bool:
        if index.policy != self.name:
            return False
        said = (index.copy or {}).get("description")
        return not ours_only or self.owner.ownership_here(said) is not Ownership.FOREIGN

    def _is_retained(self, name: str) -> bool:
        return files.is_retained(name, self._properties)

    def _is_parted_otherwise(self, name: str) -> bool:
        """Return whether the index was created by the other method (rotation or rollover), so its age is irrelevant."""
        return files.is_of_stream(name, self.name) and not self._is_retained(name)

    def _out_of_line(
        self, policy: Document, indices: Mapping[str, ManagedIndex] | None = None
    ) -> dict[str, ManagedIndex]:
        """Return the indices to attach to the policy, to attach again, or to detach from it."""
        rules = {key: policy["policy"][key] for key in ("default_state", "states")}
        found = managed_indices.read(self.domain, self.name) if indices is None else indices
        return {
            name: index
            for name, index in found.items()
            if (index.policy is None and self._is_retained(name))
            or (index.policy == self.name and (self._is_parted_otherwise(name) or not _agrees(index.copy, rules)))
        }

    def _check_shards(self) -> None:
        """Reject a retention whose indices have more shards than the domain's nodes can hold.

        Raises:
            PropertiesError: with the arithmetic.
        """
        wanted = self._properties
        health = self.domain.expect_object("GET /_cluster/health", self.domain.call("GET", "/_cluster/health"))
        nodes = health.get("number_of_data_nodes")
        if not isinstance(nodes, int):
            raise UnexpectedResponseError("GET /_cluster/health", "a JSON object without number_of_data_nodes")
        indices = math.ceil(wanted.retention_hours / wanted.rotation_hours) + 1
        shards = indices * wanted.number_of_shards * (1 + wanted.number_of_replicas)
        if shards > _SHARDS_PER_NODE * nodes:
            raise PropertiesError(
                f"RetentionDays={wanted.retention_days} with IndexRotationPeriod={wanted.index_rotation_period} keeps "
                f"{indices} indices of {wanted.number_of_shards} shards with {wanted.number_of_replicas} replicas: "
                f"{shards} shards, but {nodes} data nodes hold at most {_SHARDS_PER_NODE} each; choose a longer "
                "rotation period or fewer days"
            )


def _agrees(found: Any, wanted: Any) -> bool:
    """Return whether `found` has everything that is wanted; ISM adds retries, times and a schema version."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_agrees(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_agrees(one, other) for one, other in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
