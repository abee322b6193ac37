"""Documents as the enrichment function writes them, put straight into an index."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from iot_stream.dashboards.index_template import index_template
from iot_stream.description import Description, Enricher, encode
from iot_stream.description import load as load_description
from iot_stream.generator.derived import template_of
from iot_stream.generator.template.compiled import compile_template
from iot_stream.local.opensearch import OpenSearch

ACTIVITIES = ("Running", "Sitting", "Traveling", "Walking", "Working")


def readings(count: int, *, end: datetime, over: timedelta, seed: int = 1) -> list[dict[str, Any]]:
    """Return `count` documents, evenly over the time before `end`, of devices 0 to 50."""
    chance = random.Random(seed)
    return [_reading(chance, end - over * (count - 1 - number) / count) for number in range(count)]


def _reading(chance: random.Random, at: datetime) -> dict[str, Any]:
    celsius = chance.choices((28, 32, 34, 40), (3, 4, 2, 1))[0]
    return {
        "uuid": f"{chance.getrandbits(64):016x}",
        "timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "device_id": chance.randint(0, 50),
        "temp_celsius": celsius,
        "temp_fahrenheit": round(celsius * 1.8 + 32, 1),
        "track_id": chance.randint(0, 30),
        "activity_type": chance.choice(ACTIVITIES),
        "ingested_at": (at + timedelta(milliseconds=200)).astimezone(UTC).isoformat(timespec="milliseconds")[:23],
    }


def described(description: Description, count: int, *, end: datetime, over: timedelta) -> list[dict[str, Any]]:
    """Return `count` documents of any description, evenly over the time before `end`, as the function makes them."""
    ends = end.timestamp() * 1000
    times = [int(ends - over.total_seconds() * 1000 * number / count) for number in range(count)]
    made = compile_template(template_of(description), "derived", seed="1", zone=UTC).render(times)
    enriched = Enricher(description, UTC).enrich_all([text.encode() for text in made], [time + 200 for time in times])
    assert not enriched.causes
    return [json.loads(line) for line in encode(enriched.documents)]


def make_index(
    server: OpenSearch,
    index: str,
    documents: Iterable[dict[str, Any]] = (),
    description: Description | None = None,
    shards: int = 1,
) -> None:
    """Create `index` with a description's mapping unless it exists, and index documents, searchable at once."""
    mappings = index_template(description or load_description())["template"]["mappings"]
    settings = {"number_of_shards": shards}
    lines = [part for document in documents for part in ('{"create":{}}', json.dumps(document))]
    with server.admin_session() as session:
        if session.head(f"{server.url}/{index}").status_code == 404:
            made = session.put(f"{server.url}/{index}", json={"mappings": mappings, "settings": settings})
            assert made.ok, made.text
        if lines:
            response = session.post(
                f"{server.url}/{index}/_bulk?refresh=true",
                data="\n".join(lines) + "\n",
                headers={"Content-Type": "application/x-ndjson"},
            )
            assert response.ok, response.text
            assert not response.json()["errors"], response.text
