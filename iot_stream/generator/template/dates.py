"""The helpers of times: faker.js' module `date`, with the Kinesis Data Generator's `now` and `utc`.

`now` is the local time of the devices: the zone in which the deployed stack reads times without an offset
(`DeviceTimeZone`), so that it reads them right. `past`, `future`, `recent` and `between` are dates as JavaScript writes
them; a text as their argument is a format of moment.js.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from iot_stream.generator.template import javascript, moment
from iot_stream.generator.template.column import Arguments, Builder, Column

__all__ = ["HELPERS"]

_FORMAT: Final = 'a format of moment.js such as "YYYY-MM-DD HH:mm:ss.SSS"'
_DAY: Final = 24 * 3600 * 1000


def _now(arguments: Arguments) -> Column:
    return moment.formatter(arguments.one(_FORMAT, str, default=moment.DEFAULT), arguments.zone)


def _utc(arguments: Arguments) -> Column:
    return moment.formatter(arguments.one(_FORMAT, str, default=moment.DEFAULT_UTC), dt.UTC)


def _written(arguments: Arguments, text: str | None) -> Column:
    """Return the column that writes times: by moment's format, or as JavaScript does."""
    if text is not None:
        return moment.formatter(text, arguments.zone)
    return lambda times: [javascript.date_text(_datetime(time, arguments.zone)) for time in times]


def _datetime(time: int, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(time / 1000, dt.UTC).astimezone(zone)


def _around_now(direction: int, unit: int, name: str) -> Builder:
    """Return the builder of times from a second to some units before (-1) or after (1) now."""

    def build(arguments: Arguments) -> Column:
        takes = f"a number of {name} above 0, or {_FORMAT}"
        given = arguments.one(takes, int, float, str, default=1)
        amount, text = (1, given) if isinstance(given, str) else (given, None)
        if not 0 < amount <= 1000 * 365:
            arguments.refuse(takes)
        write, series = _written(arguments, text), arguments.series
        longest = max(1000, int(amount * unit))
        return lambda times: write([time + direction * series.randint(1000, longest) for time in times])

    return build


def _between(arguments: Arguments) -> Column:
    takes = 'two times, such as "2026-01-01", "2026-12-31T12:00:00Z"'
    start, end = (_parse(arguments, value, takes) for value in arguments.several(takes, (str,), (str,)))
    if end < start:
        arguments.refuse(f"{takes}, the earlier one first")
    write, series = _written(arguments, None), arguments.series
    return lambda times: write([series.randint(start, end) for _ in times])


def _parse(arguments: Arguments, text: str | None, takes: str) -> int:
    try:
        when = dt.datetime.fromisoformat(text or "")
    except ValueError:
        arguments.refuse(takes)
    return int((when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def _names(names: Sequence[str]) -> Callable[[Arguments], Column]:
    def build(arguments: Arguments) -> Column:
        given = arguments.one('nothing, or {"abbr": true}', dict, default={})
        texts = [name[:3] for name in names] if given.get("abbr") else [*names]
        return lambda times: arguments.series.choices(texts, k=len(times))

    return build


HELPERS: Final[dict[str, Builder]] = {
    "date.now": _now,
    "date.simTime": _now,
    "date.utc": _utc,
    "date.past": _around_now(-1, 365 * _DAY, "years"),
    "date.future": _around_now(1, 365 * _DAY, "years"),
    "date.recent": _around_now(-1, _DAY, "days"),
    "date.between": _between,
    "date.month": _names(moment.MONTHS),
    "date.weekday": _names(moment.DAYS),
}
"""Builders by the name of the helper."""
