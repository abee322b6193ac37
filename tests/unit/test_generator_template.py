"""Templates of the Kinesis Data Generator: read as it reads them, and refused with position where it would send junk.

tests/fixtures/kdg/captured.json holds what the Kinesis Data Generator's own faker.js and moment.js 2.17.1 returned
(tests/fixtures/kdg/capture.js).
"""

import datetime as dt
import json
import re
import uuid
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.generator.template import javascript, moment
from iot_stream.generator.template.compiled import HELPERS, compile_template
from iot_stream.generator.template.grammar import Call, TemplateError, parse
from iot_stream.paths import PROJECT

CAPTURED = json.loads((PROJECT / "tests" / "fixtures" / "kdg" / "captured.json").read_text(encoding="utf-8"))
NOW = 1_795_776_153_123  # 2026-11-27T10:42:33.123Z


def render(template: str, count: int = 1, seed: str = "7", zone: dt.tzinfo = dt.UTC) -> list[str]:
    """Return records of a template, without their line breaks."""
    records = compile_template(template, "t", seed=seed, zone=zone).render([NOW] * count)
    assert all(record.endswith("\n") for record in records)
    return [record[:-1] for record in records]


# ---- what the Kinesis Data Generator does -------------------------------------------------------------------------


@pytest.mark.parametrize("text", sorted({case[0] for case in CAPTURED["formats"]}))
def test_times_are_written_as_moment_writes_them(text: str) -> None:
    """Every token, in UTC and at offsets, at turns of years, weeks and daylight saving; what is no token stays."""
    for _, time, offset, expected in (case for case in CAPTURED["formats"] if case[0] == text):
        zone = dt.UTC if offset is None else dt.timezone(dt.timedelta(minutes=offset))
        # moment calls every fixed offset "UTC"; here, as in a browser, `z` of local time is empty.
        local = expected if offset is None else expected.replace("UTC Coordinated Universal Time", " ")
        assert moment.formatter(text, zone)([time, time]) == [local, local]


def test_without_a_format_times_are_iso_8601() -> None:
    """With the offset, or in UTC with Z."""
    east = dt.timezone(dt.timedelta(minutes=330))
    assert render("{{date.now}} {{date.utc}}", zone=east) == [" ".join(CAPTURED["defaults"])]


@pytest.mark.parametrize(("value", "expected"), CAPTURED["texts"])
def test_values_are_written_as_javascript_writes_them(value: str, expected: str) -> None:
    """ECMA-262's ToString of any JSON value."""
    assert javascript.text(json.loads(value)) == expected


@pytest.mark.parametrize(("given", "expected"), CAPTURED["numbers"], ids=lambda value: str(value)[:40])
def test_random_numbers_are_those_that_faker_js_draws(given: Any, expected: list[float]) -> None:
    """The same set of numbers for each range and precision, but written with the precision's decimals."""
    drawn = {float(text) for text in render(f"{{{{random.number({json.dumps(given)})}}}}", 20_000)}
    assert sorted(drawn) == [pytest.approx(value) for value in expected]
    assert all(len(f"{value!r}") < 8 for value in drawn)


UNSUPPORTED = {
    "helpers.createCard", "helpers.contextualCard", "helpers.userCard", "helpers.createTransaction",  # an object
    "helpers.mustache",  # needs a function
}  # fmt: skip


def test_every_helper_of_the_kinesis_data_generator_is_known() -> None:
    """But for those of which a template gets nothing usable; each that takes no argument gives a text."""
    missing = {name for name in CAPTURED["helpers"] if name not in HELPERS and name.split(".")[0] != "seed"}
    assert missing == UNSUPPORTED
    for name in HELPERS.keys() - {"date.between"}:
        (text,) = render(f"<{{{{{name}}}}}>")
        assert re.fullmatch(r"(?s)<.+>", text) or name in {"helpers.shuffle", "helpers.slugify"} | {
            "helpers.replaceSymbols", "helpers.replaceSymbolWithNumber"
        }, name  # fmt: skip


def _words_in_order(message: str) -> str:
    """Return a pattern of a message in which `.*` stands for anything."""
    return ".*".join(map(re.escape, message.split(".*")))


# ---- the grammar ----------------------------------------------------------------------------------------------------


