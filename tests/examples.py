"""How many examples property tests take: few in every run, `EXAMPLES` times as many where the variable is set.

`make unit EXAMPLES=10` is the long run, for a night or after a change of a contract.
"""

import os
from collections.abc import Collection
from typing import Any

import hypothesis

__all__ = ["examples", "share_of", "times"]

_TIMES = int(os.environ.get("EXAMPLES") or 1)


def examples(count: int, **more: Any) -> hypothesis.settings:
    """Return Hypothesis' settings for `count` examples, or `EXAMPLES` times as many.

    There is no deadline: how long an example takes says something of this machine's other work, not of the code.
    """
    return hypothesis.settings(max_examples=times(count), deadline=None, **more)


def times(count: int) -> int:
    """Return the count, or `EXAMPLES` times as much."""
    return count * _TIMES


def share_of[T](kinds: Collection[T], number: int) -> list[T]:
    """Return one of the kinds, by a step's number, so that many steps try all of them; in the long run all for each."""
    every = list(kinds)
    return every if _TIMES > 1 else [every[number % len(every)]]
