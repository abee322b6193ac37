"""`iot-stream readings try`: each reading's document or all its reasons, as the function responds, without a stack."""

import json
import sys
from base64 import b64decode
from datetime import UTC
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from enrichment.firehose import transform
from iot_stream.cli import cli
from iot_stream.description import parse
from iot_stream.paths import PROJECT
from iot_stream.readings.sample import split
from iot_stream.readings.trial import try_readings
from tests.builders import device_reading, firehose_event
from tests.enrichers import WALKTHROUGH, enricher

GOOD = json.dumps(device_reading(note="x", device_ts="2026-11-22T11:15:30.123+01:00"))
BAD = json.dumps(device_reading(device_temp=-300, track_id="four", activity_type=...))
COLD_STORES = str(PROJECT / "tests" / "descriptions" / "cold-store.toml")


def run(data: str | bytes, *options: str) -> Result:
    """Run the command with a sample on standard input."""
    return CliRunner().invoke(cli, ["readings", "try", *options], input=data)


def test_a_good_reading_s_document_is_shown_as_the_function_writes_it() -> None:
    """Byte for byte but for the arrival; what is dropped is named."""
    result = run(GOOD)
    assert result.exit_code == 0
    shown, dropped, summary = result.output.splitlines()
    response = transform(firehose_event(GOOD), enricher())
    line = b64decode(response.results[0]["data"]).decode()
    assert shown.partition(',"ingested_at"')[0] == f"reading 1: {line.partition(',"ingested_at"')[0]}"
    assert dropped == "  dropped, because not described: note"
    assert summary == "readings: 1, failed: 0"


def test_a_bad_reading_s_reasons_are_shown_with_what_to_do() -> None:
    """All of them, and the exit code says that one failed."""
    result = run(f"{GOOD}\n{BAD}\n")
    assert result.exit_code == 1
    assert result.output.splitlines()[2:] == [
        "reading 2 fails:",
        (
            "  number_out_of_range: device_temp - check the device, or change min and max in readings.toml:"
            " from \N{MINUS SIGN}273.15 to 1,000,000,000,000"
        ),
        (
            "  wrong_type: track_id - send a whole number from \N{MINUS SIGN}2⁶³ to 2⁶³ \N{MINUS SIGN} 1,"
            " or change the field's type in readings.toml"
        ),
        "  field_missing: activity_type - send the field, or make it optional in readings.toml",
        "readings: 2, failed: 1",
    ]


def test_json_holds_documents_and_reasons() -> None:
    """For scripts; a document's digits are kept."""
    result = run(f"[{GOOD.replace('"track_id": 4', '"track_id": 9007199254740993')}, {BAD}]", "--json")
    shown = json.loads(result.output)
    assert shown["failed"] == 1
    good, bad = shown["readings"]
    assert (good["document"]["track_id"], good["document"]["timestamp"]) == (
        9007199254740993,
        "2026-11-22T10:15:30.123",
    )
    assert (good["dropped"], good["warnings"]) == (["note"], [])
    assert [(each["reason"], each["field"]) for each in bad["reasons"]] == [
        ("number_out_of_range", "device_temp"), ("wrong_type", "track_id"), ("field_missing", "activity_type"),
    ]  # fmt: skip


