"""A second, independent implementation of docs/fields.md, in the plainest Python.

Exact fractions in place of doubles, `strptime` in place of slices, one try after the other in place of a regular
expression. Property tests hold the function against it.
"""

import json
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["Refusal", "slow_document"]

FIELDS = ("uuid", "device_ts", "device_id", "device_temp", "track_id", "activity_type")


class Refusal(Exception):  # noqa: N818 - it is an outcome here
    """A reason's name."""


def slow_document(raw: bytes, arrived_at: object = None, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the document of a reading, or raise a Refusal that names the reason."""
    try:
        text = raw.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise Refusal("not_utf8") from None
    if not text.strip():
        raise Refusal("empty")
    reading = _object(text)
    values = {}
    for field in FIELDS:
        if field not in reading:
            raise Refusal("field_missing")
        is_text = field in ("uuid", "device_ts", "activity_type")
        if is_text and not isinstance(reading[field], str):
            raise Refusal("wrong_type")
        if field in ("uuid", "activity_type"):
            _require_keyword(reading[field])
        values[field] = reading[field] if is_text else _exactly(reading[field])
        if field in ("device_id", "track_id"):
            if values[field] is None or not -(2**63) <= values[field] < 2**63:
                raise Refusal("number_out_of_range")
            if values[field].denominator != 1:
                raise Refusal("not_whole")
    time = _text(_moment(values["device_ts"], zone))
    celsius = values["device_temp"]
    celsius = celsius if celsius is None else Fraction(float(celsius))  # a temperature is a double, an id is exact
    if celsius is None or not Fraction(-273.15) <= celsius <= 10**12:
        raise Refusal("number_out_of_range")
    document = {
        "uuid": values["uuid"],
        "timestamp": time,
        "device_id": int(values["device_id"]),
        "temp_celsius": int(celsius) if celsius.denominator == 1 else float(celsius),
        "temp_fahrenheit": abs(fahrenheit) if (fahrenheit := round(float(celsius) * 1.8 + 32, 10)) == 0 else fahrenheit,
        "track_id": int(values["track_id"]),
        "activity_type": values["activity_type"],
    }
    if isinstance(arrived_at, int):
        document["ingested_at"] = _text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=arrived_at))
    return document


def _object(text: str) -> dict[str, Any]:
    def refuse(_name: str) -> None:
        raise Refusal("not_json")

    try:
        value = json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=refuse)
    except json.JSONDecodeError:
        raise Refusal("not_json") from None
    except RecursionError:
        raise Refusal("nested_too_deep") from None
    if not isinstance(value, dict):
        raise Refusal("not_an_object")
    return value


def _require_keyword(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal("lone_surrogate")
    if len(bytes(text, "utf-8")) > 32766:
        raise Refusal("text_too_long")


def _exactly(value: object) -> Fraction | None:
    """Return the number as a fraction, None for one beyond all doubles."""
    if isinstance(value, str):
        digits = value.strip()
        negative = digits.startswith("-")
        if digits.startswith(("+", "-")):
            digits = digits[1:]
        if not digits[:1].isdigit() or not digits.isascii():
            raise Refusal("wrong_type")
        digits = digits.lstrip("0")
        digits = digits if digits[:1].isdigit() else "0" + digits
        try:
            value = json.loads(digits, parse_int=Decimal, parse_float=Decimal)
        except json.JSONDecodeError:
            raise Refusal("wrong_type") from None
        value = -value if negative else value
    if not isinstance(value, Decimal):
        raise Refusal("wrong_type")
    if float(value) in (float("inf"), float("-inf")):
        return None
    return Fraction(value) if value.adjusted() > -400 else Fraction(1, 10**400)  # too small for any double, and no zero


def _moment(text: str, zone: tzinfo) -> datetime:
    if not text.isascii() or any(character.isspace() and character != " " for character in text):
        raise Refusal("bad_timestamp")
    if text.count(" ") + text.count("T") != 1 or "t" in text or "z" in text:
        raise Refusal("bad_timestamp")
    day, _, time = text.replace("T", " ").partition(" ")
    clock, offset = time, ""
    for sign in "+-Z":
        if sign in time:
            clock, _, offset = time.partition(sign)
            offset = sign + offset
            break
    if len(offset) == 3:
        offset += "00"
    if len(offset) > 6:
        raise Refusal("bad_timestamp")
    form = "%Y-%m-%d %H:%M:%S" + (".%f" if "." in clock else "") + ("%z" if offset else "")
    try:
        moment = datetime.strptime(f"{day} {clock}{offset}", form)  # noqa: DTZ007 - the zone comes below
        return moment.astimezone(UTC) if moment.tzinfo else _local(moment, zone)
    except (ValueError, OverflowError):
        raise Refusal("bad_timestamp") from None


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
