"""What the doctor says of one layer. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

__all__ = ["RESTORE", "RESTORING", "Finding", "State", "first_refusal"]

RESTORING: Final = "restoring-deleted-resources"
"""The section about what no deployment brings back, because the template has not changed."""
RESTORE: Final = f"restore it: docs/operations.md#{RESTORING}"

_COMMANDS: Final = ("iot-stream domain ", "iot-stream failures ")


class State(StrEnum):
    """How a layer is."""

    OK = "ok"
    WARNING = "warning"
    """Readings get through, and something needs attention."""
    REFUSES = "refuses"
    """Readings do not get through, or whoever watches them is not told."""
    UNKNOWN = "unknown"
    """It could not be examined: the caller lacks a permission, or the service did not respond."""
    SKIPPED = "skipped"
    """It was not examined, because of what an earlier layer said."""


@dataclass(frozen=True)
class Finding:
    """One statement about one layer.

    Attributes:
        layer: the layer's name.
        state: how it is.
        what: what was found, in one sentence.
        cure: the command that mends it, or what to do; empty where nothing is to be done.
        section: the section of docs/operations.md about it, without the file's name; may be empty.
    """

    layer: str
    state: State
    what: str
    cure: str = ""
    section: str = ""

    def on_aws(self, stack_name: str) -> "Finding":
        """Return it with a cure that acts on the stack on AWS, where that is a command of ours."""
        if not self.cure.startswith(_COMMANDS):
            return self
        return replace(self, cure=f"{self.cure} --aws --stack {stack_name}")

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        runbook = f"docs/operations.md#{self.section}" if self.section else ""
        return {name: value for name, value in asdict(self).items() if name != "section"} | {"runbook": runbook}


def first_refusal(findings: Iterable[Finding]) -> Finding | None:
    """Return the first finding that refuses, in the order of the way; None where none does."""
    return next((finding for finding in findings if finding.state is State.REFUSES), None)
