"""Failures are listed and chosen by kind, code, time and all reasons, recomputed by the function's own rules."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.cli import cli
from iot_stream.failure_objects import FailedRecord, FailureKind
from iot_stream.failures.reasons import Reasons
from iot_stream.failures.selection import Selection, SelectionError, Selector, parse_time
from iot_stream.failures.summary import Group, summarize
from iot_stream.stack import Stack
from iot_stream.target import Target
from tests.builders import device_reading

REASONS = Reasons(UTC)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = 1_795_687_200_000  # 2026-11-26T10:00Z


def reading(data: object, **changes: object) -> FailedRecord:
    """A processing failure of one reading."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    made = {"key": "k", "line": 0, "kind": FailureKind.PROCESSING, "code": "Lambda.ProcessingFailedStatus"}
    return FailedRecord(**{**made, "data": raw, "arrived_ms": HOUR} | changes)  # type: ignore[arg-type]


def stack_of(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands act on a stack with the backup bucket; it has no other service."""
    outputs = {"BackupBucketName": "backup", "BackupPrefix": "opensearch_backup/", "StreamName": "readings"}
    stack = Stack("s", "arn", outputs, {"DeviceTimeZone": "UTC"})
    monkeypatch.setattr(Target, "local", classmethod(lambda *_: Target(stack, lambda _: s3, None)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"{", "not_json"),
        (b"\xff", "not_utf8"),
        (device_reading(device_ts=...), "field_missing: device_ts"),
        (device_reading(device_temp=[1]), "wrong_type: device_temp"),
    ],
)
def test_a_reading_s_reason_is_the_function_s(data: object, reason: str) -> None:
    """As docs/fields.md names it, with the field to blame."""
    assert reason in REASONS.of(reading(data))


def test_good_data_is_valid_instead_of_a_reason() -> None:
    """It failed because the function did, or before the description was changed; a filter can select it."""
    assert REASONS.of(reading(device_reading())) == ("valid",)
    assert Selection(reasons=frozenset({"valid"})).takes(reading(device_reading()), REASONS.of)


@given(st.binary(max_size=100))
def test_any_bytes_have_reasons_or_none(data: bytes) -> None:
    """Whatever a device sent."""
    assert REASONS.of(reading(data))
    assert all(isinstance(reason, str) and reason for reason in REASONS.of(reading(data)))


def test_a_document_s_reason_is_opensearch_s_error_type() -> None:
    """Not its message, which quotes the document; without one, the code."""
    message = "mapper_parsing_exception: failed to parse field [a]. Preview of field's value: 'private'"
    record = reading(b"{}", kind=FailureKind.DOCUMENT, code="400", message=message)
    assert REASONS.of(record) == ("mapper_parsing_exception",)
    assert REASONS.of(reading(b"{}", kind=FailureKind.DOCUMENT, code="429", message="")) == ("HTTP 429",)
    assert REASONS.of(reading(b"{}", kind=FailureKind.DOCUMENT, code="OS.ServiceException")) == ("OS.ServiceException",)


def test_a_summary_counts_by_group_and_lists_what_is_broken() -> None:
    """Kind, code, index and hour make a line; broken rows are listed whatever is asked for."""
    records = [
        reading(b"{"),
        reading(b"{", arrived_ms=HOUR + 3_599_999),
        reading(b"", arrived_ms=HOUR + 3_600_000),
        reading(b"{}", key="d", kind=FailureKind.DOCUMENT, code="400", index="iot-stream", arrived_ms=10**15),
        reading(b"", key="b", problem="the object is empty"),
    ]
    summary = summarize(records, lambda record: record.code != "429", REASONS.of)
    first = Group("processing", "Lambda.ProcessingFailedStatus", "", "2026-11-26T10Z")
    assert summary.records[first] == 2
    assert summary.reasons[first] == {"not_json": 2}
    assert (summary.total, summary.objects) == (4, 3)
    assert summary.as_dict()["broken"] == [{"key": "b", "line": 0, "problem": "the object is empty"}]
    assert summary.as_dict()["broken_count"] == 1
    assert Group("document", "400", "iot-stream", "") in summary.records


def test_what_is_broken_is_counted_and_its_first_rows_are_kept() -> None:
    """An object of another program may have millions of lines that are not Firehose's."""
    records = (reading(b"", line=line, problem="not a line of a failure object") for line in range(1200))
    broken = summarize(records, lambda _: True, REASONS.of).broken
    assert (broken.count, len(broken.rows), broken.rows[-1].line) == (1200, 1000, 999)
    assert broken.lines(1) == [
        "can't be read: k, line 0: not a line of a failure object",
        "… and 1,199 more that can't be read",
    ]
    assert len(summarize([reading(b"", problem="x")], lambda _: True, REASONS.of).broken.lines(1)) == 1


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(since_ms=HOUR), True),
        (Selection(until_ms=HOUR), False),
        (Selection(since_ms=HOUR + 1), False),
        (Selection(codes=frozenset({"Lambda.ProcessingFailedStatus"})), True),
        (Selection(codes=frozenset({"400"})), False),
        (Selection(reasons=frozenset({"field_missing"})), True),
        (Selection(reasons=frozenset({"field_missing: device_ts"})), True),
        (Selection(reasons=frozenset({"field_missing: uuid"})), False),
        (Selection(kind=FailureKind.DOCUMENT), False),
    ],
)
def test_filters(selection: Selection, *, taken: bool) -> None:
    """Each alone, on a reading without its time."""
    assert selection.takes(reading(device_reading(device_ts=...)), REASONS.of) is taken


