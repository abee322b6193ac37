"""Why a record is returned as ProcessingFailed: a closed set, explained in docs/fields.md."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Cause", "ReadingError", "Reason"]


class Reason(StrEnum):
    """A cause of ProcessingFailed, as logs and the metric's dimension `Reason` spell it."""

    NOT_BASE64 = "not_base64"
    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NESTED_TOO_DEEP = "nested_too_deep"
    NOT_AN_OBJECT = "not_an_object"
    FIELD_MISSING = "field_missing"
    WRONG_TYPE = "wrong_type"
    NOT_WHOLE = "not_whole"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    TEXT_TOO_LONG = "text_too_long"
    LONE_SURROGATE = "lone_surrogate"
    RESPONSE_TOO_LARGE = "response_too_large"


class Cause(NamedTuple):
    """A reason, and the reading's field where there is one: names from closed sets, safe to log."""

    reason: Reason
    field: str | None = None


class ReadingError(Exception):
    """The record can't become a document; `cause` says why, without payload."""

    def __init__(self, reason: Reason, field: str | None = None) -> None:
        """Create the error from a reason and an optional field."""
        super().__init__(f"{reason}: {field}" if field else str(reason))
        self.cause = Cause(reason, field)
