"""Enrichment by Powertools for AWS Lambda and pydantic: typed events, typed readings, typed responses."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.data_classes import (
    KinesisFirehoseDataTransformationRecord,
    KinesisFirehoseDataTransformationResponse,
    KinesisFirehoseEvent,
)
from aws_lambda_powertools.utilities.data_classes.kinesis_firehose_event import KinesisFirehoseRecord
from pydantic import BaseModel, ValidationError


class DeviceReading(BaseModel):
    """What a device sends."""

    uuid: str
    device_ts: datetime
    device_id: int
    device_temp: float
    track_id: int
    activity_type: str


class Document(BaseModel):
    """What OpenSearch gets."""

    uuid: str
    timestamp: str
    device_id: int
    temp_celsius: int | float
    temp_fahrenheit: float
    track_id: int
    activity_type: str
    ingested_at: str


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the response to a Firehose event."""
    response = KinesisFirehoseDataTransformationResponse()
    for record in KinesisFirehoseEvent(event).records:
        response.add_record(_transform(record))
    return response.asdict()


def _transform(record: KinesisFirehoseRecord) -> KinesisFirehoseDataTransformationRecord:
    try:
        reading = DeviceReading.model_validate_json(record.data_as_bytes)
    except ValidationError:
        return KinesisFirehoseDataTransformationRecord(record.record_id, result="ProcessingFailed", data=record.data)
    celsius = int(reading.device_temp) if reading.device_temp.is_integer() else reading.device_temp
    arrival = record.metadata.approximate_arrival_timestamp if record.metadata else 0
    document = Document(
        uuid=reading.uuid,
        timestamp=reading.device_ts.isoformat(timespec="milliseconds"),
        device_id=reading.device_id,
        temp_celsius=celsius,
        temp_fahrenheit=round(celsius * 1.8 + 32, 10),
        track_id=reading.track_id,
        activity_type=reading.activity_type,
        ingested_at=datetime.fromtimestamp(arrival / 1000, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    )
    data = b64encode(document.model_dump_json().encode() + b"\n").decode()
    return KinesisFirehoseDataTransformationRecord(record.record_id, result="Ok", data=data)
