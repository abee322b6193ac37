"""Why a record is returned as ProcessingFailed: a closed set, explained in docs/fields.md."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["ADVICE", "Cause", "ReadingError", "Reason", "UnusableError"]


class Reason(StrEnum):
    """A cause of ProcessingFailed, as logs and the metric's dimension `Reason` spell it."""

    NOT_BASE64 = "not_base64"
    MSK_RECORD = "msk_record"
    EMPTY = "empty"
    CLOUDWATCH_LOGS = "cloudwatch_logs"
    GZIP = "gzip"
    BYTE_ORDER_MARK = "byte_order_mark"
    UTF16 = "utf16"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    SEVERAL_READINGS = "several_readings"
    NESTED_TOO_DEEP = "nested_too_deep"
    NOT_AN_OBJECT = "not_an_object"
    SNS_ENVELOPE = "sns_envelope"
    IOT_RULE_ENVELOPE = "iot_rule_envelope"
    FIELD_MISSING = "field_missing"
    WRONG_TYPE = "wrong_type"
    NOT_WHOLE = "not_whole"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_IP = "bad_ip"
    BAD_GEO_POINT = "bad_geo_point"
    TEXT_TOO_LONG = "text_too_long"
    LONE_SURROGATE = "lone_surrogate"
    RESPONSE_TOO_LARGE = "response_too_large"


ADVICE: Final = {
    Reason.NOT_BASE64: "find out who else invokes the function: Firehose always sends strict base64",
    Reason.MSK_RECORD: "use a Kinesis data stream or direct put as the source: records of Amazon MSK have another form",
    Reason.EMPTY: "have the device send a reading, or nothing",
    Reason.CLOUDWATCH_LOGS: "remove the subscription filter that sends CloudWatch Logs to this stream",
    Reason.GZIP: "send plain JSON: readings must not be compressed",
    Reason.BYTE_ORDER_MARK: "write UTF-8 without a byte order mark",
    Reason.UTF16: "write UTF-8: the data is UTF-16 or UTF-32",
    Reason.NOT_UTF8: "write UTF-8: the data is in another encoding, compressed or encrypted",
    Reason.NOT_JSON: "write exactly one JSON object as RFC 8259 has it",
    Reason.SEVERAL_READINGS: "put each reading into a record of its own (PutRecords takes 500 of them)",
    Reason.NESTED_TOO_DEEP: "send less deeply nested JSON",
    Reason.NOT_AN_OBJECT: "send a JSON object: the record is another JSON value",
    Reason.SNS_ENVELOPE: "turn on raw message delivery in the SNS subscription",
    Reason.IOT_RULE_ENVELOPE: "have the AWS IoT rule send the payload itself: no error action, no encode(*, 'base64')",
    Reason.FIELD_MISSING: "send the field, or make it optional in readings.toml",
    Reason.WRONG_TYPE: "send the type that readings.toml has for the field, or change it there",
    Reason.NOT_WHOLE: "send a whole number, or make the field a double in readings.toml",
    Reason.NUMBER_OUT_OF_RANGE: "check the device, or the bounds in readings.toml",
    Reason.BAD_TIMESTAMP: "send a time as docs/fields.md has it, or set the date's format in readings.toml",
    Reason.BAD_IP: "send one IPv4 or IPv6 address",
    Reason.BAD_GEO_POINT: 'send {"lat": 52.1, "lon": 4.3}, "52.1,4.3" or [4.3, 52.1] in degrees',
    Reason.TEXT_TOO_LONG: "send at most 32,766 bytes of UTF-8, the longest keyword",
    Reason.LONE_SURROGATE: "send whole characters: the text has half a surrogate pair",
    Reason.RESPONSE_TOO_LARGE: "lower the delivery stream's transformation buffer",
}
"""What to do about each reason; the function's log says it beside the reason."""


class Cause(NamedTuple):
    """A reason, and the reading's field where there is one: names from closed sets, safe to log."""

    reason: Reason
    field: str | None = None

    def __str__(self) -> str:
        """Return the cause as errors and golden files write it."""
        return f"{self.reason}: {self.field}" if self.field else str(self.reason)


class ReadingError(Exception):
    """The record can't become a document; `causes` says everything that is wrong with it, without payload."""

    def __init__(self, causes: Iterable[Cause]) -> None:
        """Create the error from all causes, in the order of the description's fields."""
        self.causes = tuple(causes)
        super().__init__(", ".join(map(str, self.causes)))


class UnusableError(ValueError):
    """A value can't be what its field is; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        """Create the error from a reason."""
        super().__init__(str(reason))
        self.reason = reason
