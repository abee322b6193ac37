"""The template that follows from a description makes readings that the function takes, whatever the description."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from iot_stream.description import parse
from iot_stream.generator import sources
from iot_stream.generator.derived import template_of
from iot_stream.generator.template.compiled import compile_template
from tests.enrichers import COLD_STORE, VENDOR, WALKTHROUGH, enricher
from tests.examples import examples
from tests.unit.test_enrichment_descriptions import descriptions

NOW = 1_795_677_330_250  # 2026-11-26T07:15:30.250Z
DEVICE_AND_TIME = '[fields.at]\ntype = "date"\nrole = "time"\n[fields.sensor]\ntype = "keyword"\nrole = "device"\n'


def records(description: str, count: int, seed: str = "seed") -> list[bytes]:
    """Return records of the description's template."""
    template = compile_template(template_of(parse(description)), "derived", seed=seed, zone=dt.UTC)
    return [record.encode() for record in template.render([NOW] * count)]


def values(lines: str, count: int = 300) -> list[Any]:
    """Return the values of a field with these lines."""
    made = records(f"{DEVICE_AND_TIME}[fields.x]\n{lines}", count)
    return [json.loads(record)["x"] for record in made]


@pytest.mark.parametrize("description", [WALKTHROUGH, COLD_STORE, VENDOR], ids=["walkthrough", "cold store", "vendor"])
def test_every_reading_becomes_a_document_with_all_fields(description: str) -> None:
    """Nothing is refused, nothing is dropped, and optional fields are there."""
    enriched = enricher(description).enrich_all([*records(description, 200)], [NOW] * 200)
    assert (enriched.causes, enriched.dropped) == ({}, {})
    assert set(enriched.timestamps) == {"2026-11-26T07:15:30.250"}
    names = {field.name for field in parse(description).fields}
    assert all(names <= vars_of(document).keys() for document in enriched.documents)


def vars_of(document: Any) -> dict[str, Any]:
    """Return a document's fields."""
    import msgspec  # noqa: PLC0415 - for this alone

    made: dict[str, Any] = json.loads(msgspec.json.encode(document))
    return made


