"""Write values as JavaScript's `String()` does (ECMA-262, ToString), as faker.js does for text. Pure."""

import datetime as dt
from typing import Any

__all__ = ["date_text", "text"]

_LEAST_POINT, _GREATEST_POINT = -6, 21  # from ECMA-262: beyond them numbers have an exponent


def text(value: Any) -> str:
    """Return a JSON value as JavaScript writes it in a text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return ",".join("" if inner is None else text(inner) for inner in value)
    return "[object Object]" if isinstance(value, dict) else str(value)


def _number(value: float) -> str:
    """Return a number as Number::toString does: the shortest digits, with an exponent below 1e-6 and from 1e21 on."""
    if value == int(value) and abs(value) < 10**_GREATEST_POINT:
        return str(int(value))
    sign, digits, exponent = "-" if value < 0 else "", *_shortest(abs(value))
    point = len(digits) + exponent  # digits before the point
    if _LEAST_POINT < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= _GREATEST_POINT:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _shortest(value: float) -> tuple[str, int]:
    """Return the shortest digits of a positive number, and the power of ten of the last one."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return stripped, power + len(digits) - len(stripped)


def date_text(moment: dt.datetime) -> str:
    """Return an aware time as `Date.prototype.toString` writes it; the name of a zone is its abbreviation."""
    zone = "Coordinated Universal Time" if moment.tzinfo is dt.UTC else f"{moment:%Z}"
    return f"{moment:%a %b %d %Y %H:%M:%S} GMT{moment:%z} ({zone})"
