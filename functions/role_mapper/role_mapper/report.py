"""Report the outcome for each object on the domain."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ALERTS_INDEX_TEMPLATE",
    "ALERTS_ROLE",
    "ALERTS_ROLE_MAPPING",
    "DASHBOARDS",
    "INDEX_TEMPLATE",
    "INDICES",
    "RETENTION_POLICY",
    "ROLE",
    "ROLE_MAPPING",
    "WRITE_ALIAS",
    "Change",
    "Outcome",
    "as_data",
]

# Kinds of objects; `Fn::GetAtt` reads what became of them under these names.
ROLE = "Role"
ROLE_MAPPING = "RoleMapping"
INDEX_TEMPLATE = "IndexTemplate"
ALERTS_ROLE = "AlertsRole"
ALERTS_ROLE_MAPPING = "AlertsRoleMapping"
ALERTS_INDEX_TEMPLATE = "AlertsIndexTemplate"
RETENTION_POLICY = "RetentionPolicy"
DASHBOARDS = "Dashboards"
WRITE_ALIAS = "WriteAlias"
INDICES = "Indices"


class Outcome(StrEnum):
    """The outcome for one object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    ABSENT = "absent"
    KEPT = "kept"
    SKIPPED = "skipped"
    DIFFERS = "differs"
    LEFT = "left behind"


@dataclass(frozen=True)
class Change:
    """An object of the domain and its outcome.

    Attributes:
        kind: of which kind it is.
        name: its name on the domain.
        outcome: what became of it.
        detail: why, where that is not plain from the outcome.
    """

    kind: str
    name: str
    outcome: Outcome
    detail: str = ""


def as_data(changes: Iterable[Change]) -> dict[str, str]:
    """Return one line for each kind, as the `Data` that `Fn::GetAtt` can read: `created: a, b; kept: c (why)`."""
    kinds: dict[str, dict[Outcome, list[str]]] = {}
    for change in changes:
        detail = f" ({change.detail})" if change.detail else ""
        kinds.setdefault(change.kind, {}).setdefault(change.outcome, []).append(change.name + detail)
    return {
        kind: "; ".join(f"{outcome}: {', '.join(names)}" for outcome, names in outcomes.items())
        for kind, outcomes in kinds.items()
    }
