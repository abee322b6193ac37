"""The enrichment function and pydantic by the three descriptions of the tests: readings, events and handlers."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from enrichment import handler
from tests.builders import ARRIVED_AT, device_reading, firehose_event, firehose_record, kinesis_metadata
from tests.enrichers import COLD_STORE, VENDOR, WALKTHROUGH, enricher

__all__ = ["DESCRIPTIONS", "make_event", "respond_by"]

_START = datetime(2026, 11, 22, 10, 15, 30, tzinfo=UTC)


def _walkthrough(chance: random.Random, at: datetime) -> dict[str, Any]:
    return device_reading(
        uuid=f"{chance.getrandbits(128):032x}",
        device_ts=f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}",
        device_id=chance.randint(0, 50),
        device_temp=chance.choice((28, 32, 34, 40, 28.7, 33.3)),
        track_id=chance.randint(0, 30),
        activity_type=chance.choice(("Running", "Working", "Walking")),
    )


def _cold_store(chance: random.Random, at: datetime) -> dict[str, Any]:
    return {
        "sensor": f"F-{chance.randint(0, 200):04}",
        "site": chance.choice(("rotterdam", "hamburg", "antwerp")),
        "at": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "temp_c": round(chance.uniform(-25, -12), 1),
        "humidity": round(chance.uniform(40, 90), 1),
        "battery_mv": chance.randint(2400, 3300),
        "door": chance.choice(("open", "closed")),
    }


def _vendor(chance: random.Random, at: datetime) -> dict[str, Any]:
    """Return a message in which all thirty fields are there; the time has nanoseconds, as Go writes it."""
    return {
        "meta": {"id": f"{chance.getrandbits(128):032x}", "received_at": f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z"},
        "end_device": {
            "ids": {
                "dev_eui": f"70B3D57ED00{chance.randint(0, 500):05}",
                "application": chance.choice(("fields", "barns")),
                "address": f"{chance.getrandbits(32):08X}",
            },
            "version": {"firmware": "1.4.2", "hardware": "B"},
            "installed": 1_700_000_000 + chance.randint(0, 500),
            "location": {"lat": round(chance.uniform(50, 53), 4), "lon": round(chance.uniform(3, 7), 4)},
        },
        "uplink": {
            "port": 2,
            "counter": chance.randint(0, 100_000),
            "confirmed": chance.random() < 0.1,
            "airtime": 61_696_000,
            "payload": {
                "temperature": round(chance.uniform(-5, 35), 1),
                "humidity": round(chance.uniform(20, 99), 1),
                "pressure": round(chance.uniform(980, 1040), 1),
                "co2": chance.randint(400, 2000),
                "light": round(chance.uniform(0, 10_000), 1),
                "motion": chance.random() < 0.5,
                "battery": round(chance.uniform(2.2, 3.6), 2),
                "measured": int(at.timestamp() * 1000),
            },
            "radio": {
                "rssi": chance.randint(-120, -60),
                "snr": round(chance.uniform(-10, 12), 2),
                "gateway_ip": f"192.0.2.{chance.randint(1, 20)}",
                "gateway.id": f"gw-{chance.randint(1, 20)}",
                "settings": {"frequency": 868_100_000, "bandwidth": 125_000, "spreading_factor": 7},
            },
        },
    }


def _vendor_with_more(chance: random.Random, at: datetime) -> dict[str, Any]:
    """Return the same message with two fields that are not described, and so are kept."""
    message = _vendor(chance, at)
    message["meta"]["region"] = "eu1"
    message["uplink"]["raw"] = f"{chance.getrandbits(64):016x}"
    return message


DESCRIPTIONS: dict[str, tuple[str, Callable[[random.Random, datetime], dict[str, Any]], str]] = {
    "walkthrough": (WALKTHROUGH, _walkthrough, "respond"),
    "cold store": (COLD_STORE, _cold_store, "respond_cold_store"),
    "vendor": (VENDOR, _vendor, "respond_vendor"),
    "vendor, two fields kept": (VENDOR, _vendor_with_more, "respond_vendor"),
}
"""By name: the description, what makes a reading, and the function of `candidates/powertools_pydantic.py`."""


def make_event(name: str, records: int, seed: int = 6) -> dict[str, Any]:
    """Return a Firehose event from a Kinesis source with readings of a description; devices send every 20 ms."""
    chance = random.Random(seed)
    made = []
    for number in range(records):
        arrived_at = ARRIVED_AT + 20 * number
        reading = DESCRIPTIONS[name][1](chance, _START + timedelta(milliseconds=20 * number))
        metadata = kinesis_metadata(arrived_at, number)
        record_id = f"shardId-000000000000{metadata['sequenceNumber']}".ljust(160, "0")
        made.append(firehose_record(json.dumps(reading), record_id, arrived_at, kinesisRecordMetadata=metadata))
    return firehose_event(*made)


def respond_by(name: str) -> Callable[[dict[str, Any], object], Any]:
    """Return the function's own handler, metrics and log line included, compiled from a description."""
    compiled = enricher(DESCRIPTIONS[name][0])
    return lambda event, _context: handler.respond(event, compiled)
