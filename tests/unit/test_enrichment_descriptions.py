"""Readings of other descriptions than the walkthrough's: cold stores, a vendor's nested message, and random ones."""

import json
from base64 import b64decode
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from enrichment.reading import encode
from enrichment.reasons import ReadingError
from tests.builders import ARRIVED_AT, firehose_event, firehose_record
from tests.enrichers import COLD_STORE, VENDOR, enrich, transform
from tests.examples import examples
from tests.slow_enrichment import Refusal, slow_document

COLD_STORE_READING = {
    "sensor": "F-0042", "site": "rotterdam", "at": "2026-11-26T07:15:30.250Z", "temp_c": -18.4, "humidity": 61.5,
    "battery_mv": 2980, "door": "closed",
}  # fmt: skip
VENDOR_READING: dict[str, Any] = {
    "meta": {"id": "01HF", "received_at": "2026-11-26T07:15:30.250123456Z", "region": "eu1"},
    "end_device": {
        "ids": {"dev_eui": "70B3D57ED005A4B2", "application": "fields", "address": "260B1A2C"},
        "version": {"firmware": "1.4.2", "hardware": "B"},
        "installed": 1_700_000_000,
        "location": {"latitude": 52.1, "longitude": 4.0},
    },
    "uplink": {
        "port": 2, "counter": 4711, "confirmed": False, "airtime": 61_696_000,
        "payload": {"temperature": 21.0, "humidity": 40, "co2": 612, "motion": True, "battery": 3.1,
                    "measured": 1_795_677_330_000},
        "radio": {"rssi": -97, "snr": 7.25, "gateway_ip": "2001:db8::1", "gateway.id": "gw-1",
                  "settings": {"frequency": 868_100_000, "bandwidth": 125_000, "spreading_factor": 7}},
        "raw": "AQID",
    },
}  # fmt: skip


