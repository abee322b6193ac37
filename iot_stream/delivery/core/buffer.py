"""A buffer that is due by size or by time, whichever comes first ("BufferingHints" in the Firehose API)."""

from collections import deque
from typing import NamedTuple

__all__ = ["Bounds", "Buffer"]


class Bounds(NamedTuple):
    """How much and how long a buffer collects.

    Attributes:
        size: bytes of one batch; a single larger item is a batch of its own.
        interval: milliseconds from the entry of the oldest item until the batch is due; 0 means immediately.
        payload: bytes that one batch may have on the wire; None where only `size` counts.
    """

    size: int
    interval: int
    payload: int | None = None


class Buffer[Item]:
    """Items in order of entry, cut into batches within the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._items: deque[tuple[Item, int, int, int]] = deque()
        self._size = 0
        self._payload = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Return whether a batch is due by size."""
        return self._size >= self.bounds.size or (
            self.bounds.payload is not None and self._payload >= self.bounds.payload
        )

    def add(self, item: Item, size: int, now: int, payload: int = 0) -> None:
        """Add an item of `size` bytes that takes `payload` bytes on the wire, at `now` (epoch ms)."""
        self._items.append((item, size, payload, now))
        self._size += size
        self._payload += payload

    def due(self, now: int, *, flush: bool = False) -> bool:
        """Return whether a batch is due: full, old enough, or anything at all when flushing."""
        if not self._items:
            return False
        return flush or self.full or now >= self._items[0][3] + self.bounds.interval

    def due_at(self) -> int | None:
        """Return when the oldest item's interval ends (epoch ms); None when the buffer is empty."""
        return self._items[0][3] + self.bounds.interval if self._items else None

    def cut(self) -> list[Item]:
        """Remove and return the oldest items that fit into one batch; at least one unless the buffer is empty."""
        batch: list[Item] = []
        size = payload = 0
        limit = self.bounds.payload
        while self._items:
            item, item_size, item_payload, _ = self._items[0]
            size += item_size
            payload += item_payload
            if batch and (size > self.bounds.size or (limit is not None and payload > limit)):
                break
            self._items.popleft()
            self._size -= item_size
            self._payload -= item_payload
            batch.append(item)
        return batch
