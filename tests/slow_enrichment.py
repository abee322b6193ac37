"""A second, independent implementation of docs/fields.md, in the plainest Python.

Exact fractions in place of doubles, `strptime` in place of slices, one try after the other in place of a regular
expression, and the description straight from its TOML. Property tests hold the function against it.
"""

import ipaddress
import json
import tomllib
import zlib
from base64 import b64decode
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tests.walkthrough import WALKTHROUGH_FILE

__all__ = ["Refusal", "slow_document"]

WALKTHROUGH = WALKTHROUGH_FILE.read_text(encoding="utf-8")
UNITS = {"epoch_second": 1000, "epoch_millis": 1, "epoch_micros": Fraction(1, 1000), "epoch_nanos": Fraction(1, 10**6)}
LARGEST_DOUBLE = Fraction(1.7976931348623157e308)
ABSENT = object()


class Refusal(Exception):  # noqa: N818 - it is an outcome here
    """Every reason, with its field after a colon where it has one."""

    def __init__(self, *causes: str) -> None:
        super().__init__(*causes)
        self.causes = list(causes)


def slow_document(
    raw: bytes, arrived_at: object = None, zone: tzinfo = UTC, description: str = WALKTHROUGH
) -> dict[str, Any]:
    """Return the document of a reading, or raise a Refusal with every reason."""
    table = _table(description)
    reading = _object(_decoded(raw))
    document: dict[str, Any] = {}
    causes: list[str] = []
    for name, field in table["fields"].items():
        if "derived_from" not in field:
            path = field.get("path", name)
            keys = path.split(".") if isinstance(path, str) else path
            try:
                document[name] = _value(_found(reading, keys, field), field, zone)
            except Refusal as refusal:
                causes.append(f"{refusal.causes[0]}: {'.'.join(keys)}")
    for name, field in table["fields"].items():
        if "derived_from" in field:
            source = document.get(field["derived_from"], ABSENT)
            document[name] = source if source is ABSENT else _derived(source, field)
    if causes:
        raise Refusal(*([envelope] if (envelope := _envelope(reading, causes)) else causes))
    ordered = {name: document[name] for name in table["fields"] if document[name] is not ABSENT}
    if isinstance(arrived_at, int):
        ordered["ingested_at"] = _text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=arrived_at))
    if table.get("unknown") == "keep":
        unknown = _undescribed(reading, table)
        if unknown:
            ordered["unknown_fields"] = unknown
    return ordered


@lru_cache
def _table(description: str) -> dict[str, Any]:
    return tomllib.loads(description)


def _decoded(raw: bytes) -> str:
    if not raw.strip(b" \t\r\n"):
        raise Refusal("empty")
    if raw[:2] == b"\x1f\x8b":
        try:
            begin = zlib.decompressobj(wbits=31).decompress(raw, 4096)  # the first 4 KB have to be whole
        except zlib.error:
            begin = b""
        raise Refusal("cloudwatch_logs" if b'"messageType"' in begin and b'"logGroup"' in begin else "gzip")
    if raw[:3] == b"\xef\xbb\xbf":
        raise Refusal("byte_order_mark")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:1] == b"\x00" or raw[1:2] == b"\x00":
        raise Refusal("utf16")
    try:
        return raw.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise Refusal("not_utf8") from None


def _decimal(literal: str) -> Decimal:
    try:
        return Decimal(literal)
    except InvalidOperation:
        mantissa, exponent = literal.lower().split("e")
        huge = "E+999999999" if int(exponent) > 0 else "E-999999999"
        return Decimal(0) if Decimal(mantissa) == 0 else Decimal(("-" if mantissa[0] == "-" else "") + "1" + huge)


def _object(text: str) -> dict[str, Any]:
    def refuse(_name: str) -> None:
        raise Refusal("not_json")

    try:
        value = json.loads(text, parse_int=Decimal, parse_float=_decimal, parse_constant=refuse)
    except json.JSONDecodeError:
        raise Refusal("several_readings" if _is_several(text) else "not_json") from None
    except Refusal:
        raise Refusal("several_readings" if _is_several(text) else "not_json") from None
    except RecursionError:
        raise Refusal("nested_too_deep") from None
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        raise Refusal("several_readings")
    if not isinstance(value, dict):
        raise Refusal("not_an_object")
    return value


def _is_several(text: str) -> bool:
    """Return whether an object is followed, after commas or white space, by the beginning of another."""
    text = text.strip(" \t\r\n")
    for end in [position + 1 for position, character in enumerate(text) if character == "}"]:
        try:
            first = json.loads(text[:end])
        except (ValueError, RecursionError):
            continue
        return isinstance(first, dict) and text[end:].lstrip(" \t\r\n,")[:1] == "{"
    return False


