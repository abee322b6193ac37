"""How long to wait before a retry: doubling up to a ceiling."""

from typing import NamedTuple

__all__ = ["INDEX", "INVOKE", "READ", "STORE", "Backoff"]


class Backoff(NamedTuple):
    """Wait `first` milliseconds, then twice as long each time, up to `ceiling`."""

    first: int
    ceiling: int

    def wait(self, attempt: int) -> int:
        """Return the milliseconds to wait after the given attempt (the first is 1) has failed."""
        return min(self.ceiling, self.first << min(attempt - 1, 20))

    def attempts(self, duration: int) -> int:
        """Return the most attempts that fit into `duration` milliseconds, the last one at its end."""
        attempts, elapsed = 1, 0
        while elapsed < duration:
            elapsed += self.wait(attempts)
            attempts += 1
        return attempts


# AWS does not document its backoff; these values avoid overloading a failing dependency.
READ = Backoff(first=250, ceiling=5_000)
INVOKE = Backoff(first=250, ceiling=5_000)
INDEX = Backoff(first=250, ceiling=5_000)
STORE = Backoff(first=500, ceiling=10_000)
