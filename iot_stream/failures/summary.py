"""Count failed records by kind, code, index and hour of arrival, with all reasons. Streams; keeps only counts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from iot_stream.failure_objects import FailedRecord
from iot_stream.failures.broken import Broken

__all__ = ["Group", "Summary", "summarize"]


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What records of one line of the summary have in common; `hour` is empty where no arrival is known."""

    kind: str
    code: str
    index: str
    hour: str


@dataclass
class Summary:
    """Counts.

    Attributes:
        records: by group.
        reasons: of each group; a record counts once for each of its reasons.
        objects: number of objects that were read.
        broken: what could not be read.
    """

    records: Counter[Group] = field(default_factory=Counter)
    reasons: dict[Group, Counter[str]] = field(default_factory=dict)
    objects: int = 0
    broken: Broken = field(default_factory=Broken)

    @property
    def total(self) -> int:
        """All records."""
        return self.records.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        groups = [
            {**asdict(group), "records": count, "reasons": dict(self.reasons[group].most_common())}
            for group, count in sorted(self.records.items())
        ]
        return {"records": self.total, "objects": self.objects, "groups": groups} | self.broken.as_dict()


def summarize(
    records: Iterable[FailedRecord],
    takes: Callable[[FailedRecord], bool],
    reasons: Callable[[FailedRecord], tuple[str, ...]],
) -> Summary:
    """Return the summary of the records that `takes` selects; rows that can't be read are always listed."""
    summary = Summary()
    key = None
    for record in records:
        summary.objects += record.key != key
        key = record.key
        if record.problem:
            summary.broken.add(record)
        elif takes(record):
            group = Group(record.kind.value, record.code, record.index, _hour(record.arrived_ms))
            summary.records[group] += 1
            summary.reasons.setdefault(group, Counter()).update(reasons(record))
    return summary


def _hour(arrived_ms: int | None) -> str:
    try:
        return "" if arrived_ms is None else f"{datetime.fromtimestamp(arrived_ms / 1000, UTC):%Y-%m-%dT%HZ}"
    except (ValueError, OverflowError, OSError):  # a number that is not a time
        return ""
