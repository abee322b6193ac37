"""Failure objects are read as Firehose writes them, whatever else is in the bucket."""

import base64
import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.compression import LONGEST_LINE, DamagedError, decompressed, lines
from iot_stream.failure_objects import (
    BackupLocation,
    FailedRecord,
    FailureKind,
    FailureObjects,
    FailureReadError,
    NoSuchFailureError,
    failed_records,
)
from iot_stream.stack import Stack
from tests.template import load_template

BUCKET = "backup"
TIME = "2026/11/22/10/"
NAME = "kinesis-Opensearch-1-2026-11-22-10-15-30-5f0c36b0-8a4e-4a4e-9d3c-6c1c9f0f2a11"
PROCESSING, DOCUMENT = FailureKind.PROCESSING, FailureKind.DOCUMENT

# Field names, order and types as in objects that people have published (up to 2022, since 2025) and in "Handle data
# delivery failure" (Amazon Data Firehose Developer Guide), for OpenSearch Service and for Serverless.
DATA = b'{"device_ts": "broken"}'
RAW = base64.b64encode(DATA).decode()
COMMON = {"attemptsMade": 1, "arrivalTimestamp": 1_763_806_530_123, "errorCode": "Lambda.ProcessingFailedStatus"}
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:iot-enrichment"
LINES: dict[str, tuple[dict[str, Any], FailureKind]] = {
    "2022": ({**COMMON, "rawData": RAW, "lambdaArn": FUNCTION}, PROCESSING),
    "2025": ({"rawData": RAW, **COMMON, "lambdaARN": FUNCTION}, PROCESSING),
    "service": ({**COMMON, "esDocumentId": "1", "esIndexName": "i", "esTypeName": "", "rawData": RAW}, DOCUMENT),
    "serverless": ({**COMMON, "osDocumentId": "1", "osIndexName": "i", "rawData": RAW}, DOCUMENT),
}
FOLDERS = {
    "processing-failed": PROCESSING,
    "AmazonOpenSearchService_failed": DOCUMENT,
    "AmazonOpenSearchService-failed": DOCUMENT,
    "elasticsearch-failed": DOCUMENT,
}
EXPRESSION = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/!{firehose:random-string}-"


def location(prefix: str, error_prefix: str | None = None) -> BackupLocation:
    """A location whose error prefix is the prefix unless it is given."""
    return BackupLocation(BUCKET, prefix, prefix if error_prefix is None else error_prefix)


def body(*rows: Any) -> bytes:
    """A failure object's content; bytes are lines of their own."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def read(content: bytes, *, size: int = 7) -> list[FailedRecord]:
    """The records of an object that arrives in small pieces."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return list(failed_records("k", PROCESSING, pieces))


