"""Compute when readings are due, at a constant, rising, oscillating or random rate, and their times. Pure."""

import math
import random
from collections.abc import Callable
from typing import Final

__all__ = ["Due", "Pace", "constant", "gaussian", "ramp", "sine"]

_LONGEST_SPREAD: Final = 1.0  # seconds by which a reading's time may be before that of its batch

type Due = Callable[[float], float]
"""Takes seconds since the start, in ascending order, and returns how many readings are due until then."""


def constant(rate: float) -> Due:
    """Return `rate` readings each second."""
    return lambda seconds: rate * seconds


def ramp(rate: float, end: float, duration: float) -> Due:
    """Return a rate that changes linearly from `rate` to `end` within `duration` seconds, and then stays."""

    def due(seconds: float) -> float:
        within = min(seconds, duration)
        return rate * within + (end - rate) * within**2 / (2 * duration) + end * (seconds - within)

    return due


def sine(rate: float, amplitude: float, period: float) -> Due:
    """Return a sine around `rate` with `amplitude` (at most `rate`) and a period of `period` seconds."""
    turn = 2 * math.pi / period
    return lambda seconds: rate * seconds + amplitude / turn * (1 - math.cos(turn * seconds))


def gaussian(rate: float, deviation: float, seed: int) -> Due:
    """Return a rate that is drawn for each second, as KDG's periodic rate is: normal, around `rate`, never below 0."""
    series = random.Random(f"{seed} rate")
    before, this, whole = 0.0, max(0.0, series.gauss(rate, deviation)), 0

    def due(seconds: float) -> float:
        nonlocal before, this, whole
        while whole + 1 <= seconds:
            before, this, whole = before + this, max(0.0, series.gauss(rate, deviation)), whole + 1
        return before + this * (seconds - whole)

    return due


class Pace:
    """The number of readings waiting to be sent, and the time at which each was taken."""

    def __init__(self, due: Due, count: float, now: float) -> None:
        """Create the pace of `count` readings (infinity for no end) from `now` on, in seconds since 1970-01-01 UTC."""
        self._due, self._count, self._taken, self._last = due, count, 0, now
        self.due = 0.0
        """How many readings are due until the time that `waiting` was last asked for."""
        self.rate = 0.0
        """Readings per second that this is."""

    def waiting(self, elapsed: float) -> int:
        """Return how many readings are due `elapsed` seconds after the start and not taken yet."""
        self.due = min(self._due(elapsed), self._count)
        self.rate = self.due / elapsed if elapsed else 0.0
        return int(self.due) - self._taken

    def ends_with(self, size: int) -> bool:
        """Return whether this many further readings are the last ones."""
        return self._taken + size >= self._count

    @property
    def complete(self) -> bool:
        """Whether all readings are taken."""
        return self._taken >= self._count

    def take(self, size: int, now: float) -> list[int]:
        """Return the times of the next readings in milliseconds: their share of the time since the last one."""
        begun = min(max(self._last, now - _LONGEST_SPREAD), now)  # the clock may be set back
        step = (now - begun) / (int(self.due) - self._taken)
        self._taken, self._last = self._taken + size, begun + step * size
        return [int((begun + step * (number + 1)) * 1000) for number in range(size)]
