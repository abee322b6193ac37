"""How many records are due when: at a constant rate, a ramp, a wave, or a random rate each second. Pure."""

import math
import random
from collections.abc import Callable

__all__ = ["Due", "constant", "gaussian", "ramp", "sine"]

type Due = Callable[[float], float]
"""Takes seconds since the start, in ascending order, and returns how many records are due until then."""


def constant(rate: float) -> Due:
    """Return `rate` records each second."""
    return lambda seconds: rate * seconds


def ramp(rate: float, end: float, duration: float) -> Due:
    """Return a rate that goes evenly from `rate` to `end` in `duration` seconds, and stays there."""

    def due(seconds: float) -> float:
        within = min(seconds, duration)
        return rate * within + (end - rate) * within**2 / (2 * duration) + end * (seconds - within)

    return due


def sine(rate: float, amplitude: float, period: float) -> Due:
    """Return a rate that swings by `amplitude` (at most `rate`) around `rate`, once in `period` seconds."""
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
