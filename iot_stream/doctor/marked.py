"""Make one marked reading, and say what became of it. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from iot_stream.description import Description, Field, Role, TimeFormat, Type

__all__ = ["MARK", "mark_value", "marked_reading"]

MARK: Final = "iot-stream-doctor-"
"""What the identity of every marked reading begins with."""
_PER_SECOND: Final = {
    TimeFormat.EPOCH_SECOND: 1,
    TimeFormat.EPOCH_MILLIS: 10**3,
    TimeFormat.EPOCH_MICROS: 10**6,
    TimeFormat.EPOCH_NANOS: 10**9,
}


def mark_value(description: Description, number: int) -> str | int | None:
    """Return the identity of a marked reading, of the type that the description has; None where it has none.

    Args:
        description: the description of a reading.
        number: a random number below 2**53.
    """
    field = _identity(description)
    if field is None or field.type not in {Type.KEYWORD, Type.LONG}:
        return None
    return f"{MARK}{number:014x}" if field.type is Type.KEYWORD else number


def marked_reading(sample: str, description: Description, mark: str | int, now: datetime) -> bytes:
    """Return a sample reading as JSON, with the mark as its identity and `now` as its time.

    Args:
        sample: the stack's SampleReading, or one that is made from the description: a JSON object.
        description: the description of a reading.
        mark: what `mark_value` returned.
        now: an aware time, in UTC.

    Raises:
        ValueError: the sample is not a JSON object, or has no room for the two.
    """
    reading = json.loads(sample)
    if not isinstance(reading, dict):
        raise ValueError("SampleReading is not a JSON object")  # noqa: TRY004 - as json's own error is
    identity = _identity(description)
    if identity is not None:
        _put(reading, identity.path, mark)
    form = description.time.format
    seconds = now.timestamp()
    time = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
    _put(reading, description.time.path, int(seconds * _PER_SECOND[form]) if form in _PER_SECOND else time)
    return json.dumps(reading).encode()


def _identity(description: Description) -> Field | None:
    return next((field for field in description.fields if field.role is Role.IDENTITY), None)


def _put(reading: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set the value at a path of keys."""
    *parents, last = path
    for key in parents:
        child = reading.setdefault(key, {})
        if not isinstance(child, Mapping):
            raise ValueError(f"SampleReading has no object at {key}")  # noqa: TRY004 - as json's own error is
        reading = child  # type: ignore[assignment]  # a dict of json.loads
    reading[last] = value
