"""Enrichment by Powertools for AWS Lambda and pydantic: typed events, typed readings, typed responses."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

from aws_lambda_powertools.utilities.data_classes import (
    KinesisFirehoseDataTransformationRecord,
    KinesisFirehoseDataTransformationResponse,
    KinesisFirehoseEvent,
)
from aws_lambda_powertools.utilities.data_classes.kinesis_firehose_event import KinesisFirehoseRecord
from pydantic import BaseModel, Field, ValidationError

Enrich = Callable[[bytes, str], BaseModel]


class DeviceReading(BaseModel):
    """What a device of the walkthrough sends."""

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
    return _respond(event, _enrich)


respond = lambda_handler


def _respond(event: dict[str, Any], enrich: Enrich) -> dict[str, Any]:
    response = KinesisFirehoseDataTransformationResponse()
    for record in KinesisFirehoseEvent(event).records:
        response.add_record(_transform(record, enrich))
    return response.asdict()


def _transform(record: KinesisFirehoseRecord, enrich: Enrich) -> KinesisFirehoseDataTransformationRecord:
    arrival = record.metadata.approximate_arrival_timestamp if record.metadata else 0
    arrived = datetime.fromtimestamp(arrival / 1000, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    try:
        document = enrich(record.data_as_bytes, arrived)
    except ValidationError:
        return KinesisFirehoseDataTransformationRecord(record.record_id, result="ProcessingFailed", data=record.data)
    data = b64encode(document.model_dump_json(exclude_none=True).encode() + b"\n").decode()
    return KinesisFirehoseDataTransformationRecord(record.record_id, result="Ok", data=data)


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _enrich(raw: bytes, arrived: str) -> BaseModel:
    reading = DeviceReading.model_validate_json(raw)
    celsius = _whole(reading.device_temp)
    return Document(
        uuid=reading.uuid,
        timestamp=reading.device_ts.isoformat(timespec="milliseconds"),
        device_id=reading.device_id,
        temp_celsius=celsius,
        temp_fahrenheit=round(celsius * 1.8 + 32, 10),
        track_id=reading.track_id,
        activity_type=reading.activity_type,
        ingested_at=arrived,
    )


# ---- a cold store's reading ------------------------------------------------------------------------------------


class ColdStoreReading(BaseModel):
    """What a cold store's sensor sends."""

    sensor: str
    site: str
    at: datetime
    temp_c: Annotated[float, Field(ge=-60, le=60)]
    humidity: Annotated[float, Field(ge=0, le=100)] | None = None
    battery_mv: Annotated[int, Field(ge=0, le=10000)] | None = None
    door: str | None = None


class ColdStoreDocument(BaseModel):
    """What OpenSearch gets."""

    sensor: str
    site: str
    at: str
    temp_c: int | float
    temp_f: float
    humidity: int | float | None
    battery_mv: int | None
    door: str | None
    ingested_at: str


