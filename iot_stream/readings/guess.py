"""Guess the description of a reading from samples: types from values, roles and units from names. Pure.

Bounds and thresholds are not guessed, because samples do not show them.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, Final

from iot_stream.dashboards.definition import MOST_CATEGORIES, MOST_MEASURES
from iot_stream.description import (
    INGESTED_AT,
    LARGEST_LONG,
    NAMES_OF_ALERTS,
    SMALLEST_LONG,
    UNKNOWN_FIELDS,
    Role,
    TimeFormat,
    Type,
    parse_object,
    scaled_float_limit,
)
from iot_stream.readings import names
from iot_stream.readings.columns import ABSENT, POINT, Path, are_points, columns_of, why_unusable
from iot_stream.readings.times import epoch_format, is_time

__all__ = ["Guess", "Guesses", "guess"]

_MOST_DECIMALS: Final = 6  # of a scaled_float; a number with more is a double
_LEAST_DECIMALS: Final = 2
_LONGEST_CATEGORY: Final = 32  # characters
_MOST_EXAMPLES: Final = 20
_LONGEST_EXAMPLE: Final = 60  # characters
_MANY: Final = 10  # samples needed before the number of distinct values is significant
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_OFFSET: Final = re.compile(r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)(?:\[.*\])?$")
_MEASURED_UNITS: Final = frozenset({"°C", "°F", "%", "V", "hPa", "kPa"})  # can be whole in a sample by chance
_LIKE_TIME: Final = re.compile(r"(?:\d{4}([./-])\d{1,2}\1\d{1,2}|\d{1,2}([./-])\d{1,2}\2\d{4})\b")
_ANOTHER_FORMAT: Final = "have the device send 2026-11-28T07:15:30Z, or another format of docs/fields.md#times"
_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_COMMA: Final = re.compile(r"-?\d+,\d+")


@dataclass
class Guess:
    """A guessed field of the description, with the reasons for the guess."""

    path: Path
    type: Type
    name: str = ""
    role: Role | None = None
    label: str | None = None
    unit: str | None = None
    decimals: int | None = None
    format: TimeFormat | None = None
    optional: bool = False
    if_time: str = ""
    """What to do if this is the reading's time, which its values suggest and its name or format does not."""
    examples: list[Any] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    """By key of the description: what the guess comes from."""


@dataclass(frozen=True)
class Guesses:
    """The guessed fields, and the reason for each path that was left out."""

    fields: list[Guess]
    left_out: dict[str, str]


def guess(samples: Sequence[bytes]) -> Guesses:
    """Return the fields guessed from sample readings.

    Args:
        samples: the JSON object of each reading.

    Raises:
        ReadingError: a sample is not a JSON object in UTF-8; says why as the function does.
    """
    readings = [parse_object(sample) for sample in samples]
    columns = columns_of(readings)
    fields: list[Guess] = []
    left_out: dict[str, str] = {}
    for path, values in columns.items():
        present = [value for value in values if value is not ABSENT and value is not None]
        reason = why_unusable(path, present, columns)
        found = None if reason else _of_values(path, present)
        if found is None:
            left_out[".".join(path)] = reason or "its values have different types"
            continue
        if len(present) < len(values):
            found.optional = True
            found.why["optional"] = f"absent or null in {len(values) - len(present)} of {len(values)} samples"
        fields.append(found)
    _name(fields)
    _give_roles(fields, columns)
    _leave_names_to_alerts(fields)
    _label(fields)
    return Guesses(fields, left_out)


# ---- types ---------------------------------------------------------------------------------------------------------


def _of_values(path: Path, present: list[Any]) -> Guess | None:
    """Return the field for these values, without a role; None if they have no common type."""
    if all(isinstance(value, bool) for value in present):
        return Guess(path, Type.BOOLEAN)
    if are_points(path, present):
        return Guess(path, Type.GEO_POINT, why={"type": "latitude and longitude"})
    if all(isinstance(value, str) for value in present):
        return _of_texts(path, present)
    if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in present):
        return _of_numbers(path, present)
    return None


