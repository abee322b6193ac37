"""The golden pairs of events/: what the enrichment function returns for each Firehose event."""

import json
from base64 import b64decode

import pytest

from enrichment.handler import lambda_handler
from enrichment.reasons import Reason
from tests import golden
from tests.enrichers import transform
from tests.golden import read
from tests.slow_enrichment import Refusal, slow_document

EVENTS = golden.PATHS
NAMES = [path.stem for path in EVENTS]


@pytest.mark.parametrize("path", EVENTS, ids=NAMES)
def test_response_is_the_golden_one(path):
    """The handler returns for a sample event exactly what the file beside it says."""
    assert lambda_handler(read(path), None) == read(path.with_suffix(".expected.json"))


@pytest.mark.parametrize("path", EVENTS, ids=NAMES)
def test_golden_files_are_up_to_date(path):
    """`make golden` would change nothing: documents and reasons beside the base64 are those of the base64."""
    assert path.with_suffix(".expected.json").read_text(encoding="utf-8") == golden.render(read(path))


@pytest.mark.parametrize("path", EVENTS, ids=NAMES)
def test_golden_response_is_what_the_rules_say(path):
    """The golden responses agree with the independent implementation, so that no mistake was made golden."""
    for record, result in zip(read(path)["records"], read(path.with_suffix(".expected.json"))["records"], strict=True):
        data = record.get("data", record.get("kafkaRecordValue"))
        arrival = record.get("kinesisRecordMetadata", record).get("approximateArrivalTimestamp")
        assert result["recordId"] == record["recordId"]
        if result["result"] == "Ok":
            line = b64decode(result["data"], validate=True)
            assert line.count(b"\n") == 1
            assert line.endswith(b"\n")
            assert json.loads(line) == slow_document(b64decode(data), arrival)
        else:
            assert result["result"] == "ProcessingFailed"
            assert result["data"] == data
            if record["recordId"] not in ("not-base64", "from-msk"):
                with pytest.raises(Refusal) as refused:
                    slow_document(b64decode(data), arrival)
                decoded = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))["decoded"]
                assert decoded[record["recordId"]]["reasons"] == refused.value.causes


def test_every_reason_has_a_golden_record():
    """A sample event shows each reason that a reading of the walkthrough can have; the response's limit needs more."""
    shown = {reason for path in EVENTS for reason, _ in transform(read(path)).failures}
    assert shown == set(Reason) - {Reason.RESPONSE_TOO_LARGE, Reason.BAD_IP, Reason.BAD_GEO_POINT}
