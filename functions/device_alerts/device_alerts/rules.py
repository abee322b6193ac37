"""The rules of alerts, as `iot-stream readings build` writes them from the description (pure but for `load`).

The description belongs to the enrichment function, and functions do not import each other. So `rules.json` holds the
part of it that this function needs, and `make check` fails if the file is out of date.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

__all__ = ["Kind", "Limit", "Rule", "Rules", "load", "parse"]

_FILE: Final = Path(__file__).parents[1] / "rules.json"
"""The rules that travel with the function."""


class Kind(StrEnum):
    """What an alert is about."""

    TOO_HIGH = "too_high"
    TOO_LOW = "too_low"
    SILENT = "silent"
    CLOCK_WRONG = "clock_wrong"
    PIPELINE_LATE = "pipeline_late"


@dataclass(frozen=True)
class Limit:
    """A threshold of a measure.

    Attributes:
        field: the measure's name in the document.
        label: the displayed name.
        unit: with a leading blank; empty if there is none.
        value: the threshold.
        after: seconds that a value must be beyond the threshold to open an alert, and within it to close the alert.
        margin: how far within the threshold a value must be for the alert to close.
        optional: whether a reading may lack the measure.
    """

    field: str
    label: str
    unit: str
    value: float
    after: float
    margin: float
    optional: bool


@dataclass(frozen=True)
class Rule:
    """A condition to detect on devices; only TOO_HIGH and TOO_LOW have a limit."""

    kind: Kind
    limit: Limit | None = None

    @property
    def name(self) -> str:
        """Its name in documents: unique among the rules."""
        return f"{self.kind}:{self.limit.field}" if self.limit else str(self.kind)

    @property
    def is_upper(self) -> bool:
        """Whether values above the limit are beyond it."""
        return self.kind is Kind.TOO_HIGH

    def limit_of(self) -> Limit:
        """Return the limit of a rule that has one."""
        if self.limit is None:
            raise TypeError(f"rule {self.name} has no limit")
        return self.limit

    def beyond(self, value: float) -> bool:
        """Return whether a value is beyond the limit."""
        limit = self.limit_of()
        return value > limit.value if self.is_upper else value < limit.value

    def within(self, value: float) -> bool:
        """Return whether a value is so far within the limit that an alert may close."""
        limit = self.limit_of()
        return value <= limit.value - limit.margin if self.is_upper else value >= limit.value + limit.margin


@dataclass(frozen=True)
class Rules:
    """All rules.

    Attributes:
        title: the dashboard's title, for messages.
        device: the field that says which device took a reading.
        device_label: the displayed name of that field.
        time: the field with the device's own time.
        arrival: the field with the time at which AWS received the record.
        silent_after: seconds without a reading after which a device counts as silent.
        clock_ahead: seconds that a device's clock may be ahead of the arrival.
        clock_behind: seconds that its latest reading may be older than the arrival.
        required: the measures that every reading has.
        optional: the measures that a reading may lack.
        limits: the rules with a threshold.
    """

    title: str
    device: str
    device_label: str
    time: str
    arrival: str
    silent_after: float
    clock_ahead: float
    clock_behind: float
    required: tuple[str, ...]
    optional: tuple[str, ...]
    limits: tuple[Rule, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure."""
        return (*self.required, *self.optional)

    @cached_property
    def by_name(self) -> Mapping[str, Rule]:
        """Every rule about a device, by its name."""
        every = (*self.limits, Rule(Kind.SILENT), Rule(Kind.CLOCK_WRONG))
        return {rule.name: rule for rule in every}


def load(path: Path = _FILE) -> Rules:
    """Return the rules that are deployed with the function."""
    return parse(json.loads(path.read_text(encoding="utf-8")))


def parse(document: Mapping[str, Any]) -> Rules:
    """Return the rules that a document of `rules.json` holds."""
    limits = []
    for measure in document["measures"]:
        for key, kind in (("above", Kind.TOO_HIGH), ("below", Kind.TOO_LOW)):
            if measure.get(key) is not None:
                unit = f" {measure['unit']}" if measure.get("unit") else ""
                limit = Limit(
                    field=measure["field"],
                    label=measure["label"],
                    unit=unit,
                    value=measure[key],
                    after=measure["after"],
                    margin=measure["margin"],
                    optional=measure["optional"],
                )
                limits.append(Rule(kind, limit))
    return Rules(
        title=document["title"],
        device=document["device"],
        device_label=document["device_label"],
        time=document["time"],
        arrival=document["arrival"],
        silent_after=document["silent_after"],
        clock_ahead=document["clock_ahead"],
        clock_behind=document["clock_behind"],
        required=tuple(each["field"] for each in document["measures"] if not each["optional"]),
        optional=tuple(each["field"] for each in document["measures"] if each["optional"]),
        limits=tuple(limits),
    )
