"""Device times and arrival times → UTC text, with the edges of calendars and time zones."""

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enrichment import timestamps
from enrichment.description import TimeFormat
from enrichment.reasons import Reason, UnusableError
from enrichment.timestamps import from_device, from_devices, from_epoch, from_epochs, from_number
from tests.builders import device_reading
from tests.examples import examples
from tests.slow_enrichment import Refusal, slow_document

BERLIN = ZoneInfo("Europe/Berlin")
DATE, CLOCK = r"(2026-\d{1,2}-\d{1,2})", r"(\d{1,2}:[0-5]?\d(:[0-5]?\d)?)"
OFFSET = r"( ?([Zz]|[+-]\d\d(:?\d\d)?)(\[[A-Z][a-z]{1,3}([/=:.][A-Z][a-z_+-]{1,3})?\]?){0,2})?"
NEARLY = re.compile(rf"{DATE}[ Tt]{CLOCK}([.,]\d{{1,10}})?{OFFSET}(\.\d{{3}})?", re.ASCII)


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
        ("2026-11-22T10:15:30.1234567Z", "2026-11-22T10:15:30.123"),
        ("2026-11-22T10:15:30.1234567+01:00", "2026-11-22T09:15:30.123"),
        ("2026-11-22T10:15:30.123456789Z", "2026-11-22T10:15:30.123"),
        ("2026-11-22T10:15:30.123456789-05:00", "2026-11-22T15:15:30.123"),
        ("2026-11-22T10:15:30.5Z", "2026-11-22T10:15:30.500"),
        ("2026-11-22T10:15", "2026-11-22T10:15:00.000"),
        ("2026-11-22T10:15Z", "2026-11-22T10:15:00.000"),
        ("2026-11-22T10:15+01:00[Europe/Berlin]", "2026-11-22T09:15:00.000"),
        ("2026-11-22T10:15:30.123456789Z[UTC]", "2026-11-22T10:15:30.123"),
        ("2026-11-22T10:15:30-03:00[America/Argentina/Buenos_Aires]", "2026-11-22T13:15:30.000"),
        ("2026-11-22T10:15:30+02:00[GMT+2]", "2026-11-22T08:15:30.000"),
        ("2026-11-22T10:15+01:00[GMT+01:00]", "2026-11-22T09:15:00.000"),  # Java's ZonedDateTime.toString
        ("2026-11-22T10:15+01:00[UTC+01:00]", "2026-11-22T09:15:00.000"),
        ("2026-11-22T10:15:30.123+01:00[+01:00]", "2026-11-22T09:15:30.123"),  # JavaScript's Temporal
        ("2026-11-22T10:15:30.123456+01:00[Europe/Berlin][u-ca=gregory]", "2026-11-22T09:15:30.123"),  # RFC 9557
        ("2026-11-22T10:15:30.123Z[!UTC][!u-ca=iso8601]", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30,123", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30,123456 +01:00", "2026-11-22T09:15:30.123"),
        ("2026-11-22t10:15:30.123z", "2026-11-22T10:15:30.123"),
        ("2026-11-22 10:15:30 +0100", "2026-11-22T09:15:30.000"),
        ("2026-11-22 10:15:30.123 Z", "2026-11-22T10:15:30.123"),
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
        "2026-11-22 10", "2026-11-22 10:", "2026-11-22 10:15:", "2026-11-22 10:15.5", "2026-11-22 10:15:30.",
        "2026-11-22 10:15:30,", "2026-11-22 10:15:30.1234567890", "2026-11-22 10:15:30.123,4",
        "20261122 10:15:30.12345", "2026-W47-7 10:15:30.123", "2026W47 10:15:30.123456", "2026-11-22 101530.12345",
        "2026-11-22Tt10:15:30.123", "2026-11-22T10:15:30.123zz", "2026-11-22 10:15:30.123  Z",
        "2026-11-22_10:15:30.123",
        "2026-11-22T10:15:30.123 ", "2026-11-22T10:15:30.123[Europe/Berlin]", "2026-11-22T10:15:30.123Z[]",
        "2026-11-22T10:15:30.123Z[UTC", "2026-11-22T10:15:30.123Z[U T]", "2026-11-22T10:15:30.123Z [UTC]",
        "2026-11-22T10:15:30.123[UTC]Z", "2026-11-22T10:15:30.123Z[[UTC]]", "2026-11-22T10:15Z[a.123]",
        "2026-11-22T10:15:30.123Z[UTC]x[UTC]", f"2026-11-22T10:15:30.123Z[{'a' * 65}]",
        f"2026-11-22T10:15:30.123Z{'[a]' * 5}",
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
    with pytest.raises(UnusableError) as refused:
        from_device(given, zone)
    assert refused.value.reason is Reason.BAD_TIMESTAMP


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


