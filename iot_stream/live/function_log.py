"""Read why the function failed records from its own log.

A failure object says only that the function failed the record; the reason is in the function's log, one line for
each reason in a batch (CloudWatch Logs API, FilterLogEvents).
"""

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["FunctionLog", "Reason"]

_SECONDS = 3_600
_LINE = "records failed"
_PAGE = {"PageSize": 1_000}  # of 10,000 at most: a page is parsed as a whole


@dataclass(frozen=True)
class Reason:
    """A reason, the field that caused it where there is one, and how many records of the last hour failed for it."""

    reason: str
    field: str | None
    records: int


class FunctionLog:
    """The function's log, read through a boto3 CloudWatch Logs client."""

    def __init__(self, logs: Any, group: str) -> None:
        self._logs = logs
        self._group = group

    def reasons(self) -> list[Reason]:
        """Return the reasons of the last hour, most records first; empty when the log can't be read."""
        counts: Counter[tuple[str, str | None]] = Counter()
        start = int((time.time() - _SECONDS) * 1000)
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=self._group, filterPattern=f'"{_LINE}"', startTime=start, PaginationConfig=_PAGE
            )
            for page in pages:
                for event in page["events"]:
                    for line in event["message"].splitlines():
                        _count(line, counts)
        except (ClientError, BotoCoreError):
            return []  # no invocation yet, or no permission to read: the failure objects are still shown
        return [Reason(reason, field, records) for (reason, field), records in counts.most_common()]


def _count(line: str, counts: Counter[tuple[str, str | None]]) -> None:
    try:
        entry = json.loads(line)
    except ValueError:
        return
    if isinstance(entry, dict) and entry.get("message") == _LINE:
        counts[str(entry.get("Reason")), entry.get("field")] += len(entry.get("recordIds", ()))