def hints(selection: Selection, *records: FailedRecord) -> list[str]:
    """Return what is told after these records."""
    selector = Selector(selection, REASONS.of)
    assert [selector.takes(record) for record in records] == [selection.takes(record, REASONS.of) for record in records]
    return selector.hints()


def test_a_value_that_selects_nothing_is_told_those_that_there_are() -> None:
    """An unknown reason, the name of a field instead of its path, half a code; the likest first, then the most."""
    hot = reading(device_reading(device_temp=-300))
    records = [reading(b"{"), reading(b"{"), hot, reading(b"{", code="Lambda.FunctionError")]
    told = "the failed records have the reasons: number_out_of_range: device_temp (1), not_json (3)"
    for reason in ("out_of_range", "number_out_of_range: temp"):
        assert hints(Selection(reasons=frozenset({reason})), *records) == [told]
    codes = frozenset({"Lambda.FunctionErr"})
    told = "the failed records have the codes: Lambda.FunctionError (1), Lambda.ProcessingFailedStatus (3)"
    assert hints(Selection(codes=codes), *records) == [told]
    assert hints(Selection(codes=codes, reasons=frozenset({"x"})), *records) == [told], "first what is first to mend"
    both = Selection(codes=frozenset({"Lambda.FunctionError"}), reasons=frozenset({"number_out_of_range"}))
    assert hints(both, *records) == ["the failed records have the reasons: not_json (1)"], "of the records of this code"


def test_nothing_is_told_where_something_is_selected_or_no_value_is_wrong() -> None:
    """Another time or kind can't be suggested."""
    assert hints(Selection(reasons=frozenset({"not_json"})), reading(b""), reading(b"{"), reading(b"")) == []
    assert hints(Selection(reasons=frozenset({"x"}), until_ms=HOUR), reading(b"")) == []
    assert hints(Selection(until_ms=HOUR), reading(b"")) == []
    assert hints(Selection(codes=frozenset({"x"})), reading(b"", code="")) == []


def test_what_is_told_is_bounded() -> None:
    """An object of another program may have a code in each line."""
    records = [reading(b"", code=f"{number:04}") for number in range(2000)]
    [told] = hints(Selection(codes=frozenset({"x"})), *records)
    assert told.startswith("the failed records have the codes: 0000 (1), ")
    assert told.endswith(" 0009 (1), and 990 more")


def test_reasons_are_recomputed_once_and_only_where_a_filter_needs_them() -> None:
    """They take as long as the function itself."""
    asked = []

    def reasons(record: FailedRecord) -> tuple[str, ...]:
        asked.append(record)
        return REASONS.of(record)

    for wanted, times in ((Selection(reasons=frozenset({"x"})), 1), (Selection(codes=frozenset({"x"})), 0)):
        asked.clear()
        Selector(wanted, reasons).takes(reading(b"{"))
        assert len(asked) == times


def test_a_record_without_a_time_is_left_out_when_a_time_is_asked_for() -> None:
    """Nobody can say whether it is meant."""
    assert not Selection(since_ms=0).takes(reading(b"", arrived_ms=None), REASONS.of)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26T10:00", HOUR),
        ("2026-11-26T11:00+01:00", HOUR),
        ("2h", HOUR),
        ("now-2h", HOUR),
        ("120m", HOUR),
        ("now", HOUR + 7_200_000),
    ],
)
def test_times(text: str, expected: int) -> None:
    """ISO 8601, UTC where nothing else is said, or an age."""
    assert parse_time(text, NOW) == expected


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    """It would select nothing, and a replay of nothing looks like a success."""
    with pytest.raises(SelectionError, match="--since is not before --until"):
        Selection(since_ms=2, until_ms=2)
    assert Selection(since_ms=1, until_ms=2)


@given(st.text(max_size=12) | st.sampled_from(["999999999w", "yesterday", "2026-13-01", "-1h", ""]))
def test_anything_else_is_one_error(text: str) -> None:
    """With what to write instead."""
    try:
        assert isinstance(parse_time(text, NOW), int)
    except SelectionError as error:
        assert "90m" in str(error)  # noqa: PT017 - some texts are times


