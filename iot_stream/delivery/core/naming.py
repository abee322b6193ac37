"""Names that Firehose makes: rotated indices, objects and the expressions in their prefixes.

"Index rotation for the OpenSearch Service destination", "Amazon S3 object name format" and "Custom prefixes for Amazon
S3 objects". All times are UTC.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

__all__ = ["ErrorType", "Rotation", "check_prefixes", "index_name", "object_key"]

MAX_PREFIX: Final = 512
_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
_RANDOM_SIZE: Final = 11
_DEFAULT_TIME: Final = "yyyy/MM/dd/HH/"
# Java's DateTimeFormatter letters that a prefix is likely to hold; another one is an error, never a wrong key.
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


class ErrorType(StrEnum):
    """What `!{firehose:error-output-type}` stands for; also the folder where no prefix uses it.

    The developer guide's folder of failed documents has an underscore; its value in expressions has a hyphen.
    """

    PROCESSING = "processing-failed"
    DOCUMENT = "AmazonOpenSearchService-failed"

    @property
    def folder(self) -> str:  # noqa: D102 - the class says it
        return "AmazonOpenSearchService_failed" if self is ErrorType.DOCUMENT else self.value


def index_name(name: str, rotation: Rotation, arrived: int) -> str:
    """The index of a document whose record arrived then (epoch ms)."""
    if rotation is Rotation.NONE:
        return name
    time = _utc(arrived)
    if rotation is Rotation.WEEK:
        # Weeks begin on Sunday, and the first one is the week with the year's first Saturday: so a week belongs to
        # the year of its Saturday. (The guide's example of one date does not agree with this rule, its text.)
        saturday = time + timedelta(days=(5 - time.weekday()) % 7)
        return f"{name}-{saturday.year}-w{(saturday.timetuple().tm_yday + 6) // 7:02d}"
    form = {Rotation.HOUR: "%Y-%m-%d-%H", Rotation.DAY: "%Y-%m-%d", Rotation.MONTH: "%Y-%m"}[rotation]
    return f"{name}-{time:{form}}"


def check_prefixes(prefix: str, error_prefix: str) -> str | None:
    """What is wrong with a pair of prefixes by the page's semantic rules; None when nothing is."""
    if _EXPRESSION.search(prefix) and not error_prefix:
        return "ErrorOutputPrefix is needed when Prefix contains expressions"
    if "firehose:error-output-type" in prefix:
        return "Prefix can't contain !{firehose:error-output-type}"
    if _EXPRESSION.search(error_prefix) and "!{firehose:error-output-type}" not in error_prefix:
        return "ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}"
    for text in (prefix, error_prefix):
        if "!{" in _EXPRESSION.sub("", text):
            return f"a broken expression in {text!r}"
        try:
            evaluated = _evaluate(text, datetime.fromtimestamp(0, UTC), ErrorType.DOCUMENT, lambda: "0" * _RANDOM_SIZE)
        except ValueError as error:
            return str(error)
        if len(evaluated) > MAX_PREFIX:
            return f"{text!r} is longer than {MAX_PREFIX} characters"
    return None


def object_key(
    prefix: str,
    error_prefix: str,
    error_type: ErrorType | None,
    *,
    name: str,
    version: str,
    oldest: int,
    token: Callable[[], str],
    extension: str,
) -> str:
    """The key of an object.

    Args:
        prefix: `Prefix`, for source records.
        error_prefix: `ErrorOutputPrefix`, for failed ones; when it is empty, they go under `Prefix` as well.
        error_type: what failed, or None for source records.
        name: the delivery stream.
        version: its version.
        oldest: arrival of the oldest record in the object (epoch ms).
        token: gives a random UUID each time it is called.
        extension: of the compression, e.g. ".gz".
    """
    time = _utc(oldest)

    def random() -> str:
        return token()[:_RANDOM_SIZE]

    if error_type is None:
        start = _evaluate(prefix, time, None, random)
        if "!{timestamp:" not in prefix:
            start += _format(_DEFAULT_TIME, time)
    elif _EXPRESSION.search(error_prefix):
        start = _evaluate(error_prefix, time, error_type, random)
    else:
        start = f"{error_prefix or prefix}{error_type.folder}/{_format(_DEFAULT_TIME, time)}"
    return f"{start}{name}-{version}-{time:%Y-%m-%d-%H-%M-%S}-{token()}{extension}"


def _evaluate(prefix: str, time: datetime, error_type: ErrorType | None, random: Callable[[], str]) -> str:
    def value(match: re.Match[str]) -> str:
        namespace, word = match.groups()
        if namespace == "timestamp":
            return _format(word, time)
        if (namespace, word) == ("firehose", "random-string"):
            return random()
        if (namespace, word) == ("firehose", "error-output-type") and error_type:
            return error_type.value
        raise ValueError(f"{match.group()} is not supported in a prefix")

    return _EXPRESSION.sub(value, prefix)


def _format(pattern: str, time: datetime) -> str:
    """A time by a pattern of Java's DateTimeFormatter: the letters of `_LETTERS`, text in single quotes."""
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
