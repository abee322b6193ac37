"""Read a template: literal text, and calls of helpers with their arguments. Pure.

The grammar is that of the Kinesis Data Generator (awslabs/amazon-kinesis-data-generator): its `getCleanedTemplate`
takes line breaks out of a template and knows `{{current.timestamp}}` as `{{date.now}}`; faker.js' `fake` then takes
`{{module.method}}` or `{{module.method(argument)}}`, where an argument that is not JSON is text. What stops faker.js -
`}}` within an argument or before the first `{{`, blanks in a call, several arguments - is read as it is meant.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from iot_stream.errors import IotStreamError

__all__ = ["Call", "Place", "TemplateError", "parse"]

_NAME: Final = re.compile(r"\s*(\w+\s*\.\s*\w+)\s*")
_END: Final = re.compile(r"\s*\}\}")
_BLANK: Final = re.compile(r"\s*")
_JSON: Final = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a template; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}"


class TemplateError(IotStreamError):
    """A template can't be used."""

    def __init__(self, place: Place, text: str) -> None:
        """Create the error from a position and a message."""
        super().__init__(f"{place}: {text}")


@dataclass(frozen=True, slots=True)
class Call:
    """A helper's name, its arguments, and where its `{{` is.

    Attributes:
        name: module and method, such as "random.number".
        arguments: JSON values; text that is not JSON is one string.
        not_json: why the arguments are not JSON, or None if they are.
        place: where it begins.
    """

    name: str
    arguments: tuple[Any, ...]
    not_json: str | None
    place: Place


def parse(text: str, file: str) -> list[str | Call]:
    """Return the parts of a template in order: texts without line breaks, and calls.

    Args:
        text: the template.
        file: its name, for errors.

    Raises:
        TemplateError: it is empty, or a `{{` begins no call or has no end.
    """
    source = _Source(text, file)
    parts: list[str | Call] = []
    position = 0
    while (start := source.text.find("{{", position)) >= 0:
        while source.text.startswith("{{{", start):  # the last two braces of "{{{" are the call's
            start += 1
        call, end = _call(source, start)
        parts += [source.text[position:start], call]
        position = end
    parts.append(source.text[position:])
    if parts == [""]:
        raise TemplateError(Place(file, 1, 1), "the template is empty: write the content of one record")
    return [part for part in parts if part]


class _Source:
    """A template without its line breaks, and the original position of each character."""

    def __init__(self, text: str, file: str) -> None:
        kept = [index for index, character in enumerate(text) if character not in "\r\n"]
        whole = "".join(text[index] for index in kept)
        self.text = whole.strip()
        first = len(whole) - len(whole.lstrip())
        self._original, self._index, self._file = text, kept[first : first + len(self.text)], file

    def place(self, position: int) -> Place:
        index = self._index[position] if position < len(self._index) else len(self._original.rstrip())
        before = self._original[:index]
        return Place(self._file, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _call(source: _Source, start: int) -> tuple[Call, int]:
    """Return the call whose `{{` is at `start`, and the position after its `}}`."""
    place = source.place(start)
    found = _NAME.match(source.text, start + 2)
    if found is None:
        token = source.text[start + 2 :].split("}}")[0][:40]
        raise TemplateError(
            place, f"“{{{{{token}” does not start a helper: write one such as {{{{random.number(50)}}}}"
        )
    name = re.sub(r"\s", "", found[1])
    position = found.end()
    arguments: tuple[Any, ...] = ()
    not_json = None
    if source.text.startswith("(", position):
        arguments, not_json, position = _arguments(source, position + 1, name, place)
    end = _END.match(source.text, position)
    if end is None:
        raise TemplateError(source.place(position), f"{name}: “}}}}” is missing here")
    if name == "current.timestamp":
        name = "date.now"
    return Call(name, arguments, not_json, place), end.end()


def _arguments(source: _Source, start: int, name: str, place: Place) -> tuple[tuple[Any, ...], str | None, int]:
    """Return the arguments that begin at `start`, why they are not JSON (or None), and the position after the `)`."""
    text, position = source.text, start
    values: list[Any] = []
    try:
        position = _skip(text, position)
        while not text.startswith(")", position):
            value, position = _JSON.raw_decode(text, position)
            values.append(value)
            position = _skip(text, position)
            if text.startswith(",", position):
                position = _skip(text, position + 1)
        return tuple(values), None, position + 1
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at {_line_and_column(source.place(error.pos))}"
    end = re.compile(r"\)\s*\}\}").search(text, start)
    if end is None:
        raise TemplateError(place, f"{name} does not end: “)}}}}” is missing ({reason})")
    return (text[start : end.start()],), reason, end.start() + 1


def _skip(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return position if found is None else found.end()


def _line_and_column(place: Place) -> str:
    return f"line {place.line}, column {place.column}"
