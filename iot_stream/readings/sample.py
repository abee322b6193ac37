"""Take a file of sample readings apart: one JSON object, an array of them, lines, or one behind the other. Pure."""

import json
import re
from typing import Final

import msgspec

__all__ = ["is_json", "split"]

_WHITE_SPACE: Final = " \t\r\n"  # JSON's
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_NEXT_READING: Final = re.compile(r"^[ \t]*\{", re.MULTILINE)

_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_whole = json.JSONDecoder().raw_decode


def split(data: bytes) -> list[bytes]:
    """Return the bytes of each reading, as they were written.

    What can't be taken apart stays whole: the function says what is wrong with it. In a text of several readings a
    broken one ends before the next line that begins with a brace.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return [data]
    if text.lstrip(_WHITE_SPACE).startswith("["):
        return _elements(data)
    readings: list[str] = []
    start, length = _BETWEEN.match(text, 0).end(), len(text)  # type: ignore[union-attr]  # it matches nothing too
    while start < length:
        try:
            _, end = _whole(text, start)
        except (ValueError, RecursionError):
            line_end = text.find("\n", start)
            following = _NEXT_READING.search(text, line_end + 1) if line_end >= 0 else None
            end = following.start() if following else length
        readings.append(text[start:end])
        start = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
    return [reading.rstrip(_WHITE_SPACE).encode() for reading in readings] or [data]


def is_json(reading: bytes) -> bool:
    """Return whether bytes are a JSON value."""
    try:
        json.loads(reading)
    except (ValueError, RecursionError):
        return False
    return True


def _elements(data: bytes) -> list[bytes]:
    """Return the readings of an array; what is not an array of objects stays whole."""
    try:
        elements = [bytes(element) for element in _array(data)]
    except (msgspec.DecodeError, RecursionError):
        return [data]
    return elements if elements and all(element.startswith(b"{") for element in elements) else [data]