def toml(value: Any) -> str:
    """Return a value in TOML, which has no escapes for the halves of surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


EXAMPLES = {
    "keyword": st.text(max_size=8),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "scaled_float": st.floats(-1e9, 1e9),
    "boolean": st.booleans(),
    "ip": st.ip_addresses().map(str),
    "geo_point": st.sampled_from(["52.1,4.3", "0,0"]),
}


@st.composite
def with_examples(draw: st.DrawFn) -> str:
    """Return a random description, some fields of which have examples within their bounds."""
    import tomllib  # noqa: PLC0415 - to put the examples to their fields

    text = draw(descriptions())
    for name, field in tomllib.loads(text)["fields"].items():
        if field["type"] not in EXAMPLES or "derived_from" in field or not draw(st.booleans()):
            continue
        good = EXAMPLES[field["type"]]
        if "min" in field:
            good = good.filter(lambda value, field=field: field["min"] <= value <= field["max"])
        if "min" in field or field["type"] in ("long", "double"):
            low, high = field.get("min", -(2**62)), field.get("max", 2**62)
            good = st.integers(low, high) if field["type"] == "long" else st.floats(low, high)
        examples = draw(st.lists(good, min_size=1, max_size=3))
        text = text.replace(f"[fields.{name}]", f"[fields.{name}]\nexamples = {toml(examples)}")
    return text


@examples(50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(with_examples(), st.integers(0, 9))
def test_readings_fit_any_description(description: str, seed: int) -> None:
    """Paths, keys with dots, bounds as narrow as they may be, texts with quotes and braces."""
    enriched = enricher(description).enrich_all([*records(description, 5, str(seed))], [NOW] * 5)
    assert (enriched.causes, enriched.dropped) == ({}, {}), template_of(parse(description))


def test_texts_are_examples_and_devices_a_fleet() -> None:
    """One example of a device stands for those that follow it; several are the fleet."""
    odd = ['say "hi"', "{{random.uuid}}", "a\\b", "é"]
    assert set(values(f'type = "keyword"\nexamples = {json.dumps(odd)}')) == set(odd)
    one = DEVICE_AND_TIME + 'examples = ["F-0042"]\n'
    fleet = {json.loads(record)["sensor"] for record in records(one, 500)}
    assert (min(fleet), max(fleet), len(fleet)) == ("F-0042", "F-0061", 20)
    several = DEVICE_AND_TIME + 'examples = ["a", "b"]\n'
    assert {json.loads(record)["sensor"] for record in records(several, 100)} == {"a", "b"}


@pytest.mark.parametrize(
    ("lines", "low", "high"),
    [
        ('type = "long"', 0, 100), ('type = "long"\nmin = 500', 500, 600), ('type = "long"\nmax = -7', -107, -7),
        ('type = "long"\nmin = 3\nmax = 5', 3, 5), ('type = "long"\nexamples = [4, 9]', 4, 9),
        ('type = "double"\nexamples = [-18.4]', -20.24, -16.56),
        ('type = "double"\nrole = "measure"\nalert_above = -15', -31.5, -13.5),
        ('type = "double"\nrole = "measure"\nalert_above = 5\nexamples = [0, 4]', 0, 5.5),
        ('type = "double"\nrole = "measure"\nalert_below = 5\nmin = 4.9\nexamples = [6, 7]', 4.9, 7),
    ],
)  # fmt: skip
def test_numbers_lie_around_what_is_known(lines: str, low: float, high: float) -> None:
    """Examples, thresholds and a little beyond, bounds; a hundred from zero where nothing is known."""
    made = values(lines)
    span = high - low
    assert low <= min(made) <= low + span * 0.2
    assert high - span * 0.2 <= max(made) <= high


def test_places_without_examples_lie_in_europe() -> None:
    """Degrees with four decimals: 45 to 55 north, 0 to 15 east."""
    made = values('type = "geo_point"')
    for key, low, high in (("lat", 45, 55), ("lon", 0, 15)):
        numbers = [place[key] for place in made]
        assert all(low <= number <= high and number == round(number, 4) for number in numbers)
        assert len(set(numbers)) > len(numbers) * 0.9


@pytest.mark.parametrize(
    ("decimals", "low", "high"), [(1, 0, 1.4), (1, 1.1, 2.3), (2, -1.25, 0.29), (3, 0.235, 1.001), (0, 0.7, 3)]
)
def test_the_least_and_the_greatest_example_are_sent(decimals: int, low: float, high: float) -> None:
    """1.4 / 0.1 is a little less than 14 and 1.1 / 0.1 more than 11: neither leaves out an end, nor goes beyond one."""
    text = f'{DEVICE_AND_TIME}[fields.x]\ntype = "scaled_float"\ndecimals = {decimals}\nexamples = [{low}, {high}]\n'
    range_ = json.loads(re.search(r'"x": \{\{random\.number\((.*)\)}}', template_of(parse(text)))[1])  # type: ignore[index]
    assert (range_["min"], range_["max"]) == (low if decimals else 1, high)


def test_the_walkthrough_s_template_is_for_its_fields_alone() -> None:
    """One field more, though optional, and readings have it too."""
    more = f'{WALKTHROUGH}\n[fields.note]\ntype = "keyword"\noptional = true\nexamples = ["a"]\n'
    for description, expected in ((WALKTHROUGH, False), (more, True), (COLD_STORE, False)):
        series = sources.open_readings(sources.Choice(), parse(description), seed=1, zone=dt.UTC)
        reading = json.loads(series.take([NOW])[0].data)
        assert ("note" in reading) is expected
        assert list(reading) == [field.path[0] for field in parse(description).inputs]
