"""What a siege must not show: a reading missing or twice, trouble that was not played, a part that grew. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from iot_stream.log_file import MAX_LOG_SIZE
from iot_stream.run.reconciliation import Reconciliation
from tests.chaos.plan import Lane

__all__ = ["Played", "bounds", "siege_faults", "trouble_table", "usage_faults", "usage_table"]

type Usage = Mapping[str, Mapping[str, Mapping[str, float]]]
"""First, highest and last value of each measure, by part (`tests.samples.Sampler.summary`)."""


@dataclass(frozen=True)
class Played:
    """A trouble as it was: when it began, how long it was until it was mended; or why it was not played."""

    lane: str
    kind: str
    at: float
    seconds: float
    skipped: str = ""


def bounds(sent: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the most that each part may use: MiB of memory, threads, open files, KiB of logs.

    None grows with time or trouble but two: ministack's memory, which holds the stream and the bucket, and logs. The
    worker's has some lines for each trouble; ministack's has what the function says of each batch, and is rotated.
    """
    rotated = 2 * MAX_LOG_SIZE / 1024 + 1024  # with what is written until somebody looks
    return {
        "worker": {"rss": 200, "threads": 24, "fds": 64, "log": round(64 + seconds / 20)},
        "ministack": {
            "rss": round(250 + sent / 768),
            "threads": 64,
            "fds": 256,
            "log": round(min(256 + 4 * seconds, rotated)),
        },
        "live page": {"rss": 300, "threads": 32, "fds": 128, "log": 64},
    }


def siege_faults(lanes: Sequence[Lane], played: Iterable[Played], result: Reconciliation, due: float) -> list[str]:
    """Return what is wrong with a siege: readings, or trouble that was not played.

    Args:
        lanes: the plan.
        played: what became of it.
        result: where the readings are.
        due: how many should have been sent.
    """
    counts = Counter((each.lane, each.kind) for each in played if not each.skipped)
    found = [
        f"{lane.name}: {kind} was never played" for lane in lanes for kind in lane.kinds if not counts[lane.name, kind]
    ]
    if result.sent < due / 2:
        found.append(f"only {result.sent} of {due:g} readings were sent")
    if result.missing:
        found.append(f"{result.missing} readings are missing")
    if result.duplicates:
        found.append(f"{result.duplicates} readings are in two indices")
    return found


def usage_faults(used: Usage, limits: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return which parts used more than they may, or were never looked at."""
    found = []
    for part, measures in limits.items():
        for what, limit in measures.items():
            sampled = used.get(part, {}).get(what)
            if sampled is None:
                found.append(f"{part}: {what} was never sampled")
            elif sampled["highest"] > limit:
                found.append(f"{part}: {what} was {sampled['highest']:g}, above {limit:g}")
    return found


def trouble_table(lanes: Sequence[Lane], played: Sequence[Played]) -> str:
    """Return how often each kind was played and skipped, and why."""
    lines = [f"{'trouble':<20}{'played':>7}{'skipped':>9}"]
    for lane in lanes:
        for kind in lane.kinds:
            these = [each for each in played if (each.lane, each.kind) == (lane.name, kind)]
            why = Counter(each.skipped for each in these if each.skipped)
            reasons = "".join(f"  {reason} ({count})" for reason, count in why.items())
            lines.append(f"{f'{lane.name}: {kind}':<20}{len(these) - why.total():>7}{why.total():>9}{reasons}")
    return "\n".join(lines)


def usage_table(used: Usage, limits: Mapping[str, Mapping[str, float]]) -> str:
    """Return what each part used at first, at its peak and at last, beside its bound."""
    lines = [f"{'part':<12}{'what':<10}{'first':>10}{'peak':>10}{'last':>10}{'bound':>10}"]
    for part, measures in used.items():
        for what, values in measures.items():
            limit = limits.get(part, {}).get(what)
            bound = "" if limit is None else f"{limit:g}"
            numbers = "".join(f"{values[name]:>10g}" for name in ("first", "highest", "last"))
            lines.append(f"{part:<12}{what:<10}{numbers}{bound:>10}")
    return "\n".join(lines)
