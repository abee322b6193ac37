"""The roles of the delivery stream and of the alerts function, and their mappings, in the security plugin.

Contract: OpenSearch documentation, "Security APIs". The role comes first, since a mapping can be written only while its
role exists. On removal the entry goes first, then the role, then the empty mapping, which outlives its role.
"""

from collections.abc import Iterable
from typing import override

from role_mapper.domain import Domain, path
from role_mapper.errors import OwnershipError, ResponseError, UnexpectedResponseError, VerificationError
from role_mapper.objects import access_documents as documents
from role_mapper.objects.managed import Document, ManagedObject
from role_mapper.ownership import Owner, Ownership
from role_mapper.report import ALERTS_ROLE, ALERTS_ROLE_MAPPING, ROLE, ROLE_MAPPING, Change

__all__ = ["AdministratorMapping", "AlertsRole", "AlertsRoleMapping", "Role", "RoleMapping"]

_API = ("_plugins", "_security", "api")
_BAD_REQUEST = 400
_NOT_FOUND = 404
_SETTLE_SECONDS = 1.0


class _SecurityObject(ManagedObject):
    """An object of the security API: a GET has it under its name, and it describes itself."""

    @override
    def find(self) -> Document | None:
        body = self.domain.get(self.path)
        if body is None:
            return None
        found = body.get(self.name)
        if not isinstance(found, dict):
            raise UnexpectedResponseError(f"GET {self.path}", f"a JSON object without {self.name!r}")
        return found

    @override
    def description(self, found: Document) -> object:
        return found.get("description")


class Role(_SecurityObject):
    """The OpenSearch role that may write to the indices of `index_patterns`."""

    kind = ROLE

    def __init__(
        self, domain: Domain, owner: Owner, name: str, index_patterns: Iterable[str] = (), *, adopt: bool = False
    ) -> None:
        super().__init__(domain, owner, name, f"role {name}", path(*_API, "roles", name), adopt=adopt)
        self._index_patterns = tuple(index_patterns)
        self._deleted: Document | None = None

    @override
    def find(self) -> Document | None:
        found = super().find()
        grants = found.get("index_permissions", []) if found is not None else []
        if not isinstance(grants, list) or not all(isinstance(grant, dict) for grant in grants):
            raise UnexpectedResponseError(f"GET {self.path}", "a role without a list of index_permissions")
        return found

    def covers(self, index_pattern: str) -> bool:
        """Return whether the role that is there is this owner's and names this index pattern."""
        found = self.find() or {}
        ours = self.owner.ownership(self.description(found)) is not Ownership.FOREIGN
        return ours and index_pattern in documents.index_patterns(found)

    @override
    def claim(self, found: Document) -> Ownership:
        protection = documents.protection(found)
        if protection:
            raise OwnershipError(
                f"{self.title} is {protection}: OpenSearch does not allow changes to it; choose another RoleName"
            )
        return super().claim(found)

    @override
    def desired(self, ownership: Ownership) -> Document:
        purpose = f"Lets Data Firehose write to {' and '.join(self._index_patterns)} indices."
        return documents.role(self._index_patterns, self.owner.sign(purpose, ownership))

    @override
    def same(self, found: Document, desired: Document) -> bool:
        return documents.same_role(found, desired)

    @override
    def deviation(self, found: Document, desired: Document) -> str:
        return f"it differs in {', '.join(documents.deviations(found, desired))}"

    @override
    def keep(self, found: Document) -> str:
        kept = super().keep(found)
        if kept:
            return kept
        mapped = RoleMapping(self.domain, self.owner, self.name).find()
        return "others are mapped to it" if mapped is not None and not documents.is_empty(mapped) else ""

    @override
    def delete(self, found: Document) -> None:
        """Delete the role, then its empty mapping: without the role, the plugin rejects new mappings.

        Who was mapped between the last look and the deletion of the role keeps entry and role: it is put back.
        """
        super().delete(found)
        self._deleted = found
        self._finish_deletion()

    @override
    def remove(self) -> list[Change]:
        """Remove the role, and finish what an earlier try may have left undone."""
        if self.find() is None:
            self._finish_deletion()
        return super().remove()

    def _finish_deletion(self) -> None:
        """Delete the mapping of a role that is gone, or put the role back."""
        nobody = RoleMapping(self.domain, self.owner, self.name).delete_empty()
        if not nobody and self._deleted is not None:
            self.domain.call("PUT", self.path, documents.writable(self._deleted))
            raise VerificationError(f"{self.title} got another mapping at the same time: try again")


