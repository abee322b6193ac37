"""One JSON line for each log record, in the schema of the enrichment function's log (its package is deployed alone).

A record's message is a constant; what varies is passed as `extra` and stands beside it. No payload, no secret and no
traceback with values is logged; each line is redacted all the same.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from role_mapper.redaction import redact

__all__ = ["configure"]

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({})))


class _JsonFormatter(logging.Formatter):
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
        return redact(json.dumps(line | extra, ensure_ascii=False, default=str))


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
        handler.setFormatter(_JsonFormatter())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Lambda's own handler would print every record a second time
