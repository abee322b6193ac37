"""A person's own repair: a Python file whose `transform(data, failure)` is called with each record."""

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import FailedRecord

__all__ = ["Transform", "TransformError", "load_transform", "unchanged"]

type Transform = Callable[[FailedRecord], bytes | None]
"""Returns the bytes to send, or None to leave the record where it is. Raises TransformError."""


class TransformError(IotStreamError):
    """The script can't be used, or failed on a record; nothing of the record is quoted."""


def unchanged(record: FailedRecord) -> bytes | None:
    """Return the original bytes."""
    return record.data


def load_transform(path: Path) -> Transform:
    """Return the repair that the script at `path` defines.

    The script defines `transform(data, failure)`: `data` are the record's bytes, `failure` a mapping with `code`,
    `message`, `kind`, `index`, `arrived_ms` and `key`. It returns the bytes to send (text becomes UTF-8), or None to
    leave the record where it is.

    Raises:
        TransformError: the script can't be run or defines no such function.
    """
    try:
        names = runpy.run_path(str(path))
    except Exception as error:
        raise TransformError(f"{path} can't be run: {type(error).__name__}: {error}") from error
    function = names.get("transform")
    if not callable(function):
        raise TransformError(f"{path} does not define transform(data, failure)")

    def repair(record: FailedRecord) -> bytes | None:
        try:
            result = function(record.data, _failure(record))
            if isinstance(result, str):
                return result.encode()
        except Exception as error:  # a lone surrogate in the text, too
            raise TransformError(f"transform failed: {type(error).__name__}") from error
        if result is None or isinstance(result, bytes):
            return result
        raise TransformError(f"transform returned {type(result).__name__}, not bytes")

    return repair


def _failure(record: FailedRecord) -> Mapping[str, Any]:
    names = ("key", "line", "code", "message", "index", "arrived_ms", "attempts", "document_id")
    return {name: getattr(record, name) for name in names} | {"kind": record.kind.value}
