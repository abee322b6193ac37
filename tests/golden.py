"""Golden pairs of events/: what the enrichment function returns for each Firehose event.

`make golden` rewrites them; a unit test checks that it would change nothing. Beside the response stands what its base64
holds, by recordId, so that a change can be read in its diff: `decoded` is not part of the response.
"""

import json
from base64 import b64decode
from binascii import Error
from pathlib import Path
from typing import Any

from iot_stream.paths import PROJECT
from tests.enrichers import transform

EVENTS = PROJECT / "events"
PATHS = sorted(path for path in EVENTS.glob("firehose-*.json") if not path.name.endswith(".expected.json"))


def read(path: Path) -> dict[str, Any]:
    """Return an event, or the response without what `decoded` explains of it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    content.pop("decoded", None)
    return content


def render(event: dict[str, Any]) -> str:
    """Return the text of the `.expected.json` file of an event."""
    batch = transform(event)
    causes: dict[str, list[str]] = {}
    for cause, record_ids in batch.failures.items():
        for record_id in record_ids:
            causes.setdefault(record_id, []).append(str(cause))
    decoded = {}
    for record, result in zip(event["records"], batch.results, strict=True):
        outcome = (
            {"document": json.loads(b64decode(result["data"]))}
            if result["result"] == "Ok"
            else {"reasons": causes[result["recordId"]]}
        )
        decoded[result["recordId"]] = {
            "reading": _readable(record.get("data", record.get("kafkaRecordValue")))
        } | outcome
    return json.dumps({"records": batch.results, "decoded": decoded}, indent=2, ensure_ascii=False) + "\n"


def _readable(data: str) -> str:
    """Return what base64 holds: text where it is UTF-8, else as Python writes bytes; long data is cut."""
    try:
        raw = b64decode(data, validate=True)
    except Error:
        return data
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = repr(raw)
    return text if len(text) <= 500 else f"{text[:200]}… ({len(raw)} bytes)"


if __name__ == "__main__":
    for path in PATHS:
        path.with_suffix(".expected.json").write_text(render(read(path)), encoding="utf-8")
