"""One device reading → one document, or the named reason why not. Pure: no clock, environment, logger or AWS."""

from datetime import tzinfo
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from enrichment import lenient
from enrichment.reasons import ReadingError, Reason
from enrichment.timestamps import from_device, from_epoch

__all__ = ["DeviceReading", "Document", "encode", "enrich"]

ABSOLUTE_ZERO: Final = -273.15  # °C
HIGHEST_CELSIUS: Final = 1e12  # no device's, and in both units still exact to 0.001 in a double

_Id = Annotated[int, Meta(ge=lenient.SMALLEST_ID, le=lenient.LARGEST_ID)]


class DeviceReading(msgspec.Struct, gc=False):
    """What a device sends, in its canonical form: other forms are `lenient`'s."""

    uuid: str
    device_ts: str
    device_id: _Id
    device_temp: int | float
    track_id: _Id
    activity_type: str


class Document(msgspec.Struct, gc=False):
    """What OpenSearch gets: the seed's seven fields in the seed's order, and when Kinesis or Firehose had it."""

    uuid: str
    timestamp: str
    device_id: int
    temp_celsius: int | float
    temp_fahrenheit: float
    track_id: int
    activity_type: str
    ingested_at: str | UnsetType = UNSET


_decode = msgspec.json.Decoder(DeviceReading).decode
_encode_lines = msgspec.json.Encoder().encode_lines


def enrich(raw: bytes, arrived_at: object, zone: tzinfo) -> Document:
    """Return the document of one reading.

    Args:
        raw: the record's data, whatever it may be.
        arrived_at: `approximateArrivalTimestamp` in epoch milliseconds; anything else leaves `ingested_at` out.
        zone: what a device time without an offset means.

    Raises:
        ReadingError: the reading can't become a document; says why, without quoting it.
    """
    try:
        reading = _decode(raw.decode())
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        reading = None
    if reading is None:
        reading = DeviceReading(**lenient.read(raw))
    if len(raw) > lenient.LARGEST_TEXT:  # no text is longer than what it came in
        lenient.require_keyword(reading.uuid, "uuid")
        lenient.require_keyword(reading.activity_type, "activity_type")
    timestamp = from_device(reading.device_ts, zone)
    celsius, fahrenheit = _temperatures(reading.device_temp)
    return Document(
        reading.uuid,
        timestamp,
        reading.device_id,
        celsius,
        fahrenheit,
        reading.track_id,
        reading.activity_type,
        from_epoch(arrived_at) or UNSET,
    )


def encode(documents: list[Document]) -> list[bytes]:
    """Return each document as a newline-terminated line of UTF-8 JSON, as Firehose wants it for OpenSearch."""
    return _encode_lines(documents).splitlines(keepends=True)  # JSON escapes line ends, so these are the only ones


@lru_cache(maxsize=4096)  # temperatures repeat, and rounding alone takes as long as decoding a reading
def _temperatures(celsius: float) -> tuple[int | float, float]:
    """Return °C and °F: decimals are kept; whole numbers, minus zero too, are written as the seed did, without a point.

    Ten decimals drop the binary noise of °F: 78.8, not 78.80000000000001.
    """
    if not ABSOLUTE_ZERO <= celsius <= HIGHEST_CELSIUS:
        raise ReadingError(Reason.NUMBER_OUT_OF_RANGE, "device_temp")
    kept = int(celsius) if celsius == int(celsius) else celsius
    return kept, round(kept * 1.8 + 32, 10) + 0.0  # minus zero, at -17.777… °C, is 0.0 too