# ---- which objects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(("prefix", "error_prefix"), [("opensearch_backup/", None), ("all/", EXPRESSION)])
def test_it_is_known_whether_any_is_left(s3: Any, folder: str, prefix: str, error_prefix: str | None) -> None:
    """Neither source records nor what was replayed are failures, and looking for one reads no object."""
    there = location(prefix, error_prefix)
    objects = FailureObjects(s3, there)
    before = f"errors/{folder}/2026/11/22/r-" if error_prefix else f"{prefix}{folder}/{TIME}"
    for key in (f"{prefix}{TIME}{NAME}", f"replayed/{before}{NAME}"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    assert not objects.any_left()
    s3.put_object(Bucket=BUCKET, Key=f"{before}{NAME}", Body=body(LINES["2025"][0]))
    assert objects.any_left()
    s3.delete_object(Bucket=BUCKET, Key=f"{before}{NAME}")
    assert not objects.any_left()
    with pytest.raises(FailureReadError, match="bucket gone can't be listed"):
        FailureObjects(s3, BackupLocation("gone", there.prefix, there.error_prefix)).any_left()


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("prefix", ["opensearch_backup/", "", "not-failed/", "failed-and-all/", "processing-failed/"])
def test_the_kind_is_in_the_folder_after_the_error_prefix(prefix: str, folder: str) -> None:
    """Every known spelling of the folder, whatever words the prefix itself has."""
    assert location(prefix).kind_of(f"{prefix}{folder}/{TIME}{NAME}") is FOLDERS[folder]
    assert location("all/", prefix).kind_of(f"{prefix or 'all/'}{folder}/{TIME}{NAME}") is FOLDERS[folder]


@pytest.mark.parametrize(
    "prefix", ["not-failed/", "failed-and-all/", "processing-failed/", "x-failed", "opensearch_backup/"]
)
def test_source_records_are_not_failures(prefix: str) -> None:
    """With AllDocuments every source record is under the same prefix, and a prefix may contain any word."""
    assert location(prefix).kind_of(f"{prefix}{TIME}{NAME}") is None
    assert location(prefix).kind_of(f"elsewhere/processing-failed/{TIME}{NAME}") is None


def test_an_error_prefix_with_expressions_is_recognized() -> None:
    """The page "Custom prefixes for Amazon S3 objects": the error type stands where its expression does."""
    place = location("all/!{timestamp:yyyy'-'MM}/", EXPRESSION)
    key = "errors/{}/2026/11/22/a1b2c3d4e5f-" + NAME
    assert place.listed_prefix == "errors/"
    assert place.kind_of(key.format("processing-failed")) is PROCESSING
    assert place.kind_of(key.format("AmazonOpenSearchService-failed")) is DOCUMENT
    assert place.kind_of(key.format("2026")) is None
    assert place.kind_of(f"all/2026-11/{NAME}") is None
    assert place.may_be_source(f"all/2026-11/{NAME}")
    assert not place.may_be_source(key.format("processing-failed"))


def test_the_stacks_prefixes_are_those_of_its_template() -> None:
    """`BackupLocation.of` relies on it: both prefixes are the parameter that the output repeats."""
    template = load_template()
    (stream,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::KinesisFirehose::DeliveryStream")
    s3 = stream["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
    output = template["Outputs"]["BackupPrefix"]["Value"]
    assert s3["Prefix"] == s3["ErrorOutputPrefix"] == output
    stack = Stack("s", "arn", {"BackupPrefix": "p/", "BackupBucketName": BUCKET})
    assert BackupLocation.of(stack) == location("p/")


# ---- what is in them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("as_text", [False, True], ids=["numbers", "strings"])
def test_every_known_spelling_of_a_line_is_read(line: str, *, as_text: bool) -> None:
    """The content names the kind even where the folder doesn't; numbers may come as strings, as in AWS's pages."""
    row, kind = LINES[line]
    if as_text:
        row = {name: str(value) if isinstance(value, int) else value for name, value in row.items()}
    (record,) = failed_records("k", DOCUMENT if kind is PROCESSING else PROCESSING, [body(row)])
    assert (record.kind, record.code, record.data) == (kind, "Lambda.ProcessingFailedStatus", DATA)
    assert (record.arrived_ms, record.attempts, record.problem) == (1_763_806_530_123, 1, "")
    assert (record.document_id, record.index) == (("1", "i") if kind is DOCUMENT else ("", ""))


def test_a_record_never_shows_its_data_in_a_log() -> None:
    """A failed record may be private, and `repr` ends up in tracebacks."""
    (record,) = read(body(LINES["2022"][0]))
    assert "device_ts" not in repr(record)


def test_empty_data_is_data() -> None:
    """Firehose writes an empty record as an empty text, not as null."""
    (record,) = read(body({**COMMON, "rawData": ""}))
    assert (record.data, record.problem) == (b"", "")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"not json", "not a line of a failure object"),
        (b"[]", "not a line of a failure object"),
        (b"{}", "not a line of a failure object"),
        (b"[" * 100_000, "not a line of a failure object"),
        (b'{"rawData": "\xff"}', "not a line of a failure object"),
        (b'{"errorCode": "x"}', "the line has no rawData"),
        (b'{"errorCode": "x", "rawData": "a"}', "rawData is not valid base64"),
        (b'{"errorCode": "x", "rawData": 5}', "the line has no rawData"),
    ],
)
def test_a_foreign_line_is_one_row_among_the_others(row: bytes, problem: str) -> None:
    """What can't be read is listed with the reason, in its place; its neighbours are read."""
    good = LINES["2022"][0]
    before, foreign, after = read(body(good, row, good))
    assert (foreign.line, foreign.data, foreign.problem) == (1, None, problem)
    assert (before.data, after.data) == (DATA, DATA)


@pytest.mark.parametrize("value", ["NaN", "1e999", "-1", '"' + "9" * 5000 + '"', "9" * 30, "null", "[]", '"x"'])
def test_a_number_that_makes_no_sense_is_unknown(value: str) -> None:
    """The rest of the line counts."""
    (record,) = read(f'{{"rawData": "{RAW}", "arrivalTimestamp": {value}, "attemptsMade": {value}}}\n'.encode())
    assert (record.arrived_ms, record.attempts, record.data) == (None, None, DATA)


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")], ids=["nothing", "blank", "gzip"])
def test_an_empty_object_is_one_row(content: bytes) -> None:
    """It says that something was written here, and that it can't be known what."""
    (record,) = read(content)
    assert (record.problem, record.data) == ("the object is empty", None)


