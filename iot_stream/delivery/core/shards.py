"""Which shards may be read: parents to their end, then their children ("Reshard a stream")."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

__all__ = ["Shard", "readable"]


class Shard(NamedTuple):
    """A shard as ListShards tells it; `parents` has none, one (a split's) or two (a merge's)."""

    name: str
    parents: tuple[str, ...] = ()


def readable(shards: Iterable[Shard], begun: Collection[str], read: Collection[str]) -> list[str]:
    """The shards that may be read now, in the order of their names.

    A shard waits for its parents, unless the stream has forgotten them (they are older than its retention) or it was
    begun before a restart.

    Args:
        shards: all that the stream lists.
        begun: those that something was read from already.
        read: those that were read to their end.
    """
    listed = {shard.name: shard for shard in shards}
    return sorted(
        shard.name
        for shard in listed.values()
        if shard.name not in read
        and (shard.name in begun or all(parent in read or parent not in listed for parent in shard.parents))
    )
