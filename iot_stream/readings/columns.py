"""Turn sample readings into one column of values for each path of keys. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from iot_stream.readings import names

__all__ = ["ABSENT", "POINT", "Path", "are_points", "columns_of", "why_unusable"]

Path = tuple[str, ...]

ABSENT: Final = object()
POINT: Final = re.compile(r"-?\d{1,3}\.\d+, ?-?\d{1,3}\.\d+")


def columns_of(readings: Sequence[Mapping[str, Any]]) -> dict[Path, list[Any]]:
    """Return the values of each path, one a reading, in the order in which paths are met."""
    rows = [dict(_leaves(reading)) for reading in readings]
    paths = dict.fromkeys(path for row in rows for path in row)
    return {path: [row.get(path, ABSENT) for row in rows] for path in paths}


def _leaves(reading: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield paths and values in order; without recursion, because objects may be nested deeper than Python calls."""
    rest: list[tuple[Path, Any]] = [((), reading)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, dict) and value and not (path and _is_point(value)):
            rest += [((*path, key), below) for key, below in reversed(value.items())]
        elif path:
            yield path, value


def _is_point(value: Mapping[str, Any]) -> bool:
    return any(value.keys() >= keys for keys in ({"lat", "lon"}, {"lat", "lng"}, {"latitude", "longitude"}))


def why_unusable(path: Path, present: list[Any], columns: Mapping[Path, list[Any]]) -> str | None:
    """Return why a path can't become a field, or None."""
    if not all(_is_key(key) for key in path):
        return "its key is empty, or has quotes, backslashes or control characters"
    if not present:
        return "null in every sample"
    above = (columns.get(path[:length], []) for length in range(1, len(path)))
    if any(other[: len(path)] == path for other in columns if other != path) or any(map(_has_values, above)):
        return "an object in some samples and a value in others"
    if {} in present:
        return "an empty object"
    if any(isinstance(value, list) for value in present) and not are_points(path, present):
        return "a list: have the device send an object, or one reading per record"
    return None


def _has_values(column: list[Any]) -> bool:
    return any(value is not ABSENT and value is not None and not isinstance(value, dict) for value in column)


def _is_key(key: str) -> bool:
    return key != "" and key.isprintable() and not {'"', "\\"}.intersection(key)


def are_points(path: Path, present: list[Any]) -> bool:
    """Return whether all values are places: objects with their coordinates, or other forms under a place's name."""
    if all(isinstance(value, dict) and _is_point(value) for value in present):
        return True
    if not names.PLACE.intersection(names.words(path[-1])):
        return False
    return all(
        (isinstance(value, str) and POINT.fullmatch(value) is not None)
        or (
            isinstance(value, list) and len(value) == len(("lon", "lat")) and not any(isinstance(n, str) for n in value)
        )
        for value in present
    )
