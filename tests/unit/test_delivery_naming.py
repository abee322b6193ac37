"""Index names, object keys and prefixes: AWS's examples and rules."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core.naming import Rotation, check_prefixes, index_name, object_key
from iot_stream.delivery.core.object_kind import ObjectKind


def at(*parts: int) -> int:
    """Return a UTC time as epoch milliseconds."""
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("rotation", "name"),
    [
        (Rotation.NONE, "myindex"),
        (Rotation.HOUR, "myindex-2016-02-25-13"),
        (Rotation.DAY, "myindex-2016-02-25"),
        (Rotation.MONTH, "myindex-2016-02"),
    ],
)
def test_rotation_appends_the_arrival_time(rotation: Rotation, name: str) -> None:
    """The developer guide's example: arrival 2016-02-25T13:00:00Z."""
    assert index_name("myindex", rotation, at(2016, 2, 25, 13)) == name


@given(st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - read as UTC below
def test_weeks_begin_on_sunday_and_the_first_has_the_first_saturday(moment: datetime) -> None:
    """The guide's note on OneWeek, checked by counting: weeks since the year's first Saturday."""
    name = index_name("i", Rotation.WEEK, int(moment.replace(tzinfo=UTC).timestamp() * 1000))
    year, week = int(name[2:6]), int(name[8:])
    first_saturday = next(day for n in range(7) if (day := date(year, 1, 1) + timedelta(n)).weekday() == 5)
    sunday = first_saturday - timedelta(6) + timedelta(weeks=week - 1)
    assert sunday <= moment.date() <= sunday + timedelta(6)


def key(prefix: str, error_prefix: str = "", kind: ObjectKind = ObjectKind.SOURCE, extension: str = "") -> str:
    """Return a key of 2018-08-27 10:30:05 UTC with predictable UUIDs."""
    numbers = count(1)
    return object_key(
        prefix,
        error_prefix,
        kind,
        name="stream",
        version="3",
        oldest=at(2018, 8, 27, 10, 30, 5),
        new_uuid=lambda: f"{next(numbers):08d}-0000-0000",
        extension=extension,
    )


SUFFIX = "stream-3-2018-08-27-10-30-05-"


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "kind", "start"),
    [
        ("", "", ObjectKind.SOURCE, "2018/08/27/10/"),
        ("data/", "", ObjectKind.SOURCE, "data/2018/08/27/10/"),
        ("data", "", ObjectKind.SOURCE, "data2018/08/27/10/"),
        (
            "y=!{timestamp:yyyy}/m=!{timestamp:MM}/",
            "e/!{firehose:error-output-type}/",
            ObjectKind.SOURCE,
            "y=2018/m=08/",
        ),
        ("r=!{firehose:random-string}/", "e", ObjectKind.SOURCE, "r=00000001-00/2018/08/27/10/"),
        ("data/", "", ObjectKind.PROCESSING_FAILURE, "data/processing-failed/2018/08/27/10/"),
        ("data/", "", ObjectKind.DOCUMENT_FAILURE, "data/AmazonOpenSearchService_failed/2018/08/27/10/"),
        ("data/", "bad/", ObjectKind.PROCESSING_FAILURE, "bad/processing-failed/2018/08/27/10/"),
        ("", "bad/!{firehose:error-output-type}/", ObjectKind.PROCESSING_FAILURE, "bad/processing-failed/"),
        ("", "!{firehose:error-output-type}/x/", ObjectKind.DOCUMENT_FAILURE, "AmazonOpenSearchService-failed/x/"),
        (
            "",
            "e/!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/!{firehose:error-output-type}",
            ObjectKind.PROCESSING_FAILURE,
            "e/year=2018/month=08/day=27/hour=10/processing-failed",
        ),
    ],
)
def test_prefixes_are_evaluated_as_the_guide_says(prefix: str, error_prefix: str, kind: ObjectKind, start: str) -> None:
    """No slash is added between a prefix and the time; no time is added after an error prefix with expressions."""
    made = key(prefix, error_prefix, kind)
    assert made.startswith(start + SUFFIX)


def test_each_random_string_is_a_new_one() -> None:
    """Two random strings in one prefix differ, and have 11 characters."""
    made = key("!{firehose:random-string}/!{firehose:random-string}/!{timestamp:yy}/", "e")
    assert made.startswith("00000001-00/00000002-00/18/" + SUFFIX)


def test_compressed_objects_have_an_extension() -> None:
    """The key ends with the extension of the compression."""
    assert key("", extension=".gz").endswith(".gz")


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "wrong"),
    [
        ("!{timestamp:yyyy}", "", "ErrorOutputPrefix is needed"),
        ("!{firehose:error-output-type}/", "e/", "Prefix can't contain"),
        ("", "e/!{timestamp:yyyy}/", "must contain !{firehose:error-output-type}"),
        ("a!{/", "e", "malformed expression"),
        ("!{partitionKeyFromQuery:x}/", "e", "not supported"),
        ("!{timestamp:EEE}/", "e", "letter 'E'"),
        ("x" * 513, "", "longer than 512"),
    ],
)
def test_invalid_prefixes_are_reported(prefix: str, error_prefix: str, wrong: str) -> None:
    """A prefix that breaks a rule of the page, or is not supported here, is reported before anything is written."""
    assert wrong in (check_prefixes(prefix, error_prefix) or "")


def test_the_projects_prefixes_are_valid() -> None:
    """The template's prefix, and one with every supported expression."""
    assert check_prefixes("opensearch_backup/", "opensearch_backup/") is None
    everything = "!{firehose:random-string}/!{timestamp:'y='yyyy/MM/dd/HH/mm/ss/D}/"
    assert check_prefixes(everything, everything + "!{firehose:error-output-type}/") is None
