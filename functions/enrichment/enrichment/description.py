"""The description of a reading (`readings.toml`): what devices send and what OpenSearch gets. Pure.

`load` checks everything that can be checked without a reading and raises one error with all mistakes. The function
compiles the result once, at import (`compiled`); the dashboard, index template, docs and generator are built from the
same objects (docs/adr/0009). Only the standard library and msgspec are imported here.
"""

import re
import tomllib
from bisect import bisect_left
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

__all__ = [
    "FILE",
    "INGESTED_AT",
    "NAMES_OF_ALERTS",
    "UNKNOWN_FIELDS",
    "Derivation",
    "Description",
    "DescriptionError",
    "Field",
    "Problem",
    "Role",
    "TimeFormat",
    "Type",
    "Unknown",
    "load",
    "parse",
]

FILE: Final = Path(__file__).parents[1] / "readings.toml"
"""The description that is deployed with the function."""
INGESTED_AT: Final = "ingested_at"
"""The date field that follows the described fields in each document: when AWS received the record."""
NAMES_OF_ALERTS: Final = frozenset({"alert", "fleet", "kind", "memory"})
"""Fields that alert documents define themselves, beside the described device and measures."""
UNKNOWN_FIELDS: Final = "unknown_fields"
"""The object that holds undescribed fields with `unknown = "keep"`; `enabled: false` in the index."""


_BYTE_ORDER_MARK: Final = "\ufeff"
_PLACE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_TWICE: Final = re.compile(r"^Cannot declare .*'(.+)'\) twice|^Cannot overwrite a value")


class Type(StrEnum):
    """A field's type in the index, in OpenSearch's words."""

    KEYWORD = "keyword"
    LONG = "long"
    DOUBLE = "double"
    SCALED_FLOAT = "scaled_float"
    BOOLEAN = "boolean"
    DATE = "date"
    GEO_POINT = "geo_point"
    IP = "ip"


class Role(StrEnum):
    """What a field is for."""

    TIME = "time"
    DEVICE = "device"
    MEASURE = "measure"
    CATEGORY = "category"
    IDENTITY = "identity"


class TimeFormat(StrEnum):
    """How a device writes a date: text of docs/fields.md, or a number since 1970-01-01 UTC."""

    TEXT = "text"
    EPOCH_SECOND = "epoch_second"
    EPOCH_MILLIS = "epoch_millis"
    EPOCH_MICROS = "epoch_micros"
    EPOCH_NANOS = "epoch_nanos"


class Unknown(StrEnum):
    """What to do with fields that are not described."""

    DROP = "drop"
    KEEP = "keep"


class Derivation(msgspec.Struct, frozen=True):
    """How a derived field is computed: `source` times `scale`, plus `offset`, rounded."""

    source: str
    """Name of the field it is computed from, which is not a derived field itself."""
    scale: float = 1
    offset: float = 0
    round: int = 10
    """Decimals that the document keeps."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the document."""

    name: str
    """Its name in the document and the index: letters, digits and underscores."""
    type: Type
    path: tuple[str, ...]
    """Keys that lead to the value in the device's JSON; of a derived field, its source's."""
    role: Role | None = None
    label: str
    """The displayed name: `label` in the file, or the name with spaces for underscores."""
    unit: str | None = None
    description: str | None = None
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    alert_above: float | None = None
    alert_below: float | None = None
    alert_after: float = 60
    """Seconds that a value must be beyond a threshold before an alert opens, and within before it closes."""
    alert_margin: float = 0
    """How far within the threshold a value must be for the alert to close."""
    decimals: int | None = None
    """For a scaled_float: the index's scaling factor is 10 to this power."""
    format: TimeFormat = TimeFormat.TEXT
    examples: tuple[str | float | bool, ...] = ()
    """Values that devices send, used to generate readings: texts to choose from, or the range of a number."""
    derivation: Derivation | None = None

    @property
    def source(self) -> str:
        """The path as text, with its keys joined by dots."""
        return ".".join(self.path)


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What devices send and what OpenSearch gets. Roles and names are valid: `load` has checked them."""

    title: str
    silent_after: float
    """Seconds without a reading after which a device counts as silent."""
    clock_ahead: float = 300
    """Seconds that a device's clock may be ahead before it counts as wrong."""
    clock_behind: float = 604_800
    """Seconds that its latest reading may be old when it arrives before its clock counts as wrong."""
    unknown: Unknown
    fields: tuple[Field, ...]
    """In the order of the document; `ingested_at` follows."""

    @property
    def time(self) -> Field:
        """The field that says when the device took the reading."""
        return next(field for field in self.fields if field.role is Role.TIME)

    @property
    def device(self) -> Field:
        """The field that says which device took the reading."""
        return next(field for field in self.fields if field.role is Role.DEVICE)

    @property
    def identity(self) -> Field | None:
        """The field that identifies a reading uniquely, if there is one."""
        return next((field for field in self.fields if field.role is Role.IDENTITY), None)

    @property
    def measures(self) -> tuple[Field, ...]:
        """The fields with the role `measure`, in order."""
        return tuple(field for field in self.fields if field.role is Role.MEASURE)

    @property
    def categories(self) -> tuple[Field, ...]:
        """The fields with the role `category`, in order."""
        return tuple(field for field in self.fields if field.role is Role.CATEGORY)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that devices send: all but the derived ones."""
        return tuple(field for field in self.fields if field.derivation is None)


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a description."""

    line: int | None
    field: str | None
    text: str
    """What is wrong, and what to write instead."""


