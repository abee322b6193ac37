"""Create and remove objects on the domain: find, claim, compare, write, read back.

A kind of object defines only how it is found, what it should be and how the two are compared, and how it is written and
deleted where a PUT and a DELETE of its path are not enough. `ensure` and `remove` are safe to repeat as a whole at any
moment, which is how they are retried.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from role_mapper.domain import Domain
from role_mapper.errors import ReadOnlyError, VerificationError
from role_mapper.ownership import Owner, Ownership
from role_mapper.report import Change, Outcome

__all__ = ["Document", "ManagedObject"]

type Document = Mapping[str, Any]


class ManagedObject(ABC):
    """One object on the domain, with a text that names its owner.

    Attributes:
        domain: where it is.
        owner: for whom it is made.
        kind: of which kind it is, as reports name it.
        name: its name on the domain.
        title: kind and name, as errors name it.
        path: the object's path in the domain's API.
        adopt: whether an object of that name that someone else made may be replaced (TakeOver).
    """

    kind: str

    def __init__(self, domain: Domain, owner: Owner, name: str, title: str, path: str, *, adopt: bool = False) -> None:
        self.domain = domain
        self.owner = owner
        self.name = name
        self.title = title
        self.path = path
        self.adopt = adopt

    @property
    def identity(self) -> tuple[str, ...]:
        """The identity of the object; an object with the same identity before and after an update is not removed."""
        return (self.kind, self.name)

    # ---- what a kind of object says ----

    @abstractmethod
    def find(self) -> Document | None:
        """Return the object on the domain, or None if it does not exist."""

    @abstractmethod
    def description(self, found: Document) -> object:
        """Return the text that names its owner."""

    @abstractmethod
    def desired(self, ownership: Ownership) -> Document:
        """Return the object as it should be."""

    @abstractmethod
    def same(self, found: Document, desired: Document) -> bool:
        """Return whether the object is as desired, apart from what the domain adds to it."""

    # ---- what some kinds say otherwise ----

    def write(self, desired: Document, found: Document | None) -> None:  # noqa: ARG002  # some kinds look at it
        """Create the object, or change the one that was found."""
        self.domain.call("PUT", self.path, desired)

    def delete(self, found: Document) -> None:  # noqa: ARG002  # some kinds look at it
        """Delete the object, or what this owner added to it."""
        self.domain.delete(self.path)

    def unavailable(self) -> str:
        """Return why the domain can't have such an object; empty if it can."""
        return ""

    def claim(self, found: Document) -> Ownership:
        """Return the ownership from now on.

        Raises:
            OwnershipError: it is someone else's and must stay so.
        """
        return self.owner.claim(self.title, self.description(found), take_over=self.adopt)

    def deviation(self, found: Document, desired: Document) -> str:  # noqa: ARG002  # some kinds look at it
        """Return a readable description of how an object deviates from the desired one."""
        return "it exists, but differs"

    def follow_up(self, written: Document) -> tuple[bool, str]:  # noqa: ARG002  # some kinds look at it
        """Update everything that depends on the object; called on every apply.

        Returns:
            Whether that changed anything, and what is to be said of it.
        """
        return False, ""

    def keep(self, found: Document) -> str:
        """Return why the object must stay; empty if it may be removed."""
        owned = self.owner.ownership_here(self.description(found)) is Ownership.OWNED
        return "" if owned else "not made by this stack"

    def gone(self, found: Document | None) -> bool:
        """Return whether `found`, read after the removal, contains nothing of this owner."""
        return found is None

    def remainder(self, left: Document | None) -> str:
        """Return the remark on what is left after the removal."""
        return "" if left is None else "entries of others are left in it"

    # ---- common to all kinds ----

    def ensure(self) -> list[Change]:
        """Create the object, or update it to the desired one.

        Returns:
            What became of it; CREATED and CHANGED only after it read back as it was written.

        Raises:
            OwnershipError: it is someone else's.
            CallError: a call failed, or the object reads back as something else.
        """
        unavailable = self.unavailable()
        if unavailable:
            return [Change(self.kind, self.name, Outcome.SKIPPED, unavailable)]
        found = self.find()
        desired = self.desired(Ownership.OWNED if found is None else self.claim(found))
        outcome = Outcome.UNCHANGED
        if found is None or not self.same(found, desired):
            outcome = Outcome.CREATED if found is None else Outcome.CHANGED
            try:
                self.write(desired, found)
            except ReadOnlyError as call:
                lack = "it is missing" if found is None else self.deviation(found, desired)
                raise ReadOnlyError(f"{call}: {lack}") from None
            found = self.find()
            if found is None or not self.same(found, desired):
                raise VerificationError(f"{self.title} does not read back as it was written")
        changed, detail = self.follow_up(found)
        if changed and outcome is Outcome.UNCHANGED:
            outcome = Outcome.CHANGED
        return [Change(self.kind, self.name, outcome, detail)]

    def remove(self) -> list[Change]:
        """Remove the object, or what this owner added to it, unless it is someone else's.

        Returns:
            What became of it; REMOVED only after it read back as gone.

        Raises:
            CallError: a call failed, or the object reads back.
        """
        unavailable = self.unavailable()
        if unavailable:
            return [Change(self.kind, self.name, Outcome.SKIPPED, unavailable)]
        found = self.find()
        if self.gone(found) or found is None:
            return [Change(self.kind, self.name, Outcome.ABSENT)]
        kept = self.keep(found)
        if kept:
            return [Change(self.kind, self.name, Outcome.KEPT, kept)]
        self.delete(found)
        left = self.find()
        if not self.gone(left):
            raise VerificationError(f"{self.title} is still there after it was deleted")
        return [Change(self.kind, self.name, Outcome.REMOVED, self.remainder(left))]