def test_a_file_another_description_and_a_zone_can_be_tried(tmp_path: Path) -> None:
    """Before they are the project's."""
    sample = tmp_path / "sample.json"
    sample.write_text('{"sensor": "F-1", "site": "a", "at": "2026-07-01 12:00:00", "temp_c": -18}', encoding="utf-8")
    options = ["readings", "try", str(sample), "--description", COLD_STORES, "--time-zone", "Europe/Berlin"]
    result = CliRunner().invoke(cli, options)
    assert result.exit_code == 0
    assert '"at":"2026-07-01T10:00:00.000","temp_c":-18,"temp_f":-0.4' in result.output
    assert "not an IANA time zone" in str(CliRunner().invoke(cli, [*options[:-1], "Mars"]).exception)
    broken = tmp_path / "broken.toml"
    broken.write_text('[fields.at]\ntype = "date"\n', encoding="utf-8")
    assert "broken.toml, line 1: no field has the role" in str(run("{}", "--description", str(broken)).exception)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"), (b"\xff\xfe{", "utf16"), (b"\x1f\x8b\x08", "gzip"), (b"not json", "not_json"),
        (b"{\n  'a': 1,\n  'b': 2\n}", "not_json"), (b"[]", "not_an_object"), (b"[1, 2]", "not_an_object"),
        (b"[" * 100_000, "nested_too_deep"), (b"[{}", "not_json"),
    ],
)  # fmt: skip
def test_what_is_no_reading_has_the_function_s_own_reason(data: bytes, reason: str) -> None:
    """The file as a whole is the record then."""
    result = run(data)
    assert result.output.splitlines()[1].startswith(f"  {reason} - "), result.output
    assert result.output.splitlines()[-1] == "readings: 1, failed: 1"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"a": 1}', ['{"a": 1}']),
        ('{"a": 1}\r\n\r\n{"a": 2}\n', ['{"a": 1}', '{"a": 2}']),
        ('{"a": 1}{"a": 2}', ['{"a": 1}', '{"a": 2}']),
        ('{\n  "a": 1\n},\n{\n  "a": 2\n}', ['{\n  "a": 1\n}', '{\n  "a": 2\n}']),
        (' [ {"a": 1.0}, {"a":2} ] ', ['{"a": 1.0}', '{"a":2}']),
        ('{"a": 1}\n{"a": \n{"a": 3}', ['{"a": 1}', '{"a":', '{"a": 3}']),
        ('nothing\n{"a": 3}', ["nothing", '{"a": 3}']),
    ],
)  # fmt: skip
def test_a_sample_is_taken_apart(data: str, expected: list[str]) -> None:
    """Each reading keeps its own spelling, and a broken line is a reading of its own."""
    assert split(data.encode()) == [each.encode() for each in expected]


JSON_OBJECTS = st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=3)


@given(st.lists(JSON_OBJECTS, min_size=1, max_size=5), st.sampled_from(["\n", "", ",\n", "\r\n\r\n"]), st.booleans())
def test_however_readings_are_put_together_they_come_apart(objects: list[object], between: str, indented: bool) -> None:
    """The same objects, in their order."""
    texts = [json.dumps(each, indent=2 if indented else None) for each in objects]
    assert [json.loads(each) for each in split(between.join(texts).encode())] == objects
    assert [json.loads(each) for each in split(f"[{','.join(texts)}]".encode())] == objects


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:1 \na', max_size=40).map(str.encode))
def test_no_sample_raises_or_disappears(data: bytes) -> None:
    """Whatever the file holds, there is something to try, and nothing of it is left out but what stands between."""
    pieces = split(data)
    assert pieces
    left = b"".join(pieces)
    assert [byte for byte in data if byte not in b" \t\r\n,[]"] == [byte for byte in left if byte not in b" \t\r\n,[]"]


@pytest.mark.parametrize(
    ("keys", "value", "advice"),
    [
        ('type = "keyword"', 4, "send text, or"),
        ('type = "boolean"', "yes", "send true or false, or"),
        ('type = "double"\nunit = "V"\nmin = 0', "x", "send a number in V from 0 upward, or"),
        ('type = "date"', 5, "send a time as text, such as 2026-11-28T07:15:30Z, or"),
        (
            'type = "date"\nformat = "epoch_millis"',
            True,
            "send a time as a number of milliseconds since 1970-01-01 UTC, or",
        ),
        ('type = "ip"', 5, "send an IPv4 or IPv6 address, or"),
    ],
)
def test_a_wrong_value_is_told_what_is_wanted(keys: str, value: object, advice: str) -> None:
    """By the field's own type, unit and bounds, not only that there is one."""
    roles = '[fields.d]\ntype = "keyword"\nrole = "device"\n[fields.t]\ntype = "date"\nrole = "time"\n'
    reading = json.dumps({"d": "a", "t": "2026-01-01T00:00:00Z", "x": value}).encode()
    [trial] = try_readings([reading], parse(f"{roles}[fields.x]\n{keys}\n"), UTC, None)
    assert [str(cause) for cause in trial.causes] == ["wrong_type: x"]
    assert trial.advice[0].startswith(advice)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("conector.status", "connector.status"),
        ("status", "connector.status"),
        ("connector.Status", "connector.status"),
        ("meter.power_kw", "meter.powerKw"),
        ("connector.plug", None),  # nothing like it
        ("connector.type", None),  # what is like it is described
    ],
)
def test_a_missing_field_is_told_the_path_that_is_probably_meant(path: str, named: str | None) -> None:
    """An undescribed field of the reading with the same key, or a path that differs by letters; as it is written."""
    sent = {"d": "a", "t": "2026-01-01T00:00:00Z", "connector": {"status": "free", "types": "CCS"}}
    reading = json.dumps(sent | {"meter": {"powerKw": 11}}).encode()
    fields = {"d": "d", "t": "t", "types": "connector.types", "x": path}
    types = {"t": 'type = "date"\nrole = "time"', "d": 'type = "keyword"\nrole = "device"'}
    described = "\n".join(
        f'[fields.{name}]\npath = "{where}"\n{types.get(name, 'type = "keyword"')}' for name, where in fields.items()
    )
    [trial] = try_readings([reading], parse(described), UTC, None)
    assert [str(cause) for cause in trial.causes] == [f"field_missing: {path}"]
    told = f"the reading has {named}: correct the path in readings.toml, or send the field"
    assert trial.advice == (told if named else "send the field, or make it optional in readings.toml",)


