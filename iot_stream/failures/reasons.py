"""Find why a record failed: all reasons by the function's rules for a reading, the error type for a document.

Firehose writes the same message for every reading that the function rejects, so the reasons are recomputed with the
function and readings.toml of this clone. A stack that was deployed from other files may have other reasons.
"""

import re
from datetime import tzinfo
from typing import Final

from iot_stream.description import Enricher, ReadingError, load
from iot_stream.failure_objects import FailedRecord, FailureKind

__all__ = ["VALID", "Reasons"]

VALID: Final = "valid"
"""In place of a reason: the function accepts the reading, now that the cause is cured or if it failed itself."""

_ERROR_TYPE: Final = re.compile(r"\b[a-z][a-z_]*_exception\b")
_STATUS: Final = re.compile(r"\d{3}")


class Reasons:
    """Recomputes reasons.

    Args:
        zone: what a device time without an offset means (parameter `DeviceTimeZone` of the stack).
    """

    def __init__(self, zone: tzinfo) -> None:
        self._enricher = Enricher(load(), zone)

    def of(self, record: FailedRecord) -> tuple[str, ...]:
        """Return the reasons of a failed record, such as `field_missing: device_ts`; VALID if it has none."""
        if record.problem or record.data is None:
            return (record.problem or "no data",)
        if record.kind is FailureKind.DOCUMENT:
            return _reasons_of_document(record)
        return self.of_reading(record.data) or (VALID,)

    def of_reading(self, data: bytes) -> tuple[str, ...]:
        """Return why the function rejects a reading; empty if it does not."""
        try:
            self._enricher.enrich(data)
        except ReadingError as error:
            return tuple(str(cause) for cause in error.causes)
        return ()


def _reasons_of_document(record: FailedRecord) -> tuple[str, ...]:
    """Return OpenSearch's error types, which quote nothing of the document; else the code."""
    types = dict.fromkeys(_ERROR_TYPE.findall(record.message))
    return tuple(types) or ((f"HTTP {record.code}" if _STATUS.fullmatch(record.code) else record.code or "unknown"),)
