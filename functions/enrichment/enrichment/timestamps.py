"""Device times and arrival times as UTC text, `YYYY-MM-DDTHH:MM:SS.mmm`. Pure.

Milliseconds are cut, not rounded. The text sorts as time does.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache, partial
from typing import Final, cast

from enrichment.description import TimeFormat
from enrichment.reasons import Reason, UnusableError

__all__ = ["from_device", "from_devices", "from_epoch", "from_epochs", "from_number"]

_SECONDS: Final = len("2026-11-22 10:15:30")
_MILLISECONDS: Final = len("2026-11-22 10:15:30.123")
_MILLISECOND_DIGITS: Final = 3
_MOST_DIGITS: Final = 9  # of a fraction: nanoseconds
_DIGITS: Final = frozenset("0123456789")
_FRACTION: Final = tuple(f".{number:03d}" for number in range(1000))  # formatting takes longer than the rest
_FRACTIONS: Final = frozenset(_FRACTION)
_MOST_SECONDS: Final = 4096  # that a memo keeps: devices share their seconds, as the records of a batch do
_DEVICE_TIME: Final = re.compile(  # no bracket holds a dot: `from_devices` takes .123 at its place for milliseconds
    r"(\d{4})-(\d{1,2})-(\d{1,2})[Tt ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?"
    r"(?: ?(?:([Zz])|([+-])(\d{2})(?::?(\d{2}))?)(?:\[[A-Za-z0-9!_+/:=-]{1,64}\]){0,4})?",
    re.ASCII,
)
_TO_MILLISECONDS: Final = {  # as powers of ten
    TimeFormat.EPOCH_SECOND: 3,
    TimeFormat.EPOCH_MILLIS: 0,
    TimeFormat.EPOCH_MICROS: -3,
    TimeFormat.EPOCH_NANOS: -6,
}


class _Memo[Argument](dict[Argument, str]):
    """A function's results by argument, as `lru_cache` keeps them, but found without a call: that saves a sixth."""

    def __init__(self, function: Callable[[Argument], str]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, argument: Argument) -> str:
        if len(self) >= _MOST_SECONDS:
            self.clear()
        result = self[argument] = self._function(argument)
        return result


def from_device(text: str, zone: tzinfo) -> str:
    """Return a device's time in UTC; a time without an offset is one of `zone`.

    In the hour that `zone` skips in spring, the offset before the change counts; of the hour that it repeats in
    autumn, the first pass (PEP 495, fold 0).

    Raises:
        UnusableError: BAD_TIMESTAMP, when the text has another form, names no day or hour of the calendar, or
            leaves the years 1 to 9999 on its way to UTC.
    """
    return from_devices((text,), zone)[0]


def from_devices(texts: Iterable[str], zone: tzinfo) -> list[str]:
    """Return many devices' times, as `from_device` does with each.

    Raises:
        UnusableError: one of them is BAD_TIMESTAMP.
    """
    seconds = _seconds_in(zone)
    try:
        return [
            seconds[text[:_SECONDS] + offset] + fraction  # no offset changes milliseconds
            if (fraction := text[_SECONDS:_MILLISECONDS]) in _FRACTIONS
            and (not (offset := text[_MILLISECONDS:]) or offset[0] not in _DIGITS)
            else _other_time(text, seconds, zone)
            for text in texts
        ]
    except (ValueError, OverflowError):
        raise UnusableError(Reason.BAD_TIMESTAMP) from None


def from_number(number: float, form: TimeFormat) -> str:
    """Return a number of seconds, milliseconds, microseconds or nanoseconds since 1970-01-01 UTC as UTC text.

    A fraction is read as a double is written at its shortest, so that 1795342530.123 has 123 milliseconds.

    Raises:
        UnusableError: BAD_TIMESTAMP, beyond the years 1 to 9999.
    """
    power = _TO_MILLISECONDS[form]
    if isinstance(number, int):
        milliseconds = number * 10**power if power >= 0 else number // 10**-power
    else:
        from decimal import ROUND_FLOOR, Decimal  # noqa: PLC0415 - most devices write whole numbers

        milliseconds = int(Decimal(repr(number)).scaleb(power).to_integral_value(ROUND_FLOOR))
    text = from_epoch(milliseconds)
    if text is None:
        raise UnusableError(Reason.BAD_TIMESTAMP)
    return text


def from_epoch(milliseconds: object) -> str | None:
    """Return a Firehose `approximateArrivalTimestamp` (epoch milliseconds) in UTC, None for anything else."""
    if type(milliseconds) is not int:
        return None
    try:
        return _SECOND_OF_EPOCH[milliseconds // 1000] + _FRACTION[milliseconds % 1000]
    except (ValueError, OverflowError, OSError):  # beyond the calendar, or beyond the platform's clock
        return None


def from_epochs(milliseconds: list[object]) -> list[str | None]:
    """Return many arrival times, as `from_epoch` does with each."""
    if {*map(type, milliseconds)} == {int}:
        numbers = cast("list[int]", milliseconds)
        try:
            return [_SECOND_OF_EPOCH[each // 1000] + _FRACTION[each % 1000] for each in numbers]
        except (ValueError, OverflowError, OSError):
            pass
    return [from_epoch(each) for each in milliseconds]


def _parse(text: str, zone: tzinfo) -> datetime:
    """Return the time of every form that docs/fields.md lists."""
    match = _DEVICE_TIME.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction, zulu, sign, offset_hours, offset_minutes = match.groups()
    if zulu:
        zone = UTC
    elif sign:
        if int(offset_minutes or 0) >= 60:  # noqa: PLR2004 - minutes of an hour
            raise ValueError
        distance = timedelta(hours=int(offset_hours), minutes=int(offset_minutes or 0))
        zone = timezone(-distance if sign == "-" else distance)
    return datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        int(second or 0),
        int((fraction or "")[:6].ljust(6, "0")),
        tzinfo=zone,
    )


def _to_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _other_time(text: str, seconds: _Memo[str], zone: tzinfo) -> str:
    """Return a time with another fraction than milliseconds."""
    fraction, rest = text[_SECONDS:_MILLISECONDS], text[_MILLISECONDS:]
    offset = rest.lstrip("0123456789")
    if fraction in _FRACTIONS and len(rest) - len(offset) <= _MOST_DIGITS - _MILLISECOND_DIGITS:
        return seconds[text[:_SECONDS] + offset] + fraction
    return _whole_time(text, zone)


@lru_cache(maxsize=4096)
def _whole_time(text: str, zone: tzinfo) -> str:
    return _to_utc(_parse(text, zone))


@lru_cache(maxsize=8)
def _seconds_in(zone: tzinfo) -> _Memo[str]:
    """Return UTC's `YYYY-MM-DDTHH:MM:SS` by a device's second with its offset: times without their fraction."""
    return _Memo(partial(_second_of_device, zone=zone))


def _second_of_device(text: str, zone: tzinfo) -> str:
    with_fraction = text[:_SECONDS] + _FRACTION[0] + text[_SECONDS:]  # so that no other fraction can be there
    return _to_utc(_parse(with_fraction, zone))[:_SECONDS]


def _second_of_epoch(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None).isoformat()


_SECOND_OF_EPOCH: Final = _Memo(_second_of_epoch)