def document(reading: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the document of a reading as OpenSearch reads it."""
    [line] = encode([enrich(json.dumps(reading).encode(), None, UTC, description)])
    read: dict[str, Any] = json.loads(line)
    return read


def causes(reading: dict[str, Any], description: str) -> list[str]:
    """Return everything that is wrong with a reading."""
    with pytest.raises(ReadingError) as refused:
        enrich(json.dumps(reading).encode(), None, UTC, description)
    return [str(cause) for cause in refused.value.causes]


def test_a_cold_store_s_reading_becomes_its_document() -> None:
    """The order of the description, °F by scale and offset, nothing but what is described."""
    [line] = encode([enrich(json.dumps(COLD_STORE_READING).encode(), ARRIVED_AT, UTC, COLD_STORE)])
    assert line == (
        b'{"sensor":"F-0042","site":"rotterdam","at":"2026-11-26T07:15:30.250","temp_c":-18.4,"temp_f":-1.12,'
        b'"humidity":61.5,"battery_mv":2980,"door":"closed","ingested_at":"2026-11-22T10:15:30.456"}\n'
    )


@pytest.mark.parametrize("absent", [..., None], ids=["absent", "null"])
def test_an_optional_field_is_left_out(absent: Any) -> None:
    """Absent and null are the same for an optional field."""
    changes = {"humidity": absent, "battery_mv": absent, "door": absent}
    reading = {key: value for key, value in (COLD_STORE_READING | changes).items() if value is not ...}
    assert list(document(reading, COLD_STORE)) == ["sensor", "site", "at", "temp_c", "temp_f"]


def test_everything_wrong_with_a_cold_store_s_reading_is_named() -> None:
    """Bounds, types and optional fields alike, in the order of the description."""
    reading = {"sensor": 42, "at": "07:15", "temp_c": 61, "humidity": -1, "battery_mv": 2980.5, "door": False}
    assert causes(reading, COLD_STORE) == [
        "wrong_type: sensor", "field_missing: site", "bad_timestamp: at", "number_out_of_range: temp_c",
        "number_out_of_range: humidity", "not_whole: battery_mv", "wrong_type: door",
    ]  # fmt: skip


def test_a_vendor_s_message_becomes_a_flat_document() -> None:
    """Paths, a key with a dot, epochs, a point, an address; what is not described is kept, nested as it was."""
    made = document(VENDOR_READING, VENDOR)
    assert made["received"] == "2026-11-26T07:15:30.250"
    assert made["installed"] == "2023-11-14T22:13:20.000"
    assert made["measured"] == "2026-11-26T07:15:30.000"
    assert made["location"] == {"lat": 52.1, "lon": 4}
    assert (made["temperature"], made["temperature_f"], made["battery_mv"]) == (21, 69.8, 3100.0)
    assert (made["gateway"], made["gateway_ip"], made["confirmed"], made["motion"]) == (
        "gw-1",
        "2001:db8::1",
        False,
        True,
    )
    assert made["unknown_fields"] == {"meta": {"region": "eu1"}, "uplink": {"raw": "AQID"}}
    assert list(made)[-1] == "unknown_fields"


def test_undescribed_fields_are_kept_to_the_digit_on_one_line() -> None:
    """Numbers that no double holds stay as they were written; line ends between tokens don't break the line."""
    raw = json.dumps(VENDOR_READING, indent=2).replace('"AQID"', '[1.00000000000000000001,\r\n 1e999, "a\\nb"]')
    [line] = encode([enrich(raw.encode(), None, UTC, VENDOR)])
    assert line.count(b"\n") == 1
    assert b'"raw":[1.00000000000000000001,   1e999, "a\\nb"]' in line


def test_an_undescribed_field_that_can_not_be_written_fails_its_reading_where_it_would_be_kept() -> None:
    """With keep nothing is lost: the reading goes to the backup bucket. With drop it does not matter."""
    assert causes(VENDOR_READING | {"note": "\ud800"}, VENDOR) == ["lone_surrogate"]
    assert document(COLD_STORE_READING | {"note": "\ud800"}, COLD_STORE)["sensor"] == "F-0042"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"lat": 52.1, "lon": 4.3}, {"lat": 52.1, "lon": 4.3}),
        ({"latitude": "52.1", "longitude": 4, "altitude": 3}, {"lat": 52.1, "lon": 4}),
        ({"lat": 52.1, "lng": "4.3"}, {"lat": 52.1, "lon": 4.3}),
        ({"lat": 52.1, "lon": 4.3, "lng": 9}, {"lat": 52.1, "lon": 4.3}), ({"latitude": 1, "lng": 2}, None),
        ([4.3, 52.1], {"lat": 52.1, "lon": 4.3}),
        ("52.1, 4.3", {"lat": 52.1, "lon": 4.3}),
        ({"lat": -90, "lon": 180.0}, {"lat": -90, "lon": 180}),
        ({"lat": 90.1, "lon": 0}, None), ({"lat": 0, "lon": -180.5}, None), ({"lat": 1}, None), ([1, 2, 3], None),
        ("52.1", None), ("1,2,3", None), ("north,west", None), ({"lat": True, "lon": 1}, None), (7, None),
        (False, None),
    ],
)  # fmt: skip
def test_points_are_read_in_opensearch_s_forms(value: Any, expected: Any) -> None:
    """OpenSearch documentation, "Geopoint field type": object, text, array; degrees within the globe."""
    reading = VENDOR_READING | {"end_device": VENDOR_READING["end_device"] | {"location": value}}
    if expected is None:
        assert causes(reading, VENDOR) == ["bad_geo_point: end_device.location"]
    else:
        assert document(reading, VENDOR)["location"] == expected


