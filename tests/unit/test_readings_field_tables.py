"""docs/fields.md's tables follow from the description, whatever it is."""

import pytest

from iot_stream.dashboards.index_template import index_template
from iot_stream.description import Description, load, parse
from iot_stream.errors import SetupError
from iot_stream.readings.field_tables import DOCUMENT, with_tables
from tests.enrichers import COLD_STORE, VENDOR
from tests.walkthrough import PROJECT_FILE

PAGE = """\
# Fields

<!-- reading: built by `iot-stream readings build` -->
old
<!-- end -->
text

<!-- document: built by `iot-stream readings build` -->
<!-- end -->
last
"""


def tables(description: Description) -> tuple[list[list[str]], list[list[str]]]:
    """Return the cells of both tables' rows."""
    text = with_tables(PAGE, description)
    assert "old" not in text
    parts = [text.partition(header)[2].partition("<!-- end")[0] for header in ("|---|---|\n", "|---|---|---|\n")]
    reading, document = (
        [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()] for part in parts
    )
    return reading, document


def test_what_a_reading_may_hold() -> None:
    """Each field by its path, with unit, bounds and whether it is optional."""
    assert tables(parse(COLD_STORE))[0] == [
        ["`sensor`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit of a keyword"],
        ["`site`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit of a keyword"],
        ["`at`", "[a time](#times)"],
        ["`temp_c`", "a number in °C from \N{MINUS SIGN}60 to 60"],
        ["`humidity`", "a number in % from 0 to 100; optional"],
        ["`battery_mv`", "a whole number in mV from 0 to 10,000; optional"],
        ["`door`", "text of at most 32,766 bytes in UTF-8, OpenSearch's limit of a keyword; optional"],
    ]
    vendor = dict(tables(parse(VENDOR))[0])
    assert vendor["`uplink.payload.measured`"] == "[a time](#times) in milliseconds since 1970-01-01 UTC; optional"
    assert vendor["`uplink.counter`"] == "a whole number from 0 on"
    assert vendor["`uplink.payload.light`"] == "a number in lx; optional"
    assert vendor["`end_device.location`"] == "[a point](#types); optional"


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
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_tables(text, load(PROJECT_FILE)) == text


@pytest.mark.parametrize("page", ["", PAGE.replace("<!-- end -->", ""), PAGE.replace("document: built", "built")])
def test_a_page_without_a_place_for_a_table_is_an_error(page: str) -> None:
    """It says which lines to put where."""
    with pytest.raises(SetupError, match=r"docs/fields.md has no place for the table .*: put the lines <!-- .*"):
        with_tables(page, load())
