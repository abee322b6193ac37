"""Why a record is answered with ProcessingFailed: a closed set, explained in docs/fields.md."""

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
    ANSWER_TOO_LARGE = "answer_too_large"


class Cause(NamedTuple):
    """A reason, and the reading's field to blame where there is one: names from closed sets, fit for a log."""

    reason: Reason
    field: str | None = None


class ReadingError(Exception):
    """This record can't become a document; `cause` says why and quotes nothing of the payload."""

    def __init__(self, reason: Reason, field: str | None = None) -> None:
        """Take the cause's two parts."""
        super().__init__(f"{reason}: {field}" if field else str(reason))
        self.cause = Cause(reason, field)
