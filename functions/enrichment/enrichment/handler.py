"""What Lambda calls for each buffer of the delivery stream."""

import os
import sys
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from enrichment import firehose, metrics
from enrichment.logs import get_logger
from enrichment.settings import Settings

__all__ = ["lambda_handler"]

_SETTINGS = Settings.from_environment(os.environ)
_LOGGER = get_logger("enrichment")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, list[firehose.Result]]:
    """Answer a Firehose event: each record once, in order, `Ok` with its document or `ProcessingFailed` as it was.

    One line a batch with its metrics, and a warning for each reason of failure. The metrics are written as they are,
    not logged: no log level or format may silence them, and a batch's line takes a fifth of the time.

    Raises:
        firehose.EventError: the event is none of Firehose's.
    """
    start = perf_counter()
    batch = firehose.transform(event, _SETTINGS.device_time_zone)
    milliseconds = (perf_counter() - start) * 1000
    now = datetime.now(UTC)
    sys.stdout.write(metrics.describe_batch(batch, now, milliseconds, _SETTINGS))
    for failures in metrics.describe_failures(batch, now, _SETTINGS):
        _LOGGER.warning("records failed", extra=failures)
    return {"records": batch.results}
