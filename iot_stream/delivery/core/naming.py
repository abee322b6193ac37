"""Names that Firehose generates: rotated indices, object keys and the expressions in their prefixes.

"Index rotation for the OpenSearch Service destination", "Amazon S3 object name format" and "Custom prefixes for Amazon
S3 objects". All times are UTC.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from iot_stream.delivery.core.object_kind import ObjectKind

__all__ = ["IndexNaming", "Rotation", "check_prefixes", "index_name", "object_key"]

MAX_PREFIX: Final = 512
_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
_RANDOM_SIZE: Final = 11
_DEFAULT_TIME: Final = "yyyy/MM/dd/HH/"
# The letters of Java's DateTimeFormatter that a prefix is likely to contain; any other is an error, never a wrong key.
_LETTERS: Final[dict[str, Callable[[datetime], int]]] = {
    "y": lambda t: t.year,
    "u": lambda t: t.year,
    "M": lambda t: t.month,
    "d": lambda t: t.day,
    "D": lambda t: t.timetuple().tm_yday,
    "H": lambda t: t.hour,
    "m": lambda t: t.minute,
    "s": lambda t: t.second,
}


class Rotation(StrEnum):
    """`IndexRotationPeriod`."""

    NONE = "NoRotation"
    HOUR = "OneHour"
    DAY = "OneDay"
    WEEK = "OneWeek"
    MONTH = "OneMonth"


def index_name(name: str, rotation: Rotation, arrived: int) -> str:
    """Return the index of a document whose record arrived at that time (epoch ms)."""
    if rotation is Rotation.NONE:
        return name
    time = _utc(arrived)
    if rotation is Rotation.WEEK:
        # Weeks begin on Sunday, and the first week is the one with the year's first Saturday, so a week belongs to
        # the year of its Saturday. (This is the guide's rule; its example of one date contradicts it.)
        saturday = time + timedelta(days=(5 - time.weekday()) % 7)
        return f"{name}-{saturday.year}-w{(saturday.timetuple().tm_yday + 6) // 7:02d}"
    form = {Rotation.HOUR: "%Y-%m-%d-%H", Rotation.DAY: "%Y-%m-%d", Rotation.MONTH: "%Y-%m"}[rotation]
    return f"{name}-{time:{form}}"


class IndexNaming(NamedTuple):
    """The settings that decide a document's index: `IndexName` and `IndexRotationPeriod`."""

    name: str
    rotation: Rotation

    def index_for(self, arrived: int) -> str:
        """Return the index of a document whose record arrived at that time (epoch ms)."""
        return index_name(self.name, self.rotation, arrived)


def check_prefixes(prefix: str, error_prefix: str) -> str | None:
    """Return what is wrong with a pair of prefixes by the page's semantic rules; None when they are valid."""
    if _EXPRESSION.search(prefix) and not error_prefix:
        return "ErrorOutputPrefix is needed when Prefix contains expressions"
    if "firehose:error-output-type" in prefix:
        return "Prefix can't contain !{firehose:error-output-type}"
    if _EXPRESSION.search(error_prefix) and "!{firehose:error-output-type}" not in error_prefix:
        return "ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}"
    for text in (prefix, error_prefix):
        if "!{" in _EXPRESSION.sub("", text):
            return f"{text!r} contains a malformed expression"
        try:
            evaluated = _evaluate(
                text, datetime.fromtimestamp(0, UTC), ObjectKind.DOCUMENT_FAILURE, lambda: "0" * _RANDOM_SIZE
            )
        except ValueError as error:
            return str(error)
        if len(evaluated) > MAX_PREFIX:
            return f"{text!r} is longer than {MAX_PREFIX} characters"
    return None


def object_key(
    prefix: str,
    error_prefix: str,
    kind: ObjectKind,
    *,
    name: str,
    version: str,
    oldest: int,
    new_uuid: Callable[[], str],
    extension: str,
) -> str:
    """Return the key of an object.

    Args:
        prefix: `Prefix`, for source records.
        error_prefix: `ErrorOutputPrefix`, for failures; when it is empty, they go under `Prefix` as well.
        kind: what the object holds.
        name: the delivery stream.
        version: its version.
        oldest: arrival of the oldest record in the object (epoch ms).
        new_uuid: returns a random UUID each time it is called.
        extension: of the compression, e.g. ".gz".
    """
    time = _utc(oldest)

    def random() -> str:
        return new_uuid()[:_RANDOM_SIZE]

    if kind is ObjectKind.SOURCE:
        start = _evaluate(prefix, time, kind, random)
        if "!{timestamp:" not in prefix:
            start += _format(_DEFAULT_TIME, time)
    elif _EXPRESSION.search(error_prefix):
        start = _evaluate(error_prefix, time, kind, random)
    else:
        start = f"{error_prefix or prefix}{kind.folder}/{_format(_DEFAULT_TIME, time)}"
    return f"{start}{name}-{version}-{time:%Y-%m-%d-%H-%M-%S}-{new_uuid()}{extension}"


def _evaluate(prefix: str, time: datetime, kind: ObjectKind, random: Callable[[], str]) -> str:
    def value(match: re.Match[str]) -> str:
        namespace, word = match.groups()
        if namespace == "timestamp":
            return _format(word, time)
        if (namespace, word) == ("firehose", "random-string"):
            return random()
        if (namespace, word) == ("firehose", "error-output-type") and kind is not ObjectKind.SOURCE:
            return kind.value
        raise ValueError(f"{match.group()} is not supported in a prefix")

    return _EXPRESSION.sub(value, prefix)


def _format(pattern: str, time: datetime) -> str:
    """Format a time by a pattern of Java's DateTimeFormatter: the letters of `_LETTERS` and text in single quotes."""
    parts: list[str] = []
    for run in re.finditer(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']+|'", pattern):
        letter = run.group(2)
        if letter is None:
            parts.append(run.group() if run.group(1) is None else (run.group(1) or "'"))
        elif letter not in _LETTERS:
            raise ValueError(f"the letter {letter!r} in !{{timestamp:{pattern}}} is not supported")
        else:
            width, number = len(run.group()), _LETTERS[letter](time)
            short_year = letter in "yu" and width == 2  # noqa: PLR2004 - Java's reduced two-digit form
            parts.append(f"{number % 100 if short_year else number:0{width}d}")
    return "".join(parts)


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
