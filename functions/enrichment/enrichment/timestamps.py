"""Device times and arrival times as UTC text, `YYYY-MM-DDTHH:MM:SS.mmm`.

Milliseconds are cut, not rounded. The text sorts as time does.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from enrichment.reasons import ReadingError, Reason

__all__ = ["from_device", "from_epoch"]

_SECONDS: Final = len("2026-11-22 10:15:30")
_FRACTION: Final = tuple(f".{number:03d}" for number in range(1000))  # formatting takes longer than the rest
_FRACTIONS: Final = frozenset(_FRACTION)
_DEVICE_TIME: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?"
    r"(Z|([+-])(\d{2})(?::?(\d{2}))?)?",
    re.ASCII,
)


def from_device(text: str, zone: tzinfo) -> str:
    """Return a device's time in UTC; a time without an offset is one of `zone`.

    In the hour that `zone` skips in spring, the offset before the change counts; of the hour that it repeats in
    autumn, the first pass (PEP 495, fold 0).

    Raises:
        ReadingError: BAD_TIMESTAMP, when the text has another form, names no day or hour of the calendar, or
            leaves the years 1 to 9999 on its way to UTC.
    """
    fraction = text[_SECONDS:]
    try:
        if fraction in _FRACTIONS:  # no offset changes it, and devices share their seconds
            return _second_of_device(text[:_SECONDS], zone) + fraction
        return _to_utc(_parse(text, zone))
    except (ValueError, OverflowError):
        raise ReadingError(Reason.BAD_TIMESTAMP, "device_ts") from None


def from_epoch(milliseconds: object) -> str | None:
    """Return a Firehose `approximateArrivalTimestamp` (epoch milliseconds) in UTC, None for anything else."""
    if type(milliseconds) is not int:
        return None
    try:
        return _second_of_epoch(milliseconds // 1000) + _FRACTION[milliseconds % 1000]
    except (ValueError, OverflowError, OSError):  # beyond the calendar, or beyond the platform's clock
        return None


def _parse(text: str, zone: tzinfo) -> datetime:
    """Read every form of device time that docs/fields.md lists."""
    match = _DEVICE_TIME.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction, offset, sign, offset_hours, offset_minutes = match.groups()
    if offset == "Z":
        zone = UTC
    elif offset:
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
        int(second),
        int((fraction or "").ljust(6, "0")),
        tzinfo=zone,
    )


def _to_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


@lru_cache(maxsize=4096)
def _second_of_device(text: str, zone: tzinfo) -> str:
    """Return `YYYY-MM-DDTHH:MM:SS` in UTC of the time that `text` becomes with its fraction."""
    return _to_utc(_parse(text + _FRACTION[0], zone))[:_SECONDS]


@lru_cache(maxsize=1024)  # records of a batch arrive within the same few seconds
def _second_of_epoch(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None).isoformat()
