"""Log lines as JSON objects, with what a call passes as `extra` at the top level.

Lambda's runtime does that itself where the function's log format is JSON (AWS Lambda Developer Guide, "Using
Lambda advanced logging controls with Python"). Where nothing has set up the root logger, this does the same.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Final

__all__ = ["JsonFormatter", "get_logger"]

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: timestamp, level, message, logger, and every `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without an end."""
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        extra = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        return json.dumps(line | extra, default=str)


def get_logger(name: str) -> logging.Logger:
    """Return a logger that writes warnings as JSON, on Lambda and elsewhere.

    On Lambda, format and level are the function's logging configuration.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
    return logging.getLogger(name)
