"""A fleet of devices that send in turn: `--devices`, and with `--lively` devices that behave like real ones.

What a helper makes belongs to a field of the description by its place in the record: helpers are found by what they put
where the description looks for the field. So any template can have a fleet, unchanged.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from iot_stream.description import Description, Field
from iot_stream.errors import IotStreamError
from iot_stream.generator.template import basic
from iot_stream.generator.template.column import Column
from iot_stream.generator.template.compiled import Template

__all__ = ["FleetError", "with_fleet"]

_SENTINEL: Final = 7_000_000_000
_ROUNDS: Final = 100
_OVERHEATS: Final = 1  # index of the device that gets too hot; the last one falls silent
# Seconds: both begin a moment after the start, so that a chart shows what was before, and end, so that alerts close.
_DEVICES: Final = 20  # of a lively fleet, if nobody says how many
_HEAT_STARTS, _HEAT_RISES, _HEAT_STAYS, _HEAT_RESTS = 30, 60, 120, 120
_SILENCE_STARTS, _SILENCE_EXTRA, _SILENCE_RESTS = 60, 240, 120
_PULL, _NOISE, _MARGIN = 0.05, 0.02, 0.1  # of a drifting measure: towards its usual value, noise, beyond thresholds


class FleetError(IotStreamError):
    """The template can't be used for a fleet of devices."""


def with_fleet(
    template: Template, description: Description, devices: int | None, *, lively: bool, seed: str
) -> Template:
    """Return the template with devices that send in turn.

    Args:
        template: a compiled template of JSON.
        description: says where a reading has its device and its measures.
        devices: how many there are; None for 20, or fewer where the template makes fewer names.
        lively: whether measures drift, the second device overheats and the last one falls silent, by turns.
        seed: of drifting measures.

    Raises:
        FleetError: no helper makes the device's name, it can't make so many, or (lively) none makes a measure.
    """
    position = _helper_of(template, description.device)
    if position is None:
        raise FleetError(f"--devices: no helper of the template generates {description.device.source}, the device id")
    names = _names(template, position, devices)
    devices = len(names)
    turns = _Turns(devices, description.silent_after if lively else None)
    columns = [*template.columns]
    columns[position] = lambda times: [names[device] for device, _ in turns.of(times)]
    if lively:
        measures = [
            (field, at, bounds)
            for field in description.measures
            if field.derivation is None
            and (at := _helper_of(template, field)) is not None
            and (bounds := basic.bounds(template.arguments[at])) is not None
        ]
        if not measures:
            raise FleetError("--lively: no helper of the template generates numbers for a measure of the description")
        hot = next((field for field, _, _ in measures if field.alert_above is not None), measures[0][0])
        for field, at, bounds in measures:
            columns[at] = _drift(turns, _Habits.of(field, *bounds, overheats=field is hot), devices, f"{seed} {at}")
    return replace(template, columns=tuple(columns))


def _helper_of(template: Template, field: Field) -> int | None:
    """Return the position of the helper whose value is, or is within, the field's value."""
    sentinels = [str(_SENTINEL + number) for number in range(len(template.columns))]
    try:
        value: Any = json.loads(template.row % tuple(sentinels))
        for key in field.path:
            value = value[key]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return next((number for number, sentinel in enumerate(sentinels) if sentinel in str(value)), None)


def _names(template: Template, position: int, asked: int | None) -> list[str]:
    """Return different values of one helper: the first numbers of its range, or values that it draws."""
    count = asked or _DEVICES
    arguments, column = template.arguments[position], template.columns[position]
    if arguments.call.name == "random.number":
        return basic.first_numbers(arguments, count)
    names: dict[str, None] = {}
    for _ in range(_ROUNDS):
        names |= dict.fromkeys(column([0] * count))
        if len(names) >= count:
            return [*names][:count]
    if asked is None:
        return [*names]
    raise FleetError(
        f"{arguments.call.place}: --devices {count}: {arguments.call.name} generates only {len(names)} different names"
    )


class _Turns:
    """Choose the next device: each in turn, except one that is silent."""

    def __init__(self, devices: int, silent_after: float | None) -> None:
        """Create the turns; if `silent_after` is None, no device falls silent."""
        self._devices, self._next = devices, 0
        self._silence = None if silent_after is None or devices == 1 else silent_after + _SILENCE_EXTRA
        self._times: Sequence[int] | None = None
        self._turns: list[tuple[int, float]] = []
        self._begun: int | None = None
        self._now = 0

    def of(self, times: Sequence[int]) -> list[tuple[int, float]]:
        """Return device and seconds since the start for each record; the same for each column of a batch."""
        if self._times is not times:
            self._times, self._turns = times, [self._turn(time) for time in times]
        return self._turns

    def _turn(self, time: int) -> tuple[int, float]:
        self._begun = time if self._begun is None else self._begun
        self._now = max(self._now, time)  # a late reading does not turn the clock back
        seconds = max(0.0, (self._now - self._begun) / 1000)
        device = self._next
        if self._silence is not None and device == self._devices - 1 and _is_silent(seconds, self._silence):
            device = 0
        self._next = (device + 1) % self._devices
        return device, seconds


def _is_silent(seconds: float, silence: float) -> bool:
    since = seconds - _SILENCE_STARTS
    return since >= 0 and since % (silence + _SILENCE_RESTS) < silence


def _heat(seconds: float) -> float:
    """Return the heat of the overheating device from 0 (normal) to 1; it rises, stays, falls and rests."""
    since = seconds - _HEAT_STARTS
    if since < 0:
        return 0.0
    since %= 2 * _HEAT_RISES + _HEAT_STAYS + _HEAT_RESTS
    return min(1.0, since / _HEAT_RISES, max(0.0, (2 * _HEAT_RISES + _HEAT_STAYS - since) / _HEAT_RISES))


@dataclass(frozen=True)
class _Habits:
    """The range in which a measure drifts, its value when overheating, and its decimals."""

    low: float
    high: float
    hot: float | None
    write: Callable[[float], str]

    @classmethod
    def of(cls, field: Field, low: float, high: float, write: Callable[[float], str], *, overheats: bool) -> "_Habits":
        """Return habits within the helper's numbers and the field's thresholds; overheating is beyond them."""
        margin = (high - low) * _MARGIN or 1.0
        usual_high = high if field.alert_above is None else min(high, field.alert_above - margin)
        usual_low = low if field.alert_below is None else max(low, field.alert_below + margin)
        hot = (high if field.alert_above is None else max(high, field.alert_above)) + margin
        if field.maximum is not None:
            hot = min(hot, field.maximum)
        return cls(min(usual_low, usual_high), usual_high, hot if overheats else None, write)


def _drift(turns: _Turns, habits: _Habits, devices: int, seed: str) -> Column:
    """Return the column of a measure that drifts around a usual value of each device."""
    series = random.Random(f"{seed} drift")
    span = habits.high - habits.low
    usual = [habits.low + span * series.uniform(0.2, 0.8) for _ in range(devices)]
    values = [*usual]

    def value(device: int, seconds: float) -> str:
        moved = values[device] + _PULL * (usual[device] - values[device]) + series.gauss(0, _NOISE * span)
        values[device] = moved = min(max(moved, habits.low), habits.high)
        if habits.hot is not None and device == _OVERHEATS:
            moved += (habits.hot - moved) * _heat(seconds)
        return habits.write(moved)

    return lambda times: [value(device, seconds) for device, seconds in turns.of(times)]
