"""`iot-stream readings init`: a description is guessed from samples, and every guess says what it comes from."""

import json
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichment.reading import encode
from iot_stream import description as description_module
from iot_stream.cli import cli
from iot_stream.description import Description, DescriptionError, Field, Role, TimeFormat, Type, load, parse
from iot_stream.readings.draft import draft
from iot_stream.readings.guess import guess
from tests.builders import device_reading
from tests.enrichers import enricher
from tests.unit.test_enrichment_descriptions import COLD_STORE_READING, JUNK, KEYS, VENDOR_READING
from tests.walkthrough import WALKTHROUGH_FILE


def described(*readings: dict[str, Any]) -> Description:
    """Return the description that is guessed from readings."""
    return parse(text_for(*readings))


def text_for(*readings: dict[str, Any]) -> str:
    """Return the same as text."""
    return draft(guess([json.dumps(reading).encode() for reading in readings]), "")


def one(value: Any, key: str = "x") -> Field:
    """Return the field that is guessed from one value, beside a time and a device."""
    return next(field for field in described({"at": "2026-11-26T07:15:30Z", "sensor": "s", key: value}).fields[2:3])


def test_the_cold_store_s_reading_gives_its_description() -> None:
    """Time, device, measures with units and categories of issue 11's reading are as its description has them."""
    made = described(COLD_STORE_READING)
    assert (made.time.name, made.device.name, made.identity) == ("at", "sensor", None)
    assert [(field.name, field.unit) for field in made.measures] == [
        ("temp_c", "°C"), ("humidity", "%"), ("battery_mv", "mV"),
    ]  # fmt: skip
    assert [field.name for field in made.categories] == ["site", "door"]
    assert [field.type for field in made.fields] == [
        Type.KEYWORD, Type.KEYWORD, Type.DATE, Type.SCALED_FLOAT, Type.SCALED_FLOAT, Type.LONG, Type.KEYWORD,
    ]  # fmt: skip


def test_a_vendor_s_nested_message_gives_paths() -> None:
    """Names are the shortest that tell fields apart; a key with a dot needs a list; epochs and points are known."""
    fields = {field.name: field for field in described(VENDOR_READING).fields}
    assert fields["temperature"].path == ("uplink", "payload", "temperature")
    assert fields["gateway_id"].path == ("uplink", "radio", "gateway.id")
    assert fields["location"].type is Type.GEO_POINT
    assert fields["gateway_ip"].type is Type.IP
    assert fields["installed"].format is TimeFormat.EPOCH_SECOND
    assert (fields["measured"].format, fields["measured"].role) == (TimeFormat.EPOCH_MILLIS, Role.TIME)
    assert (fields["id"].role, fields["dev_eui"].role) == (Role.IDENTITY, Role.DEVICE)


