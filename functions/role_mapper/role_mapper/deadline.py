"""How long to try, and how long to wait between tries."""

import itertools
import random
import threading
import time
from collections.abc import Callable

from role_mapper.errors import CallError, GaveUpError, RoleMapperError, TimeUpError

__all__ = ["Deadline"]

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 10.0


class Deadline:
    """The seconds there are for everything, from the moment it is made.

    A step given to `retry` reads, decides, writes and reads back: trying it again as a whole is always safe, and
    is what turns a 409 into "read again, merge again".

    Args:
        seconds: the time there is; no step is tried again after it.
        clock: seconds that only go up.
        jitter: a number between its two arguments.
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
        """Seconds left, 0 once it is used up or ended."""
        return 0.0 if self._ended.is_set() else max(0.0, self._start + self._seconds - self._clock())

    def end(self) -> None:
        """Stop trying: waiting steps wake up and fail, no further call to the domain is made."""
        self._ended.set()

    def part(self, seconds: float) -> "Deadline":
        """A deadline of its own for one question: at most `seconds` of what is left here."""
        return Deadline(min(seconds, self.remaining), clock=self._clock, wait=self._wait, jitter=self._jitter)

    def retry[T](self, step: Callable[[], T]) -> T:
        """The result of `step`, tried until it has one, with a growing and jittered wait in between.

        Raises:
            GaveUpError: its trouble had not passed when the time was used up; says which, and after how long.
            RoleMapperError: a trouble that time does not heal, at once.
        """
        last: CallError | None = None
        for attempt in itertools.count():
            try:
                return step()
            except TimeUpError as end:
                # Between two calls the time ran out: what the domain said before tells more than that.
                raise self._gave_up(last or end) from end
            except CallError as trouble:
                if not trouble.retryable:
                    raise
                last = trouble
                longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 10))
                self._wait(min(self.remaining, self._jitter(longest / 2, longest)))
                if not self.remaining:
                    raise self._gave_up(trouble) from trouble
        raise AssertionError("unreachable: the loop ends by returning or raising")

    def _gave_up(self, cause: RoleMapperError) -> GaveUpError:
        return GaveUpError(f"{cause} (gave up after {min(self._seconds, self._clock() - self._start):.0f} s)")