@pytest.mark.parametrize("keys", ["lat lon", "lat lng", "latitude longitude"])
@pytest.mark.parametrize("port", [2, "2"], ids=["canonical", "lenient"])
def test_what_a_point_has_beside_its_degrees_is_not_lost_without_a_trace(port: Any, keys: str) -> None:
    """It is an undescribed field as any other: kept, or counted by its name."""
    point = dict(zip(keys.split(), (52.1, 4.3), strict=True)) | {"alt": 3, "acc": {"m": 2}}
    device = VENDOR_READING["end_device"] | {"location": point}
    reading = VENDOR_READING | {"end_device": device, "uplink": VENDOR_READING["uplink"] | {"port": port}}
    kept = document(reading, VENDOR)
    assert kept["location"] == {"lat": 52.1, "lon": 4.3}
    assert kept["unknown_fields"]["end_device"]["location"] == {"alt": 3, "acc": {"m": 2}}
    event = firehose_event(firehose_record(json.dumps(reading).encode()))
    dropped = transform(event, description=VENDOR.replace('unknown = "keep"', 'unknown = "drop"')).dropped
    assert (dropped["end_device.location.alt"], dropped["end_device.location.acc"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("192.0.2.1", True), ("2001:db8::1", True), ("::ffff:192.0.2.1", True), ("192.0.2.256", False), ("", False),
        ("192.0.2.1/24", False), ("fe80::1%eth0", False), ("localhost", False), ("192.0.2.01", False), (" ::1", False),
    ],
)  # fmt: skip
def test_addresses_are_one_address(text: str, good: bool) -> None:
    """No network, no zone, no name."""
    uplink = VENDOR_READING["uplink"]
    reading = VENDOR_READING | {"uplink": uplink | {"radio": {"gateway_ip": text}}}
    if good:
        assert document(reading, VENDOR)["gateway_ip"] == text
    else:
        assert causes(reading, VENDOR) == ["bad_ip: uplink.radio.gateway_ip"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"end_device": None}, ["field_missing: end_device.ids.dev_eui", "field_missing: end_device.ids.application"]),
        ({"uplink": [1]}, [f"wrong_type: uplink.{key}" for key in ("port", "counter", "confirmed")]),
    ],
)  # fmt: skip
def test_an_object_on_the_way_that_is_missing_or_no_object_is_named_by_what_it_should_hold(
    changes: dict[str, Any], expected: list[str]
) -> None:
    """Each field has its own reason, with its whole path."""
    told = causes(VENDOR_READING | changes, VENDOR)
    assert told[: len(expected)] == expected


# ---- random descriptions and random readings of them -------------------------------------------------------------

TYPES = ["keyword", "long", "double", "scaled_float", "boolean", "date", "geo_point", "ip"]
FORMATS = ["text", "epoch_second", "epoch_millis", "epoch_micros", "epoch_nanos"]
KEYS = st.sampled_from(["a", "b", "c", "d.e", "temperature", "ünït", "é", "x y"])


