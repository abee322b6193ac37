"""Load a repair script: a Python file whose `transform(data, failure)` is called for each record."""

import contextlib
import inspect
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import FailedRecord

__all__ = ["Transform", "TransformError", "TransformTimeoutError", "load_transform", "unchanged"]

_SECONDS: Final = 30.0  # for one record, or to load the script

type Transform = Callable[[FailedRecord], bytes | None]
"""Returns the bytes to send, or None to leave the record where it is. Raises TransformError."""


class TransformError(IotStreamError):
    """The script can't be used, or failed on a record; nothing of the record is quoted."""


class TransformTimeoutError(IotStreamError):
    """The script did not return; the replay ends, and the next replay continues from there."""


class _TimeUp(BaseException):
    """Raised inside the script; no `except Exception` of its own catches it."""


def unchanged(record: FailedRecord) -> bytes | None:
    """Return the original bytes."""
    return record.data


def load_transform(
    path: Path, reasons: Callable[[FailedRecord], tuple[str, ...]], seconds: float = _SECONDS
) -> Transform:
    """Return the repair that the script at `path` defines.

    The script defines `transform(data, failure)`: `data` are the record's bytes, `failure` a mapping with `code`,
    `reasons`, `message`, `kind`, `index`, `arrived_ms` and `key`. It returns the bytes to send (text becomes UTF-8), or
    None to leave the record where it is. What it prints goes to stderr.

    Args:
        path: the script.
        reasons: why a record failed, as `failures list` shows it.
        seconds: time limit for each record, and for loading the script.

    Raises:
        TransformError: the script can't be run or defines no such function; from the repair: it failed on the record.
        TransformTimeoutError: it did not return in time; from the repair too.
    """
    try:
        with _guarded(f"{path} was not loaded", seconds):
            names = runpy.run_path(str(path))
    except (KeyboardInterrupt, TransformTimeoutError):
        raise
    except BaseException as error:  # sys.exit() too
        raise TransformError(f"{path} can't be run: {type(error).__name__}: {error}{_where(error, path)}") from error
    function = names.get("transform")
    if not callable(function):
        raise TransformError(f"{path} does not define transform(data, failure)")
    _check_arguments(function, path)

    def repair(record: FailedRecord) -> bytes | None:
        failure = _failure(record, reasons(record))
        try:
            with _guarded(f"transform did not return for line {record.line} of {record.key}", seconds):
                result = function(record.data, failure)
            if isinstance(result, str):
                return result.encode()
        except (KeyboardInterrupt, TransformTimeoutError):
            raise
        except BaseException as error:  # sys.exit() too, and a lone surrogate in the text
            raise TransformError(f"transform failed: {type(error).__name__}{_where(error, path)}") from error
        if result is None or isinstance(result, bytes):
            return result
        raise TransformError(f"transform returned {type(result).__name__}, not bytes, text or None")

    return repair


def _failure(record: FailedRecord, reasons: tuple[str, ...]) -> Mapping[str, Any]:
    names = ("key", "line", "code", "message", "index", "arrived_ms", "attempts", "document_id")
    return {name: getattr(record, name) for name in names} | {"kind": record.kind.value, "reasons": reasons}


def _check_arguments(function: Callable[..., Any], path: Path) -> None:
    """Check that it takes two arguments (raises TransformError)."""
    try:
        inspect.signature(function).bind(b"", {})
    except TypeError as error:
        raise TransformError(f"transform of {path} must take (data, failure): {error}") from None
    except ValueError:  # a builtin without a signature
        return


def _where(error: BaseException, path: Path) -> str:
    """Return the last line of the script that the error came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" (line {lines[-1]})" if lines else ""


@contextlib.contextmanager
def _guarded(what: str, seconds: float) -> Iterator[None]:
    """Redirect the block's output to stderr, because stdout is the command's; end the block after `seconds`.

    The alarm interrupts only Python code in the main thread; code that hangs in C does not end before Ctrl-C.

    Raises:
        TransformTimeoutError: the time limit was exceeded.
    """
    with contextlib.redirect_stdout(sys.stderr):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _time_up)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again each second, should a bare `except` swallow it
        try:
            yield
        except _TimeUp:
            raise TransformTimeoutError(
                f"{what} within {seconds:g} s; what was confirmed is kept, and the same command continues from there"
            ) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _time_up(*_: object) -> None:
    raise _TimeUp
