"""How many examples property tests take: `EXAMPLES` times as many as they ask for.

`make unit` takes a fifth, for the next answer within half a minute; `make test` and CI take what the tests ask for, and
`make unit EXAMPLES=10` is the long run, for a night or after a change of a contract.
"""

import os
from collections.abc import Collection
from typing import Any

import hypothesis

__all__ = ["QUICK", "examples", "share_of", "times"]

_TIMES = float(os.environ.get("EXAMPLES") or 1)
QUICK = _TIMES < 1
"""Whether the run is a short one, in which a test leaves out most of what is alike."""


def examples(count: int, **more: Any) -> hypothesis.settings:
    """Return Hypothesis' settings for `EXAMPLES` times `count` examples.

    There is no deadline: how long an example takes says something of this machine's other work, not of the code.
    """
    return hypothesis.settings(max_examples=times(count), deadline=None, **more)


def times(count: int) -> int:
    """Return `EXAMPLES` times the count, and at least 1."""
    return max(1, round(count * _TIMES))


def share_of[T](kinds: Collection[T], number: int) -> list[T]:
    """Return one of the kinds, by a step's number, so that many steps try all of them; in the long run all for each."""
    every = list(kinds)
    return every if _TIMES > 1 else [every[number % len(every)]]