def quoted(text: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=True)


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """Return a valid description as TOML: a time, a device, and up to eight fields of any type."""
    lines = [f'unknown = "{draw(st.sampled_from(["drop", "keep"]))}"']
    paths: list[tuple[str, ...]] = []
    numbers: list[str] = []
    count = draw(st.integers(2, 10))
    kinds = [
        "date",
        draw(st.sampled_from(["keyword", "long"])),
        *(draw(st.sampled_from(TYPES)) for _ in range(count - 2)),
    ]
    for number, kind in enumerate(kinds):
        path = tuple(draw(st.lists(KEYS, min_size=1, max_size=3)))
        if any(path[: len(other)] == other or other[: len(path)] == path for other in paths):
            path = (f"only {number}",)
        paths.append(path)
        lines += [f"[fields.f{number}]", f'type = "{kind}"', f"path = [{', '.join(map(quoted, path))}]"]
        if number < 2:
            lines.append(f'role = "{("time", "device")[number]}"')
        elif draw(st.booleans()):
            lines.append("optional = true")
        if kind == "date":
            lines.append(f'format = "{draw(st.sampled_from(FORMATS))}"')
        if kind == "scaled_float":
            lines.append(f"decimals = {draw(st.integers(0, 9))}")
        if kind in ("long", "double", "scaled_float"):
            numbers.append(f"f{number}")
            if draw(st.booleans()):
                low = draw(st.integers(-100, 100))
                lines += [f"min = {low}", f"max = {low + draw(st.integers(1, 100))}"]
    for number, source in enumerate(draw(st.lists(st.sampled_from(numbers), max_size=2)) if numbers else []):
        scale = draw(st.sampled_from(["1.8", "-0.001", "1000"]))
        lines += [
            f"[fields.d{number}]",
            'type = "double"',
            f'derived_from = "{source}"',
            f"scale = {scale}",
            "offset = 32",
        ]
        lines.append(f"round = {draw(st.integers(0, 12))}")
    return "\n".join(lines)


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
NUMBERS = (
    st.integers(-200, 200) | st.floats(-200, 200) | st.integers() | st.integers(-200, 200).map(lambda n: f" {n}.0")
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "keyword": st.text(max_size=6),
    "long": NUMBERS,
    "double": NUMBERS,
    "scaled_float": NUMBERS,
    "boolean": st.booleans() | st.sampled_from(["true", "false", "True", 1]),
    "geo_point": st.tuples(st.integers(-190, 190), st.floats(-100, 100)).map(list)
    | st.fixed_dictionaries({"lat": st.floats(-91, 91), "lon": st.integers(-181, 181)})
    | st.fixed_dictionaries({"lat": st.integers(-91, 91), "lng": st.floats(-181, 181)}),
    "ip": st.ip_addresses().map(str),
}
TIMES = st.datetimes().map(lambda time: time.isoformat()) | st.datetimes(timezones=st.timezones()).map(str)


@st.composite
def described(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Return a description and readings of it: most values fit, some don't, some are missing, and some are too many."""
    import tomllib  # noqa: PLC0415 - here it is a tool of the generator, not of what is tested

    text = draw(descriptions())
    readings = []
    for _ in range(draw(st.integers(1, 4))):
        reading: dict[str, Any] = {}
        for field in tomllib.loads(text)["fields"].values():
            if "derived_from" in field or draw(st.integers(0, 15)) == 0:
                continue
            good = VALUES.get(field["type"], NUMBERS if field.get("format") != "text" else TIMES)
            value = draw(good if draw(st.integers(0, 9)) else JUNK)
            branch = reading
            for key in field["path"][:-1]:
                branch = branch.setdefault(key, {})
                if not isinstance(branch, dict):
                    break
            else:
                branch[field["path"][-1]] = value
        if draw(st.booleans()):
            reading |= {
                key: value for key, value in draw(st.dictionaries(KEYS, JUNK, max_size=2)).items() if key not in reading
            }
        readings.append(json.dumps(reading, ensure_ascii=draw(st.booleans())).encode())
    return text, readings


@examples(100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(described(), st.sampled_from([UTC, ZoneInfo("Europe/Berlin")]))
def test_documents_match_any_description(made: tuple[str, list[bytes]], zone: Any) -> None:
    """For random descriptions and readings: each recordId once, no input raises, documents and reasons by the rules."""
    text, readings = made
    batch = transform(firehose_event(*readings), zone, description=text)
    assert [result["recordId"] for result in batch.results] == [f"record-{number}" for number in range(len(readings))]
    for number, (raw, result) in enumerate(zip(readings, batch.results, strict=True)):
        told = [str(cause) for cause, ids in batch.failures.items() if f"record-{number}" in ids]
        expected, wrong = by_the_rules(raw, zone, text)
        assert sorted(told) == sorted(wrong)
        if wrong:
            assert (result["result"], result["data"]) == ("ProcessingFailed", firehose_record(raw)["data"])
        else:
            made_document = json.loads(b64decode(result["data"]))
            assert list(made_document) == list(expected)
            assert made_document == json.loads(json.dumps(expected, default=float))


def by_the_rules(raw: bytes, zone: Any, description: str) -> tuple[dict[str, Any], list[str]]:
    """Return the document that the slow implementation makes of a reading, or everything that is wrong with it."""
    try:
        return slow_document(raw, ARRIVED_AT, zone, description), []
    except Refusal as refusal:
        return {}, refusal.causes
