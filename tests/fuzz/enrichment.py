"""Fuzz the enrichment function, guided by the coverage of its Python modules (atheris).

Run by `make fuzz`, and for a moment by the end-to-end tests. Arguments are libFuzzer's: `-runs=N`,
`-max_total_time=SECONDS`, and folders with inputs to begin with and to keep interesting ones in. It begins with
the records of events/. An input that breaks the contract is written to `crash-…`; run this with that file to see
it again.
"""

import json
import sys
import tempfile
from base64 import b64decode
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "functions" / "enrichment")]

with atheris.instrument_imports(include=["enrichment"]):
    from tests.builders import firehose_event, firehose_record
    from tests.enrichers import COLD_STORE, WALKTHROUGH, transform
    from tests.slow_enrichment import Refusal, slow_document

DESCRIPTIONS = (WALKTHROUGH, COLD_STORE)
COLD_STORE_READINGS = (
    b"""{"sensor": "F-0042", "site": "rotterdam", "at": "2026-11-26T07:15:30.250Z", "temp_c": -18.4, "humidity": 61.5,
        "battery_mv": 2980, "door": "closed"}""",
    b"""{"sensor": "F-0042", "site": "rotterdam", "at": "2026-11-26t07:15+01:00[Europe/Berlin]", "temp_c": "-18",
        "humidity": null, "battery_mv": 2980.0, "note": {"a": [1]}}""",
    b"""{"sensor": 42, "at": "07:15", "temp_c": 61, "humidity": -1, "battery_mv": 0.5, "door": false}""",
)
ZONES = (UTC, ZoneInfo("Europe/Berlin"))


def expect(raw: bytes, arrived_at: int, zone: tzinfo, description: str) -> dict[str, Any] | list[str]:
    """Return the document that the slow implementation makes of the bytes, or every reason why it does not."""
    try:
        return slow_document(raw, arrived_at, zone, description)
    except Refusal as refusal:
        return refusal.causes


def check_record(raw: bytes, description: str) -> None:
    """Raise an AssertionError where the function and the slow implementation disagree about a record's bytes."""
    record = firehose_record(raw)
    for zone in ZONES:
        batch = transform(firehose_event(record), zone, description=description)
        [result] = batch.results
        expected = expect(raw, record["approximateArrivalTimestamp"], zone, description)
        if isinstance(expected, list):
            assert result == {"recordId": "record-0", "result": "ProcessingFailed", "data": record["data"]}
            assert [str(cause) for cause in batch.failures] == expected
        else:
            line = b64decode(result["data"], validate=True)
            assert result["result"] == "Ok"
            assert line.count(b"\n") == 1
            assert json.loads(line) == expected


def check_data(data: bytes) -> None:
    """Raise where text in the place of base64 fails and does not come back as it was."""
    text = data.decode("latin-1")
    [result] = transform(firehose_event(firehose_record(b"") | {"data": text}), UTC).results
    assert result["result"] == "Ok" or result["data"] == text


def check(data: bytes) -> None:
    """Take the first byte for the choice, the rest for the input."""
    choice = data[0] % 3 if data else 0
    if choice == 0:
        check_data(data[1:])
    else:
        check_record(data[1:], DESCRIPTIONS[choice - 1])


def write_seeds(folder: Path) -> None:
    """Write each record of the sample events, and a cold store's readings, as inputs to begin with."""
    for number, reading in enumerate(COLD_STORE_READINGS):
        (folder / f"cold-store-{number}").write_bytes(b"\x02" + reading)
    for path in sorted((ROOT / "events").glob("firehose-*.json")):
        if path.name.endswith(".expected.json"):
            continue
        for record in json.loads(path.read_text())["records"]:
            try:
                raw = b64decode(record.get("data", ""), validate=True)
            except ValueError:
                raw = b""
            if len(raw) < 2000:  # longer ones only slow the fuzzer down
                (folder / f"{path.stem}-{record['recordId'][-40:]}").write_bytes(b"\x01" + raw)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as seeds:
        write_seeds(Path(seeds))
        folders = [] if any(Path(argument).exists() for argument in sys.argv[1:]) else [seeds]
        atheris.Setup([*sys.argv, *folders], check)
        atheris.Fuzz()
