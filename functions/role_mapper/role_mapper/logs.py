"""One JSON line for each log record, as CloudWatch Logs Insights reads it.

A record's message is a constant word or two; what varies are its `fields`. Nothing else is printed: no payload,
no secret, no traceback with values in it.
"""

import json
import logging
import sys

__all__ = ["configure"]


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname, "event": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=False, default=str)


class _Stdout(logging.StreamHandler):  # type: ignore[type-arg]  # generic only to the type checker
    """Writes to the standard output of the moment, which tests and runtimes replace."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


def configure() -> None:
    """Print this function's records; harmless when called again."""
    logger = logging.getLogger("role_mapper")
    if not logger.handlers:
        handler = _Stdout()
        handler.setFormatter(_JsonLine())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Lambda's own handler would print every record a second time
