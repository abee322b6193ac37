"""The golden pairs of events/: what the enrichment function answers to each Firehose event."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from enrichment.firehose import transform
from enrichment.handler import lambda_handler
from enrichment.reasons import Reason
from enrichment.settings import Settings
from tests.slow_enrichment import Refusal, slow_document

EVENTS = sorted(
    path for path in (Path(__file__).parents[2] / "events").glob("firehose-*.json") if ".expected" not in path.name
)
NAMES = [path.stem for path in EVENTS]


def load(path: Path) -> dict[str, Any]:
    """Read an event or an answer."""
    answer: dict[str, Any] = json.loads(path.read_text())
    return answer


@pytest.mark.parametrize("path", EVENTS, ids=NAMES)
def test_answer_is_the_golden_one(path):
    """The handler answers a sample event exactly as the file beside it says."""
    assert lambda_handler(load(path), None) == load(path.with_suffix(".expected.json"))


@pytest.mark.parametrize("path", EVENTS, ids=NAMES)
def test_golden_answer_is_what_the_rules_say(path):
    """The golden answers agree with the independent implementation, so that no mistake was made golden."""
    for record, result in zip(load(path)["records"], load(path.with_suffix(".expected.json"))["records"], strict=True):
        arrival = record.get("kinesisRecordMetadata", record).get("approximateArrivalTimestamp")
        assert result["recordId"] == record["recordId"]
        if result["result"] == "Ok":
            line = b64decode(result["data"], validate=True)
            assert line.count(b"\n") == 1
            assert line.endswith(b"\n")
            assert json.loads(line) == slow_document(b64decode(record["data"]), arrival)
        else:
            assert result["result"] == "ProcessingFailed"
            assert result["data"] == record["data"]
            if record["recordId"] != "not-base64":
                with pytest.raises(Refusal):
                    slow_document(b64decode(record["data"]), arrival)


def test_every_reason_has_a_golden_record():
    """Each reason of failure is shown by a sample event; only the answer's limit needs more than a file should hold."""
    shown = {reason for path in EVENTS for reason, _ in transform(load(path), Settings().device_time_zone).failures}
    assert shown == set(Reason) - {Reason.ANSWER_TOO_LARGE}
