"""Wait for what a running system does in its own time: poll to a deadline, and never sleep for a fixed time."""

import time
from collections.abc import Callable

import requests
from opensearchpy import ConnectionError as NoConnectionError
from opensearchpy import TransportError

__all__ = ["until"]

# A domain that restarts, or makes an index or recovers one at this moment, responds with these for a while.
_NOT_YET = {429, 502, 503, 504}


def until[Value](condition: Callable[[], Value], *, seconds: float = 90, what: str = "it") -> Value:
    """Poll until `condition` returns a true value, and return it.

    Pauses grow to a quarter of a second: who waits for long would keep a processor busy, here and in what is asked.

    A domain that is not ready yet (no connection, or 429, 502, 503 or 504) is asked again until then, too.

    Raises:
        AssertionError: it did not within `seconds`; says what came last.
    """
    begun = time.monotonic()
    deadline = begun + seconds
    while True:
        try:
            value = condition()
            if value:
                return value
            last: object = value
        except (requests.RequestException, TransportError) as error:
            if not _is_passing(error):
                raise
            last = error
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s: last {last!r}"
        time.sleep(min(0.25, max(0.05, (time.monotonic() - begun) / 20)))


def _is_passing(error: requests.RequestException | TransportError) -> bool:
    """Return whether the same call may succeed in a moment."""
    if isinstance(error, TransportError):
        return isinstance(error, NoConnectionError) or error.status_code in _NOT_YET
    if error.response is not None:
        return error.response.status_code in _NOT_YET
    return isinstance(error, requests.ConnectionError | requests.Timeout)
