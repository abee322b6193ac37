"""Keep a log file bounded that a process appends to and never opens again."""

import os
import shutil
from pathlib import Path

__all__ = ["MAX_LOG_SIZE", "rotate"]

MAX_LOG_SIZE = 5 * 1024 * 1024


def rotate(log: Path, max_size: int = MAX_LOG_SIZE) -> None:
    """If the log is larger than `max_size` bytes, copy it to FILE.1 and truncate it.

    The writer has opened the file for appending, so it continues at the new end of the file; a new file in its place
    would stay empty. A line that is written during the rotation may be lost.

    Raises:
        OSError: it can't be read, copied or truncated.
    """
    if log.stat().st_size > max_size:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
