"""Tune memory management in Python and the C library for tens of thousands of short-lived records."""

import contextlib
import ctypes
import gc
import traceback
from types import FrameType
from typing import Final

__all__ = ["collect_rarely", "limit_arenas", "release_frames"]

_M_ARENA_MAX: Final = -8  # malloc.h
_ARENAS: Final = 2
_THRESHOLDS: Final = (20_000, 20, 20)


def limit_arenas() -> bool:
    """Limit the number of malloc arenas (glibc); return whether the C library supports it.

    glibc gives threads up to eight for each core and returns little of what was freed in them. The worker's threads
    take turns (Python's lock), so two do.
    """
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False


def collect_rarely() -> None:
    """Collect garbage ten times less often than Python's default, and never check the objects that exist now.

    Each search looks at every record in flight, which took a fifth of the worker's processor time. Nearly everything is
    freed without it: a record that has its outcome is in no cycle.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def release_frames(error: BaseException) -> None:
    """Clear the frames through which an error came, those that called them, and those of the errors before it.

    urllib3 keeps a connection's error in a variable of the frame that the error's traceback refers to (`new_e` in
    `HTTPConnectionPool.urlopen`), and botocore in `Endpoint._get_response`. Such a cycle holds the request's body,
    several megabytes of documents, until cycles are searched for: rarely here, and most rarely while the neighbour is
    away and little else happens.
    """
    before: BaseException | None = error
    while before is not None:
        for frame, _ in traceback.walk_tb(before.__traceback__):
            _clear(frame)
        before = before.__context__


def _clear(frame: FrameType | None) -> None:
    with contextlib.suppress(RuntimeError):  # it is still running, as are all that called it
        while frame is not None:
            frame.clear()
            frame = frame.f_back
