"""docs/fields.md says what the code does: its tables hold the closed sets."""

import json
import re
from datetime import UTC, datetime

from enrichment.description import INGESTED_AT, load
from enrichment.firehose import Batch
from enrichment.metrics import describe_batch
from enrichment.reasons import Reason
from enrichment.settings import Settings
from iot_stream.paths import PROJECT

FIELDS = (PROJECT / "docs" / "fields.md").read_text()


def rows(header):
    """Return the rows of the table with this header, as lists of cells."""
    table = FIELDS.partition(header)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(cells):
    """Return the words in code style."""
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_reason_is_explained():
    """The table of reasons is the closed set, in its order."""
    assert names(row[0] for row in rows("| reason | means |")) == [str(reason) for reason in Reason]


def test_every_field_of_a_reading_is_described():
    """The table of the reading has its six fields."""
    assert set(names(row[0] for row in rows("| field | accepted |"))) == {field.source for field in load().inputs}


def test_every_field_of_a_document_is_described_with_its_type_in_the_index():
    """The table of the document has its fields in order, with the types that the index template gives them."""
    described = rows("| field | is | in the index |")
    assert names(row[0] for row in described) == [*(field.name for field in load().fields), INGESTED_AT]
    template = json.loads((PROJECT / "functions/role_mapper/opensearch/index-template.json").read_text())
    mapped = template["template"]["mappings"]["properties"]
    assert {row[0].strip("`"): row[2].strip("`") for row in described} == {
        field: mapping["type"] for field, mapping in mapped.items()
    }


def test_every_metric_is_described():
    """The table of metrics has the names and units that a batch's line declares."""
    line = describe_batch(
        Batch([], ["2026-11-22T10:15:30.123"], 0, 0, dropped={"note": 1}), datetime.now(UTC), 0, Settings()
    )
    [directive] = json.loads(line)["_aws"]["CloudWatchMetrics"]
    declared = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    described = {name: row[1] for row in rows("| metric | unit | dimensions |") for name in names([row[0]])}
    assert described == declared
