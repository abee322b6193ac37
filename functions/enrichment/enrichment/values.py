"""One value of a reading, however it is written → the value of its field in the document. Pure.

These are the rules of docs/fields.md in plain Python, one function for each type. `lenient` uses them for everything;
`reading` only for what its typed decoder can't do itself.
"""

import re
import sys
from collections.abc import Callable
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any, Final, Literal

from enrichment.description import Derivation, Field, TimeFormat, Type
from enrichment.reasons import Reason, UnusableError
from enrichment.timestamps import from_device, from_number

__all__ = [
    "LARGEST_LONG", "LARGEST_TEXT", "LARGEST_WHOLE", "SMALLEST_LONG", "WHITE_SPACE", "PointKey", "bounds", "converter",
    "derive", "geo_point", "ip", "parse_decimal", "parse_int", "scaled_float_limit", "time",
]  # fmt: skip

SMALLEST_LONG: Final = -(2**63)
LARGEST_LONG: Final = 2**63 - 1
PointKey = Literal["lat", "lon", "lng", "latitude", "longitude"]
"""What an object that is a geo_point is read by."""
LARGEST_TEXT: Final = 32_766  # bytes of UTF-8: the longest term Lucene indexes, so the longest keyword
LARGEST_WHOLE: Final = 10**15  # up to which a double's whole values are written without a point
WHITE_SPACE: Final = " \t\r\n"  # JSON's; a no-break space is text

