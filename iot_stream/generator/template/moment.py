"""Format times as moment.js 2.17 does, whose formats the Kinesis Data Generator's date helpers take. Pure.

Tokens and their meaning are those of moment's `format` (moment/moment, src/lib/format/format.js and src/lib/units) in
its default locale, English.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["DAYS", "DEFAULT", "DEFAULT_UTC", "MONTHS", "formatter"]

DEFAULT: Final = "YYYY-MM-DDTHH:mm:ssZ"
DEFAULT_UTC: Final = "YYYY-MM-DDTHH:mm:ss[Z]"

_TOKENS: Final = re.compile(
    r"(\[[^\[]*\])|(\\)?([Hh]mm(ss)?|Mo|MM?M?M?|Do|DDDo|DD?D?D?|ddd?d?|do?|w[o|w]?|W[o|W]?|Qo?|YYYYYY|YYYYY|YYYY|YY"
    r"|gg(ggg?)?|GG(GGG?)?|e|E|a|A|hh?|HH?|kk?|mm?|ss?|S{1,9}|x|X|zz?|ZZ?|.)"
)
_LONG_TOKENS: Final = re.compile(r"(\[[^\[]*\])|(\\)?(LTS|LT|LL?L?L?|l{1,4})")
_LONG: Final = {
    "LT": "h:mm A",
    "LTS": "h:mm:ss A",
    "L": "MM/DD/YYYY",
    "LL": "MMMM D, YYYY",
    "LLL": "MMMM D, YYYY h:mm A",
    "LLLL": "dddd, MMMM D, YYYY h:mm A",
    "l": "M/D/YYYY",
    "ll": "MMM D, YYYY",
    "lll": "MMM D, YYYY h:mm A",
    "llll": "ddd, MMM D, YYYY h:mm A",
}
MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS: Final = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    return f"{number}{ending}"


def _weekday(when: dt.datetime) -> int:
    """Return the day of the week from Sunday, 0."""
    return when.isoweekday() % 7


def _day_of_year(when: dt.datetime) -> int:
    return when.timetuple().tm_yday


def _week(when: dt.datetime) -> tuple[int, int]:
    """Return year and number of the English week: from Sunday on, and January 1st is in the first."""
    saturday = when.date() + dt.timedelta(days=6 - _weekday(when))
    return saturday.year, (saturday.timetuple().tm_yday - 1) // 7 + 1


def _offset(when: dt.datetime, separator: str) -> str:
    minutes = round((when.utcoffset() or dt.timedelta()).total_seconds() / 60)
    hours, minutes = divmod(abs(minutes), 60)
    sign = "-" if (when.utcoffset() or dt.timedelta()) < dt.timedelta() else "+"
    return f"{sign}{hours:02}{separator}{minutes:02}"


def _hour(when: dt.datetime) -> int:
    """Return the hour of a clock with twelve."""
    return when.hour % 12 or 12


def _half(when: dt.datetime) -> str:
    return "am" if when.hour < 12 else "pm"  # noqa: PLR2004 - noon


def _zone(when: dt.datetime) -> str:
    """Return "UTC" in UTC, else an empty text, because moment has no names for local zones."""
    return "UTC" if when.tzinfo is dt.UTC else ""


_PARTS: Final[dict[str, Callable[[dt.datetime], str]]] = {
    "M": lambda when: str(when.month),
    "MM": lambda when: f"{when.month:02}",
    "Mo": lambda when: _ordinal(when.month),
    "MMM": lambda when: MONTHS[when.month - 1][:3],
    "MMMM": lambda when: MONTHS[when.month - 1],
    "Q": lambda when: str((when.month + 2) // 3),
    "Qo": lambda when: _ordinal((when.month + 2) // 3),
    "D": lambda when: str(when.day),
    "DD": lambda when: f"{when.day:02}",
    "Do": lambda when: _ordinal(when.day),
    "DDD": lambda when: str(_day_of_year(when)),
    "DDDD": lambda when: f"{_day_of_year(when):03}",
    "DDDo": lambda when: _ordinal(_day_of_year(when)),
    "d": lambda when: str(_weekday(when)),
    "do": lambda when: _ordinal(_weekday(when)),
    "dd": lambda when: DAYS[_weekday(when)][:2],
    "ddd": lambda when: DAYS[_weekday(when)][:3],
    "dddd": lambda when: DAYS[_weekday(when)],
    "e": lambda when: str(_weekday(when)),
    "E": lambda when: str(when.isoweekday()),
    "w": lambda when: str(_week(when)[1]),
    "ww": lambda when: f"{_week(when)[1]:02}",
    "wo": lambda when: _ordinal(_week(when)[1]),
    "W": lambda when: str(when.isocalendar().week),
    "WW": lambda when: f"{when.isocalendar().week:02}",
    "Wo": lambda when: _ordinal(when.isocalendar().week),
    "Y": lambda when: str(when.year),
    "YY": lambda when: f"{when.year % 100:02}",
    "YYYY": lambda when: f"{when.year:04}",
    "YYYYY": lambda when: f"{when.year:05}",
    "YYYYYY": lambda when: f"+{when.year:06}",
    "gg": lambda when: f"{_week(when)[0] % 100:02}",
    "gggg": lambda when: f"{_week(when)[0]:04}",
    "ggggg": lambda when: f"{_week(when)[0]:05}",
    "GG": lambda when: f"{when.isocalendar().year % 100:02}",
    "GGGG": lambda when: f"{when.isocalendar().year:04}",
    "GGGGG": lambda when: f"{when.isocalendar().year:05}",
    "a": _half,
    "A": lambda when: _half(when).upper(),
    "H": lambda when: str(when.hour),
    "HH": lambda when: f"{when.hour:02}",
    "h": lambda when: str(_hour(when)),
    "hh": lambda when: f"{_hour(when):02}",
    "k": lambda when: str(when.hour or 24),
    "kk": lambda when: f"{when.hour or 24:02}",
    "hmm": lambda when: f"{_hour(when)}{when.minute:02}",
    "hmmss": lambda when: f"{_hour(when)}{when.minute:02}{when.second:02}",
    "Hmm": lambda when: f"{when.hour}{when.minute:02}",
    "Hmmss": lambda when: f"{when.hour}{when.minute:02}{when.second:02}",
    "m": lambda when: str(when.minute),
    "mm": lambda when: f"{when.minute:02}",
    "s": lambda when: str(when.second),
    "ss": lambda when: f"{when.second:02}",
    "z": _zone,
    "zz": lambda when: _zone(when).replace("UTC", "Coordinated Universal Time"),
    "Z": lambda when: _offset(when, ":"),
    "ZZ": lambda when: _offset(when, ""),
    "X": lambda when: str(int(when.timestamp())),
}


def formatter(text: str, zone: dt.tzinfo) -> Callable[[Sequence[int]], list[str]]:
    """Return a function that formats times, each in milliseconds since 1970-01-01 UTC.

    What changes by the second is made once a second; only fractions are made for each new time.

    Args:
        text: moment's format.
        zone: where the time is shown; `datetime.UTC` is moment's UTC mode.
    """
    parts = _compile(text)
    fractions = [part for part in parts if isinstance(part, list)]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    second, made = None, ""
    latest, written = None, ""

    def render(second: int) -> str:
        when = (epoch + dt.timedelta(seconds=second)).astimezone(zone)
        return "".join(
            "%s" if isinstance(part, list) else (part if isinstance(part, str) else part(when)).replace("%", "%%")
            for part in parts
        )

    def column(times: Sequence[int]) -> list[str]:
        nonlocal second, made, latest, written
        rows = []
        for time in times:
            if time != latest:
                latest = time
                this, fraction = divmod(time, 1000)
                if this != second:
                    second, made = this, render(this)
                written = made % tuple([table[fraction] for table in fractions])
            rows.append(written)
        return rows

    return column


def _compile(text: str) -> list[str | list[str] | Callable[[dt.datetime], str]]:
    """Return the parts of a format: literal text, tables of 1,000 texts for fractions, and functions for the rest."""
    for _ in range(5):  # as moment does: a long format may name another one
        text = _LONG_TOKENS.sub(lambda found: _LONG.get(found[0], found[0]), text)
    parts: list[str | list[str] | Callable[[dt.datetime], str]] = []
    for found in _TOKENS.finditer(text):
        token = found[0]
        if token in _PARTS:
            parts.append(_PARTS[token])
        elif token == "x":  # noqa: S105 - a token of the format
            parts += [_PARTS["X"], _fractions(3)]
        elif set(token) == {"S"}:
            parts.append(_fractions(len(token)))
        elif found[1]:
            parts.append(token[1:-1])
        else:
            parts.append(token.replace("\\", ""))
    return parts


def _fractions(digits: int) -> list[str]:
    """Return the first digits of each thousandth of a second; moment knows no finer ones and writes zeros."""
    return [f"{thousandth:03}000000"[:digits] for thousandth in range(1000)]
