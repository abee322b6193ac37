"""Select failed records by arrival, code, kind and reason."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Final

from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import FailedRecord, FailureKind

__all__ = ["Selection", "SelectionError", "Selector", "parse_time"]

_AGO: Final = re.compile(r"(?:now-)?(\d{1,9})([smhdw])")
_MOST_KEPT: Final = 1000  # different codes and reasons: what is in the bucket may be another program's
_MOST_TOLD: Final = 10
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class SelectionError(IotStreamError):
    """A filter is not valid."""


@dataclass(frozen=True)
class Selection:
    """Filters; an empty one takes every record.

    Attributes:
        since_ms: earliest arrival (epoch milliseconds), inclusive. A record without a time of arrival is not
            selected if a time is given.
        until_ms: latest arrival, exclusive.
        codes: AWS's error codes.
        reasons: reasons, each whole (`field_missing: device_ts`) or without its field (`field_missing`).
        kind: processing failures or failed documents only.

    Raises:
        SelectionError: no time is in the range.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    codes: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    kind: FailureKind | None = None

    def __post_init__(self) -> None:
        if self.since_ms is not None and self.until_ms is not None and self.since_ms >= self.until_ms:
            raise SelectionError("--since is not before --until: of two ages, --since is the larger one")

    def takes(self, record: FailedRecord, reasons: Callable[[FailedRecord], tuple[str, ...]]) -> bool:
        """Return whether `record` is selected; recompute its reasons only if a filter needs them."""
        if self.kind is not None and record.kind is not self.kind:
            return False
        if self.codes and record.code not in self.codes:
            return False
        if not self._in_time(record.arrived_ms):
            return False
        return not self.reasons or any(self._names(reason) for reason in reasons(record))

    def _names(self, reason: str) -> bool:
        return reason in self.reasons or reason.partition(":")[0] in self.reasons

    def _in_time(self, arrived_ms: int | None) -> bool:
        if self.since_ms is None and self.until_ms is None:
            return True
        if arrived_ms is None:
            return False
        after = self.since_ms is None or arrived_ms >= self.since_ms
        return after and (self.until_ms is None or arrived_ms < self.until_ms)


class Selector:
    """Selects records, and tells which codes or reasons there are if those that are wanted select none.

    Args:
        selection: the filters.
        reasons: of a record; they are recomputed only if a filter needs them.
    """

    def __init__(self, selection: Selection, reasons: Callable[[FailedRecord], tuple[str, ...]]) -> None:
        self._selection = selection
        self._reasons = reasons
        self._of_any_reason = replace(selection, reasons=frozenset())
        self._of_any_value = replace(self._of_any_reason, codes=frozenset())
        self._codes: Counter[str] = Counter()
        self._reasons_of_code: Counter[str] = Counter()
        self._any = False

    def takes(self, record: FailedRecord) -> bool:
        """Return whether `record` is selected."""
        found = cache(lambda: self._reasons(record))
        taken = self._selection.takes(record, lambda _: found())
        self._any |= taken
        if not self._any and self._of_any_value.takes(record, lambda _: found()):
            _note(self._codes, record.code)
            if self._selection.reasons and self._of_any_reason.takes(record, lambda _: found()):
                for reason in found():
                    _note(self._reasons_of_code, reason)
        return taken

    def hints(self) -> list[str]:
        """Return what could be selected instead, if nothing was: the codes, or the reasons of the code's records."""
        if self._any:
            return []
        chosen = self._selection
        if chosen.codes and not chosen.codes.intersection(self._codes):
            return _told("codes", self._codes, chosen.codes)
        return _told("reasons", self._reasons_of_code, chosen.reasons) if chosen.reasons else []


def _note(counts: Counter[str], value: str) -> None:
    if value and (value in counts or len(counts) < _MOST_KEPT):
        counts[value] += 1


def _told(what: str, counts: Counter[str], wanted: Iterable[str]) -> list[str]:
    """Return a line with the values that there are: first those like a wanted one, then the most frequent."""
    by_number = [value for value, _ in counts.most_common()]
    longer = [value for value in by_number if any(each in value for each in wanted)]
    near = [value for each in sorted(wanted) for value in get_close_matches(each, by_number)]
    values = [*dict.fromkeys([*longer, *near, *by_number])]
    if not values:
        return []
    shown = ", ".join(f"{value} ({counts[value]:,})" for value in values[:_MOST_TOLD])
    more = f", and {len(values) - _MOST_TOLD:,} more" if len(values) > _MOST_TOLD else ""
    return [f"the failed records have the {what}: {shown}{more}"]


def parse_time(text: str, now: datetime) -> int:
    """Return a time as epoch milliseconds.

    Args:
        text: ISO 8601 (UTC where it has no offset), or an age: `90m`, `now-2h`, `7d`.
        now: an aware time.

    Raises:
        SelectionError: it is neither.
    """
    try:
        if text == "now":
            return _epoch_ms(now)
        if age := _AGO.fullmatch(text):
            return _epoch_ms(now - timedelta(**{_UNITS[age[2]]: int(age[1])}))
        time = datetime.fromisoformat(text)
        return _epoch_ms(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise SelectionError(
            f"{text!r} is not a valid time: write 2026-11-26T10:15:00, or an age such as 90m, 2h or 7d"
        ) from None


def _epoch_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
