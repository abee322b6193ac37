"""Tell what is a time in samples: text that the function takes, or a number since 1970. Pure."""

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Final

from iot_stream.description import TimeFormat, UnusableError, from_device

__all__ = ["epoch_format", "is_time"]

_EPOCHS: Final = (  # in the years 2001 to 2096
    (10**9, TimeFormat.EPOCH_SECOND), (10**12, TimeFormat.EPOCH_MILLIS), (10**15, TimeFormat.EPOCH_MICROS),
    (10**18, TimeFormat.EPOCH_NANOS),
)  # fmt: skip
_LATEST: Final = 4


def epoch_format(values: Sequence[float | Decimal]) -> TimeFormat | None:
    """Return which time since 1970 all these numbers can be, in the years 2001 to 2096; None for other numbers."""
    return next(
        (form for unit, form in _EPOCHS if all(unit <= value <= _LATEST * unit for value in values)),
        None,
    )


def is_time(text: str) -> bool:
    """Return whether the function takes a text as a time."""
    try:
        from_device(text, UTC)
    except UnusableError:
        return False
    return True
