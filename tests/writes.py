"""What tests write into the project: nothing. A newcomer's description and built files are work of hours."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from iot_stream.paths import PROJECT

__all__ = ["refused", "refusing", "watch"]

_WRITING: Final = os.O_WRONLY | os.O_RDWR
# Which argument is the file that changes, and which one is the descriptor of the folder it is in (-1: none).
_ARGUMENTS: Final = {"open": (0, None), "os.remove": (0, 1), "os.rename": (1, 3)}

_refused: list[str] = []
_is_refusing = False


def watch() -> None:
    """Have `refusing` do what it says in this process."""
    sys.addaudithook(_hook)  # https://docs.python.org/3.13/library/audit_events.html


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Refuse that this process writes, removes or replaces a file of the project that git may have.

    What is built or cached is free: folders whose names begin with a point, `build`, and Python's caches.
    """
    global _is_refusing  # noqa: PLW0603 - a hook can't be taken back, so it has to be told
    _is_refusing = True
    try:
        yield
    finally:
        _is_refusing = False


def refused() -> list[str]:
    """Return the files that were to be written since the last call."""
    found = [*_refused]
    _refused.clear()
    return found


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _is_refusing:
        return
    if event not in _ARGUMENTS or (event == "open" and not arguments[2] & _WRITING):
        return
    place, folder = _ARGUMENTS[event]
    path = arguments[place]
    if not isinstance(path, str | bytes | os.PathLike):  # a descriptor that is open already
        return
    if folder is not None and arguments[folder] != -1:  # shutil.rmtree: the name alone says nothing
        return
    name = Path(os.fsdecode(path)).absolute()
    if not name.is_relative_to(PROJECT):
        return
    first, *others = name.relative_to(PROJECT).parts
    if first.startswith(".") or first == "build" or "__pycache__" in others:
        return
    _refused.append(str(name))
    raise PermissionError(f"tests write nothing into the project: {name}")
