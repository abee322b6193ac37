"""Index names, object keys and prefixes: AWS's examples, and its rules."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core.naming import ErrorType, Rotation, check_prefixes, index_name, object_key


def at(*parts: int) -> int:
    """UTC time as epoch milliseconds."""
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


def key(prefix: str, error_prefix: str = "", error_type: ErrorType | None = None, extension: str = "") -> str:
    """A key of 2018-08-27 10:30:05 UTC with predictable tokens."""
    numbers = count(1)
    return object_key(
        prefix,
        error_prefix,
        error_type,
        name="stream",
        version="3",
        oldest=at(2018, 8, 27, 10, 30, 5),
        token=lambda: f"{next(numbers):08d}-0000-0000",
        extension=extension,
    )


SUFFIX = "stream-3-2018-08-27-10-30-05-"


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "error_type", "start"),
    [
        ("", "", None, "2018/08/27/10/"),
        ("data/", "", None, "data/2018/08/27/10/"),
        ("data", "", None, "data2018/08/27/10/"),
        ("y=!{timestamp:yyyy}/m=!{timestamp:MM}/", "e/!{firehose:error-output-type}/", None, "y=2018/m=08/"),
        ("r=!{firehose:random-string}/", "e", None, "r=00000001-00/2018/08/27/10/"),
        ("data/", "", ErrorType.PROCESSING, "data/processing-failed/2018/08/27/10/"),
        ("data/", "", ErrorType.DOCUMENT, "data/AmazonOpenSearchService_failed/2018/08/27/10/"),
        ("data/", "bad/", ErrorType.PROCESSING, "bad/processing-failed/2018/08/27/10/"),
        ("", "bad/!{firehose:error-output-type}/", ErrorType.PROCESSING, "bad/processing-failed/"),
        ("", "!{firehose:error-output-type}/x/", ErrorType.DOCUMENT, "AmazonOpenSearchService-failed/x/"),
        (
            "",
            "e/!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/!{firehose:error-output-type}",
            ErrorType.PROCESSING,
            "e/year=2018/month=08/day=27/hour=10/processing-failed",
        ),
    ],
)
def test_prefixes_are_evaluated_as_the_guide_says(
    prefix: str, error_prefix: str, error_type: ErrorType | None, start: str
) -> None:
    """No slash is put between a prefix and the time; no time is put behind an error prefix with expressions."""
    made = key(prefix, error_prefix, error_type)
    assert made.startswith(start + SUFFIX)


def test_each_random_string_is_a_new_one() -> None:
    """Two random strings in one prefix differ, and have 11 characters."""
    made = key("!{firehose:random-string}/!{firehose:random-string}/!{timestamp:yy}/", "e")
    assert made.startswith("00000001-00/00000002-00/18/" + SUFFIX)


def test_compressed_objects_say_so() -> None:
    """The compression's extension ends the key."""
    assert key("", extension=".gz").endswith(".gz")


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "wrong"),
    [
        ("!{timestamp:yyyy}", "", "ErrorOutputPrefix is needed"),
        ("!{firehose:error-output-type}/", "e/", "Prefix can't contain"),
        ("", "e/!{timestamp:yyyy}/", "must contain !{firehose:error-output-type}"),
        ("a!{/", "e", "broken expression"),
        ("!{partitionKeyFromQuery:x}/", "e", "not supported"),
        ("!{timestamp:EEE}/", "e", "letter 'E'"),
        ("x" * 513, "", "longer than 512"),
    ],
)
def test_wrong_prefixes_are_named(prefix: str, error_prefix: str, wrong: str) -> None:
    """What breaks a semantic rule of the page, or is not supported here, is said before anything is written."""
    assert wrong in (check_prefixes(prefix, error_prefix) or "")


def test_the_projects_prefixes_are_fine() -> None:
    """The template's folder, and one with every expression that is supported."""
    assert check_prefixes("opensearch_backup/", "opensearch_backup/") is None
    everything = "!{firehose:random-string}/!{timestamp:'y='yyyy/MM/dd/HH/mm/ss/D}/"
    assert check_prefixes(everything, everything + "!{firehose:error-output-type}/") is None
