"""The file that describes a reading (`readings.toml`): read it, and name the lines of its mistakes.

`load` checks everything that can be checked without a reading and raises one error with all mistakes. Only the standard
library and msgspec are imported here.
"""

import re
import tomllib
from bisect import bisect_left
from pathlib import Path
from typing import Any, Final

import msgspec

from enrichment.description import Description
from enrichment.description_check import check

__all__ = ["FILE", "DescriptionError", "Problem", "load", "parse"]

FILE: Final = Path(__file__).parents[1] / "readings.toml"
"""The description that is deployed with the function."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_PLACE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_TWICE: Final = re.compile(r"^Cannot declare .*'(.+)'\) twice|^Cannot overwrite a value")


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a description."""

    line: int | None
    field: str | None
    text: str
    """What is wrong, and what to write instead."""


class DescriptionError(ValueError):
    """The description can't be used; one line for each mistake, with its line in the file."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        """Create the error from the file's name and all mistakes."""
        self.problems = tuple(problems)
        super().__init__("\n".join(_sentence(file, problem) for problem in problems))


def _sentence(file: str, problem: Problem) -> str:
    where = file if problem.line is None else f"{file}, line {problem.line}"
    return f"{where}: {problem.text}" if problem.field is None else f"{where}, field {problem.field}: {problem.text}"


def load(path: Path | None = None) -> Description:
    """Return the description that a file holds, by default the one deployed with the function.

    Raises:
        DescriptionError: the file can't be read, is not TOML, or is not a valid description; lists all mistakes.
    """
    path = path or FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(str(path), [Problem(None, None, f"can't be read as UTF-8 text: {error}")]) from None
    return parse(text, path.name)


def parse(text: str, file: str = FILE.name) -> Description:
    """Return the description in a text.

    Args:
        text: TOML.
        file: name for errors.

    Raises:
        DescriptionError: as `load`.
    """
    if text.startswith(_BYTE_ORDER_MARK):
        mark = "begins with a byte order mark: save the file as UTF-8 without one (without BOM)"
        raise DescriptionError(file, [Problem(1, None, mark)])
    try:
        description, mistakes = check(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(file, [_of_toml(str(error))]) from None
    except RecursionError:
        raise DescriptionError(file, [Problem(None, None, "brackets are nested too deeply: nest fewer")]) from None
    except (
        ValueError
    ):  # more digits than sys.int_info.default_max_str_digits; a hexadecimal number fails only when it is formatted
        raise DescriptionError(file, [_of_long_number(text)]) from None
    if description is None or mistakes:
        raise DescriptionError(
            file, [Problem(_line_of(text, keys), keys[1] if len(keys) > 1 else None, what) for keys, what in mistakes]
        )
    return description


def _of_toml(message: str) -> Problem:
    """Return the problem for a tomllib message: `Cannot declare ('fields', 'at') twice (at line 8, column 11)`."""
    place = _PLACE.search(message)
    line = int(place[1]) if place else None
    twice = _TWICE.search(message)
    if twice:
        return Problem(line, twice[1], "a field or key with this name is already defined: rename or remove one")
    return Problem(line, None, f"not valid TOML: {_PLACE.sub('', message)}")


def _of_long_number(text: str) -> Problem:
    """Return the problem for a number that is too long for Python, at the line with the longest word."""
    longest = [max(map(len, re.findall(r"\w+", line)), default=0) for line in text.splitlines()]
    return Problem(longest.index(max(longest)) + 1, None, "a number with too many digits: write a shorter one")


def _line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """Return the number of the line that defines a path of keys, or the longest part of the path that exists.

    tomllib gives no positions, so this finds the smallest number of lines whose parsed content has the keys.
    """
    lines = text.splitlines(keepends=True)
    whole = tomllib.loads(text)
    found = next((keys[:length] for length in range(len(keys), 0, -1) if _has(whole, keys[:length])), None)
    if found is None:
        return None
    end = bisect_left(range(len(lines)), True, key=lambda count: _has(_parse_beginning(lines, count)[1], found))
    return _parse_beginning(lines, end - 1)[0] + 1


def _parse_beginning(lines: list[str], count: int) -> tuple[int, dict[str, Any]]:
    """Return the largest number of first lines, up to `count`, that parse as TOML, and their content."""
    while count > 0:
        try:
            return count, tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:  # within a statement of several lines
            count -= 1
    return 0, {}


def _has(table: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True
