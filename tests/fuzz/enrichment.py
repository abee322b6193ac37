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
    from tests.enrichers import transform
    from tests.slow_enrichment import Refusal, slow_document

ZONES = (UTC, ZoneInfo("Europe/Berlin"))


def expect(raw: bytes, arrived_at: int, zone: tzinfo) -> dict[str, Any] | str:
    """Return the document that the slow implementation makes of the bytes, or the reason why it does not."""
    try:
        return slow_document(raw, arrived_at, zone)
    except Refusal as refusal:
        return str(refusal)


def check_record(raw: bytes) -> None:
    """Raise an AssertionError where the function and the slow implementation disagree about a record's bytes."""
    record = firehose_record(raw)
    for zone in ZONES:
        batch = transform(firehose_event(record), zone)
        [result] = batch.results
        expected = expect(raw, record["approximateArrivalTimestamp"], zone)
        if isinstance(expected, str):
            assert result == {"recordId": "record-0", "result": "ProcessingFailed", "data": record["data"]}
            assert [str(cause.reason) for cause in batch.failures] == [expected]
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
    if data[:1] == b"\x00":
        check_data(data[1:])
    else:
        check_record(data[1:])


def write_seeds(folder: Path) -> None:
    """Write each record of the sample events as an input to begin with."""
    for path in sorted((ROOT / "events").glob("firehose-*.json")):
        if path.name.endswith(".expected.json"):
            continue
        for record in json.loads(path.read_text())["records"]:
            try:
                raw = b64decode(record["data"], validate=True)
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
