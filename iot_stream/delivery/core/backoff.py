"""How long to wait before doing something again: doubling, up to a ceiling, bounded where there is a deadline."""

from typing import NamedTuple

__all__ = ["INDEX", "INVOKE", "READ", "STORE", "Backoff"]


class Backoff(NamedTuple):
    """Waits of `first` milliseconds, then twice as long each time, up to `ceiling`."""

    first: int
    ceiling: int

    def wait(self, attempt: int) -> int:
        """Milliseconds to wait after the given attempt (1 is the first) has failed."""
        return min(self.ceiling, self.first << min(attempt - 1, 20))

    def attempts(self, duration: int) -> int:
        """The most attempts that fit into `duration` milliseconds from the first one on, the last at its end."""
        attempts, elapsed = 1, 0
        while elapsed < duration:
            elapsed += self.wait(attempts)
            attempts += 1
        return attempts


# AWS publishes neither of these: they are short enough to watch, and long enough not to press a struggling neighbour.
READ = Backoff(first=250, ceiling=5_000)
INVOKE = Backoff(first=250, ceiling=5_000)
INDEX = Backoff(first=250, ceiling=5_000)
STORE = Backoff(first=500, ceiling=10_000)
