"""The documents of the alerts index, and their ids (pure).

One index holds three kinds of documents: an `alert` for each alert, a `device` for each device with its latest values,
and one `run` with the function's own state. Times are epoch milliseconds here and in `memory`, and ISO 8601 in fields
that people search.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from device_alerts.rules import Kind, Rules

__all__ = [
    "RUN_ID",
    "Alert",
    "Device",
    "DeviceId",
    "Timer",
    "alert_of",
    "device_document_id",
    "device_of",
    "iso",
    "milliseconds",
]

type DeviceId = int | str

RUN_ID: Final = "run"
_LONGEST_ID: Final = 400  # OpenSearch takes ids of 512 bytes, and a device's name may be 32,766 bytes long
_SEVERITY: Final = {Kind.CLOCK_WRONG: 1, Kind.SILENT: 2, Kind.TOO_LOW: 3, Kind.TOO_HIGH: 3, Kind.PIPELINE_LATE: 4}
_STATES: Final = {0: "ok", 1: "clock wrong", 2: "silent", 3: "out of bounds"}


def iso(instant: int) -> str:
    """Return epoch milliseconds as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """Return the epoch milliseconds of a time as `iso` writes it."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@dataclass(frozen=True)
class Timer:
    """Since when a value has been beyond its limit, and since when far enough within it; None: it is not now."""

    beyond_since: int | None = None
    within_since: int | None = None


@dataclass(frozen=True)
class Alert:
    """An alert, from its opening to its closing.

    Attributes:
        rule: the rule's name.
        device: the device's id, or None for an alert about the pipeline.
        opened_at: epoch milliseconds; part of the id.
        since: when the condition began, according to the readings.
        value: the value at opening, for a limit or a clock.
        text: the displayed text.
        opened_run: the run that opened it.
        closed_at, closed_run: when and by which run it was closed; None while it is open.
    """

    rule: str
    device: DeviceId | None
    opened_at: int
    since: int
    value: float | None
    text: str
    opened_run: int
    closed_at: int | None = None
    closed_run: int | None = None

    @property
    def id(self) -> str:
        """Its document's id, the same whenever it is written."""
        return _bounded(f"alert:{self.rule}:{'' if self.device is None else self.device}:{self.opened_at}")

    def document(self, rules: Rules) -> dict[str, Any]:
        """Return its document."""
        kind, _, measure = self.rule.partition(":")
        closed = {} if self.closed_at is None else {"closed_at": iso(self.closed_at), "closed_run": self.closed_run}
        alert = {
            "rule": kind,
            **({"measure": measure} if measure else {}),
            "state": "open" if self.closed_at is None else "closed",
            "severity": _SEVERITY[Kind(kind)],
            "text": self.text,
            "since": iso(self.since),
            **({} if self.value is None else {"value": self.value}),
            "opened_at": iso(self.opened_at),
            "opened_run": self.opened_run,
            **closed,
        }
        return {"kind": "alert", **({} if self.device is None else {rules.device: self.device}), "alert": alert}


def alert_of(document: Mapping[str, Any], rules: Rules) -> Alert:
    """Return the alert that a document holds."""
    alert = document["alert"]
    measure = alert.get("measure")
    return Alert(
        rule=f"{alert['rule']}:{measure}" if measure else alert["rule"],
        device=document.get(rules.device),
        opened_at=milliseconds(alert["opened_at"]),
        since=milliseconds(alert["since"]),
        value=alert.get("value"),
        text=alert["text"],
        opened_run=alert["opened_run"],
        closed_at=milliseconds(alert["closed_at"]) if "closed_at" in alert else None,
        closed_run=alert.get("closed_run"),
    )


@dataclass(frozen=True)
class Device:
    """The known state of one device.

    Attributes:
        id: the device's id.
        last_seen: arrival of its latest reading.
        values: the latest value of each measure.
        values_at: the arrival of each of these values.
        timers: the running timers, by the rule's name.
        alerts: the names of the rules whose alerts are open.
    """

    id: DeviceId
    last_seen: int
    values: Mapping[str, float] = field(default_factory=dict)
    values_at: Mapping[str, int] = field(default_factory=dict)
    timers: Mapping[str, Timer] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()

    def document(self, rules: Rules) -> dict[str, Any]:
        """Return its document: a row of the table of the fleet."""
        severity = max(
            (_SEVERITY[rules.by_name[name].kind] for name in self.alerts if name in rules.by_name), default=0
        )
        running = {name: [each.beyond_since, each.within_since] for name, each in self.timers.items()}
        fleet = {
            "last_seen": iso(self.last_seen),
            "state": _STATES[severity],
            "severity": severity,
            "alerts": list(self.alerts),
        }
        memory = {"values_at": dict(self.values_at), "timers": running}
        return {"kind": "device", rules.device: self.id, **self.values, "fleet": fleet, "memory": memory}


def device_of(document: Mapping[str, Any], rules: Rules) -> Device:
    """Return the device that a document holds; a rule or measure that is no longer described is forgotten."""
    memory = document["memory"]
    return Device(
        id=document[rules.device],
        last_seen=milliseconds(document["fleet"]["last_seen"]),
        values={name: document[name] for name in rules.measures if name in document},
        values_at={name: at for name, at in memory["values_at"].items() if name in rules.measures},
        timers={name: Timer(*running) for name, running in memory["timers"].items() if name in rules.by_name},
        alerts=tuple(document["fleet"]["alerts"]),
    )


def device_document_id(device: DeviceId) -> str:
    """Return the id of a device's document."""
    return _bounded(f"device:{device}")


def _bounded(text: str) -> str:
    data = text.encode()
    return text if len(data) <= _LONGEST_ID else f"{text.split(':', 1)[0]}:sha256:{hashlib.sha256(data).hexdigest()}"