_NUMERIC: Final = re.compile(r"([+-]?)0*(\d+)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS: Final = 4300  # sys.int_info.default_max_str_digits: beyond it int() refuses
_HIGHEST_LATITUDE: Final = 90
_HIGHEST_LONGITUDE: Final = 180


def converter(field: Field, zone: tzinfo) -> Callable[[Any], Any]:
    """Return the function that makes a field's value of what a device wrote; it raises UnusableError."""
    match field.type:
        case Type.KEYWORD:
            return keyword
        case Type.LONG:
            return partial(_long, bounds=bounds(field))
        case Type.DOUBLE | Type.SCALED_FLOAT:
            return partial(_double, bounds=bounds(field))
        case Type.BOOLEAN:
            return _boolean
        case Type.DATE:
            return partial(_date, form=field.format, zone=zone)
        case Type.GEO_POINT:
            return geo_point
        case Type.IP:
            return _ip_text


def scaled_float_limit(decimals: int) -> float:
    """Return the largest number that a scaled_float with so many decimals can hold: OpenSearch stores a long."""
    return 9e18 / float(10**decimals)


def bounds(field: Field) -> tuple[float, float]:
    """Return the least and the largest number that a field takes: its own bounds, or those of its type."""
    if field.type is Type.LONG:
        low, high = SMALLEST_LONG, LARGEST_LONG
        return (
            low if field.minimum is None else int(field.minimum),
            high if field.maximum is None else int(field.maximum),
        )
    limit = scaled_float_limit(field.decimals or 0) if field.type is Type.SCALED_FLOAT else sys.float_info.max
    return -limit if field.minimum is None else field.minimum, limit if field.maximum is None else field.maximum


def keyword(value: object) -> str:
    """Return text that OpenSearch can index as a keyword.

    Raises:
        UnusableError: WRONG_TYPE; LONE_SURROGATE, without a UTF-8 form; TEXT_TOO_LONG, beyond `LARGEST_TEXT` bytes.
    """
    text = _text(value)
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise UnusableError(Reason.LONE_SURROGATE) from None
    if length > LARGEST_TEXT:
        raise UnusableError(Reason.TEXT_TOO_LONG)
    return text


def time(value: Any, form: TimeFormat, zone: tzinfo) -> str:
    """Return a time as UTC text, of a value that has the type of its format already."""
    return from_device(value, zone) if form is TimeFormat.TEXT else from_number(value, form)


@lru_cache(maxsize=4096)
def ip(text: str) -> str:
    """Return an IPv4 or IPv6 address as it was written.

    Raises:
        UnusableError: BAD_IP.
    """
    from ipaddress import ip_address  # noqa: PLC0415 - few descriptions have one

    try:
        ip_address(text)
    except ValueError:
        raise UnusableError(Reason.BAD_IP) from None
    if "%" in text:  # a zone is valid on its own machine only, and OpenSearch refuses it
        raise UnusableError(Reason.BAD_IP)
    return text


def geo_point(value: object) -> dict[str, int | float]:
    """Return a point as OpenSearch's object, of an object, "lat,lon" or GeoJSON's [lon, lat].

    Raises:
        UnusableError: BAD_GEO_POINT.
    """
    latitude: object
    longitude: object
    match value:
        case {"lat": latitude, "lon": longitude} | {"lat": latitude, "lng": longitude}:
            pass
        case {"latitude": latitude, "longitude": longitude}:
            pass
        case [longitude, latitude]:
            pass
        case str() if value.count(",") == 1:
            latitude, longitude = value.split(",")
        case _:
            raise UnusableError(Reason.BAD_GEO_POINT)
    try:
        return {
            "lat": _double(latitude, (-_HIGHEST_LATITUDE, _HIGHEST_LATITUDE)),
            "lon": _double(longitude, (-_HIGHEST_LONGITUDE, _HIGHEST_LONGITUDE)),
        }
    except UnusableError:
        raise UnusableError(Reason.BAD_GEO_POINT) from None


def derive(derivation: Derivation, limit: float) -> Callable[[float | None], float | None]:
    """Return the function that makes a derived value: always a float, rounded; None of None.

    Ten decimals drop the binary noise of °F: 78.8, not 78.80000000000001.
    """
    scale, offset, decimals = derivation.scale, derivation.offset, derivation.round

    @lru_cache(maxsize=4096)  # values repeat, and rounding takes as long as decoding a reading
    def value_of(source: float | None) -> float | None:
        if source is None:
            return None
        value = round(float(source * scale + offset), decimals) + 0.0  # minus zero is 0.0 too
        if not -limit <= value <= limit:
            raise UnusableError(Reason.NUMBER_OUT_OF_RANGE)
        return value

    return value_of


def parse_int(digits: str) -> int | float:
    """Return a JSON integer; one of more digits than any field takes is infinite."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def parse_decimal(literal: str) -> float | Decimal:
    """Return what is written: a double would round an id above 2⁵³, and call 17.00000000000000001 whole."""
    try:
        return Decimal(literal)
    except InvalidOperation:  # an exponent that no Decimal has: nothing, or beyond every bound, or too small to see
        mantissa, _, exponent = literal.lower().partition("e")
        if not mantissa.strip("+-0."):
            return Decimal(0)
        sign = "-" if mantissa.startswith("-") else ""
        return Decimal(f"{sign}1e-999999") if exponent.startswith("-") else float(f"{sign}inf")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnusableError(Reason.WRONG_TYPE)
    return value


def _ip_text(value: object) -> str:
    return ip(_text(value))


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise UnusableError(Reason.WRONG_TYPE)


def _number(value: object) -> int | float | Decimal:
    """Return a number, also from a string that holds one; booleans are not numbers, though Python thinks so."""
    if type(value) is int or isinstance(value, float | Decimal):
        return value
    if isinstance(value, str):
        match = _NUMERIC.fullmatch(value.strip(WHITE_SPACE))
        if match:
            sign, digits, fraction, exponent = match.groups()
            if fraction or exponent:
                return parse_decimal(sign + digits + (fraction or "") + (exponent or ""))
            return parse_int(sign + digits)
    raise UnusableError(Reason.WRONG_TYPE)


def _double(value: object, bounds: tuple[float, float]) -> int | float:
    """Return a double; whole numbers, minus zero too, are written without a point."""
    number = _number(value)
    if isinstance(number, Decimal):
        number = float(number)
    if not bounds[0] <= number <= bounds[1]:
        raise UnusableError(Reason.NUMBER_OUT_OF_RANGE)
    return int(number) if abs(number) <= LARGEST_WHOLE and number == int(number) else float(number)


def _long(value: object, bounds: tuple[float, float]) -> int:
    number = _number(value)
    if not bounds[0] <= number <= bounds[1]:  # first, as infinity has no whole part to ask for
        raise UnusableError(Reason.NUMBER_OUT_OF_RANGE)
    if number != int(number):
        raise UnusableError(Reason.NOT_WHOLE)
    return int(number)


def _date(value: object, form: TimeFormat, zone: tzinfo) -> str:
    if form is TimeFormat.TEXT:
        return from_device(_text(value), zone)
    number = _number(value)
    if isinstance(number, Decimal):
        number = int(number) if number == number.to_integral_value() and abs(number) < LARGEST_LONG else float(number)
    try:
        return from_number(number, form)
    except (ValueError, OverflowError, ArithmeticError):  # infinity
        raise UnusableError(Reason.BAD_TIMESTAMP) from None