class DescriptionError(ValueError):
    """The description can't be used; one line for each mistake, with its line in the file."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        """Create the error from the file's name and all mistakes."""
        self.problems = tuple(problems)
        super().__init__("\n".join(_sentence(file, problem) for problem in problems))


def _sentence(file: str, problem: Problem) -> str:
    where = file if problem.line is None else f"{file}, line {problem.line}"
    return f"{where}: {problem.text}" if problem.field is None else f"{where}, field {problem.field}: {problem.text}"


def load(path: Path | None = None) -> Description:
    """Return the description that a file holds, by default the one deployed with the function.

    Raises:
        DescriptionError: the file can't be read, is not TOML, or is not a valid description; lists all mistakes.
    """
    path = path or FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(str(path), [Problem(None, None, f"can't be read as UTF-8 text: {error}")]) from None
    return parse(text, path.name)


def parse(text: str, file: str = FILE.name) -> Description:
    """Return the description in a text.

    Args:
        text: TOML.
        file: name for errors.

    Raises:
        DescriptionError: as `load`.
    """
    from enrichment.description_check import check  # noqa: PLC0415 - it builds the classes of this module

    if text.startswith(_BYTE_ORDER_MARK):
        mark = "begins with a byte order mark: save the file as UTF-8 without one (without BOM)"
        raise DescriptionError(file, [Problem(1, None, mark)])
    try:
        description, mistakes = check(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(file, [_of_toml(str(error))]) from None
    except RecursionError:
        raise DescriptionError(file, [Problem(None, None, "brackets are nested too deeply: nest fewer")]) from None
    except (
        ValueError
    ):  # more digits than sys.int_info.default_max_str_digits; a hexadecimal number fails only when it is formatted
        raise DescriptionError(file, [_of_long_number(text)]) from None
    if description is None or mistakes:
        raise DescriptionError(
            file, [Problem(_line_of(text, keys), keys[1] if len(keys) > 1 else None, what) for keys, what in mistakes]
        )
    return description


def _of_toml(message: str) -> Problem:
    """Return the problem for a tomllib message: `Cannot declare ('fields', 'at') twice (at line 8, column 11)`."""
    place = _PLACE.search(message)
    line = int(place[1]) if place else None
    twice = _TWICE.search(message)
    if twice:
        return Problem(line, twice[1], "a field or key with this name is already defined: rename or remove one")
    return Problem(line, None, f"not valid TOML: {_PLACE.sub('', message)}")


def _of_long_number(text: str) -> Problem:
    """Return the problem for a number that is too long for Python, at the line with the longest word."""
    longest = [max(map(len, re.findall(r"\w+", line)), default=0) for line in text.splitlines()]
    return Problem(longest.index(max(longest)) + 1, None, "a number with too many digits: write a shorter one")


def _line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """Return the number of the line that defines a path of keys, or the longest part of the path that exists.

    tomllib gives no positions, so this finds the smallest number of lines whose parsed content has the keys.
    """
    lines = text.splitlines(keepends=True)
    whole = tomllib.loads(text)
    found = next((keys[:length] for length in range(len(keys), 0, -1) if _has(whole, keys[:length])), None)
    if found is None:
        return None
    end = bisect_left(range(len(lines)), True, key=lambda count: _has(_parse_beginning(lines, count)[1], found))
    return _parse_beginning(lines, end - 1)[0] + 1


def _parse_beginning(lines: list[str], count: int) -> tuple[int, dict[str, Any]]:
    """Return the largest number of first lines, up to `count`, that parse as TOML, and their content."""
    while count > 0:
        try:
            return count, tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:  # within a statement of several lines
            count -= 1
    return 0, {}


def _has(table: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True
