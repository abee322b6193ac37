"""The worker's own log on stderr: repeated lines are counted, and the worker's own file is rotated."""

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from iot_stream.log_file import MAX_LOG_SIZE, rotate

__all__ = ["RepeatFilter", "RotatingHandler", "set_up"]

_INTERVAL: Final = 60.0
_LINES: Final = 100


class RepeatFilter(logging.Filter):
    """Passes a line once a minute, then with the number of lines that it suppressed meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is logged."""
        line, now = record.getMessage(), self._clock()
        with self._lock:
            passed_at, suppressed = self._seen.pop(line, (None, 0))
            if passed_at is not None and now - passed_at < _INTERVAL:
                self._seen[line] = (passed_at, suppressed + 1)
                return False
            self._seen[line] = (now, 0)
            if len(self._seen) > _LINES:
                self._seen.popitem(last=False)
        if suppressed:
            record.msg, record.args = f"{line} ({suppressed} more times before)", ()
        return True

    def untold(self) -> list[str]:
        """Return a line with the count of each line suppressed since it was last passed, and reset the counts."""
        with self._lock:
            seen, self._seen = self._seen, OrderedDict()
        return [f"{line} ({suppressed} more times)" for line, (_, suppressed) in seen.items() if suppressed]


class RotatingHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream, repeated lines counted; a file that is the worker's `own` is rotated above 5 MB.

    Any other file is never truncated: it may hold other programs' lines, and one that was not opened for appending
    would get a hole (`iot_stream.log_file`).
    """

    def __init__(self, stream: TextIO | None = None, own: Path | None = None, max_size: int = MAX_LOG_SIZE) -> None:
        super().__init__(stream)
        self._own = own
        self._max_size = max_size
        self._repeats = RepeatFilter()
        self.addFilter(self._repeats)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, then rotate the file if it is too large."""
        super().emit(record)
        with contextlib.suppress(OSError, ValueError):
            self._rotate()

    def close(self) -> None:
        """Write what was suppressed and not counted by a later line; `logging` calls it at the end of the process."""
        for line in self._repeats.untold():
            self.emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, line, None, None))
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop a line that can't be written (a full disk); logging would write a traceback to the same file."""

    def _rotate(self) -> None:
        if self._own is None:
            return
        number = self.stream.fileno()
        status = os.fstat(number)
        appends = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
        if appends and status.st_size > self._max_size and os.path.samestat(status, self._own.stat()):
            rotate(self._own, self._max_size)


def set_up(own: Path | None = None) -> None:
    """Log to stderr, without repeated lines; rotate it if it is the file `own`."""
    handler: Any = RotatingHandler(own=own)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=[handler])
    logging.getLogger("botocore").setLevel(logging.WARNING)
