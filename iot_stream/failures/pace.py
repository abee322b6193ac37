"""Limit the rate of a replay: halve it when the destination rejects records, then raise it slowly."""

from collections.abc import Callable

__all__ = ["Pace"]

_SLOWEST = 1.0
_RAISE = 1.1


class Pace:
    """Waits so that at most `rate` records a second are sent.

    Args:
        rate: records a second.
        clock: seconds that only grow.
        sleep: waits so many seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self.rate = rate
        self._most = rate
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def wait_for(self, records: int) -> None:
        """Wait until this number of records may be sent."""
        now = self._clock()
        if self._next > now:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + records / self.rate

    def refused(self) -> None:
        """Halve the rate."""
        self.rate = max(_SLOWEST, self.rate / 2)

    def accepted(self) -> None:
        """Raise the rate a little, up to the requested rate."""
        self.rate = min(self._most, self.rate * _RAISE)
