"""Determine the owner of an object from a line in its description (pure).

Roles, mappings, index templates and policies all carry a free text. This function writes
the owning CloudFormation resource there, so that it recognises its own objects and touches no others.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum

from role_mapper.errors import OwnershipError

__all__ = ["Owner", "Ownership"]

_MOST_BYTES = 1024
_MARK = re.compile(r"(?P<how>Made|Taken over) by (?P<name>\S+)\Z")


class Ownership(Enum):
    """Who owns an existing object, from an owner's point of view."""

    OWNED = "the owner made it"
    ADOPTED = "someone else created it, and TakeOver=true let the owner adopt it"
    FOREIGN = "someone else's"


@dataclass(frozen=True)
class Owner:
    """The custom resource that an object belongs to, at the domain that it was made for.

    Attributes:
        resource: the stack's ARN without its unique end, and the resource's logical id, so that a stack which is
            removed and deployed again knows its own.
        endpoint: the domain's endpoint. A resource that moves to another domain is another owner there, and the
            removal of the old one never touches what the new one made.
    """

    resource: str
    endpoint: str

    @classmethod
    def of(cls, stack_id: str, logical_id: str, endpoint: str) -> "Owner":
        """Return the owner that a request of CloudFormation is made for.

        Args:
            stack_id: `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UNIQUE`.
            logical_id: the resource's name in the template.
            endpoint: the domain's `host[:port]`.
        """
        stack = stack_id.rsplit("/", 1)[0] if stack_id.count("/") > 1 else stack_id
        resource = "_".join(f"{stack}/{logical_id}".split())
        return cls(resource, "_".join(endpoint.split()))

    @property
    def name(self) -> str:
        """Return its identity, in descriptions and as PhysicalResourceId: 1 to 1,024 bytes, no white space."""
        name = f"{self.resource}@{self.endpoint}"
        if len(name.encode("utf-8", "replace")) > _MOST_BYTES:
            return "sha256:" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
        return name

    def sign(self, text: str, ownership: Ownership = Ownership.OWNED) -> str:
        """Return a description with the object's purpose and its owner."""
        how = "Taken over" if ownership is Ownership.ADOPTED else "Made"
        return f"{text} {how} by {self.name}"

    def ownership(self, description: object) -> Ownership:
        """Return who owns the object with this description; this owner counts at its other domains as well."""
        return self._ownership(description, anywhere=True)

    def ownership_here(self, description: object) -> Ownership:
        """Return the same, but what this owner made for another domain's endpoint counts as someone else's."""
        return self._ownership(description, anywhere=False)

    def claim(self, what: str, description: object, *, take_over: bool) -> Ownership:
        """Return who owns an existing object of that description once this owner has changed it.

        Raises:
            OwnershipError: it is someone else's, and `take_over` is off.
        """
        ownership = self.ownership(description)
        if ownership is not Ownership.FOREIGN:
            return ownership
        if not take_over:
            raise OwnershipError(
                f"{what} exists and was not made by this stack: choose another name, "
                "or set TakeOver=true to replace its content"
            )
        return Ownership.ADOPTED

    def _ownership(self, description: object, *, anywhere: bool) -> Ownership:
        mark = _MARK.search(description) if isinstance(description, str) else None
        if not mark:
            return Ownership.FOREIGN
        name = mark["name"]
        if name != self.name and not (anywhere and name.startswith(f"{self.resource}@")):
            return Ownership.FOREIGN
        return Ownership.OWNED if mark["how"] == "Made" else Ownership.ADOPTED