def test_the_walkthrough_s_reading_gives_its_roles() -> None:
    """A uuid is the identity, and numbers without a unit are no measures."""
    made = described(device_reading())
    assert (made.time.name, made.device.name) == ("device_ts", "device_id")
    assert made.identity is not None
    assert made.identity.name == "uuid"
    assert [field.name for field in made.measures] == ["device_temp"]
    assert [field.name for field in made.categories] == ["activity_type"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("x", True, Type.BOOLEAN), ("x", 5, Type.LONG), ("x", 5.25, Type.SCALED_FLOAT), ("x", "5", Type.KEYWORD),
        ("battery", "3.71", Type.SCALED_FLOAT), ("firmware", "3.71", Type.KEYWORD),
        ("temp_c", "5.5", Type.SCALED_FLOAT), ("temp_c", 5, Type.SCALED_FLOAT), ("x", 1.123456789, Type.DOUBLE),
        ("x", 2**63, Type.DOUBLE), ("x", 1e300, Type.DOUBLE), ("x", "192.0.2.1", Type.IP), ("x", "::1", Type.IP),
        ("x", "fe80::1%eth0", Type.KEYWORD), ("x", "52.1,4.3", Type.KEYWORD), ("position", "52.1,4.3", Type.GEO_POINT),
        ("gps", [4.3, 52.1], Type.GEO_POINT), ("x", {"lat": 1, "lon": 2}, Type.GEO_POINT), ("x", "", Type.KEYWORD),
        ("x", {"lat": 1, "lng": 2}, Type.GEO_POINT), ("x", {"latitude": 1, "longitude": 2}, Type.GEO_POINT),
        ("seen", 1_795_677_330, Type.DATE), ("x", 1_795_677_330, Type.LONG), ("x", "2026-11-26 07:15", Type.DATE),
    ],
)  # fmt: skip
def test_types_come_from_values(key: str, value: Any, expected: Type) -> None:
    """And where a value alone does not say it, from the name."""
    assert one(value, key).type is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1_795_677_330, TimeFormat.EPOCH_SECOND), (1_795_677_330.25, TimeFormat.EPOCH_SECOND),
        (1_795_677_330_250, TimeFormat.EPOCH_MILLIS), (1_795_677_330_250_000, TimeFormat.EPOCH_MICROS),
        (1_795_677_330_250_000_000, TimeFormat.EPOCH_NANOS),
    ],
)  # fmt: skip
def test_epochs_are_told_apart_by_their_size(number: float, expected: TimeFormat) -> None:
    """In the years 2001 to 2096."""
    assert described({"ts": number, "device": "a"}).time.format is expected


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("temp_c", "°C"), ("tempF", "°F"), ("temp_f", "°F"), ("waterTemperature", "°C"), ("battery_mV", "mV"),
        ("CO2", "ppm"), ("voltage", "V"), ("rel-humidity", "%"), ("pressure", "hPa"), ("x", None),
        ("vibration_mm_s", "mm/s"), ("speedKmh", "km/h"), ("power_kw", "kW"),
    ],
)  # fmt: skip
def test_units_come_from_names(key: str, unit: str | None) -> None:
    """However the words of a key are joined."""
    assert one(5.5, key).unit == unit


def test_a_device_whose_name_says_nothing_is_the_first_text_with_a_number() -> None:
    """A beehive's: better a guess with a comment than none. A name that says it comes first; texts alone don't."""
    reading = {"site": "Hof 3", "hive": "H-12", "at": "2026-05-03 14:05:09,5 +02:00", "weight_kg": 38.4, "note": "ok"}
    text = text_for(reading, reading | {"site": "Hof", "hive": "H-13"})
    assert parse(text).device.name == "hive"
    assert re.search(r'role = "device" +# guess: the first text with digits and letters; no name says it', text)
    assert parse(text_for(reading | {"sensor": "x"})).device.name == "sensor"
    with pytest.raises(DescriptionError, match="no field has the role device"):
        parse(text_for({"site": "Hof", "count": 3, "at": "2026-05-03 14:05:09"}))


def test_what_some_samples_lack_is_optional() -> None:
    """Absent and null alike; the comment counts them."""
    full = COLD_STORE_READING
    text = text_for(full, full | {"door": None}, {key: value for key, value in full.items() if key != "door"})
    assert [field.name for field in parse(text).fields if field.optional] == ["door"]
    assert re.search(r"optional = true +# guess: absent or null in 2 of 3 samples", text)


def test_a_value_nested_deeper_than_python_calls_has_its_path() -> None:
    """The function takes more levels than Python's recursion limit, so init does."""
    levels = sys.getrecursionlimit()
    deep = '{"x":' * levels + "1" + "}" * levels
    [found] = guess([deep.encode()]).fields
    assert found.path == ("x",) * levels


def test_what_can_not_be_described_is_told() -> None:
    """Lists, nulls, mixed types, odd keys: a comment each, and the description is valid without them."""
    reading = COLD_STORE_READING | {"tags": ["a"], "spare": None, "mix": 1, 'say "x"': 1, "": 2, "o": {}}
    text = text_for(reading, reading | {"mix": "a", "o": {"p": 1}})
    parse(text)
    for line in (
        '"tags": a list: have the device send an object', '"spare": null in every sample',
        '"mix": its values have different types', "its key is empty, or has quotes", '"o": an object in some samples',
    ):  # fmt: skip
        assert line in text


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("engineTempF", "engine_temp_f"), ("level_mV", "level_mv"), ("levelMV", "level_mv"),
        ("Bearing Temp", "bearing_temp"), ("MachineName", "machine_name"), ("2nd", "field_2nd"), ("ünïct", "n_ct"),
        ("ingested_at", "ingested_at_2"), ("", None),
    ],
)  # fmt: skip
def test_names_are_written_with_underscores(key: str, name: str | None) -> None:
    """In the letters that a field's name may have; the path keeps the key."""
    names = [field.name for field in described(COLD_STORE_READING | {key: "a"}).fields]
    assert names[7:] == ([name] if name else [])


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63) - 1])
def test_a_whole_number_beyond_64_bits_is_no_measure_and_says_what_is_lost(number: int) -> None:
    """It is an id in most cases, of which a double keeps 16 digits only."""
    reading = COLD_STORE_READING | {"chip": number}
    chip = described(reading).fields[-1]
    assert (chip.name, chip.type, chip.role, chip.examples) == ("chip", Type.DOUBLE, None, (number,))
    assert (
        "# guess: whole numbers beyond 64 bits; a double keeps 16 digits, so have the device send an id as text"
        in text_for(reading)
    )