def _envelope(reading: dict[str, Any], causes: list[str]) -> str | None:
    if reading.get("Type") == "Notification" and all(key in reading for key in ("MessageId", "TopicArn", "Message")):
        return "sns_envelope"
    if all(key in reading for key in ("ruleName", "topic", "base64OriginalPayload", "failures")):
        return "iot_rule_envelope"
    missing = {cause.partition(":")[0] for cause in causes} == {"field_missing"}
    for value in reading.values() if missing or len(reading) == 1 else ():
        try:
            if b64decode(value, validate=True).strip()[:1] == b"{":
                return "iot_rule_envelope"
        except (ValueError, TypeError):
            pass
    return None


def _found(reading: Any, keys: list[str], field: dict[str, Any]) -> Any:
    optional = field.get("optional", False)
    for number, key in enumerate(keys):
        if reading is None or (isinstance(reading, dict) and key not in reading):
            if optional:
                return ABSENT
            raise Refusal("field_missing")
        if not isinstance(reading, dict):
            raise Refusal("wrong_type")
        reading = reading[key]
        if reading is None and optional and number == len(keys) - 1:
            return ABSENT
    return reading


def _value(value: Any, field: dict[str, Any], zone: tzinfo) -> Any:
    if value is ABSENT:
        return ABSENT
    match field["type"]:
        case "keyword":
            return _require_keyword(_require_text(value))
        case "ip":
            return _require_ip(_require_text(value))
        case "boolean":
            if value in (True, False) and isinstance(value, bool):
                return value
            if not isinstance(value, str) or value not in ("true", "false"):
                raise Refusal("wrong_type")
            return value == "true"
        case "geo_point":
            return _point(value)
        case "date" if field.get("format", "text") == "text":
            return _text(_moment(_require_text(value), zone))
        case "date":
            return _epoch(value, field["format"])
        case "long":
            number = _exactly(value)
            if number is None or not field.get("min", -(2**63)) <= number <= field.get("max", 2**63 - 1):
                raise Refusal("number_out_of_range")
            if number.denominator != 1:
                raise Refusal("not_whole")
            return int(number)
        case _:
            largest = LARGEST_DOUBLE if field["type"] == "double" else Fraction(9 * 10**18, 10 ** field["decimals"])
            return _double(value, field.get("min", -largest), field.get("max", largest))


def _double(value: Any, low: Any, high: Any) -> int | float:
    number = _exactly(value)
    if number is None:
        raise Refusal("number_out_of_range")
    number = Fraction(float(number))
    if not Fraction(low) <= number <= Fraction(high):
        raise Refusal("number_out_of_range")
    return int(number) if number.denominator == 1 and abs(number) <= 10**15 else float(number)


def _derived(source: float, field: dict[str, Any]) -> float:
    value = round(float(source * field.get("scale", 1) + field.get("offset", 0)), field.get("round", 10))
    return abs(value) if value == 0 else value


def _epoch(value: Any, form: str) -> str:
    number = _exactly(value)
    if number is None:
        raise Refusal("bad_timestamp")
    if number.denominator != 1 or (abs(number) >= 2**63 - 1 and not isinstance(value, int | str)):
        number = Fraction(repr(float(number)))  # a fraction is read as a double is written
    milliseconds = number * UNITS[form]
    try:
        return _text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds.__floor__()))
    except OverflowError:
        raise Refusal("bad_timestamp") from None


