"""Recognize well-known data that is not a JSON reading, so that the failure's reason can name it. Pure.

The data is not unpacked: a record contains one reading, so that each failure refers to one record.
"""

import json
import zlib
from base64 import b64decode
from binascii import Error
from typing import Any, Final

from enrichment.reasons import Reason
from enrichment.values import WHITE_SPACE

__all__ = ["encoding_of", "envelope_of", "is_several_values"]

_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_INFLATED: Final = 4096  # bytes of compressed data to look at
_SNS_KEYS: Final = {"Type", "MessageId", "TopicArn", "Message"}
_IOT_ERROR_KEYS: Final = {"ruleName", "topic", "base64OriginalPayload", "failures"}


def encoding_of(raw: bytes) -> Reason | None:
    """Return why bytes are not text in UTF-8 without a byte order mark; None where they are."""
    if not raw.strip(WHITE_SPACE.encode()):
        return Reason.EMPTY
    if raw.startswith(_GZIP):
        return Reason.CLOUDWATCH_LOGS if _is_cloudwatch_logs(raw) else Reason.GZIP
    if raw.startswith(_BYTE_ORDER_MARK):
        return Reason.BYTE_ORDER_MARK
    if raw.startswith(_UTF16_MARKS) or b"\x00" in raw[:2]:  # JSON begins with ASCII, which has a zero byte there
        return Reason.UTF16
    try:
        raw.decode()
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    return None


def is_several_values(text: str) -> bool:
    """Return whether text that is not JSON is several objects, on separate lines or concatenated."""
    try:
        first, end = json.JSONDecoder().raw_decode(text.lstrip(WHITE_SPACE))
    except (ValueError, RecursionError):
        return False
    rest = text.lstrip(WHITE_SPACE)[end:].lstrip(WHITE_SPACE + ",")
    return isinstance(first, dict) and rest.startswith("{")


def envelope_of(reading: dict[str, Any], *, lacks_fields: bool) -> Reason | None:
    """Return the reason for an envelope around a reading, or None for another object.

    Args:
        reading: the object.
        lacks_fields: nothing is wrong with it but that fields are missing. Then a base64 object among other fields is
            the reading: `SELECT encode(*, 'base64') AS data, topic() AS topic`. A device's own base64 object beside a
            field that is wrong hides no reason.

    Sources: Amazon SNS Developer Guide, "HTTP/HTTPS notification JSON format" (what subscriptions without raw message
    delivery send); AWS IoT Core Developer Guide, "Error handling (error action)" and "Functions" (`encode`).
    """
    if reading.get("Type") == "Notification" and reading.keys() >= _SNS_KEYS:
        return Reason.SNS_ENVELOPE
    if reading.keys() >= _IOT_ERROR_KEYS or (
        (lacks_fields or len(reading) == 1) and any(_is_encoded_object(value) for value in reading.values())
    ):
        return Reason.IOT_RULE_ENVELOPE
    return None


def _is_encoded_object(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return b64decode(value, validate=True).lstrip().startswith(b"{")
    except (Error, ValueError):
        return False


def _is_cloudwatch_logs(raw: bytes) -> bool:
    """Return whether gzip holds what a subscription filter sends.

    Source: Amazon CloudWatch Logs User Guide, "Log group-level subscription filters": gzip of an object with
    `messageType`, `owner`, `logGroup`, `logStream`, `subscriptionFilters` and `logEvents`.
    """
    try:
        begin = zlib.decompressobj(wbits=31).decompress(raw, _INFLATED)
    except zlib.error:
        return False
    return b'"messageType"' in begin and b'"logGroup"' in begin
