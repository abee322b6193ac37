"""The reasons for which a record is returned as ProcessingFailed, explained in docs/fields.md."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["ADVICE", "Cause", "ReadingError", "Reason", "UnusableError"]


class Reason(StrEnum):
    """A reason for ProcessingFailed; its value is used in logs and in the metric dimension `Reason`."""

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
    Reason.MSK_RECORD: "use a Kinesis data stream or direct put as the source: Amazon MSK records have another format",
    Reason.EMPTY: "do not send empty records",
    Reason.CLOUDWATCH_LOGS: "remove the subscription filter that sends CloudWatch Logs to this stream",
    Reason.GZIP: "send plain JSON: readings must not be compressed",
    Reason.BYTE_ORDER_MARK: "send UTF-8 without a byte order mark",
    Reason.UTF16: "send UTF-8: the data is UTF-16 or UTF-32",
    Reason.NOT_UTF8: "send UTF-8: the data is in another encoding, compressed or encrypted",
    Reason.NOT_JSON: "send exactly one valid JSON object (RFC 8259) per record",
    Reason.SEVERAL_READINGS: "put each reading into its own record (PutRecords accepts up to 500 records)",
    Reason.NESTED_TOO_DEEP: "send less deeply nested JSON",
    Reason.NOT_AN_OBJECT: "send a JSON object: the record is JSON, but not an object",
    Reason.SNS_ENVELOPE: "turn on raw message delivery in the SNS subscription",
    Reason.IOT_RULE_ENVELOPE: "make the AWS IoT rule send the payload itself: no error action, no encode(*, 'base64')",
    Reason.FIELD_MISSING: "send the field, or make it optional in readings.toml",
    Reason.WRONG_TYPE: "send the type given in readings.toml, or change the type there",
    Reason.NOT_WHOLE: "send a whole number, or make the field a double in readings.toml",
    Reason.NUMBER_OUT_OF_RANGE: "check the device, or change min and max in readings.toml",
    Reason.BAD_TIMESTAMP: "send a time in a format of docs/fields.md; a number needs a format in readings.toml",
    Reason.BAD_IP: "send one IPv4 or IPv6 address",
    Reason.BAD_GEO_POINT: 'send {"lat": 52.1, "lon": 4.3}, "52.1,4.3" or [4.3, 52.1] in degrees',
    Reason.TEXT_TOO_LONG: "send at most 32,766 bytes of UTF-8, the limit for a keyword",
    Reason.LONE_SURROGATE: "send valid Unicode: the text has an unpaired surrogate",
    Reason.RESPONSE_TOO_LARGE: "reduce the delivery stream's transformation buffer size",
}
"""What to do about each reason; logged with the reason."""


class Cause(NamedTuple):
    """A reason, and the field it applies to, if any. Both come from fixed sets of names and are safe to log."""

    reason: Reason
    field: str | None = None

    def __str__(self) -> str:
        """Return the cause as text, for errors and golden files."""
        return f"{self.reason}: {self.field}" if self.field else str(self.reason)


class ReadingError(Exception):
    """The record can't be transformed; `causes` lists all that is wrong with it, without payload."""

    def __init__(self, causes: Iterable[Cause]) -> None:
        """Create the error from all causes, in the order of the description's fields."""
        self.causes = tuple(causes)
        super().__init__(", ".join(map(str, self.causes)))


class UnusableError(ValueError):
    """A value is not valid for its field; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        """Create the error from a reason."""
        super().__init__(str(reason))
        self.reason = reason
