"""Findings: what the doctor reports about a layer. Pure."""

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
    """The state of a layer."""

    OK = "ok"
    WARNING = "warning"
    """Readings get through, but something needs attention."""
    REFUSES = "refuses"
    """Readings do not get through, or an alarm is raised: the layer fails."""
    UNKNOWN = "unknown"
    """It could not be checked: the caller lacks a permission, or the service did not respond."""
    SKIPPED = "skipped"
    """It was not checked, because it depends on a layer that failed."""


@dataclass(frozen=True)
class Finding:
    """One statement about one layer.

    Attributes:
        layer: the layer's name.
        state: the layer's state.
        what: the finding, in one sentence.
        cure: the command or action that fixes it; empty if there is nothing to do.
        section: the anchor of its section in docs/operations.md; may be empty.
    """

    layer: str
    state: State
    what: str
    cure: str = ""
    section: str = ""

    @property
    def runbook(self) -> str:
        """The address of its section in docs/operations.md; may be empty."""
        return f"docs/operations.md#{self.section}" if self.section else ""

    def on_aws(self, stack_name: str) -> "Finding":
        """Return the finding; if its cure is an `iot-stream` command, add the options for the stack on AWS."""
        if not self.cure.startswith(_COMMANDS):
            return self
        return replace(self, cure=f"{self.cure} --aws --stack {stack_name}")

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: value for name, value in asdict(self).items() if name != "section"} | {"runbook": self.runbook}


def first_refusal(findings: Iterable[Finding]) -> Finding | None:
    """Return the first finding with the state REFUSES, or None."""
    return next((finding for finding in findings if finding.state is State.REFUSES), None)