@examples(150)
@given(st.from_regex(NEARLY, fullmatch=True), st.sampled_from([UTC, BERLIN]))
@example("2026-1-2 10:15:3+01.123", UTC)
def test_whatever_looks_like_a_device_time_is_read_as_the_slow_way_reads_it(text, zone):
    """Keeping whole seconds, and putting the fraction behind them, changes nothing."""
    try:
        expected = slow_document(json.dumps(device_reading(device_ts=text)).encode(), zone=zone)["timestamp"]
    except Refusal:
        with pytest.raises(UnusableError):
            from_device(text, zone)
    else:
        assert from_device(text, zone) == expected


def test_more_seconds_than_are_kept_are_still_right():
    """Whole seconds are kept for the next reading, and no more of them than a few thousand."""
    start = datetime(2026, 11, 22, tzinfo=UTC)
    moments = [start + timedelta(seconds=second) for second in range(5_000)]
    texts = [f"{moment:%Y-%m-%d %H:%M:%S}.123" for moment in moments]
    expected = [f"{moment:%Y-%m-%dT%H:%M:%S}.123" for moment in moments]
    assert from_devices(texts, UTC) == from_epochs([int(m.timestamp()) * 1000 + 123 for m in moments]) == expected
    assert from_devices(texts[:1], UTC) == expected[:1]
    assert len(timestamps._seconds_in(UTC)) <= timestamps._MOST_SECONDS


def test_a_zone_called_utc_by_another_name_is_no_different():
    """The fast way for UTC and the way through a zone's table give the same text."""
    assert from_device("2026-11-22 10:15:30.123", ZoneInfo("Etc/UTC")) == "2026-11-22T10:15:30.123"


@pytest.mark.parametrize(
    ("number", "form", "expected"),
    [
        (1_795_342_530, TimeFormat.EPOCH_SECOND, "2026-11-22T10:15:30.000"),
        (1_795_342_530.123, TimeFormat.EPOCH_SECOND, "2026-11-22T10:15:30.123"),
        (1_795_342_530.999_9, TimeFormat.EPOCH_SECOND, "2026-11-22T10:15:30.999"),
        (-0.001, TimeFormat.EPOCH_SECOND, "1969-12-31T23:59:59.999"),
        (1_795_342_530_456, TimeFormat.EPOCH_MILLIS, "2026-11-22T10:15:30.456"),
        (1_795_342_530_456.9, TimeFormat.EPOCH_MILLIS, "2026-11-22T10:15:30.456"),
        (1_795_342_530_456_999, TimeFormat.EPOCH_MICROS, "2026-11-22T10:15:30.456"),
        (1_795_342_530_456_999_999, TimeFormat.EPOCH_NANOS, "2026-11-22T10:15:30.456"),
        (-1, TimeFormat.EPOCH_NANOS, "1969-12-31T23:59:59.999"),
        (1.795342530456e18, TimeFormat.EPOCH_NANOS, "2026-11-22T10:15:30.456"),
    ],
)
def test_epoch_numbers_are_cut_to_milliseconds(number, form, expected):
    """A number is what the description says it is; milliseconds are cut, before 1970 as well."""
    assert from_number(number, form) == expected


@pytest.mark.parametrize("number", [10**14, -(10**14), 1e300, -1e300, 10**400])
def test_epoch_numbers_beyond_the_calendar_are_refused(number):
    """The years 1 to 9999, as for text."""
    with pytest.raises(UnusableError) as refused:
        from_number(number, TimeFormat.EPOCH_SECOND)
    assert refused.value.reason is Reason.BAD_TIMESTAMP


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