def test_a_measure_gets_no_name_that_alerts_use() -> None:
    """`build` would refuse it; a category of that name is none of theirs."""
    reading = {"device": "a-1", "time": "2026-11-22T10:15:30Z", "kind": "hot", "fleet": 1.5, "fleet_2": 2.5}
    fields = {field.name: field.source for field in described(reading, reading).fields}
    assert fields == {"device": "device", "time": "time", "kind": "kind", "fleet_3": "fleet", "fleet_2": "fleet_2"}


def test_a_time_that_the_function_can_t_read_is_told() -> None:
    """A text with a time's name and digits is no category without a word: the next step would miss a time."""
    told = "# guess: text, not in a time format of docs/fields.md: if it is a time, have the device send one"
    assert told in text_for({"sensor": "s", "observed": "27.11.2026 07:15:00"})
    assert told not in text_for({"sensor": "s", "observed": "2026-11-27 07:15:30,250 +01:00"})
    assert told not in text_for({"sensor": "s", "observed": "by hand"})
    assert told not in text_for({"sensor": "s", "site": "quay 7"})


@pytest.mark.parametrize("text", ["52.1,4.3", "-33.9, 151.2"])
def test_texts_that_may_be_places_are_told(text: str) -> None:
    """Only a name says that two numbers are degrees; with the type written that the comment names, they are read."""
    reading = COLD_STORE_READING | {"fix": text}
    told = '# guess: text; if it is "latitude,longitude", write "geo_point"'
    written = text_for(reading)
    fix = parse(written).fields[-1]
    assert (fix.type, fix.role) == (Type.KEYWORD, None)
    [line] = [line for line in written.splitlines() if told in line]
    changed = written.replace(line, 'type = "geo_point"')
    [document] = encode([enricher(changed).enrich(json.dumps(reading).encode())])
    assert json.loads(document)["fix"] == dict(zip(("lat", "lon"), map(float, text.split(",")), strict=True))
    assert told not in text_for(COLD_STORE_READING | {"gps": text}), "a name of a place"
    assert told not in text_for(COLD_STORE_READING | {"fix": "quay 7"})


def test_a_time_without_an_offset_is_told() -> None:
    """Its zone is the stack's parameter."""
    reading = COLD_STORE_READING
    for text in ("2026-11-26 07:15", "2026-11-26T07:15:30.25"):
        assert "without an offset: set DeviceTimeZone" in text_for(reading | {"at": text})
    for text in ("2026-11-26 07:15Z", "2026-11-26T07:15:30+0100", "2026-11-26T07:15:30+01:00[Europe/Berlin]"):
        assert "without an offset" not in text_for(reading | {"at": text})


def test_every_guess_has_a_comment() -> None:
    """A type that the value does not prove, a role, a unit."""
    lines = text_for(COLD_STORE_READING).splitlines()
    assert all("# guess: " in line for line in lines if line.startswith(("role", "unit", "decimals", "silent_after")))


@pytest.mark.parametrize(
    ("temp", "comment"),
    [(-18.5, "2 at least; 1 in the samples"), (-18, "2 at least; none in the samples"), (-18.125, "3 in the samples")],
)
def test_the_comment_of_decimals_says_why_they_are_not_those_of_the_samples(temp: float, comment: str) -> None:
    """Two samples with one decimal do not show that a third has no second one."""
    [decimals, *_] = re.findall(r"decimals = (\d) +# guess: (.+)", text_for({**COLD_STORE_READING, "temp_c": temp}))
    assert decimals == (comment[0], comment)


def run(data: str, *options: str) -> Result:
    """Run the command with samples on standard input."""
    return CliRunner().invoke(cli, ["readings", "init", *options], input=data)


