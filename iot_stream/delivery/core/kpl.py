"""Deaggregate records of the Kinesis Producer Library.

The format is the "KPL Aggregated Record Format": a magic number, a protobuf message, its MD5. The published Python
library is not suitable for a service: it changes sys.path when it is imported, prints payloads to stderr when a record
is damaged, and then loses the rest of that record.
"""

import base64
import hashlib
from typing import NamedTuple

__all__ = ["UserRecord", "deaggregate", "encode", "looks_aggregated"]

_MAGIC = b"\xf3\x89\x9a\xc2"
_MAGIC_BASE64 = "84maw"  # the magic's first 30 bits; the sixth character is shared with what follows
_DIGEST_SIZE = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}


class UserRecord(NamedTuple):
    """One of the records that the producer aggregated."""

    partition_key: str
    data: bytes


def looks_aggregated(data: str) -> bool:
    """Return whether base64 data may be an aggregated record: a cheap check before `deaggregate`."""
    return data.startswith(_MAGIC_BASE64)


def deaggregate(data: str) -> list[UserRecord] | None:
    """Return the user records in base64 `data`, in order, or None when it is not a valid aggregated record.

    A record that only begins like an aggregated one is a plain record, as it is to the KCL.
    """
    raw = base64.b64decode(data)
    message = raw[len(_MAGIC) : -_DIGEST_SIZE]
    if not raw.startswith(_MAGIC) or not message:
        return None
    if hashlib.md5(message, usedforsecurity=False).digest() != raw[-_DIGEST_SIZE:]:
        return None
    try:
        return _read_aggregated(message)
    except (ValueError, IndexError):  # UnicodeDecodeError is a ValueError
        return None


def encode(data: bytes) -> str:
    """Return the base64 that a user record would have if it had been sent alone."""
    return base64.b64encode(data).decode()


def _read_aggregated(message: bytes) -> list[UserRecord]:
    keys: list[str] = []
    entries: list[bytes] = []
    for field, value in _read_fields(message):
        if field == 1 and isinstance(value, bytes):
            keys.append(value.decode())
        elif field == 3 and isinstance(value, bytes):  # noqa: PLR2004 - the field number of AggregatedRecord.records
            entries.append(value)
    return [_read_entry(entry, keys) for entry in entries]


def _read_entry(entry: bytes, keys: list[str]) -> UserRecord:
    fields = dict(_read_fields(entry))
    index, data = fields.get(1), fields.get(3)
    if not isinstance(index, int) or not isinstance(data, bytes):
        raise ValueError(  # noqa: TRY004 - the message is malformed, whatever the type
            "a user record lacks its partition key's index or its data"
        )
    return UserRecord(keys[index], data)


def _read_fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """Return the fields of a protobuf message in order: (number, integer or bytes)."""
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            fields.append((number, value))
            continue
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        elif kind in _FIXED_SIZE:
            size = _FIXED_SIZE[kind]
        else:
            raise ValueError(f"unsupported wire type {kind}")
        if at + size > len(message):
            raise ValueError("a field ends after its message")
        fields.append((number, message[at : at + size]))
        at += size
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
        shift += 7
