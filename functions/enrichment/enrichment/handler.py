"""The Lambda handler, invoked for each buffer of the delivery stream."""

import os
import sys
from time import perf_counter_ns, time_ns
from typing import Any

from enrichment import firehose, metrics
from enrichment.description_file import load
from enrichment.logs import get_logger
from enrichment.reading import Enricher
from enrichment.settings import Settings

__all__ = ["lambda_handler", "respond"]

_SETTINGS = Settings.from_environment(os.environ)
_ENRICHER = Enricher(load(), _SETTINGS.device_time_zone)
_LOGGER = get_logger("enrichment")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, list[firehose.Result]]:
    """Transform a Firehose event by the description that the function has, as `respond` does."""
    return respond(event, _ENRICHER)


def respond(event: dict[str, Any], enricher: Enricher) -> dict[str, list[firehose.Result]]:
    """Transform a Firehose event: return each record once, in order, as `Ok` or `ProcessingFailed`.

    `Ok` holds the document, `ProcessingFailed` the record's original data. Write one line of metrics for each batch,
    and log a warning for each reason of failure. The batch's line bypasses the logger: it is the same in every log
    format, and takes a fifth of the time.

    Raises:
        firehose.EventError: the event is not a Firehose transformation event.
    """
    start = perf_counter_ns()
    batch = firehose.transform(event, enricher)
    microseconds = (perf_counter_ns() - start) // 1000
    now = time_ns() // 1_000_000
    sys.stdout.write(metrics.describe_batch(batch, now, microseconds, _SETTINGS))
    if batch.failed:
        for failures in metrics.describe_failures(batch, now, _SETTINGS):
            _LOGGER.warning("records failed", extra=failures)
    return {"records": batch.results}
