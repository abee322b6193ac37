"""What many viewers ask for at about the same time, read once for all of them."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

__all__ = ["Shared"]

_MOST = 32  # questions whose responses are kept: the choices of so many viewers


@dataclass
class _Kept[Value]:
    """A read that is under way, or has ended at a time (seconds of the monotonic clock)."""

    task: "asyncio.Task[Value]"
    ended: float | None = None

    def note_end(self, task: "asyncio.Task[Value]") -> None:
        """Note when it ended; retrieve its exception, so that asyncio does not log it."""
        self.ended = time.monotonic()
        if not task.cancelled():
            task.exception()

    def good_for(self, seconds: float) -> bool:
        """Return whether it is under way, or succeeded less than so many seconds ago."""
        if self.ended is None:
            return True
        failed = self.task.cancelled() or self.task.exception() is not None
        return not failed and time.monotonic() - self.ended < seconds


class Shared[Question: Hashable, Value]:
    """Read in a thread, once for all callers that ask the same during the read or shortly after.

    Otherwise twenty viewers would query the domain twenty times, and each parsing thread keeps the memory it used.

    Args:
        read: reads the value; an error is raised for all waiting callers and is not kept.
        seconds: how long a value is reused.
    """

    def __init__(self, read: Callable[[Question], Value], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._kept: dict[Question, _Kept[Value]] = {}

    async def get(self, question: Question, seconds: float | None = None) -> Value:
        """Return what `read` returns for the question, at most `seconds` ago (by default those of the constructor)."""
        kept = self._kept.get(question)
        if kept is None or not kept.good_for(self._seconds if seconds is None else seconds):
            task = asyncio.ensure_future(run_in_threadpool(self._read, question))
            self._kept.pop(question, None)  # the newest last
            kept = self._kept[question] = _Kept(task)
            task.add_done_callback(kept.note_end)
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
        return await asyncio.shield(kept.task)  # a viewer that goes away ends no one else's read