def zipped(content: bytes) -> bytes:
    """A zip archive of one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("object", content)
    return archive.getvalue()


GOOD = body(*[row for row, _ in LINES.values()])


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [GOOD, gzip.compress(GOOD), gzip.compress(GOOD[:100]) + gzip.compress(GOOD[100:]), zipped(GOOD)],
    ids=["plain", "gzip", "gzip members", "zip"],
)
def test_compressed_objects_are_opened(content: bytes, size: int) -> None:
    """GZIP and ZIP, however the bytes arrive."""
    assert [record.data for record in read(content, size=size)] == [DATA] * len(LINES)


def test_a_cut_gzip_gives_what_is_there_and_one_row() -> None:
    """The records before the cut can still be replayed."""
    rows = [{**COMMON, "rawData": base64.b64encode(bytes([number])).decode()} for number in range(200)]
    *records, last = read(gzip.compress(body(*rows), compresslevel=0)[:-500])
    assert len(records) > 150
    assert [record.data for record in records] == [bytes([number]) for number in range(len(records))]
    assert last.line == len(records)
    assert "ends too early" in last.problem


@pytest.mark.parametrize(
    "content",
    [gzip.compress(GOOD)[:5], b"\x1f\x8b\x08" + b"x" * 50, zipped(GOOD)[:-30]],
    ids=["half a header", "no header", "half a zip"],  # compressed data differ by the time
)
def test_damaged_compression_is_one_row(content: bytes) -> None:
    """Cut in its header, not a gzip at all, an archive without its end."""
    (record,) = read(content)
    assert "can't be read from here on" in record.problem


@given(
    content=st.binary(max_size=300) | st.binary(max_size=300).map(gzip.compress),
    size=st.integers(1, 64),
    cut=st.integers(0, 40),
)
def test_any_bytes_are_read_without_an_error(content: bytes, size: int, cut: int) -> None:
    """At least one row, each line once and in order, whatever a bucket holds."""
    records = read(content[: len(content) - cut], size=size)
    assert records
    numbers = [record.line for record in records]
    assert numbers == sorted(set(numbers))
    assert all(record.data is not None or record.problem for record in records)


@given(
    rows=st.lists(st.binary(max_size=40), min_size=1, max_size=30),
    size=st.integers(1, 50),
    garbage=st.binary(max_size=40),
)
def test_good_lines_are_found_among_any_others(rows: list[bytes], size: int, garbage: bytes) -> None:
    """Every record that Firehose wrote comes back byte for byte, with a foreign line after each."""
    foreign = garbage.replace(b"\n", b" ")
    content = b"".join(body({**COMMON, "rawData": base64.b64encode(row).decode()}, b"?" + foreign) for row in rows)
    records = read(content, size=size)
    assert [record.data for record in records if record.data is not None] == rows
    assert [record.line for record in records] == list(range(2 * len(rows)))


def test_lines_without_end_take_no_memory() -> None:
    """A gigabyte of zeros in a small gzip is one row; memory stays near the longest line."""

    def bomb() -> Iterator[bytes]:
        yield from (b"\0" * 65_536 for _ in range(4 * LONGEST_LINE // 65_536))
        yield b"\n" + GOOD

    tracemalloc.start()
    try:
        foreign, *records = failed_records("k", PROCESSING, bomb())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "too long" in foreign.problem
    assert [record.data for record in records] == [DATA] * len(LINES)
    assert peak < 3 * LONGEST_LINE


@given(st.binary(max_size=200), st.integers(1, 20))
def test_lines_are_those_of_the_whole(content: bytes, size: int) -> None:
    """However the bytes are cut into pieces."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    found = [line for _, line in lines(pieces)]
    expected = content.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


def test_decompression_gives_small_pieces() -> None:
    """A well-compressed object does not become one large piece."""
    pieces = list(decompressed([gzip.compress(b"\0" * 10_000_000)]))
    assert sum(map(len, pieces)) == 10_000_000
    assert max(map(len, pieces)) <= 65_536


def test_decompression_says_what_is_damaged() -> None:
    """For the row that people read."""
    with pytest.raises(DamagedError, match="gzip data ends too early"):
        list(decompressed([gzip.compress(b"x" * 100)[:-4]]))


# ---- in a bucket -----------------------------------------------------------------------------------------------


def put(s3: Any, objects: dict[str, bytes]) -> None:
    """Write objects."""
    for key, content in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)


def keys(objects: Iterable[Any]) -> list[str]:
    """Their keys."""
    return [entry.key for entry in objects]


def test_only_failure_objects_are_listed(s3: Any) -> None:
    """Source records lie beside them with AllDocuments, under a prefix that has the word in it."""
    failed = f"failed-and-all/processing-failed/{TIME}{NAME}"
    put(s3, {failed: GOOD, f"failed-and-all/{TIME}{NAME}": GOOD, f"other-failed/{NAME}": GOOD})
    failures = FailureObjects(s3, location("failed-and-all/"))
    assert keys(failures.objects()) == [failed]
    assert len(list(failures.records_of(failures.objects()))) == len(LINES)


