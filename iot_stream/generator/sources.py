"""Load templates from files, the included one, or the description of a reading."""

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from iot_stream.description import Description, Enricher, ReadingError
from iot_stream.errors import IotStreamError
from iot_stream.generator.derived import template_of
from iot_stream.generator.faults import Disturbance, Faults
from iot_stream.generator.fleet import with_fleet
from iot_stream.generator.series import Readings
from iot_stream.generator.template.compiled import compile_template

__all__ = ["Choice", "notes_on", "notes_on_recorded", "open_readings"]

_FAR_SECONDS: Final = 600.0
_WALKTHROUGH: Final = Path(__file__).parent / "templates" / "walkthrough.template"


@dataclass(frozen=True)
class Choice:
    """The records to send.

    Attributes:
        templates: files with their weights; none for the default.
        devices: how many devices send in turn; None leaves it to the template which ones send.
        lively: whether the devices behave like some (see `fleet.with_fleet`).
        faults: how many percent of the records go wrong.
    """

    templates: Sequence[tuple[Path, float]] = ()
    devices: int | None = None
    lively: bool = False
    faults: Faults = field(default_factory=Faults)


def open_readings(choice: Choice, description: Description, *, seed: int, zone: dt.tzinfo) -> Readings:
    """Return the chosen records.

    Args:
        choice: which ones.
        description: of readings: what the default template has to fit, and where a reading has device and measures.
        seed: of random values.
        zone: what `date.now` means by local time: the one in which the stack reads times without an offset.

    Raises:
        IotStreamError: a file can't be read.
        TemplateError: a template can't be used.
        FleetError: a template has no place for devices.
    """
    given = [(_read(path), str(path), weight) for path, weight in choice.templates]
    templates = []
    for number, (text, file, weight) in enumerate(given or [(*_default(description, zone), 1.0)]):
        template = compile_template(text, file, seed=f"{seed} {number}", zone=zone)
        if choice.devices is not None or choice.lively:
            template = with_fleet(template, description, choice.devices, lively=choice.lively, seed=f"{seed} {number}")
        templates.append((template, weight))
    return Readings(templates, Disturbance(choice.faults, description, seed), seed)


def notes_on(choice: Choice, description: Description, *, zone: dt.tzinfo, now: int) -> list[str]:
    """Return remarks about templates to show before sending, one line each.

    Args:
        choice: as for `open_readings`, which reports files that can't be read or compiled.
        description: of readings.
        zone: as `open_readings` has it.
        now: milliseconds since 1970-01-01 UTC.
    """
    notes = []
    for path, _ in choice.templates:
        (record,) = compile_template(_read(path), str(path), seed="trial", zone=zone).render([now])
        enriched = Enricher(description, zone).enrich_all([record.encode()], [None])
        if enriched.causes:
            reasons = ", ".join(map(str, enriched.causes[0]))
            notes.append(f"{path}: its readings fail in the function: {reasons}")
            continue
        read = dt.datetime.fromisoformat(f"{enriched.timestamps[0]}+00:00").timestamp()
        if abs(read - now / 1000) > _FAR_SECONDS:
            notes.append(
                f"{path}: the function reads the time of a reading generated now as {enriched.timestamps[0]} UTC. "
                f"Times without an offset are in DeviceTimeZone ({zone}): use date.now, not date.utc"
            )
    return notes


def notes_on_recorded(records: Sequence[bytes], description: Description, *, zone: dt.tzinfo, now: int) -> list[str]:
    """Return remarks about recorded readings to show before sending, one line each.

    Args:
        records: the data of each.
        description: of readings.
        zone: as `open_readings` has it.
        now: milliseconds since 1970-01-01 UTC.
    """
    enriched = Enricher(description, zone).enrich_all([*records], [None] * len(records))
    notes = []
    if enriched.causes:
        number, causes = next(iter(enriched.causes.items()))
        notes.append(
            f"{len(enriched.causes)} of {len(records)} readings fail in the function; the first is number {number + 1}:"
            f" {', '.join(map(str, causes))}. `iot-stream readings try` shows how to fix them"
        )
    if enriched.timestamps:
        latest = max(enriched.timestamps)
        age = now / 1000 - dt.datetime.fromisoformat(f"{latest}+00:00").timestamp()
        if abs(age) > _FAR_SECONDS:
            notes.append(f"the latest time of the readings is {latest} UTC: choose a time range that includes it")
    return notes


def _default(description: Description, zone: dt.tzinfo) -> tuple[str, str]:
    """Return text and name of the walkthrough's template, or of a derived one if another reading is described."""
    text = _read(_WALKTHROUGH)
    (trial,) = compile_template(text, _WALKTHROUGH.name, seed="trial", zone=zone).render([0])
    if {field.path for field in description.inputs} == {(key,) for key in json.loads(trial)}:
        with suppress(ReadingError):
            Enricher(description, zone).enrich(trial.encode())
            return text, _WALKTHROUGH.name
    return template_of(description), "the derived template"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise IotStreamError(f"template {path} can't be read as UTF-8 text: {error}") from None
