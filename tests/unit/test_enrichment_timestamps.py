"""Device times and arrival times → UTC text, with the edges of calendars and time zones."""

import json
import re
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enrichment.reasons import Cause, ReadingError, Reason
from enrichment.timestamps import from_device, from_epoch
from tests.builders import device_reading
from tests.slow_enrichment import Refusal, slow_document

BERLIN = ZoneInfo("Europe/Berlin")
DATE, CLOCK = r"(2026-\d{1,2}-\d{1,2})", r"(\d{1,2}:[0-5]?\d:[0-5]?\d)"
NEARLY = re.compile(rf"{DATE}[ T]{CLOCK}(\.\d{{1,6}})?(Z|[+-]\d\d(:?\d\d)?)?(\.\d{{3}})?", re.ASCII)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-22 10:15:30.123", "2026-11-22T10:15:30.123"),
        ("2026-11-22T10:15:30.123", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30.123456", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30.999999", "2026-11-22T10:15:30.999"),
        ("2026-11-22 10:15:30.1", "2026-11-22T10:15:30.100"),
        ("2026-11-22 10:15:30", "2026-11-22T10:15:30.000"),
        ("2026-1-2 3:4:5.6", "2026-01-02T03:04:05.600"),
        ("2024-02-29 23:59:59.999", "2024-02-29T23:59:59.999"),
        ("2026-11-22T10:15:30.123Z", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30+01:00", "2026-11-22T09:15:30.000"),
        ("2026-11-22 10:15:30.5-0330", "2026-11-22T13:45:30.500"),
        ("2026-12-31 23:30:00.000-01", "2027-01-01T00:30:00.000"),
        ("0001-01-01 00:00:00.000", "0001-01-01T00:00:00.000"),
        ("9999-12-31 23:59:59.999", "9999-12-31T23:59:59.999"),
    ],
)
def test_device_time_becomes_utc_with_milliseconds(given, expected):
    """The seed's format with fewer or more digits, T or blank, offset or Z; milliseconds are cut."""
    assert from_device(given, UTC) == expected


@pytest.mark.parametrize(
    "given",
    [
        "", "now", "2026-11-22", "10:15:30.123", "2026-11-22  10:15:30.123", " 2026-11-22 10:15:30.123",
        "2026-11-22 10:15", "2026-11-22 10:15:30.", "2026-11-22 10:15:30.1234567", "2026-11-22 10:15:30,123",
        "20261122 10:15:30.12345", "2026-W47-7 10:15:30.123", "2026W47 10:15:30.123456", "2026-11-22 101530.12345",
        "2026-11-22t10:15:30.123", "2026-11-22T10:15:30.123z", "2026-11-22 10:15:30.123 Z", "2026-11-22_10:15:30.123",
        "2026-11-22 10:15:30.12Z3", "2026-11-22 10:15:30.+01", "2026-11-22 10:15:30+1:00", "2026-11-22 10:15:30+01:60",
        "2026-1-2 10:15:3+01.123", "2026-11-2 1:15:30Z.123",
        "2026-11-22 10:15:30+01:", "2026-11-22 10:15:30+24:00", "2026-11-22 10:15:30+01:00:30",
        "2026-00-22 10:15:30.123",
        "2026-13-22 10:15:30.123", "2026-02-29 10:15:30.123", "2026-04-31 10:15:30.123", "2026-11-22 24:00:00.000",
        "2026-11-22 10:60:30.123", "2026-12-31 23:59:60.000", "0000-01-01 00:00:00.000", "26-11-22 10:15:30.123",
        "12026-11-22 10:15:30.123", "\uff12\uff10\uff12\uff16-11-22 10:15:30.123", "0001-01-01 00:00:00.000+01:00",
        "9999-12-31 23:59:59.999-01:00", "2026-11-22 10:15:30.123\n", "2026-11-22 10:15:30.\u06612\u0663",
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", [UTC, BERLIN], ids=str)
def test_what_is_no_device_time_is_refused(given, zone):
    """Other forms, days that no calendar has, and years out of reach have one reason."""
    with pytest.raises(ReadingError) as refused:
        from_device(given, zone)
    assert refused.value.cause == Cause(Reason.BAD_TIMESTAMP, "device_ts")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-15 12:00:00.000", "2026-01-15T11:00:00.000"),
        ("2026-07-15 12:00:00.000", "2026-07-15T10:00:00.000"),
        ("2026-07-15 12:00:00.000Z", "2026-07-15T12:00:00.000"),
        ("2026-07-15 12:00:00.000+05:30", "2026-07-15T06:30:00.000"),
        ("2026-03-29 01:59:59.999", "2026-03-29T00:59:59.999"),
        ("2026-03-29 02:30:00.000", "2026-03-29T01:30:00.000"),
        ("2026-03-29 03:00:00.000", "2026-03-29T01:00:00.000"),
        ("2026-10-25 01:59:59.999", "2026-10-24T23:59:59.999"),
        ("2026-10-25 02:30:00.000", "2026-10-25T00:30:00.000"),
        ("2026-10-25 03:00:00.000", "2026-10-25T02:00:00.000"),
    ],
    ids=[
        "winter", "summer", "zulu wins", "offset wins", "before the gap", "in the gap: the offset before it",
        "after the gap", "before the fold", "in the fold: its first pass", "after the fold",
    ],
)  # fmt: skip
def test_time_without_offset_is_one_of_the_device_time_zone(given, expected):
    """The zone says what a time without an offset means; in its gap and fold, the earlier offset counts."""
    assert from_device(given, BERLIN) == expected


@settings(max_examples=400)
@given(st.from_regex(NEARLY, fullmatch=True), st.sampled_from([UTC, BERLIN]))
@example("2026-1-2 10:15:3+01.123", UTC)
def test_whatever_looks_like_a_device_time_is_read_as_the_slow_way_reads_it(text, zone):
    """Keeping whole seconds, and putting the fraction behind them, changes nothing."""
    try:
        expected = slow_document(json.dumps(device_reading(device_ts=text)).encode(), zone=zone)["timestamp"]
    except Refusal:
        with pytest.raises(ReadingError):
            from_device(text, zone)
    else:
        assert from_device(text, zone) == expected


def test_a_zone_called_utc_by_another_name_is_no_different():
    """The fast way for UTC and the way through a zone's table give the same text."""
    assert from_device("2026-11-22 10:15:30.123", ZoneInfo("Etc/UTC")) == "2026-11-22T10:15:30.123"


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (1_795_342_530_456, "2026-11-22T10:15:30.456"),
        (1_795_342_530_000, "2026-11-22T10:15:30.000"),
        (0, "1970-01-01T00:00:00.000"),
        (-1, "1969-12-31T23:59:59.999"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999"),
        (253_402_300_800_000, None),
    ],
)
def test_arrival_is_epoch_milliseconds(milliseconds, expected):
    """`approximateArrivalTimestamp` becomes the same text as a device time, or nothing beyond the calendar."""
    assert from_epoch(milliseconds) == expected
