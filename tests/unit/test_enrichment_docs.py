"""docs/fields.md says what the code does: its tables hold the closed sets."""

import json
import re

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


def test_every_metric_is_described():
    """The table of metrics has the names and units that a batch's line declares."""
    line = describe_batch(Batch([], ["2026-11-22T10:15:30.123"], 0, 0, dropped={"note": 1}), 0, 0, Settings())
    [directive] = json.loads(line)["_aws"]["CloudWatchMetrics"]
    declared = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    described = {name: row[1] for row in rows("| metric | unit | dimensions |") for name in names([row[0]])}
    assert described == declared