def _of_texts(path: Path, present: list[str]) -> Guess:
    if all(map(is_time, present)):
        without = "" if all(map(_OFFSET.search, present)) else " without an offset: set DeviceTimeZone"
        return Guess(path, Type.DATE, why={"type": f"times{without}"})
    if all(map(_is_address, present)):
        return Guess(path, Type.IP, why={"type": "IP addresses"})
    numbers = [number for value in present if (number := _number_in(value)) is not None]
    are_numbers = names.unit_of(path) or _are_decimal(path, numbers) or _epoch_of(path, numbers)
    if len(numbers) == len(present) and are_numbers:
        found = _of_numbers(path, numbers)
        found.why["type"] = "numbers as text, which the function converts"
        return found
    if all(map(POINT.fullmatch, present)):
        why = {"type": 'text; if it is "latitude,longitude", write "geo_point"'}
        return Guess(path, Type.KEYWORD, why=why)
    named = names.rank(path, names.TIME) is not None and all(re.search(r"\d", value) for value in present)
    found = Guess(path, Type.KEYWORD, examples=_examples(present))
    if named or all(map(_LIKE_TIME.match, present)):
        found.if_time = _ANOTHER_FORMAT
        found.why["type"] = "text, not in a time format of docs/fields.md: if it is a time, have the device send one"
    elif all(map(_TIME_OF_DAY.fullmatch, present)):
        found.why["type"] = "times without a date; they can't be the reading's time"
    elif all(map(_COMMA.fullmatch, present)):
        found.why["type"] = (
            "text, because of the comma: have the device send a number, such as 21.5, which can be a measure"
        )
    elif len(numbers) == len(present):
        found.if_time = _described_as(epoch_format(numbers))
    return found


def _are_decimal(path: Path, numbers: Sequence[int | Decimal]) -> bool:
    """Return whether texts are decimal numbers: one has decimals, and the name does not suggest a version."""
    version = names.NO_CATEGORY.intersection(names.words(path[-1]))
    return not version and any(isinstance(number, Decimal) for number in numbers)


def _examples(texts: Sequence[str]) -> list[str]:
    short = (text for text in texts if text.isprintable() and 0 < len(text) <= _LONGEST_EXAMPLE)
    return [*dict.fromkeys(short)][:_MOST_EXAMPLES]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _number_in(text: str) -> int | Decimal | None:
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return Decimal(text) if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text) else None


def _of_numbers(path: Path, present: Sequence[float | Decimal]) -> Guess:
    form = _epoch_of(path, present)
    if form:
        return Guess(path, Type.DATE, format=form, why={"format": "the size of the numbers and the field's name"})
    unit = names.unit_of(path)
    examples = [*dict.fromkeys([_plain(min(present)), _plain(max(present))])]
    whole = all(isinstance(value, int) for value in present)
    if whole and unit not in _MEASURED_UNITS and all(SMALLEST_LONG <= value <= LARGEST_LONG for value in present):
        why = {"type": "whole numbers in all samples"}
        may_be = _described_as(epoch_format(present))
        return Guess(path, Type.LONG, unit=unit, examples=examples, why=why, if_time=may_be)
    if whole and any(map(_is_beyond_long, present)):
        why = {"type": "whole numbers beyond 64 bits; a double keeps 16 digits, so have the device send an id as text"}
        return Guess(path, Type.DOUBLE, unit=unit, examples=examples, why=why)
    decimals = max(_decimals(value) for value in present)
    limit = scaled_float_limit(_MOST_DECIMALS)
    if decimals > _MOST_DECIMALS or not all(-limit <= value <= limit for value in present):
        return Guess(path, Type.DOUBLE, unit=unit, examples=examples)
    raised = f"{_LEAST_DECIMALS} at least; " if decimals < _LEAST_DECIMALS else ""
    why = {"decimals": f"{raised}{decimals or 'none'} in the samples"}
    if whole:
        why["type"] = "whole numbers in the samples, but values with this unit may have decimals"
    return Guess(
        path, Type.SCALED_FLOAT, unit=unit, decimals=max(decimals, _LEAST_DECIMALS), examples=examples, why=why
    )


def _described_as(form: TimeFormat | None) -> str:
    return f'write type = "date", format = "{form}" and role = "time"' if form else ""


def _is_beyond_long(value: object) -> bool:
    return isinstance(value, int) and not SMALLEST_LONG <= value <= LARGEST_LONG


def _epoch_of(path: Path, present: Sequence[float | Decimal]) -> TimeFormat | None:
    if names.rank(path, (*names.TIME, "installed", "updated", "seen", "start", "end")) is None:
        return None
    return epoch_format(present)