def test_a_reading_nested_deeper_than_python_calls_is_tried() -> None:
    """The function takes more levels than Python's recursion limit."""
    levels = 2 * sys.getrecursionlimit()
    result = run('{"x":' * levels + "1" + "}" * levels)
    assert "  field_missing: device_id - " in result.output, result
    assert result.exit_code == 1


_TIME_AS_TEXT = "2026-11-22T10:15:30Z"


@pytest.mark.parametrize(
    ("field", "value", "form", "cure"),
    [
        ("device_temp", None, "text", "optional = true"),
        ("device_ts", 1_795_687_200, "text", 'format = "epoch_second"'),
        ("device_ts", 1_795_687_200_000, "text", 'format = "epoch_millis"'),
        ("device_ts", 1_795_687_200_000, "epoch_second", 'format = "epoch_millis"'),
        ("device_ts", _TIME_AS_TEXT, "epoch_millis", 'format = "text"'),
    ],
)
def test_a_cure_that_is_named_works(field: str, value: object, form: str, cure: str) -> None:
    """The same reading passes once the description has it."""
    reading, path = json.dumps(device_reading(**{field: value})).encode(), f'path = "{field}"\n'
    described = WALKTHROUGH.replace(path, path + (f'format = "{form}"\n' if field == "device_ts" else ""))
    [trial] = try_readings([reading], parse(described), UTC, None)
    assert trial.advice[0].endswith(f", or set {cure} in readings.toml"), trial
    [trial] = try_readings([reading], parse(WALKTHROUGH.replace(path, f"{path}{cure}\n")), UTC, None)
    assert trial.causes == ()


@pytest.mark.parametrize(
    ("value", "form", "meant"),
    [
        (1_795_862_436, "epoch_millis", "epoch_second"),
        ("1795862436", "epoch_millis", "epoch_second"),
        (1_795_862_436_000, "epoch_nanos", "epoch_millis"),
        (1_795_862_436, "epoch_second", None),
        (0, "epoch_millis", None),
        (_TIME_AS_TEXT, "text", None),
    ],
)
def test_a_time_in_another_unit_is_a_warning(value: object, form: str, meant: str | None) -> None:
    """Seconds as milliseconds are a day in 1970, which the function accepts."""
    described = WALKTHROUGH.replace('path = "device_ts"\n', f'path = "device_ts"\nformat = "{form}"\n')
    reading = json.dumps(device_reading(device_ts=value))
    [trial] = try_readings([reading.encode()], parse(described), UTC, None)
    assert trial.document is not None
    told = f'device_ts is read as {form}, but seems to be {meant}: set format = "{meant}"'
    assert trial.warnings == ((told,) if meant else ())


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (None, "send a time as text, such as 2026-11-28T07:15:30Z, not null"),
        (..., "send the field: the time of a reading can't be optional"),
        (True, "send a time as text, such as 2026-11-28T07:15:30Z, or change the field's type in readings.toml"),
        (12, "send a time as text, such as 2026-11-28T07:15:30Z, or change the field's type in readings.toml"),
        ("yesterday", "send a time as text, such as 2026-11-28T07:15:30Z, or in another format of docs/fields.md"),
    ],
)
def test_no_cure_is_named_that_does_not_work(value: object, advice: str) -> None:
    """The time of a reading is never optional, and not every number is one."""
    reading = json.dumps(device_reading(device_ts=value)).encode()
    [trial] = try_readings([reading], parse(WALKTHROUGH), UTC, None)
    assert trial.advice == (advice,)
