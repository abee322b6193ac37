"""Have Python and the C library handle memory as suits the worker: tens of thousands of records that come and go."""

import contextlib
import ctypes
import gc
from typing import Final

__all__ = ["collect_rarely", "limit_arenas"]

_M_ARENA_MAX: Final = -8  # malloc.h
_ARENAS: Final = 2
_THRESHOLDS: Final = (20_000, 20, 20)


def limit_arenas() -> bool:
    """Limit how many arenas the C library has, and return whether it can (glibc).

    glibc gives threads up to eight for each core and returns little of what was freed in them. The worker's threads
    take turns (Python's lock), so two do.
    """
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False


def collect_rarely() -> None:
    """Search for cycles ten times more rarely than Python does by default, and never among what was imported.

    Each search looks at every record in flight, which took a fifth of the worker's processor time. Nearly everything is
    freed without it: a record that has its outcome is in no cycle.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