def test_text_around_helpers_stays_and_line_breaks_go() -> None:
    """As `getCleanedTemplate` has it: ends are trimmed, line breaks vanish, blanks and tabs of indentation stay."""
    template = ' \r\n{\r\n\t"a":  {{random.number(\n  {\n "min":3,\n "max":3 }\n )}},\n  "b": "100 %s {x}"}\n\n'
    assert render(template) == ['{\t"a":  3,  "b": "100 %s {x}"}']


def test_quotes_of_values_are_the_template_s() -> None:
    r"""A choice of texts is bare; with \" in its elements it brings quotes of its own, as the walkthrough's has it."""
    assert render(
        '"{{random.arrayElement(["a"])}}" {{random.arrayElement(["\\"b\\""])}} {{random.arrayElement([1.50])}}'
    ) == ['"a" "b" 1.5']


_IP = r"\d{1,3}(\.\d{1,3}){3}"
_SIZE_AND_AGENT = r'(200|404) \d{3,4} "-" "(Mozilla|Opera)/[^"]+"'
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_JAVASCRIPT_DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d 20\d\d \d\d:\d\d:\d\d GMT\+0000 \(.+\)"
WRITTEN: dict[str, dict[str, str | type]] = {
    "bare-and-quoted": {"id": _UUID, "at": r"2026-11-27 10:42:33\.123", "n": int, "temp": int, "kind": "Run|Walk"},
    "tabs": {"status": "OK|FAIL|PENDING", "amount": int, "ip": _IP, "at": r"2026-11-27T10:42:33\+00:00"},
    "nested": {"m": dict, "p": list, "at": r"2026-11-27T10:42:33\+00:00", "o": dict},
    "shop": {
        "article": "[A-Z].+",
        "colour": ".+",
        "picture": "http://.+",
        "sold_from": _JAVASCRIPT_DATE,
        "sold_until": _JAVASCRIPT_DATE,
        "euros": int,
        "sale": "Summer|20Percent|",
    },
    "charger": {
        "_id": _UUID,
        "site": "[1-9]",
        "begun": "2026-11-27 10:42:33",
        "energy": r"\d+\.\d\d",
        "bay": ".+-[1-4]",
        "zone": "Europe/Berlin",
    },
}
"""Templates of our own that have every form found in public ones, and what each field then is.

The first three: forms of the walkthrough's template and of AWS's streaming ETL workshop. shop: AWS's workshop on Lake
Formation ("Generate Streaming Data", emrspecialistsamer/aws-lake-formation-workshop). charger: "Electric vehicle
station-data streaming ingestion tutorial" of Amazon Redshift's developer guide, whose numbers stand in quotes.
"""


def _record_of(name: str) -> str:
    return (PROJECT / "tests" / "fixtures" / "kdg" / f"{name}.template").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WRITTEN)
def test_templates_as_people_write_them(name: str) -> None:
    """Each record is JSON with the values that are meant, whatever ends a line."""
    template = _record_of(name)
    for record in render(template, 50):
        values = json.loads(record)
        assert values.keys() == WRITTEN[name].keys()
        for key, wanted in WRITTEN[name].items():
            if isinstance(wanted, str):
                assert re.fullmatch(wanted, values[key]), key
            else:
                assert type(values[key]) is wanted, key
    assert render(template.replace("\n", "\r\n")) == render(template)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("people", rf'"[^,]+, [^,]+",{_IP},([0-6]?\d|70),[^,]+,[^,]+'),
        (
            "access-log",
            rf'{_IP} - \S+ \[27/Nov/2026:10:42:33 \+0000\] "(GET|POST|PUT) /\w+/[\w &.-]+ HTTP/1\.1" {_SIZE_AND_AGENT}',
        ),
    ],
)
def test_templates_need_not_be_json(name: str, line: str) -> None:
    """Comma-separated values, as the Kinesis Data Generator's help has them, and Apache's access log.

    A `random.word` may have blanks: faker.js takes countries and accounts for words too.
    """
    for record in render(_record_of(name), 200):
        assert re.fullmatch(line, record), record


def test_braces_of_the_text_stay() -> None:
    """Objects around helpers, also where faker.js stops: `}}` before a helper, and three braces in a row."""
    template = '{"a":{"b":{}},"c":{"d":{{{random.number({"min":1,"max":1})}}}}}'.replace("{{{", '{"e":{{')
    assert json.loads(render(template)[0]) == {"a": {"b": {}}, "c": {"d": {"e": 1}}}
    assert render("{{{random.number(0)}}}") == ["{0}"]