def test_the_command_prints_or_replaces_the_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the comment that explains every key, so that the file needs no other page."""
    mine = tmp_path / "readings.toml"
    mine.write_text(WALKTHROUGH_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(description_module, "FILE", mine)
    monkeypatch.setattr("iot_stream.cli.readings.PROJECT", tmp_path)
    samples = json.dumps([COLD_STORE_READING, COLD_STORE_READING | {"site": "hamburg"}])
    printed = run(samples)
    assert printed.exit_code == 0
    assert parse(printed.output).categories[0].examples == ("rotterdam", "hamburg")
    assert "#   alert_above, alert_below   thresholds of a measure" in printed.output
    assert parse(mine.read_text(encoding="utf-8")).device.name == "device_id"
    before = mine.read_bytes()
    written = run(samples, "--write").output.splitlines()
    assert mine.read_text(encoding="utf-8") == printed.output
    kept = re.fullmatch(r"written: readings\.toml \(the previous one: (\S+)\)", written[0])
    assert kept
    assert (tmp_path / kept[1]).read_bytes() == before, "it may not be in git yet"
    assert written[1].startswith("check every guess")


def test_a_deleted_description_can_be_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes the file: it needs nothing of the one before but the comment at its beginning."""
    monkeypatch.setattr(description_module, "FILE", tmp_path / "readings.toml")
    monkeypatch.setattr("iot_stream.cli.readings.PROJECT", tmp_path)
    written = run('{"device": "a-1", "time": "2026-11-22T10:15:30Z"}', "--write")
    assert (written.exit_code, written.output.splitlines()[0]) == (0, "written: readings.toml")
    assert load(tmp_path / "readings.toml").device.name == "device"


def test_samples_that_lack_something_are_an_error_that_says_what() -> None:
    """The guesses are printed all the same."""
    result = run('{"temp": 5.5, "site": "a"}')
    assert "[fields.temp]" in result.output
    assert "no field has the role time" in str(result.exception)
    assert "no field has the role device" in str(result.exception)
    assert "a sample is not a reading: not_json: send exactly one valid JSON object" in str(run("nothing").exception)


