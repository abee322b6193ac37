"""Fields of a reading that the description does not have: named, and kept if wanted. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from enrichment.description import Description

__all__ = ["Found", "Undescribed", "count", "to_json"]

Found = dict[str, Any]
"""Undescribed fields by key; a described object that has some is a dict of the same form."""
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # within JSON they stand between tokens only

_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
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
            branch[field.path[-1]] = None

    def find(self, text: str) -> Found:
        """Return the undescribed fields of a reading, each with its JSON as it was written.

        Raises:
            msgspec.DecodeError: the text has something that only Python's parser reads, such as a lone surrogate.
        """
        return _find_raw(_decode_raw(text), self._described)

    def find_in(self, reading: dict[str, Any]) -> Found:
        """Return the undescribed fields of a reading as Python has it."""
        return _find(reading, self._described)


def count(readings: Iterable[Found]) -> dict[str, int]:
    """Return how many readings have each undescribed field, by its path with dots."""
    counts: dict[str, int] = {}
    for found in readings:
        for name in _names(found):
            counts[name] = counts.get(name, 0) + 1
    return counts


def _names(found: Found, prefix: str = "") -> Iterator[str]:
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def to_json(found: Found) -> msgspec.Raw:
    """Return fields as one JSON object without line ends; values keep every digit."""
    return msgspec.Raw(_encode(found).translate(_LINE_ENDS))


def _find_raw(reading: Mapping[str, msgspec.Raw], described: dict[str, Any]) -> Found:
    found: Found = {key: value for key, value in reading.items() if key not in described}
    for key, inner in described.items():
        if inner is not None and key in reading and bytes(reading[key])[:1] == b"{":
            deeper = _find_raw(_decode_raw(reading[key]), inner)
            if deeper:
                found[key] = deeper
    return found


def _find(reading: dict[str, Any], described: dict[str, Any]) -> Found:
    found: Found = {}
    for key, value in reading.items():
        inner = described.get(key, described)
        if key not in described:
            found[key] = True
        elif isinstance(inner, dict) and isinstance(value, dict):
            deeper = _find(value, cast("dict[str, Any]", inner))
            if deeper:
                found[key] = deeper
    return found