def test_braces_and_parentheses_within_arguments_do_not_end_them() -> None:
    """JSON is read as JSON."""
    assert render('{{random.arrayElement([")}}"])}}{{random.objectElement({"a":{"b":1}}, "key")}}') == [")}}a"]


def test_an_argument_that_is_not_json_is_text() -> None:
    """As faker.js has it: formats without quotes."""
    assert render("{{date.utc(YYYY-MM-DD HH)}}") == ["2026-11-27 10"]
    assert render("{{date.utc('YYYY')}}") == ["'2026'"]


def test_the_older_name_of_now_is_known() -> None:
    """`{{current.timestamp}}`, as in templates of the first versions."""
    assert render("{{current.timestamp}}") == render("{{date.now}}")


def test_blanks_and_empty_parentheses_in_a_call_do_not_matter() -> None:
    """faker.js refuses them; people write them."""
    assert render("{{ random.number ( 0 ) }}{{date.utc()}}") == [f"0{render('{{date.utc}}')[0]}"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "t, line 1, column 1: the template is empty"),
        (" \n ", "t, line 1, column 1: the template is empty"),
        ('{\n "a": {{random.nmber(5)}}}', "line 2, column 7: unknown helper random.nmber: did you mean random.n"),
        ("{{name.firstname}}", "did you mean name.firstName?"),
        ("{{Random.UUID}}", "did you mean random.uuid?"),
        ("{{weightedArrayElement.random}}", "unknown helper weightedArrayElement.random"),
        ("{{random}}", "line 1, column 1: “{{random” does not start a helper"),
        ('a {{"b": 1}}', 'line 1, column 3: “{{"b": 1” does not start a helper'),
        ("{{random.number", "line 1, column 16: random.number: “}}” is missing here"),
        ("\n\n x{{random.number(5}}", "line 3, column 3: random.number does not end: “)}}” is missing"),
        ("{{random.number(5) }", "line 1, column 19: random.number: “}}” is missing here"),
        ("{{random.number(5)x}}", "line 1, column 19: random.number: “}}” is missing here"),
        ("{{random.number(five)}}", "takes a number, or .*not JSON: Expecting value at line 1, column 17"),
        ("{{random.number(5, 6)}}", "random.number takes a number"),
        ('{{random.number("5")}}', "random.number takes a number"),
        ('{{random.number({"min": 5, "max": 1})}}', "min up to max"),
        ('{{random.number({"min": 1, "max": 2, "precision": 0})}}', "a precision above 0"),
        ('{{random.number({"minimum": 1})}}', "random.number takes a number"),
        ('{{random.number({"min": true})}}', "random.number takes a number"),
        ('{{random.number({"max": 1e300})}}', "random.number takes a number"),
        ("{{random.number(NaN)}}", "random.number takes a number"),
        ("{{random.arrayElement(['a'])}}", "a list such as .*not JSON: Expecting value at line 1, column 24"),
        ("{{random.arrayElement([])}}", "with at least one element"),
        ('{{random.weightedArrayElement({"weights":[1],"data":[1,2]})}}', "there are 1 weights for 2 elements"),
        ('{{random.weightedArrayElement({"weights":[0],"data":[1]})}}', "one above 0"),
        ('{{random.weightedArrayElement({"weights":[-1,2],"data":[1,2]})}}', "a weight of 0 or more"),
        ('{{random.weightedArrayElement({"weight":[1],"data":[1]})}}', "random.weightedArrayElement takes"),
        ("{{random.weightedArrayElement([1])}}", "random.weightedArrayElement takes"),
        ("{{date.now(5)}}", "date.now takes a format of moment.js"),
        ("{{date.past(0)}}", "date.past takes a number of years above 0"),
        ('{{date.between("yesterday", "today")}}', "date.between takes two times"),
        ('{{date.between("2026-02-01", "2026-01-01")}}', "the earlier one first"),
        ("{{random.uuid(4)}}", "random.uuid takes no arguments"),
        ("{{internet.password(0.5)}}", "internet.password takes a length"),
        ("{{internet.password(1001)}}", "internet.password takes a length from 1 to 1,000"),
        ("{{internet.password(-1)}}", "internet.password takes a length from 1 to 1,000"),
        ("{{lorem.words(-1)}}", "lorem.words takes a number of words"),
        ("{{finance.amount(9, 1)}}", "finance.amount takes"),
        ('{{address.nearbyGPSCoordinate({"coordinate": ["a", "b"]})}}', "address.nearbyGPSCoordinate takes"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(template: str, message: str) -> None:
    """With line and column, what the helper takes, and the nearest name of an unknown one."""
    with pytest.raises(TemplateError, match=_words_in_order(message)):
        compile_template(template, "t", seed="1", zone=dt.UTC)


@given(st.text(alphabet='{}()[]"\\,:.ab1 \n\r\t%', max_size=60))
def test_any_text_is_a_template_or_a_mistake_with_a_place(text: str) -> None:
    """Nothing else is raised, and what has no “{{” is a record as it is."""
    try:
        parts = parse(text, "t")
    except TemplateError as error:
        assert re.match(r"t, line \d+, column \d+: ", str(error))  # noqa: PT017 - the error is one of two good ends
        return
    assert "".join(part for part in parts if isinstance(part, str)).count("{{") == 0
    if "{{" not in text:
        assert parts == [re.sub(r"[\r\n]", "", text).strip()]


_VALUES = st.one_of(st.text(max_size=9), st.integers(-(2**53), 2**53), st.booleans(), st.none())


@given(st.lists(st.tuples(st.text(alphabet="ab}: ,%\"'", min_size=1, max_size=8), _VALUES), min_size=1))
def test_a_template_gives_its_texts_and_values(parts: list[tuple[str, Any]]) -> None:
    """Any JSON value as an element, any text before it: nothing is lost, moved or quoted anew."""
    template = "".join(f"{text}{{{{random.arrayElement({json.dumps([value])})}}}}" for text, value in parts)
    expected = "".join(text + javascript.text(value) for text, value in parts)
    assert compile_template(template, "t", seed="1", zone=dt.UTC).render([NOW]) == [f"{expected.lstrip()}\n"] or (
        expected[0] == " "  # a text of blanks at the beginning is trimmed
    )


# ---- values ---------------------------------------------------------------------------------------------------------


def test_weights_count_even_the_small_ones() -> None:
    """A thousandth is one in a thousand; faker.js rounds sums of weights to hundredths and then writes "undefined"."""
    call = '{{random.weightedArrayElement({"weights": [0.001, 0.299, 70], "data": ["rare", "seldom", "often"]})}}'
    counts = Counter(render(call.replace("70", "0.7"), 50_000))
    assert 20 < counts["rare"] < 90
    assert counts["seldom"] / 50_000 == pytest.approx(0.299, abs=0.01)
    assert Counter(render(call, 2000))["often"] > 1980


def test_uuids_are_version_4_and_unlike() -> None:
    """Variant and version are those of RFC 9562."""
    uuids = [uuid.UUID(text) for text in render("{{random.uuid}}", 1000)]
    assert {(each.version, each.variant) for each in uuids} == {(4, uuid.RFC_4122)}
    assert len(set(uuids)) == 1000


def test_dates_around_now() -> None:
    """Within a year or the days asked for, as JavaScript writes dates, or by a format."""
    for helper, days in (("past", -365), ("past(2)", -730), ("recent", -1), ("recent(3)", -3), ("future", 365)):
        for text in render(f"{{{{date.{helper}}}}}", 200):
            when = dt.datetime.strptime(text, "%a %b %d %Y %H:%M:%S GMT%z (Coordinated Universal Time)")
            distance = when.timestamp() - NOW / 1000
            assert min(days, 0) * 86400 - 1 <= distance <= max(days, 0) * 86400
    (recent,) = render('{{date.recent("YYYY-MM-DDTHH:mm:ss.SSSZ")}}')
    assert 0 < NOW - dt.datetime.fromisoformat(recent).timestamp() * 1000 <= 86_400_000
    (between,) = render('{{date.between("2026-01-01", "2026-01-01T00:00:01Z")}}')
    assert between.startswith("Thu Jan 01 2026 00:00:0")


def test_local_time_is_that_of_the_zone() -> None:
    """Where clocks change, the offset of the time counts."""
    berlin = ZoneInfo("Europe/Berlin")
    column = moment.formatter("YYYY-MM-DD HH:mm:ss Z", berlin)
    times = [1_774_746_000_000 - 1000, 1_774_746_000_000]  # 2026-03-29T01:00Z, when summer time begins
    assert column(times) == ["2026-03-29 01:59:59 +01:00", "2026-03-29 03:00:00 +02:00"]


@pytest.mark.parametrize(
    ("helper", "pattern"),
    [
        ("internet.ip", r"\d{1,3}(\.\d{1,3}){3}"),
        ("internet.mac", r"[0-9a-f]{2}(:[0-9a-f]{2}){5}"),
        ("internet.color", r"#[0-9a-f]{6}"),
        ("internet.url", r"https?://[\w.-]+"),
        ("internet.email", r"[\w.-]+@example\.(com|net|org)"),
        ("internet.password(1)", r"[A-Za-z0-9]"),
        ("internet.password(1000)", r"[A-Za-z0-9]{1000}"),
        ("address.latitude", r"-?\d{1,2}\.\d{4}"),
        ("address.zipCode", r"\d{5}"),
        ('address.zipCode("??-##")', r"[A-Z]{2}-\d{2}"),
        ('address.nearbyGPSCoordinate({"coordinate": [52, 13]})', r"5[12]\.\d{4},1[23]\.\d{4}"),
        ("commerce.price", r"\d{1,4}\.00"),
        ('finance.amount(5, 9, 3, "€")', r"€[5-9]\.000"),
        ("finance.account(12)", r"\d{12}"),
        ('phone.phoneNumber("(##) ###")', r"\(\d\d\) \d{3}"),
        ("random.words(4)", r"\S+ .*"),
        ("random.boolean", "true|false"),
        ("system.semver", r"\d\.\d\.\d"),
        ("name.firstName(1)", r"\w+"),
        ("lorem.sentence(5)", r"[A-Z]\w*( \w+){4}\."),
        ("company.suffixes", "Inc,and Sons,LLC,Group"),
        ('date.month({"abbr": true})', r"[A-Z][a-z]{2}"),
        ("helpers.shuffle([1, 2, 3])", "[123],[123],[123]"),
        ('helpers.slugify("a b!")', "a-b"),
    ],
)  # fmt: skip
def test_values_look_like_their_kind(helper: str, pattern: str) -> None:
    """Thirty of each helper."""
    for text in render(f"{{{{{helper}}}}}", 30):
        assert re.fullmatch(pattern, text)


def test_the_same_seed_gives_the_same_records_however_they_are_batched() -> None:
    """And another seed gives others; helpers of Faker too."""
    template = "{{random.uuid}} {{name.findName}} {{random.number}} {{random.words}} {{address.city}} {{date.past}}"
    every = [text for _ in range(1) for text in render(template, 30)]
    compiled = compile_template(template, "t", seed="7", zone=dt.UTC)
    assert [record[:-1] for size in (1, 7, 22) for record in compiled.render([NOW] * size)] == every
    assert not set(render(template, 30, seed="8")) & set(every)


def test_one_field_more_changes_no_other() -> None:
    """Each helper draws from a series of its own; the same helper twice gives two values."""
    short = render("{{random.uuid}} {{random.number}}", 20)
    long = render("{{name.firstName}} {{random.boolean}} {{random.uuid}} {{random.number}} {{random.number}}", 20)
    assert [" ".join(text.split()[2:4]) for text in long] == short
    assert any(text.split()[3] != text.split()[4] for text in long)


def test_a_call_knows_where_it_stands() -> None:
    """Columns and lines of the file as it is, whatever line breaks it has."""
    (_, first, _, second) = parse('\r\n  {"a": {{date.now}},\r\n"b":\t{{date.utc}}', "t")
    assert isinstance(first, Call)
    assert isinstance(second, Call)
    assert (first.place.line, first.place.column) == (2, 9)
    assert (second.place.line, second.place.column) == (3, 6)


def test_every_helper_is_in_the_documentation_and_no_other() -> None:
    """docs/send.md lists them by module."""
    text = (PROJECT / "docs" / "send.md").read_text(encoding="utf-8")
    modules = re.findall(r"^- `(\w+)\.`: ((?:`\w+`(?:,\s+)?)+)$", text, re.MULTILINE)
    listed = [f"{module}.{name}" for module, names in modules for name in re.findall(r"\w+", names)]
    assert listed == sorted(HELPERS)
