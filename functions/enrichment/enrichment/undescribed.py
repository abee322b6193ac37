"""Fields of a reading that the description does not have: named, and kept if wanted. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

import msgspec

from enrichment.description import Description, Type
from enrichment.values import PointKey

__all__ = ["Found", "Undescribed", "count", "to_json"]

Found = dict[str, Any]
"""Undescribed fields by key, each True; a described object that has some is a dict of the same form."""
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # within JSON they stand between tokens only

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Undescribed:
    """Finds what a description does not have."""

    def __init__(self, description: Description) -> None:
        """Compile the description."""
        self._described: dict[str, Any] = {}
        for field in description.inputs:
            branch = self._described
            for key in field.path[:-1]:
                branch = branch.setdefault(key, {})
            branch[field.path[-1]] = dict.fromkeys(get_args(PointKey)) if field.type is Type.GEO_POINT else None

    def find(self, reading: dict[str, Any]) -> Found:
        """Return which fields of a decoded reading are not described."""
        return _find(reading, self._described)


def count(readings: Iterable[Found]) -> dict[str, int]:
    """Return how many readings have each undescribed field, by its path with dots."""
    counts: dict[str, int] = {}
    for found in readings:
        for name in _names(found):
            counts[name] = counts.get(name, 0) + 1
    return counts


def to_json(text: str | msgspec.Raw, found: Found) -> msgspec.Raw:
    """Return the fields that were found in a reading as one JSON object without line ends; values keep every digit.

    Raises:
        msgspec.DecodeError: they can't be written: the text has half a surrogate pair.
    """
    fields = _decode(text)
    kept = {key: fields[key] if below is True else to_json(fields[key], below) for key, below in found.items()}
    return msgspec.Raw(_encode(kept).translate(_LINE_ENDS))


def _find(reading: dict[str, Any], described: dict[str, Any]) -> Found:
    found: Found = {}
    for key, value in reading.items():
        if key not in described:
            found[key] = True
            continue
        inner = described[key]
        if inner is not None and type(value) is dict:
            below = _find(value, inner)
            if below:
                found[key] = below
    return found


def _names(found: Found, prefix: str = "") -> Iterator[str]:
    for key, below in found.items():
        if below is True:
            yield prefix + key
        else:
            yield from _names(below, f"{prefix}{key}.")
