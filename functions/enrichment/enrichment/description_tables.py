"""Read values from a description's tables; a value of the wrong type is a mistake, reported with its fix. Pure."""

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final

__all__ = ["LARGEST_NUMBER", "Mistake", "TableReader", "listed"]

LARGEST_NUMBER: Final = sys.float_info.max

_NAMES_FOR_OPTIONAL: Final = ("nullable", "required", "mandatory")  # in other tools' descriptions
_LEAST_LIKENESS: Final = 0.7  # difflib's ratio: a slip of letters has more; nullable and label have 0.62
_SHORTEST_KEY: Final = 3

Mistake = tuple[tuple[str, ...], str]
"""The path of keys that is wrong, and what to write instead."""


class TableReader:
    """Read values and collect mistakes; treat a wrong value as absent, so that checking can continue.

    `at` is the path of keys that leads to the table.
    """

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def wrong(self, at: tuple[str, ...], what: str) -> None:
        """Note a mistake."""
        self.mistakes.append((at, what))

    def known(self, table: dict[str, Any], keys: tuple[str, ...], at: tuple[str, ...]) -> None:
        """Note each key that is not one of `keys`, with what was probably meant."""
        for key in table:
            if key not in keys:
                self.wrong((*at, key), f"unknown key {key}: {_hint(key.lower(), keys)}")

    def _value(
        self, table: dict[str, Any], key: str, at: tuple[str, ...], valid: Callable[[Any], bool], what: str
    ) -> Any:
        value = table.get(key)
        if value is not None and not valid(value):
            self.wrong((*at, key), f"{key} is {value!r}: write {what}")
            return None
        return value

    def text(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> str | None:
        """Read a text of one line."""
        valid = lambda value: isinstance(value, str) and value.strip() != "" and value.isprintable()  # noqa: E731
        text: str | None = self._value(table, key, at, valid, "text in quotes, on one line")
        return text

    def flag(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> bool:
        """Read a boolean; False where it is absent."""
        return bool(self._value(table, key, at, lambda value: isinstance(value, bool), "true or false, without quotes"))

    def number(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> float | None:
        """Read a finite number."""
        valid = lambda value: type(value) in (int, float) and abs(value) <= LARGEST_NUMBER  # noqa: E731
        number: float | None = self._value(table, key, at, valid, "a number, without quotes")
        return number

    def not_negative(self, table: dict[str, Any], key: str, at: tuple[str, ...], what: str) -> float | None:
        """Read a number of 0 or more; `what` says its unit."""
        number = self.number(table, key, at)
        if number is not None and number < 0:
            self.wrong((*at, key), f"{key} is {number}: write 0 or more, {what}")
            return None
        return number

    def whole(self, table: dict[str, Any], key: str, at: tuple[str, ...], low: int, high: int) -> int | None:
        """Read a whole number from `low` to `high`."""
        valid = lambda value: type(value) is int and low <= value <= high  # noqa: E731
        number: int | None = self._value(table, key, at, valid, f"a whole number from {low} to {high}")
        return number

    def word[Word: StrEnum](
        self, table: dict[str, Any], key: str, at: tuple[str, ...], words: type[Word]
    ) -> Word | None:
        """Read one of the words of an enumeration."""
        word = self._value(table, key, at, lambda value: value in [*words], f"one of {listed(words)}")
        return None if word is None else words(word)


def _hint(key: str, keys: tuple[str, ...]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    if "optional" in keys and key in _NAMES_FOR_OPTIONAL:
        return "a field is required, and not null, unless it has optional = true"
    longer_or_shorter = [known for known in keys if known.startswith(key) or key.startswith(known)]
    near = get_close_matches(key, keys, 1, _LEAST_LIKENESS) or (longer_or_shorter if len(key) >= _SHORTEST_KEY else [])
    return f"did you mean {' or '.join(near)}?" if near else f"the keys here are {listed(keys)}"


def listed(words: Iterable[str]) -> str:
    """Return words with commas between them."""
    return ", ".join(words)
