"""The description of a reading: what a file says becomes objects, and every mistake is named with its line."""

import re

import pytest

from enrichment import description_check
from enrichment.description import Role, TimeFormat, Type, Unknown
from enrichment.description_file import DescriptionError, load, parse
from tests.enrichers import WALKTHROUGH
from tests.walkthrough import PROJECT_FILE, is_shipped

SMALLEST = """\
[fields.at]
type = "date"
role = "time"

[fields.sensor]
type = "keyword"
role = "device"
"""


def refused(text: str) -> list[str]:
    """Return the lines of the error with which the text is refused."""
    with pytest.raises(DescriptionError) as error:
        parse(text)
    return str(error.value).splitlines()


def with_field(lines: str) -> str:
    """Return a description with one more field, whose table begins in line 9."""
    return f"{SMALLEST}\n[fields.extra]\n{lines}"


def test_the_walkthrough_s_description_ships() -> None:
    """The tests' copy is what lies beside the function, unless the project describes other readings."""
    if not is_shipped():
        pytest.skip("readings.toml describes other readings than the walkthrough's")
    assert PROJECT_FILE.read_text(encoding="utf-8") == WALKTHROUGH, (
        "copy readings.toml to tests/descriptions/walkthrough.toml"
    )


def test_the_comment_at_the_top_explains_every_key() -> None:
    """docs/your-own-data.md and docs/fields.md send the reader there, and `readings init` copies it."""
    header = WALKTHROUGH.partition("\n\n")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    explained = set(re.findall(r"\w+", header))
    assert {*description_check._TOP_KEYS, *description_check._FIELD_KEYS} - explained == set()
    defaults = parse(SMALLEST)
    for key in description_check._KEYS_ABOVE_FIELDS:
        [line] = re.findall(rf"^#   {key} +(.+)$", header, re.MULTILINE)
        assert str(getattr(defaults, key)) in line


def test_the_walkthrough_s_description_has_its_fields() -> None:
    """The seven fields of the walkthrough in their order, and their roles."""
    description = parse(WALKTHROUGH)
    assert [field.name for field in description.fields] == [
        "uuid", "timestamp", "device_id", "temp_celsius", "temp_fahrenheit", "track_id", "activity_type",
    ]  # fmt: skip
    assert [field.source for field in description.inputs] == [
        "uuid", "device_ts", "device_id", "device_temp", "track_id", "activity_type",
    ]  # fmt: skip
    assert (description.time.name, description.device.name) == ("timestamp", "device_id")
    assert description.identity is not None
    assert description.identity.name == "uuid"
    assert [field.name for field in description.measures] == ["temp_celsius"]
    assert [field.name for field in description.categories] == ["activity_type"]
    assert (description.unknown, description.silent_after) == (Unknown.DROP, 180)


def test_what_is_left_out_has_defaults() -> None:
    """A time and a device are enough."""
    description = parse(SMALLEST)
    assert (description.title, description.unknown, description.silent_after) == ("Devices, live", Unknown.DROP, 180)
    assert description.identity is None
    at, sensor = description.fields
    assert (at.type, at.role, at.path, at.format) == (Type.DATE, Role.TIME, ("at",), TimeFormat.TEXT)
    assert (sensor.label, sensor.unit, sensor.optional, sensor.minimum) == ("sensor", None, False, None)


def test_a_path_has_dots_or_is_a_list_of_keys() -> None:
    """Keys that have a dot themselves need the list."""
    dotted = parse(with_field('type = "long"\npath = "a.b.c"'))
    listed = parse(with_field('type = "long"\npath = ["a.b", "c"]'))
    assert [each.fields[2].path for each in (dotted, listed)] == [("a", "b", "c"), ("a.b", "c")]


