"""Readings that are JSON but not in canonical form, taken field by field; the rules are those of docs/fields.md.

This is the whole contract in plain Python, and slow. `reading` comes here only with what its typed decoder
refused: either to find more forms than the canonical one (numeric strings, whole decimals, a duplicate key whose
last value is good), or to name the reason.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

from enrichment.reasons import ReadingError, Reason

__all__ = ["LARGEST_ID", "LARGEST_TEXT", "SMALLEST_ID", "read", "require_keyword"]

SMALLEST_ID: Final = -(2**63)  # an OpenSearch `long`
LARGEST_ID: Final = 2**63 - 1
LARGEST_TEXT: Final = 32_766  # bytes of UTF-8: the longest term Lucene indexes, so the longest keyword

_NUMERIC: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS: Final = 4300  # sys.int_info.default_max_str_digits: beyond it int() refuses


def read(raw: bytes) -> dict[str, Any]:
    """Return the reading's six fields with their canonical types: ids int, temperature int or float, text str.

    Raises:
        ReadingError: with the first reason found, in the order of the fields.
    """
    reading = _object(raw)
    return {field: _TAKE[field](_present(reading, field), field) for field in _TAKE}


def require_keyword(text: str, field: str) -> None:
    """Refuse text that OpenSearch can't index as a keyword.

    Raises:
        ReadingError: LONE_SURROGATE, when it has no UTF-8 form; TEXT_TOO_LONG, beyond `LARGEST_TEXT` bytes.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ReadingError(Reason.LONE_SURROGATE, field) from None
    if length > LARGEST_TEXT:
        raise ReadingError(Reason.TEXT_TOO_LONG, field)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ReadingError(Reason.NOT_UTF8) from None
    if not text.strip():
        raise ReadingError(Reason.EMPTY)
    try:
        value = json.loads(text, parse_int=_parse_int, parse_float=_parse_decimal, parse_constant=_refuse_constant)
    except ValueError:
        raise ReadingError(Reason.NOT_JSON) from None
    except RecursionError:
        raise ReadingError(Reason.NESTED_TOO_DEEP) from None
    if not isinstance(value, dict):
        raise ReadingError(Reason.NOT_AN_OBJECT)
    return value


def _present(reading: dict[str, Any], field: str) -> object:
    if field not in reading:
        raise ReadingError(Reason.FIELD_MISSING, field)
    return reading[field]


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise ReadingError(Reason.WRONG_TYPE, field)
    return value


def _keyword(value: object, field: str) -> str:
    text = _text(value, field)
    require_keyword(text, field)
    return text


def _number(value: object, field: str) -> int | float | Decimal:
    """Return a number, also from a string that holds one; a boolean is none, though Python thinks so."""
    if type(value) is int or isinstance(value, float | Decimal):
        return value
    if isinstance(value, str):
        match = _NUMERIC.fullmatch(value.strip())
        if match:
            fraction, exponent = match.groups()
            return _parse_decimal(match[0]) if fraction or exponent else _parse_int(match[0])
    raise ReadingError(Reason.WRONG_TYPE, field)


def _temperature(value: object, field: str) -> int | float:
    number = _number(value, field)
    return float(number) if isinstance(number, Decimal) else number


def _id(value: object, field: str) -> int:
    number = _number(value, field)
    if not SMALLEST_ID <= number <= LARGEST_ID:  # first, as infinity has no whole part to ask for
        raise ReadingError(Reason.NUMBER_OUT_OF_RANGE, field)
    if number != int(number):
        raise ReadingError(Reason.NOT_WHOLE, field)
    return int(number)


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _parse_decimal(literal: str) -> float | Decimal:
    """Return what is written: a double would round an id above 2⁵³, and call 17.00000000000000001 whole."""
    try:
        return Decimal(literal)
    except InvalidOperation:  # an exponent of twenty digits: infinite or nothing
        return float(literal)


def _refuse_constant(_name: str) -> NoReturn:
    """NaN and Infinity are Python's JSON, nobody else's."""
    raise ValueError


_TAKE: Final[dict[str, Callable[[object, str], Any]]] = {
    "uuid": _keyword,
    "device_ts": _text,
    "device_id": _id,
    "device_temp": _temperature,
    "track_id": _id,
    "activity_type": _keyword,
}
