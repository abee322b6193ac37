"""Which shards may be read: parents to their end, then their children ("Reshard a stream")."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

__all__ = ["Shard", "readable"]


class Shard(NamedTuple):
    """A shard that ListShards returned; it has no parent, one (after a split) or two (after a merge)."""

    id: str
    parents: tuple[str, ...] = ()


def readable(shards: Iterable[Shard], begun: Collection[str], finished: Collection[str]) -> list[str]:
    """Return the ids of the shards that may be read now, sorted.

    A shard waits for its parents, unless they are past the stream's retention and no longer listed, or the shard was
    begun before a restart.

    Args:
        shards: all shards that the stream lists.
        begun: ids of those that were read from already.
        finished: ids of those that were read to their end.
    """
    listed = {shard.id: shard for shard in shards}
    return sorted(
        shard.id
        for shard in listed.values()
        if shard.id not in finished
        and (shard.id in begun or all(parent in finished or parent not in listed for parent in shard.parents))
    )