def test_a_derived_field_has_its_source_s_path_and_is_as_optional() -> None:
    """Where there is nothing to derive from, there is nothing derived."""
    text = with_field(
        'type = "long"\noptional = true\npath = "a.b"\n'
        '[fields.less]\ntype = "double"\nderived_from = "extra"\nscale = 0.001'
    )
    derived = parse(text).fields[3]
    assert (derived.path, derived.optional) == (("a", "b"), True)
    assert derived.derivation is not None
    assert (derived.derivation.scale, derived.derivation.offset, derived.derivation.round) == (0.001, 0, 10)


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ('type = "date"\nrole = "time"', 11, "at already has the role time, which exactly one"),
        ('type = "long"\nrole = "device"', 11, "sensor already has the role device"),
        ('type = "text"', 10, "write one of keyword, long, double, scaled_float, boolean, date, geo_point, ip"),
        ('label = "Extra"', 9, "no type: write one of keyword"),
        ('type = "long"\npath = "items.0.value"', 11, "a path can't go through a list"),
        ('type = "long"\npath = "items[0]"', 11, "a path can't go through a list"),
        ('type = "long"\npath = "a..b"', 11, "not a path: write keys joined by dots"),
        ('type = "long"\npath = []', 11, "not a path"),
        ('type = "long"\npath = "a\\tb"', 11, "a key can't hold quotes, backslashes or control characters"),
        ("type = 'long'\npath = 'say \"a\"'", 11, "a key can't hold quotes"),
        ('type = "double"\nderived_from = "sensor"', 11, "sensor is a keyword: derive from a long, double or"),
        ('type = "double"\nderived_from = "nothing"', 11, "no field is named 'nothing'"),
        ('type = "long"\nderived_from = "sensor"', 10, "must be a double or a scaled_float"),
        ('type = "double"\nderived_from = "sensor"\npath = "x"', 12, "a derived field can't have it"),
        ('type = "double"\nscale = 2', 11, "only a derived field can have it"),
        ('type = "double"\nderived_from = "extra"', 11, "can't be derived from itself"),
        (
            'type = "double"\nderived_from = "b"\n[fields.b]\ntype = "double"\nderived_from = "extra"',
            11,
            "b is derived itself: derive from a field that devices send",
        ),
        ('type = "double"\nmin = 5\nmax = 5', 11, "min 5 is not below max 5: write a greater max"),
        (
            'type = "double"\nrole = "measure"\nalert_below = 5\nalert_above = 5',
            12,
            "alert_below 5 is not below alert_above 5: write a greater alert_above",
        ),
        ('type = "long"\nsilent_after = 60', 11, "silent_after belongs above the first [fields.…]: move it there"),
        ('type = "double"\nmin = 5\nmax = 1', 11, "min 5 is not below max 1: swap them"),
        ('type = "double"\nmax = 1\nmin = 1', 12, "min 1 is not below max 1"),
        ('type = "long"\nmin = 0.5', 11, "the bound of a long must be a whole number of 64 bits"),
        ('type = "long"\nmax = 9223372036854775808', 11, "a whole number of 64 bits"),
        ('type = "scaled_float"\ndecimals = 9\nmax = 1e12', 12, "is limited to ±9e+09"),
        ('type = "double"\nmin = nan', 11, "min is nan: write a number, without quotes"),
        ('type = "double"\nmin = "0"', 11, "min is '0': write a number, without quotes"),
        ('type = "double"\nmin = true', 11, "min is True: write a number"),
        ('type = "keyword"\nmin = 0', 11, "only long, double and scaled_float can have bounds"),
        ('type = "scaled_float"', 9, "a scaled_float needs decimals: write decimals = 2"),
        ('type = "double"\ndecimals = 2', 11, "only a scaled_float can have it"),
        ('type = "scaled_float"\ndecimals = 2.5', 11, "write a whole number from 0 to 9"),
        ('type = "long"\nformat = "epoch_millis"', 11, "only a date can have it"),
        ('type = "date"\nformat = "epoch"', 11, "write one of text, epoch_second, epoch_millis, epoch_micros"),
        ('type = "keyword"\nrole = "measure"', 11, "can't be keyword: write type long, double, scaled_float"),
        ('type = "double"\nrole = "category"', 11, "can't be double: write type keyword, boolean"),
        ('type = "double"\nrole = "measures"', 11, "write one of time, device, measure, category, identity"),
        ('type = "double"\nalert_above = 3', 11, "only a measure can have thresholds"),
        ('type = "double"\nrole = "measure"\nalert_after = 3', 12, "the field has no threshold"),
        ('type = "long"\nrole = "measure"\nalert_above = 3\nalert_margin = -1', 13, "alert_margin is -1: write 0 or"),
        (
            'type = "long"\nrole = "measure"\nalert_above = 3\nalert_below = 1\nalert_margin = 2',
            14,
            "no value can be that far within both thresholds: write at most 1",
        ),
        ('type = "long"\nrole = "measure"\nmax = 5\nalert_above = 6', 13, "6 is outside min and max"),
        ('type = "long"\nrole = "measure"\nalert_below = 6\nalert_above = 6', 12, "alert_below 6 is not below"),
        ('type = "long"\nunti = "s"', 11, "unknown key unti: did you mean unit?"),
        ('type = "long"\nalertAbove = 3', 11, "unknown key alertAbove: did you mean alert_above?"),
        ('type = "long"\nmaximum = 3', 11, "unknown key maximum: did you mean max?"),
        ('type = "long"\nderived = "at"', 11, "unknown key derived: did you mean derived_from?"),
        ('type = "long"\nnullable = true', 11, "unknown key nullable: a field is required, and not null, unless it"),
        ('type = "long"\nrequired = false', 11, "unless it has optional = true"),
        ('type = "long"\nprecision = 2', 11, "unknown key precision: the keys here are type, path, role, label, unit"),
        ('type = "long"\n"" = 2', 11, "unknown key : the keys here are type, path, role, label, unit"),
        ('type = "long"\noptional = "yes"', 11, "optional is 'yes': write true or false"),
        ('type = "long"\nlabel = ""', 11, "write text in quotes"),
        ('type = "keyword"\npath = "sensor"', 11, "sensor already has the path sensor"),
        ('type = "keyword"\npath = "sensor.id"', 11, "goes through sensor, which sensor reads as a value"),
        ('type = "long"\nexamples = [1, 2.5]', 11, "2.5 is not a valid long: write one that devices send"),
        ('type = "double"\nmax = 5\nexamples = [1, 5.5]', 12, "5.5 is outside min and max"),
        ('type = "double"\nexamples = [nan]', 11, "nan is not a valid double"),
        ('type = "double"\nexamples = [[1]]', 11, "[1] is not a valid double"),
        ('type = "geo_point"\nexamples = [{lat = 1, lon = 2}]', 11, 'is not text: write points as "52.1,4.3"'),
        ('type = "ip"\nexamples = ["10.0.0.1", "gateway-1"]', 11, "'gateway-1' would fail as bad_ip: write a"),
        ('type = "geo_point"\nexamples = ["hello"]', 11, "'hello' would fail as bad_geo_point"),
        ('type = "geo_point"\nexamples = ["91.5,4.3"]', 11, "'91.5,4.3' would fail as bad_geo_point"),
        ('type = "long"\nexamples = [9223372036854775808]', 11, "9223372036854775808 would fail as number_out"),
        ('type = "scaled_float"\ndecimals = 9\nexamples = [1e10]', 12, "10000000000.0 would fail as number_out"),
        ('type = "boolean"\nexamples = [1]', 11, "1 is not a valid boolean"),
        ('type = "keyword"\nexamples = ["a", 1]', 11, "1 is not a valid keyword"),
        ('type = "keyword"\nexamples = []', 11, "not a list of values"),
        ('type = "keyword"\nexamples = "a"', 11, "not a list of values"),
        ('type = "double"\nderived_from = "sensor"\nexamples = [1]', 12, "a derived field can't have it"),
        ('type = [\n  "long",\n]', 10, "type is ['long']: write one of"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_field_and_what_to_write(lines: str, line: int, says: str) -> None:
    """One line for each mistake: file, line, field, what to write instead."""
    told = refused(with_field(lines))
    assert any(each.startswith(f"readings.toml, line {line}, field extra: ") and says in each for each in told), told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "readings.toml: no fields: write a table [fields.NAME]"),
        ("[fields]", "readings.toml, line 1: no fields"),
        (SMALLEST.replace('role = "time"', ""), 'line 1: no field has the role time: add role = "time" to one'),
        (SMALLEST.replace('role = "device"', ""), "no field has the role device"),
        (SMALLEST + "[fields.at]\n", "line 8, field at: a field or key with this name is already defined: rename"),
        ("silent_after = 0\n" + SMALLEST, "readings.toml, line 1: must be above 0: write seconds, such as 180"),
        ('unknown = "store"\n' + SMALLEST, "readings.toml, line 1: unknown is 'store': write one of drop, keep"),
        ("silent = 3\n" + SMALLEST, "readings.toml, line 1: unknown key silent: did you mean silent_after?"),
        ("nullable = true\n" + SMALLEST, "unknown key nullable: the keys here are title, silent_after"),
        (SMALLEST + '[fields."a.b"]\ntype = "long"', "line 8, field a.b: not a usable name: write a letter, then"),
        (SMALLEST + '[fields._id]\ntype = "long"', "field _id: not a usable name"),
        (SMALLEST + '[fields.ingested_at]\ntype = "date"', "the function itself writes ingested_at"),
        (SMALLEST.replace("sensor", "fleet"), 'themselves: use another name, and path = "fleet" below it'),
        (SMALLEST + '[fields.kind]\ntype = "long"\nrole = "measure"', "line 8, field kind: alerts use the name kind"),
        (SMALLEST + '[fields]\nx = "long"', "line 9, field x: not a table"),
        ('fields.x = "long"\n', "line 1, field x: not a table: write [fields.x] and its keys below"),
        (SMALLEST.replace('"keyword"', '"keyword"\noptional = true'), "the device of a reading can't be optional"),
        (SMALLEST + 'role = "time"\n', "readings.toml, line 8: a field or key with this name is already defined"),
        ("fields = [", "readings.toml: not valid TOML: Invalid value"),
        ("\ufeff" + SMALLEST, "readings.toml, line 1: begins with a byte order mark: save the file as UTF-8"),
        (f"x = {'1' * 5_000}\n{SMALLEST}", "readings.toml, line 1: a number with too many digits"),
        (f"silent_after = 0x{'F' * 5_000}\n{SMALLEST}", "readings.toml, line 1: a number with too many digits"),
        (f"{SMALLEST}\nexamples = {'[' * 100_000}", "readings.toml: brackets are nested too deeply"),
        (SMALLEST + "[fields]\nsilent_after = 60", "silent_after belongs above the first [fields.…]: move it there"),
        ("x = 1\nfields = [}", "readings.toml, line 2: not valid TOML: Invalid value"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_whole_is_named(text: str, says: str) -> None:
    """What no single field can be blamed for has the line where there is one."""
    assert any(says in each for each in refused(text)), refused(text)


def test_all_mistakes_are_told_at_once() -> None:
    """Whoever mends a description should not have to run it once for each mistake."""
    told = refused(with_field('type = "long"\nmin = 2\nmax = 1\nunti = "s"\nformat = "text"'))
    assert [each.partition(", field")[0] for each in told] == [
        "readings.toml, line 13", "readings.toml, line 14", "readings.toml, line 11",
    ]  # fmt: skip


def test_a_file_that_can_not_be_read_is_named(tmp_path) -> None:
    """A missing file and one that is not UTF-8 have the same kind of error."""
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    for name in ("missing.toml", "latin.toml"):
        with pytest.raises(DescriptionError, match=rf"{name}: can't be read as UTF-8 text"):
            load(tmp_path / name)


def test_every_key_of_a_field_is_explained_in_the_file() -> None:
    """The comment at the top of the shipped file names all keys, roles, types and formats that the checks know."""
    comment = WALKTHROUGH.partition("\ntitle")[0]
    for word in (*description_check._FIELD_KEYS, *Role, *Type, *TimeFormat):
        assert word in comment, word
