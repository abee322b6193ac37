"""What trouble is played, by a seed: lanes side by side, in each of them rounds in which every kind has its turn. Pure.

worker   killed (SIGKILL) and started again; frozen (SIGSTOP); killed, and its progress file damaged
aws      ministack frozen; settings of the delivery stream changed; bucket deleted, later made again
domain   OpenSearch killed and started again; frozen; its indices closed; deleted; the role's mapping removed
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["LANES", "QUIET", "SHORT", "SHORTEST", "Lane", "Trouble", "outage", "plan"]

LANES = {
    "worker": ("kill", "freeze", "damage"),
    "aws": ("freeze", "settings", "bucket"),
    "domain": ("kill", "freeze", "close", "delete", "unmap"),
}
# Without what takes a minute on a busy machine: the start of OpenSearch, which tests/e2e/test_outage.py has.
SHORT = LANES | {"domain": ("freeze", "close", "delete", "unmap")}
SHORTEST = 20.0  # seconds; less is no siege
QUIET = 5.0  # seconds without trouble at the beginning and at the end
_LONGEST_TROUBLE, _LONGEST_PAUSE = 6.0, 10.0
_SHORTEST_TURN = 3.0
_MENDING = {("domain", "kill"): 60.0}  # what takes long after the trouble itself


@dataclass(frozen=True)
class Trouble:
    """One trouble: its lane and kind, the seconds of quiet before it, and how long it lasts."""

    lane: str
    kind: str
    pause: float
    seconds: float


@dataclass(frozen=True)
class Lane:
    """Troubles that are played one after the other, for as long as there is time, and the kinds that have to be."""

    name: str
    kinds: tuple[str, ...]
    troubles: Iterable[Trouble]


def plan(seed: int, seconds: float, lanes: Mapping[str, tuple[str, ...]] = LANES) -> list[Lane]:
    """Return the lanes of a siege; the same for the same arguments.

    A round fits into `seconds` where the machine is not much slower than usual; the longer the siege, the more rounds.
    """
    return [Lane(name, kinds, _rounds(seed, seconds, name, kinds)) for name, kinds in lanes.items()]


def _rounds(seed: int, seconds: float, lane: str, kinds: tuple[str, ...]) -> Iterator[Trouble]:
    chance = random.Random(f"{seed} {lane}")
    usable = seconds - 2 * QUIET - sum(_MENDING.get((lane, kind), 0.0) for kind in kinds)
    turn = max(usable / len(kinds), _SHORTEST_TURN)
    longest = min(_LONGEST_TROUBLE, turn * 0.55)
    longest_pause = min(_LONGEST_PAUSE, turn * 0.45)
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            pause, lasts = chance.uniform(0.5, longest_pause), chance.uniform(0.5, longest)
            yield Trouble(lane, kind, round(pause, 2), round(lasts, 2))


def outage(seconds: float) -> list[Lane]:
    """Return the plan of one outage of the domain."""
    return [Lane("domain", ("kill",), [Trouble("domain", "kill", 15.0, seconds)])]