FIELDS = st.dictionaries(KEYS, JUNK | st.datetimes().map(str) | st.integers(10**9, 10**19), max_size=5)


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=3), st.data())
def test_the_samples_fit_what_is_guessed_from_them(readings: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whatever they hold: the description is valid, and each sample becomes a document of it."""
    whole = [
        reading | {"measured at": "2026-11-26T07:15:30Z", "device id": data.draw(st.text(max_size=3))}
        for reading in readings
    ]
    samples = [json.dumps(reading).encode() for reading in whole]
    text = draft(guess(samples), "")
    try:
        parse(text)
    except DescriptionError as error:
        raise AssertionError(f"{error}\n{text}") from error
    for sample in samples:
        enricher(text).enrich(sample)


def test_decimals_are_those_that_were_written() -> None:
    """Not those of a double: 0.1 + 0.2 has seventeen."""
    raw = b'{"at": "2026-11-26T07:15:30Z", "sensor": "s", "x": 0.300, "y": 0.30000000000000004}'
    fields = {found.name: found for found in guess([raw]).fields}
    assert (fields["x"].decimals, fields["y"].type) == (3, Type.DOUBLE)
    assert fields["x"].examples == [float(Decimal("0.3"))]


@pytest.mark.parametrize("sample", ["", " \n", "[]", "[ ]\n"])
def test_a_file_without_readings_is_said(sample: str) -> None:
    """An empty array is no reading that is wrong."""
    assert "has no readings: give it JSON objects" in str(run(sample).exception)


def test_a_line_of_a_draft_is_no_line_of_the_file() -> None:
    """Nothing was written: readings.toml has other lines."""
    assert "\ndraft, line " in str(run('{"a": 1}').exception)


@pytest.mark.parametrize("day", ["28.11.2026", "28/11/2026 10:00", "11-28-2026", "2026/11/28"])
def test_what_looks_like_a_time_is_said_whatever_its_name(day: str) -> None:
    """A category of days would otherwise be all that becomes of it."""
    line = next(line for line in text_for({"day": day}).splitlines() if line.startswith("type"))
    assert line.endswith(
        "# guess: text, not in a time format of docs/fields.md: if it is a time, have the device send one"
    )


def test_a_draft_without_a_time_says_which_field_may_be_one() -> None:
    """In a format that no setting of the description can read."""
    error = str(run('{"sensor": "s", "zeit": "28.11.2026 07:15"}').exception)
    assert "no field has the role time" in error
    assert "\nzeit: if it is the time, have the device send 2026-11-28T07:15:30Z, or another format of docs" in error
    assert "if it is the time" not in str(run('{"sensor": "s", "a": "b", "n": 7, "no": "12"}').exception)
    assert "if it is the time" not in str(run('{"x": 1, "at": "2026-11-28T07:15:30Z", "day": "28.11.2026"}').exception)


@pytest.mark.parametrize("value", [1_795_849_200_000, "1795849200000"])
def test_an_epoch_of_another_name_becomes_the_time_as_the_error_says(value: object) -> None:
    """The keys that it names describe it."""
    reading = {"sensor": "s", "zeit": value}
    result = run(json.dumps(reading))
    cure = re.search(r"\nzeit: if it is the time, write (.*)$", str(result.exception))
    assert cure
    keys = cure[1].replace(", ", "\n").replace(" and ", "\n")
    written = re.sub(r"(?m)(?<=^\[fields\.zeit\]\n)(?:.+\n?)+", f"{keys}\n", result.output)
    time = parse(written).time
    assert (time.name, time.format) == ("zeit", TimeFormat.EPOCH_MILLIS)


def test_a_key_that_says_nothing_takes_its_role_from_the_one_above() -> None:
    """As its name and unit."""
    made = described({"device": {"value": "a-1"}, "ts": {"value": 1_795_849_200}})
    assert (made.time.name, made.device.name) == ("ts_value", "device_value")


@pytest.mark.parametrize(("text", "told"), [("21,5", "the comma"), ("-3,25", "the comma"), ("07:15", "without a date")])
def test_a_text_that_is_something_else_is_no_category(text: str, told: str) -> None:
    """A panel of its values would say nothing; the comment says why it is text."""
    written = text_for(COLD_STORE_READING | {"level": text})
    assert parse(written).fields[-1].role is None
    assert [line for line in written.splitlines() if line.startswith("type") and told in line]


def test_a_key_that_says_nothing_is_named_with_the_one_above() -> None:
    """And has its unit."""
    reading = COLD_STORE_READING | {
        "meas": {"flow_l_min": {"value": 2.5, "unit": "l/min"}, "rpm": {"Value": 3}},
        "value": 1,
    }
    fields = {field.name: field for field in described(reading).fields}
    assert {"flow_l_min_value", "flow_l_min_unit", "rpm_value", "value"} <= fields.keys()
    assert [fields[name].unit for name in ("flow_l_min_value", "rpm_value")] == ["l/min", "rpm"]


def test_versions_and_addresses_look_like_no_time() -> None:
    """Two separators are not enough."""
    for text in ("1.2.3-rc1", "10.0.0.1", "v1.2.3", "555-12"):
        assert "time format" not in text_for({"x": text}), text


def test_a_label_does_not_repeat_the_unit() -> None:
    """The unit is shown beside it; a quantity stays, and so does what tells two fields apart."""
    labels = {
        field.name: field.label
        for field in described(
            {"at": "2026-11-26T07:15:30Z", "sensor": "s", "pressure_bar": 1.5, "flow_l_min": 2.5, "rpm": 3}
            | {"room_temperature": 2.5, "temp_c": 1.5, "temp_f": 2.5, "power": 1.5, "power_kw": 2.5}
        ).fields
    }
    assert labels.items() >= {
        ("pressure_bar", "pressure"), ("flow_l_min", "flow"), ("room_temperature", "room temperature"), ("rpm", "rpm"),
        ("temp_c", "temp c"), ("temp_f", "temp f"), ("power_kw", "power kw"),
    }  # fmt: skip


def test_an_epoch_as_text_is_a_time() -> None:
    """The function takes the digits; nobody has to change the device."""
    reading = {"sensor": "s", "ts": "1795849200", "no": "1795849200"}
    made = described(reading)
    assert (made.time.name, made.time.format) == ("ts", TimeFormat.EPOCH_SECOND)
    document = json.loads(encode([enricher(text_for(reading)).enrich(json.dumps(reading).encode())])[0])
    assert document["ts"] == "2026-11-28T07:00:00.000"
    assert document["no"] == "1795849200", "another name's digits stay text"