def test_a_shown_record_has_its_line_also_the_first(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines count from 0; what is empty is left out."""
    lines = [
        {"rawData": base64.b64encode(data).decode(), "errorCode": "X", "lambdaArn": "a"} for data in (b"{", b"\xff")
    ]
    key = "opensearch_backup/processing-failed/2026/11/26/10/x"
    s3.put_object(Bucket="backup", Key=key, Body="\n".join(map(json.dumps, lines)))
    stack_of(s3, monkeypatch)
    shown = CliRunner().invoke(cli, ["failures", "show", key])
    assert shown.exit_code == 0, shown.output
    first, second = shown.output.strip().split("\n\n")
    assert "line         0" in first.splitlines()
    assert "line         1" in second.splitlines()
    assert not [line for line in first.splitlines() if len(line.split()) == 1], "no value"


@pytest.mark.parametrize(
    ("filters", "output"),
    [
        ([], "no failed records in s3://backup/opensearch_backup/\n"),
        (["--code", "x"], "no failed records in s3://backup/opensearch_backup/ match the filters\n"),
    ],
)
def test_no_failures_are_said_with_where_they_would_be(
    filters: list[str], output: str, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty table leaves open whether it looked in the right place."""
    stack_of(s3, monkeypatch)
    listed = CliRunner().invoke(cli, ["failures", "list", *filters])
    assert (listed.exit_code, listed.output) == (0, output)


def test_a_filter_looks_into_older_objects_too(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure that was asked for is behind a hundred others; what was not found is said."""
    for number in range(101):
        code = "Rare" if number == 0 else "Common"
        line = {"rawData": "e30=", "errorCode": code, "lambdaArn": "a"}
        key = f"opensearch_backup/processing-failed/2026/11/26/10/{number:03}"
        s3.put_object(Bucket="backup", Key=key, Body=json.dumps(line))
    stack_of(s3, monkeypatch)
    shown = CliRunner(mix_stderr=False).invoke(cli, ["failures", "show", "--code", "Rare", "--json"])
    assert [json.loads(line)["code"] for line in shown.stdout.splitlines()] == ["Rare"]
    none = CliRunner(mix_stderr=False).invoke(cli, ["failures", "show", "--code", "Nothing", "--json"])
    told = "no failed records match the filters\nthe failed records have the codes: Common (100), Rare (1)\n"
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", told)
    listed = CliRunner().invoke(cli, ["failures", "list", "--code", "Nothing"])
    assert listed.output.splitlines()[1:] == told.splitlines()[1:]
    listed = CliRunner().invoke(cli, ["failures", "list", "--code", "Nothing", "--json"])
    assert json.loads(listed.output)["hints"] == told.splitlines()[1:]


def test_what_is_discarded_leaves_the_lists(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run changes nothing, filters select, and the bucket and the source of the reasons are named."""
    stack_of(s3, monkeypatch)
    lines = [{"rawData": raw, "errorCode": "C", "lambdaArn": "a"} for raw in ("ew==", "W10=", "/w==")]  # {, [] and 0xff
    key = "opensearch_backup/processing-failed/2026/11/26/10/x"
    s3.put_object(Bucket="backup", Key=key, Body="\n".join(map(json.dumps, lines)))

    def failures(*arguments: str) -> Any:
        result = CliRunner(mix_stderr=False).invoke(cli, ["failures", *arguments])
        assert result.exit_code == 0, (result.output, result.exception)
        return result

    def listed() -> tuple[int, int]:
        found = json.loads(failures("list", "--json").stdout)
        return found["records"], found["resolved"]

    tried = failures("discard", "--reason", "not_json", "--dry-run")
    assert tried.stdout == "1 record would be discarded\n2 did not match the filters\n"
    assert (
        "would discard failed records of s3://backup (the local stack); reasons are by the description" in tried.stderr
    )
    assert listed() == (3, 0)
    none = failures("discard", "--code", "Cod", "--dry-run").stdout.splitlines()
    assert none[1:] == ["3 did not match the filters", "the failed records have the codes: C (3)"]
    assert failures("discard", "--reason", "not_json").stdout.startswith(
        "1 record discarded; 0 objects moved to replayed/"
    )
    assert listed() == (2, 1)
    assert [json.loads(line)["line"] for line in failures("show", "--json").stdout.splitlines()] == [1, 2]
    assert "1 other record of these objects resolved: replayed or discarded" in failures("list").stdout
    assert failures("discard", "--all").stdout.startswith("2 records discarded; 1 object moved to replayed/")
    assert listed() == (0, 0)


def test_all_that_is_left_unread_is_an_exit_code(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What S3 does not return may be returned later."""
    stack_of(s3, monkeypatch)
    key = "opensearch_backup/processing-failed/2026/11/26/10/x"
    s3.put_object(Bucket="backup", Key=key, Body=b"{}", StorageClass="GLACIER")
    result = CliRunner().invoke(cli, ["failures", "discard", "--all"])
    assert result.exit_code == 1
    assert f"can't be read: {key}, line 0" in result.output
