"""Try readings with the description: what the function returns for each, without a stack."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from iot_stream.description import (
    ADVICE,
    Cause,
    Description,
    Enricher,
    Field,
    Role,
    TimeFormat,
    Type,
    encode,
    parse_object,
)
from iot_stream.readings.columns import columns_of
from iot_stream.readings.times import epoch_format, is_time
from iot_stream.readings.wanted import bounds_text, wanted

__all__ = ["Trial", "try_readings"]

_LEAST_LIKENESS: Final = 0.8  # difflib's ratio; power_kw and powerKw have it


@dataclass(frozen=True)
class Trial:
    """What the function makes of a reading.

    Attributes:
        document: one line of JSON, None where the reading fails.
        causes: everything that is wrong with it, empty where it has a document.
        dropped: fields that the document lacks because they are not described.
        advice: what to do about each cause, in their order.
        warnings: what the function accepts and is probably wrong.
    """

    document: bytes | None
    causes: tuple[Cause, ...] = ()
    dropped: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def try_readings(
    readings: Iterable[bytes], description: Description, zone: tzinfo, arrived_at: int | None
) -> list[Trial]:
    """Return what the function makes of each reading, by the very code that is deployed.

    Args:
        readings: the data of each record.
        description: what devices send.
        zone: what a time without an offset means (parameter `DeviceTimeZone`).
        arrived_at: when the stream took the records, in epoch milliseconds: their documents' `ingested_at`.
    """
    enricher = Enricher(description, zone)
    fields = {field.source: field for field in description.inputs}
    trials = []
    for raw in readings:
        enriched = enricher.enrich_all([raw], [arrived_at])
        line = encode(enriched.documents)[0] if enriched.documents else None
        causes = enriched.causes.get(0, ())
        advice = tuple(
            _misspelled(cause, raw, fields) or _advice(cause, fields.get(cause.field or ""), raw) for cause in causes
        )
        warnings = tuple(_unlikely_times(description, raw)) if line else ()
        trials.append(Trial(line, causes, tuple(enriched.dropped), advice, warnings))
    return trials


def _misspelled(cause: Cause, raw: bytes, fields: Mapping[str, Field]) -> str:
    """Return what to do about a missing field, if the reading has an undescribed one that is probably meant, or ""."""
    if cause.reason != "field_missing" or cause.field is None:
        return ""
    others = {".".join(path): path[-1] for path in columns_of([parse_object(raw)])}
    others = {source: key for source, key in others.items() if source not in fields}
    same_key = [source for source, key in others.items() if key == fields[cause.field].path[-1]]
    by_lower = {source.lower(): source for source in same_key or others}
    near = get_close_matches(cause.field.lower(), by_lower, 1, 0 if same_key else _LEAST_LIKENESS)
    return f"the reading has {by_lower[near[0]]}: correct the path in readings.toml, or send the field" if near else ""


def _advice(cause: Cause, field: Field | None, raw: bytes) -> str:
    """Return what to do, with what description and value say where the function's own advice can't know it."""
    if field is None:
        return ADVICE[cause.reason]
    if cause.reason == "field_missing" and _is_needed(field):
        return f"send the field: the {field.role} of a reading can't be optional"
    if cause.reason == "number_out_of_range":
        return f"check the device, or change min and max in readings.toml:{bounds_text(field) or ' those of the type'}"
    if cause.reason not in {"wrong_type", "bad_timestamp"}:
        return ADVICE[cause.reason]
    value = _value(parse_object(raw), field)
    if value is None:
        return f"send {_wanted(field)}" + (
            ", not null" if _is_needed(field) else ", or set optional = true in readings.toml"
        )
    if form := _time_format(field, value):
        return f'send {_wanted(field)}, or set format = "{form}" in readings.toml'
    if cause.reason == "wrong_type":
        return f"send {_wanted(field)}, or change the field's type in readings.toml"
    others = ", or in another format of docs/fields.md" if field.format is TimeFormat.TEXT else ""
    return f"send {_wanted(field)}{others}"


def _wanted(field: Field) -> str:
    example = ", such as 2026-11-28T07:15:30Z" if (field.type, field.format) == (Type.DATE, TimeFormat.TEXT) else ""
    return wanted(field) + example


def _is_needed(field: Field) -> bool:
    return field.role in (Role.TIME, Role.DEVICE)


def _unlikely_times(description: Description, raw: bytes) -> Iterator[str]:
    """Yield a warning for each number that is a recent time in another unit: as milliseconds, seconds are in 1970.

    The function accepts it.
    """
    reading = parse_object(raw)
    for field in description.inputs:
        if field.type is not Type.DATE or field.format is TimeFormat.TEXT:
            continue
        with suppress(KeyError, TypeError, ArithmeticError):  # absent, or no number
            form = epoch_format([Decimal(str(_value(reading, field)))])
            if form and form is not field.format:
                yield f'{field.source} is read as {field.format}, but seems to be {form}: set format = "{form}"'


def _value(reading: Mapping[str, Any], field: Field) -> Any:
    """Return what a reading, which has the field, has there."""
    value: Any = reading
    for key in field.path:
        value = value[key]
    return value


def _time_format(field: Field, value: Any) -> TimeFormat | None:
    """Return the format of a date that the value would be a time in, if it is another than the field's."""
    form = None
    if field.type is Type.DATE and isinstance(value, str) and is_time(value):
        form = TimeFormat.TEXT
    elif field.type is Type.DATE and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        form = epoch_format([value])
    return form if form is not field.format else None