def test_where_a_key_fits_both_prefixes_the_content_decides(s3: Any) -> None:
    """Source records written to the very folder of the failures are told by what they hold."""
    place = location("x/processing-failed/", "x/")
    source, failure, empty = (f"x/processing-failed/{TIME}{name}" for name in ("a", "b", "c"))
    put(s3, {source: b'{"uuid": "1"}{"uuid": "2"}', failure: GOOD, empty: b""})
    failures = FailureObjects(s3, place)
    assert keys(failures.objects()) == [failure, empty]
    with pytest.raises(NoSuchFailureError, match="source records"):
        list(failures.records(source))


def test_the_newest_come_first(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time of writing, not by the key, and no more than asked for."""
    failures = FailureObjects(s3, location("p/"))
    put(s3, {f"p/processing-failed/{name}": GOOD for name in "abc"})
    ages = dict(zip("abc", (2, 3, 1), strict=True))
    listed = list(failures.objects())
    dated = [
        type(entry)(entry.key, entry.kind, entry.size, entry.modified.replace(year=2000 + ages[entry.key[-1]]))
        for entry in listed
    ]
    monkeypatch.setattr(failures, "objects", lambda: iter(dated))
    assert [key[-1] for key in keys(failures.newest(2))] == ["b", "a"]


def test_one_unreadable_object_does_not_hide_the_others(s3: Any) -> None:
    """Damaged, empty or foreign: a row each, and the rest in full."""
    names = {"a": gzip.compress(GOOD)[:-10], "b": b"", "c": b"hello\n", "d": GOOD}
    put(s3, {f"p/processing-failed/{name}": content for name, content in names.items()})
    failures = FailureObjects(s3, location("p/"))
    records = list(failures.records_of(failures.objects()))
    assert sorted({record.key[-1] for record in records}) == ["a", "b", "c", "d"]
    assert [record.data for record in records if record.key[-1] == "d"] == [DATA] * len(LINES)


def test_an_object_that_may_not_be_read_is_one_row(s3: Any) -> None:
    """Another account's key, or no permission: said in its place."""
    put(s3, {"p/processing-failed/a": GOOD})

    class Denied:
        """The client, without GetObject."""

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def get_object(self, **_: Any) -> Any:
            raise s3.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    (record,) = FailureObjects(Denied(), location("p/")).records("p/processing-failed/a")
    assert "AccessDenied" in record.problem


def test_an_object_deleted_meanwhile_is_skipped(s3: Any) -> None:
    """A lifecycle rule may delete while somebody reads."""
    put(s3, {"p/processing-failed/a": GOOD, "p/processing-failed/b": GOOD})
    failures = FailureObjects(s3, location("p/"))
    listed = list(failures.objects())
    s3.delete_object(Bucket=BUCKET, Key="p/processing-failed/a")
    assert {record.key[-1] for record in failures.records_of(listed)} == {"b"}


@pytest.mark.parametrize(
    ("key", "line"),
    [("p/processing-failed/a", 9), ("p/processing-failed/none", 0), ("secret.txt", 0), ("p/secret.txt", 0)],
    ids=["line", "gone", "outside", "other"],
)
def test_nothing_else_of_the_bucket_is_given_out(s3: Any, key: str, line: int) -> None:
    """Only lines of failure objects under the configured prefix."""
    put(s3, {"p/processing-failed/a": GOOD, "secret.txt": GOOD, "p/secret.txt": GOOD})
    with pytest.raises(NoSuchFailureError):
        FailureObjects(s3, location("p/")).record(key, line)


def test_one_record_is_found_by_its_line(s3: Any) -> None:
    """As the live page asks for it."""
    put(s3, {"p/processing-failed/a": GOOD})
    assert FailureObjects(s3, location("p/")).record("p/processing-failed/a", 2).document_id == "1"


def test_a_bucket_that_is_not_there_is_an_error(s3: Any) -> None:
    """Nothing can be said about failures, so nothing is."""
    with pytest.raises(FailureReadError, match="gone"):
        list(FailureObjects(s3, BackupLocation("gone", "p/", "p/")).objects())


def test_what_is_written_later_is_left_out_where_asked() -> None:
    """A replay whose records fail again would meet them on a later page, for ever ("ListObjectsV2": 1,000 a page)."""
    began = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)

    class _S3:
        """Lists two pages; the second has what was written while the first one was replayed."""

        def get_paginator(self, _: str) -> "_S3":
            return self

        def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
            for name, written in (("there", began), ("caused", began + timedelta(seconds=1))):
                yield {"Contents": [{"Key": f"b/processing-failed/{TIME}{name}", "Size": 1, "LastModified": written}]}

    objects = FailureObjects(_S3(), location("b/"))
    assert [key.rpartition("/")[2] for key in keys(objects.objects(began))] == ["there"]
    assert len(keys(objects.objects())) == 2