def respond_cold_store(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the response to a Firehose event."""
    return _respond(event, _enrich_cold_store)


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _enrich_cold_store(raw: bytes, arrived: str) -> BaseModel:
    reading = ColdStoreReading.model_validate_json(raw)
    return ColdStoreDocument(
        sensor=reading.sensor,
        site=reading.site,
        at=_utc(reading.at),
        temp_c=_whole(reading.temp_c),
        temp_f=round(reading.temp_c * 1.8 + 32, 2),
        humidity=None if reading.humidity is None else _whole(reading.humidity),
        battery_mv=reading.battery_mv,
        door=reading.door,
        ingested_at=arrived,
    )


# ---- a vendor's message ----------------------------------------------------------------------------------------


class Meta(BaseModel):
    """Of the network server."""

    id: str
    received_at: datetime


class Ids(BaseModel):
    """Of the device."""

    dev_eui: str
    application: str
    address: str | None = None


class Version(BaseModel):
    """Of the device."""

    firmware: str | None = None
    hardware: str | None = None


class Point(BaseModel):
    """Where the device is."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class EndDevice(BaseModel):
    """The device."""

    ids: Ids
    version: Version | None = None
    installed: int | None = None
    location: Point | None = None


class Payload(BaseModel):
    """What the device measured."""

    temperature: Annotated[float, Field(ge=-60, le=120)]
    humidity: Annotated[float, Field(ge=0, le=100)] | None = None
    pressure: float | None = None
    co2: Annotated[int, Field(ge=0)] | None = None
    light: float | None = None
    motion: bool | None = None
    battery: float | None = None
    measured: int | None = None


class RadioSettings(BaseModel):
    """How the message was sent."""

    frequency: int | None = None
    bandwidth: int | None = None
    spreading_factor: Annotated[int, Field(ge=5, le=12)] | None = None


class Radio(BaseModel):
    """How the message was received."""

    rssi: int | None = None
    snr: float | None = None
    gateway_ip: IPv4Address | IPv6Address | None = None
    gateway_id: Annotated[str | None, Field(alias="gateway.id")] = None
    settings: RadioSettings


class Uplink(BaseModel):
    """The message."""

    port: Annotated[int, Field(ge=1, le=255)]
    counter: Annotated[int, Field(ge=0)]
    confirmed: bool | None = None
    airtime: int | None = None
    payload: Payload
    radio: Radio


class VendorReading(BaseModel):
    """What the network server sends."""

    meta: Meta
    end_device: EndDevice
    uplink: Uplink


class VendorDocument(BaseModel):
    """What OpenSearch gets."""

    message_id: str
    received: str
    device: str
    application: str
    address: str | None
    firmware: str | None
    hardware: str | None
    installed: str | None
    location: dict[str, int | float] | None
    port: int
    counter: int
    confirmed: bool | None
    temperature: int | float
    temperature_f: float
    humidity: int | float | None
    pressure: int | float | None
    co2: int | None
    light: int | float | None
    motion: bool | None
    battery_v: int | float | None
    battery_mv: float | None
    measured: str | None
    rssi: int | None
    snr: int | float | None
    frequency: int | None
    bandwidth: int | None
    spreading_factor: int | None
    gateway: str | None
    gateway_ip: str | None
    airtime_ns: int | None
    ingested_at: str


def respond_vendor(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the response to a Firehose event; fields that are not described are left out, which is less work."""
    return _respond(event, _enrich_vendor)


def _whole_or_none(number: float | None) -> int | float | None:
    return None if number is None else _whole(number)


def _epoch(seconds: float | None) -> str | None:
    return None if seconds is None else _utc(datetime.fromtimestamp(seconds, UTC))


def _enrich_vendor(raw: bytes, arrived: str) -> BaseModel:
    reading = VendorReading.model_validate_json(raw)
    device, uplink = reading.end_device, reading.uplink
    payload, radio, version = uplink.payload, uplink.radio, device.version or Version()
    location = device.location
    return VendorDocument(
        message_id=reading.meta.id,
        received=_utc(reading.meta.received_at),
        device=device.ids.dev_eui,
        application=device.ids.application,
        address=device.ids.address,
        firmware=version.firmware,
        hardware=version.hardware,
        installed=_epoch(device.installed),
        location={"lat": _whole(location.lat), "lon": _whole(location.lon)} if location else None,
        port=uplink.port,
        counter=uplink.counter,
        confirmed=uplink.confirmed,
        temperature=_whole(payload.temperature),
        temperature_f=round(payload.temperature * 1.8 + 32, 1),
        humidity=_whole_or_none(payload.humidity),
        pressure=_whole_or_none(payload.pressure),
        co2=payload.co2,
        light=_whole_or_none(payload.light),
        motion=payload.motion,
        battery_v=_whole_or_none(payload.battery),
        battery_mv=None if payload.battery is None else round(payload.battery * 1000, 0),
        measured=None if payload.measured is None else _epoch(payload.measured / 1000),
        rssi=radio.rssi,
        snr=_whole_or_none(radio.snr),
        frequency=radio.settings.frequency,
        bandwidth=radio.settings.bandwidth,
        spreading_factor=radio.settings.spreading_factor,
        gateway=radio.gateway_id,
        gateway_ip=None if radio.gateway_ip is None else str(radio.gateway_ip),
        airtime_ns=uplink.airtime,
        ingested_at=arrived,
    )