def _decimals(number: float | Decimal) -> int:
    exponent = Decimal(str(number)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _plain(number: float | Decimal) -> float:
    return number if isinstance(number, int) else float(number)


# ---- names and roles -----------------------------------------------------------------------------------------------


def _name(fields: list[Guess]) -> None:
    """Name each field by the shortest end of its path that says something and is unique, in a name's characters."""
    taken = {INGESTED_AT, UNKNOWN_FIELDS}
    for found in fields:
        ends = ["_".join(found.path[-length:]) for length in range(names.length_of(found.path), len(found.path) + 1)]
        usable = [_usable(end) for end in ends]
        name = next((each for each in usable if each not in taken), None)
        number = 2
        while name is None or name in taken:
            name, number = f"{usable[-1][:90]}_{number}", number + 1
        taken.add(name)
        found.name = name


def _leave_names_to_alerts(fields: list[Guess]) -> None:
    """Rename a device or measure whose name is reserved for alert documents."""
    taken = {found.name for found in fields}
    for found in fields:
        if found.role in (Role.DEVICE, Role.MEASURE) and found.name in NAMES_OF_ALERTS:
            found.name = next(name for number in count(2) if (name := f"{found.name}_{number}") not in taken)
            taken.add(found.name)


def _label(fields: list[Guess]) -> None:
    """Label fields whose names end in their unit, which is shown beside the label; no two alike."""
    labels = [names.label_of(found.name) if found.unit else None for found in fields]
    for found, label in zip(fields, labels, strict=True):
        if label and labels.count(label) == 1 and label not in {each.name.replace("_", " ") for each in fields}:
            found.label = label


def _usable(text: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z0-9]{2})(?=[A-Z]+$)", "_", text)
    cleaned = re.sub(r"[^A-Za-z0-9]+", "_", snake).strip("_").lower()[:90]
    return cleaned if cleaned[:1].isalpha() else f"field_{cleaned}".rstrip("_")


def _give_roles(fields: list[Guess], columns: Mapping[Path, list[Any]]) -> None:
    """Assign time and device to one field each, identity to at most one, measure and category to several."""
    required = [found for found in fields if not found.optional]
    _give(Role.TIME, [found for found in required if found.type is Type.DATE], names.TIME)
    keys = [found for found in required if found.type in (Type.KEYWORD, Type.LONG)]
    unique = [found for found in keys if len(set(columns[found.path])) == len(columns[found.path])]
    _give(Role.IDENTITY, [found for found in unique if _is_identity(found)], names.IDENTITY)
    _give(Role.DEVICE, [found for found in keys if found.role is None], names.DEVICE)
    if not any(found.role is Role.DEVICE for found in fields):
        numbered = [found for found in keys if found.role is None and _is_numbered(found)]
        for found in numbered[:1]:
            found.role, found.why["role"] = Role.DEVICE, "the first text with digits and letters; no name says it"
    measures = [found for found in fields if found.role is None and _is_measure(found)]
    for found in measures[:MOST_MEASURES]:
        found.role, found.why["role"] = Role.MEASURE, "a number with a unit" if found.unit else "a number with decimals"
    categories = [found for found in fields if found.role is None and _is_category(found, columns[found.path])]
    for found in categories[:MOST_CATEGORIES]:
        found.role, found.why["role"] = Role.CATEGORY, "short text" if found.type is Type.KEYWORD else "true or false"
    for found in fields:
        if found.role in (Role.IDENTITY, None) and found.type is Type.KEYWORD and _is_identity(found):
            found.examples = []


def _give(role: Role, fields: list[Guess], best_first: Sequence[str]) -> None:
    ranked = [(place, found) for found in fields if (place := names.rank(found.path, best_first)) is not None]
    candidates = [found for _, found in sorted(ranked, key=lambda pair: pair[0])]
    if role is Role.TIME:
        candidates += fields
    if candidates:
        candidates[0].role, candidates[0].why["role"] = role, "by its name" if ranked else "the first date field"


def _is_numbered(found: Guess) -> bool:
    """Return whether each text has digits and letters, as in H-12."""
    texts = [value for value in found.examples if isinstance(value, str)]
    return bool(texts) and all(re.search(r"\d", text) and re.search(r"[^\W\d_]", text) for text in texts)


def _is_identity(found: Guess) -> bool:
    return names.rank(found.path, names.IDENTITY) is not None or (
        bool(found.examples) and all(_UUID.fullmatch(str(value)) for value in found.examples)
    )


def _is_measure(found: Guess) -> bool:
    if found.type not in (Type.LONG, Type.DOUBLE, Type.SCALED_FLOAT):
        return False
    if any(map(_is_beyond_long, found.examples)):  # an id, if anything
        return False
    if found.unit is None and names.NO_MEASURE.intersection(names.words(found.path[-1])):
        return False
    return found.unit is not None or found.type is not Type.LONG


def _is_category(found: Guess, values: list[Any]) -> bool:
    if found.type is Type.BOOLEAN:
        return True
    if found.type is not Type.KEYWORD or names.NO_CATEGORY.intersection(names.words(found.path[-1])):
        return False
    if "type" in found.why:  # the text of something else
        return False
    short = bool(found.examples) and all(
        len(str(value)) <= _LONGEST_CATEGORY and not re.search(r"\d{3}", str(value)) for value in found.examples
    )
    few = len(values) < _MANY or len(set(map(str, values))) <= len(values) // 2
    return short and few and not _is_identity(found)
