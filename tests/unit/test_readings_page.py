"""docs/readings.md follows from the description, whatever it is."""

import re
from datetime import UTC

import pytest

from iot_stream.dashboards.index_template import index_template
from iot_stream.description import Description, Enricher, load, parse
from iot_stream.readings.reading_page import DOCUMENT, page
from tests.enrichers import COLD_STORE, VENDOR, WALKTHROUGH
from tests.walkthrough import PROJECT_FILE


def tables(description: Description) -> tuple[list[list[str]], list[list[str]]]:
    """Return the cells of both tables' rows."""
    text = page(description)
    parts = [text.partition(header)[2].partition("\n\n")[0] for header in ("|---|---|\n", "|---|---|---|\n")]
    reading, document = (
        [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()] for part in parts
    )
    return reading, document


def test_what_a_reading_may_hold() -> None:
    """Each field by its path, with unit, bounds and whether it is optional."""
    assert tables(parse(COLD_STORE))[0] == [
        ["`sensor`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit for a keyword"],
        ["`site`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit for a keyword"],
        ["`at`", "[a time](fields.md#times) as text"],
        ["`temp_c`", "a number in °C from \N{MINUS SIGN}60 to 60"],
        ["`humidity`", "a number in % from 0 to 100; optional"],
        ["`battery_mv`", "a whole number in mV from 0 to 10,000; optional"],
        ["`door`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit for a keyword; optional"],
    ]
    vendor = dict(tables(parse(VENDOR))[0])
    assert (
        vendor["`uplink.payload.measured`"]
        == "[a time](fields.md#times) as a number of milliseconds since 1970-01-01 UTC; optional"
    )
    assert vendor["`uplink.counter`"] == "a whole number from 0 upward"
    assert vendor["`uplink.payload.light`"] == "a number in lx; optional"
    assert vendor["`end_device.location`"] == "[a point](fields.md#types); optional"


@pytest.mark.parametrize("text", [COLD_STORE, VENDOR])
def test_what_a_document_holds(text: str) -> None:
    """Every field in order, with the type that the index template gives it."""
    description = parse(text)
    rows = tables(description)[1]
    mapped = index_template(description)["template"]["mappings"]["properties"]
    assert [(row[0].strip("`"), row[2].strip("`")) for row in rows] == [
        (name, mapping["type"]) for name, mapping in mapped.items()
    ]


def test_a_derived_field_shows_its_formula() -> None:
    """Scale and offset, each where there is one."""
    fields = {row[0]: row[1] for row in tables(parse(COLD_STORE))[1]}
    assert fields["`temp_f`"] == "`temp_c` \N{MULTIPLICATION SIGN} 1.8 + 32, °F"
    fields = {row[0]: row[1] for row in tables(parse(VENDOR))[1]}
    assert fields["`battery_mv`"] == "`battery_v` \N{MULTIPLICATION SIGN} 1,000, mV"


def test_the_page_has_the_tables_of_its_description() -> None:
    """Else run `iot-stream readings build`."""
    assert DOCUMENT.read_text(encoding="utf-8") == page(load(PROJECT_FILE))


@pytest.mark.parametrize("text", [WALKTHROUGH, COLD_STORE, VENDOR])
def test_the_example_is_a_reading_and_every_link_leads_somewhere(text: str) -> None:
    """The function takes it; what is not described is told; anchors are headings of docs/fields.md."""
    description = parse(text)
    shown = page(description)
    [example] = re.findall(r"^```json\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    assert Enricher(description, UTC).enrich(example.encode())
    assert ("is kept in `unknown_fields`" in shown) is (text == VENDOR)
    assert f"silent after {description.silent_after:,} s" in shown
    rules = (DOCUMENT.parent / "fields.md").read_text(encoding="utf-8")
    anchors = {line.lstrip("# ").lower().replace(" ", "-") for line in rules.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\(fields\.md#([\w-]+)\)", shown)) <= anchors
