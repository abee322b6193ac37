"""Retry steps until a deadline, with growing waits in between."""

import itertools
import random
import threading
import time
from collections.abc import Callable

from role_mapper.errors import CallError, DeadlineExceededError, RoleMapperError

__all__ = ["Deadline"]

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 10.0


class Deadline:
    """The time limit for a whole request, which starts when the deadline is created.

    A step given to `retry` reads, decides, writes and reads back. It is safe to repeat as a whole, so a 409 leads to
    reading and merging again.

    Args:
        seconds: the time limit; no step is retried after it.
        clock: a monotonic clock in seconds.
        jitter: returns a random number between its two arguments.
    """

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._start = clock()
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._jitter = jitter

    @property
    def remaining(self) -> float:
        """Seconds left; 0 once the time is used up or ended."""
        return 0.0 if self._ended.is_set() else max(0.0, self._start + self._seconds - self._clock())

    def end(self) -> None:
        """End it now: waiting steps wake up and fail, and no further call to the domain is made."""
        self._ended.set()

    def part(self, seconds: float) -> "Deadline":
        """Return a deadline for one check: at most `seconds` of what is left here."""
        return Deadline(min(seconds, self.remaining), clock=self._clock, wait=self._wait, jitter=self._jitter)

    def pause(self, seconds: float) -> None:
        """Wait, for at most the time that there is."""
        self._wait(min(self.remaining, seconds))

    def retry[T](self, step: Callable[[], T]) -> T:
        """Return the result of `step`, retried with a growing and jittered wait in between.

        Raises:
            DeadlineExceededError: the last retryable error, and after how many seconds it was given up.
            RoleMapperError: a non-retryable error, immediately.
        """
        last: CallError | None = None
        for attempt in itertools.count():
            try:
                return step()
            except DeadlineExceededError as end:
                if end.seconds is not None:  # a step within this one has given up, and said so
                    raise
                # The time ran out between two calls: what the domain said before explains more than that.
                raise self._exceeded(last or end) from (last or end)
            except CallError as error:
                if not error.retryable:
                    raise
                last = error
                longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 10))
                self._wait(min(self.remaining, self._jitter(longest / 2, longest)))
                if not self.remaining:
                    raise self._exceeded(error) from error
        raise AssertionError("unreachable: the loop ends by returning or raising")

    def _exceeded(self, cause: RoleMapperError) -> DeadlineExceededError:
        return DeadlineExceededError(str(cause), seconds=min(self._seconds, self._clock() - self._start))
