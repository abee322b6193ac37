"""Write the tables of docs/fields.md that show the description: what a reading may hold, and its document. Pure."""

from collections.abc import Iterator
from typing import Final

from iot_stream.description import (
    INGESTED_AT,
    UNKNOWN_FIELDS,
    Description,
    Field,
    TimeFormat,
    Type,
    Unknown,
)
from iot_stream.errors import SetupError
from iot_stream.paths import PROJECT

__all__ = ["DOCUMENT", "with_tables"]

DOCUMENT: Final = PROJECT / "docs" / "fields.md"

_BEGIN: Final = "<!-- {name}: built by `iot-stream readings build` -->\n"
_END: Final = "<!-- end -->\n"
_MINUS: Final = "\u2212"
_TIMES: Final = "\u00d7"
_LARGEST: Final = 10**15  # written with all its digits
_UTC: Final = "in UTC, `YYYY-MM-DDTHH:MM:SS.mmm`"
_LONGEST: Final = "text of at most 32,766 bytes in UTF-8, OpenSearch's limit of a keyword"
_EPOCHS: Final = {
    TimeFormat.EPOCH_SECOND: "seconds",
    TimeFormat.EPOCH_MILLIS: "milliseconds",
    TimeFormat.EPOCH_MICROS: "microseconds",
    TimeFormat.EPOCH_NANOS: "nanoseconds",
}


def with_tables(text: str, description: Description) -> str:
    """Return the page with its built tables as the description has them.

    Raises:
        SetupError: a table's place is not in the text.
    """
    for name, lines in (("reading", _reading(description)), ("document", _document(description))):
        begin = _BEGIN.format(name=name)
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(_END)
        if not (found and ended):
            raise SetupError(
                f"{DOCUMENT.relative_to(PROJECT)} has no place for the table {name}: put the lines"
                f" {begin.strip()} and {_END.strip()} where it belongs"
            )
        text = before + begin + "".join(f"{line}\n" for line in lines) + _END + after
    return text


def _reading(description: Description) -> Iterator[str]:
    yield "| field | accepted |"
    yield "|---|---|"
    for field in description.inputs:
        optional = "; optional" if field.optional else ""
        yield f"| `{_cell(field.source)}` | {_cell(_accepted(field))}{optional} |"


def _accepted(field: Field) -> str:
    match field.type:
        case Type.KEYWORD:
            return _LONGEST
        case Type.LONG | Type.DOUBLE | Type.SCALED_FLOAT:
            kind = "a whole number" if field.type is Type.LONG else "a number"
            unit = f" in {field.unit}" if field.unit else ""
            return f"{kind}{unit}{_bounds(field)}"
        case Type.BOOLEAN:
            return "`true` or `false`"
        case Type.DATE if field.format is TimeFormat.TEXT:
            return "[a time](#times)"
        case Type.DATE:
            return f"[a time](#times) in {_EPOCHS[field.format]} since 1970-01-01 UTC"
        case Type.GEO_POINT:
            return "[a point](#types)"
        case Type.IP:
            return "an IPv4 or IPv6 address"


def _bounds(field: Field) -> str:
    low, high = field.minimum, field.maximum
    if low is not None:
        return f" from {_number(low)} on" if high is None else f" from {_number(low)} to {_number(high)}"
    if high is not None:
        return f" up to {_number(high)}"
    return f" from {_MINUS}2⁶³ to 2⁶³ {_MINUS} 1" if field.type is Type.LONG else ""


def _number(value: float) -> str:
    """Return a number as people write it: with commas between thousands, and a real minus."""
    text = f"{int(value):,}" if float(value).is_integer() and abs(value) < _LARGEST else f"{value:,.15g}"
    return text.replace("-", _MINUS)


def _document(description: Description) -> Iterator[str]:
    yield "| field | is | in the index |"
    yield "|---|---|---|"
    for field in description.fields:
        yield f"| `{field.name}` | {_cell(_is(field))} | `{field.type}` |"
    arrival = (
        f"when Kinesis took the record (by direct put: when Firehose did), {_UTC}; left out where AWS gives no time"
    )
    yield f"| `{INGESTED_AT}` | {arrival} | `date` |"
    if description.unknown is Unknown.KEEP:
        yield f"| `{UNKNOWN_FIELDS}` | [what is not described](#what-is-not-described) | `object` |"


def _is(field: Field) -> str:
    if field.derivation is not None:
        made = f"`{field.derivation.source}`"
        if field.derivation.scale != 1:
            made += f" {_TIMES} {_number(field.derivation.scale)}"
        if field.derivation.offset:
            made += f" {'+' if field.derivation.offset > 0 else _MINUS} {_number(abs(field.derivation.offset))}"
        return _described(field, made)
    source = f"`{field.source}`"
    if field.type is Type.DATE:
        return _described(field, f"{source} {_UTC}")
    return _described(field, source)


def _described(field: Field, what: str) -> str:
    unit = f", {field.unit}" if field.unit else ""
    description = f": {field.description}" if field.description else ""
    return f"{what}{unit}{description}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