def _point(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.count(",") == 1:
        latitude, longitude = value.split(",")
    elif isinstance(value, list) and len(value) == 2:
        longitude, latitude = value
    elif isinstance(value, dict) and {"lat", "lon"} <= value.keys():
        latitude, longitude = value["lat"], value["lon"]
    elif isinstance(value, dict) and {"lat", "lng"} <= value.keys():
        latitude, longitude = value["lat"], value["lng"]
    elif isinstance(value, dict) and {"latitude", "longitude"} <= value.keys():
        latitude, longitude = value["latitude"], value["longitude"]
    else:
        raise Refusal("bad_geo_point")
    try:
        return {"lat": _double(latitude, -90, 90), "lon": _double(longitude, -180, 180)}
    except Refusal:
        raise Refusal("bad_geo_point") from None


def _undescribed(reading: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Return what is left of a reading when each described value is taken out, and what is empty for that."""
    paths = []
    for name, field in table["fields"].items():
        if "derived_from" not in field:
            path = field.get("path", name)
            keys = tuple(path.split(".") if isinstance(path, str) else path)
            point = ("lat", "lon", "lng", "latitude", "longitude") if field["type"] == "geo_point" else ()
            paths += [(*keys, key) for key in point] or [keys]
    return _without(reading, paths)


def _without(reading: dict[str, Any], paths: list[tuple[str, ...]]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for key, value in reading.items():
        below = [path[1:] for path in paths if path[0] == key]
        if not below:
            left[key] = value
        elif () not in below and isinstance(value, dict):
            inner = _without(value, below)
            if inner:
                left[key] = inner
    return left


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refusal("wrong_type")
    return value


def _require_ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refusal("bad_ip") from None
    if getattr(address, "scope_id", None) is not None or "%" in text:
        raise Refusal("bad_ip")
    return text


def _require_keyword(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal("lone_surrogate")
    if len(bytes(text, "utf-8")) > 32766:
        raise Refusal("text_too_long")
    return text


def _exactly(value: object) -> Fraction | None:
    """Return the number as a fraction, None for one beyond all doubles."""
    if isinstance(value, str):
        digits = value.strip(" \t\r\n")
        negative = digits.startswith("-")
        if digits.startswith(("+", "-")):
            digits = digits[1:]
        if not digits[:1].isdigit() or not digits.isascii():
            raise Refusal("wrong_type")
        digits = digits.lstrip("0")
        digits = digits if digits[:1].isdigit() else "0" + digits
        if digits != digits.strip():
            raise Refusal("wrong_type")
        try:
            value = json.loads(digits, parse_int=Decimal, parse_float=_decimal)
        except json.JSONDecodeError:
            raise Refusal("wrong_type") from None
        value = value.copy_negate() if negative else value
    if not isinstance(value, Decimal):
        raise Refusal("wrong_type")
    if float(value) in (float("inf"), float("-inf")):
        return None
    if value == 0 or value.adjusted() > -400:
        return Fraction(value)
    return Fraction(-1 if value < 0 else 1, 10**400)  # too small for any double, and not zero


def _moment(text: str, zone: tzinfo) -> datetime:
    if not text.isascii() or any(character.isspace() and character != " " for character in text):
        raise Refusal("bad_timestamp")
    if "[" in text:
        text, *suffixes = text.split("[")
        offset = text[-1:].lower() == "z" or any(sign in text[10:] for sign in "+-")
        if not offset or len(suffixes) > 4 or not all(_is_suffix(suffix) for suffix in suffixes):
            raise Refusal("bad_timestamp")
    if text.count("T") + text.count("t") > 1 or "z" in text[:-1].lower():
        raise Refusal("bad_timestamp")
    day, separator, time = text.upper().partition("T")
    if not separator:
        day, separator, time = text.upper().partition(" ")
    clock, offset = time, ""
    for sign in "+-Z":
        if sign in time:
            clock, _, offset = time.partition(sign)
            offset = sign + offset
            break
    if offset and clock.endswith(" "):
        clock = clock[:-1]
    if " " in clock + offset + day:
        raise Refusal("bad_timestamp")
    if len(offset) == 3:
        offset += "00"
    if len(offset) > 6:
        raise Refusal("bad_timestamp")
    clock = clock.replace(",", ".", 1)
    whole, point, fraction = clock.partition(".")
    if point and (not fraction.isdigit() or len(fraction) > 9 or whole.count(":") != 2):
        raise Refusal("bad_timestamp")
    if whole.count(":") == 1:
        whole += ":00"
    clock = whole + point + fraction[:6]
    form = "%Y-%m-%d %H:%M:%S" + (".%f" if point else "") + ("%z" if offset else "")
    try:
        moment = datetime.strptime(f"{day} {clock}{offset}", form)  # noqa: DTZ007 - the zone comes below
        return moment.astimezone(UTC) if moment.tzinfo else _local(moment, zone)
    except (ValueError, OverflowError):
        raise Refusal("bad_timestamp") from None


def _is_suffix(text: str) -> bool:
    """Return whether this is what follows the opening bracket of a zone or a calendar, with its closing one."""
    return (
        text.endswith("]") and 2 <= len(text) <= 65 and all(each.isalnum() or each in "!_+/:=-" for each in text[:-1])
    )


def _local(naive: datetime, zone: tzinfo) -> datetime:
    """Return the first instant at which clocks in the zone show this; where none does, by the earlier offset."""
    before, after = (_offset_a_day_away(naive, zone, sign) for sign in (-1, 1))
    instants = sorted((naive - offset).replace(tzinfo=UTC) for offset in {before, after})
    shown = [instant for instant in instants if instant.astimezone(zone).replace(tzinfo=None) == naive]
    return shown[0] if shown else (naive - before).replace(tzinfo=UTC)


def _offset_a_day_away(naive: datetime, zone: tzinfo, sign: int) -> timedelta:
    try:
        return (naive + sign * timedelta(days=1)).replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()
    except OverflowError:  # the first and the last day of the calendar: far from any change of clocks
        return naive.replace(tzinfo=zone).utcoffset() or timedelta()


def _text(moment: datetime) -> str:
    date = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    return f"{date}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}.{moment.microsecond // 1000:03}"
