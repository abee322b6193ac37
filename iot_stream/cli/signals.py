"""How a command ends when it is interrupted: Ctrl-C and SIGTERM mean the same."""

import signal
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["interrupted", "treat_sigterm_as_ctrl_c"]


def treat_sigterm_as_ctrl_c() -> None:
    """Raise KeyboardInterrupt in the main thread on SIGTERM, so that every command cleans up on both."""
    signal.signal(signal.SIGTERM, _interrupt)


def interrupted() -> Callable[[], bool]:
    """Return a function that tells whether Ctrl-C or SIGTERM has come since this call.

    The first signal only sets the flag; the second one raises KeyboardInterrupt.
    """
    seen: list[int] = []

    def note(number: int, _: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(seen)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