class RoleMapping(_SecurityObject):
    """An IAM role's ARN as a backend role of an OpenSearch role; other mappings are kept."""

    kind = ROLE_MAPPING
    whose = "Data Firehose's delivery role"

    def __init__(self, domain: Domain, owner: Owner, role: str, arn: str = "") -> None:
        super().__init__(domain, owner, role, f"the mapping of role {role}", path(*_API, "rolesmapping", role))
        self._arn = arn
        self._role = Role(domain, owner, role)
        self._replaced = False

    @property
    @override
    def identity(self) -> tuple[str, ...]:
        return (*super().identity, self._arn)

    @override
    def claim(self, found: Document) -> Ownership:
        """Return the ownership; an entry may be added to a mapping that is not this owner's."""
        protection = documents.protection(found)
        if protection:
            raise OwnershipError(f"{self.title} is {protection}: choose another RoleName")
        return self.owner.ownership(self.description(found))

    @override
    def desired(self, ownership: Ownership) -> Document:
        purpose = f"Makes {self.whose} {self.name}."
        return documents.new_mapping(self._arn, self.owner.sign(purpose, ownership))

    @override
    def same(self, found: Document, desired: Document) -> bool:
        return not documents.addition(found, self._arn)

    @override
    def deviation(self, found: Document, desired: Document) -> str:
        return f"{self._arn} is not mapped"

    @override
    def write(self, desired: Document, found: Document | None) -> None:
        self._replaced = found is None or not found.get("backend_roles")
        if found is None:
            self._write("PUT", desired, found)
        else:
            self._write("PATCH", documents.addition(found, self._arn), found)

    @override
    def keep(self, found: Document) -> str:
        """Return why the entry stays: nothing was mapped to a role that is not this stack's."""
        role = self._role.find()
        if role is None:
            # The plugin changes no mapping whose role is gone (404), and the mapping has no effect without it.
            return "" if self._only_ours(found) else "its role no longer exists, but others are still mapped"
        foreign = self.owner.ownership_here(self._role.description(role)) is Ownership.FOREIGN
        return "the role is not this stack's" if foreign else ""

    @override
    def follow_up(self, written: Document) -> tuple[bool, str]:
        """Check again after a short wait if the first entry was written, which replaces concurrent changes.

        So does another role mapper's that saw no entry either: whichever comes first finds its own gone, and adds it.
        """
        if self._replaced:
            self._replaced = False
            self.domain.deadline.pause(_SETTLE_SECONDS)
            found = self.find()
            if found is None or documents.addition(found, self._arn):
                raise VerificationError(f"{self.title} was replaced at the same time: try again")
        return False, ""

    @override
    def delete(self, found: Document) -> None:
        """Remove the entry; delete the mapping if this owner created it and no other entry is left.

        Where the role is this owner's too, it goes first (see `Role`), and the mapping stays until then.
        """
        left: Document | None = found
        role = self._role.find()
        if role is not None:
            left = self.find()  # the patch goes by position: nothing comes between this look and it
            patch = documents.removal(left, self._arn) if left is not None else []
            if patch:
                self._write("PATCH", patch, left)
                left = self.find()
            if left is not None and documents.removal(left, self._arn):
                raise VerificationError(f"{self._arn} is still in {self.title} after it was removed")
        # After another look: somebody may have been mapped while this entry was taken out.
        if left is not None and self._only_ours(left) and not self._is_left_to(role):
            self.domain.delete(self.path)

    @override
    def gone(self, found: Document | None) -> bool:
        if found is None:
            return True
        if documents.removal(found, self._arn):
            return False
        return not self._only_ours(found) or self._is_left_to(self._role.find())

    @override
    def remainder(self, left: Document | None) -> str:
        return "" if left is None or documents.is_empty(left) else super().remainder(left)

    def delete_empty(self) -> bool:
        """Delete the mapping if this owner made it, after its role: then the plugin rejects new mappings.

        Returns:
            Whether nobody is mapped.
        """
        found = self.find()
        if found is None:
            return True
        if not documents.is_empty(found):
            return False
        if self.owner.ownership_here(self.description(found)) is Ownership.OWNED:
            self.domain.delete(self.path)
            if self.find() is not None:
                raise VerificationError(f"{self.title} is still there after it was deleted")
        return True

    def _is_left_to(self, role: Document | None) -> bool:
        """Return whether to delete the mapping with its role."""
        return role is not None and self.owner.ownership_here(self._role.description(role)) is Ownership.OWNED

    def _only_ours(self, found: Document) -> bool:
        made_here = self.owner.ownership_here(self.description(found)) is Ownership.OWNED
        return made_here and documents.is_empty(found, but=[self._arn])

    def _write(self, method: str, body: object, seen: Document | None) -> None:
        """Change a mapping that was read as `seen`; a failure caused by a concurrent change is retryable."""
        try:
            self.domain.call(method, self.path, body)
        except ResponseError as error:
            if error.status not in {_BAD_REQUEST, _NOT_FOUND}:
                raise
            if self.find() == seen and self._role.find() is not None:
                raise
            raise VerificationError(f"{error}; it was changed at the same time") from None


class AdministratorMapping(RoleMapping):
    """An administrator's IAM role as a backend role of a built-in role of the domain."""

    @override
    def unavailable(self) -> str:
        return "" if self._role.find() is not None else f"the domain has no role {self.name}"

    @override
    def desired(self, ownership: Ownership) -> Document:
        return documents.new_mapping(self._arn, self.owner.sign("Lets an IAM role administer the domain.", ownership))

    @override
    def keep(self, found: Document) -> str:
        """Return nothing: the role is never this stack's, and the entry is."""
        return ""


class AlertsRole(Role):
    """The OpenSearch role of the alerts function: it may search the readings, and read and write its own index."""

    kind = ALERTS_ROLE

    @override
    def desired(self, ownership: Ownership) -> Document:
        purpose = f"Lets the alerts function search {' and '.join(self._index_patterns)} and write {self.name}."
        return documents.alerts_role(self._index_patterns, self.name, self.owner.sign(purpose, ownership))


class AlertsRoleMapping(RoleMapping):
    """The IAM role of the alerts function as a backend role of its OpenSearch role."""

    kind = ALERTS_ROLE_MAPPING
    whose = "the alerts function's role"
