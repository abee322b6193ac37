"""Other readings than the walkthrough's, through the built function, the delivery worker, OpenSearch and the dashboard.

Each has a delivery stream of its own on the session's stack: what is not deployed again is the template, which knows
no field.
"""

import base64
import contextlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from iot_stream.dashboards.context import Context, TimeRange
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.index_template import index_template
from iot_stream.dashboards.search import Responses, fetch
from iot_stream.dashboards.snapshot import panel_svg
from iot_stream.description import Description, parse
from iot_stream.generator.derived import template_of
from iot_stream.generator.template.compiled import compile_template
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from tests.delivery import World
from tests.enrichers import COLD_STORE, VENDOR
from tests.polling import until
from tests.reader_role import let_read

GOOD = 60
BAD = [b"{}", b"not json", b'{"sensor": 1}']


def package(built: Path, description: str) -> bytes:
    """Return the zip of the built function with another description."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in built.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "readings.toml":
                file.write(path, path.relative_to(built))
        file.writestr("readings.toml", description)
    return archive.getvalue()


@contextlib.contextmanager
def templated(server: OpenSearch, name: str, reading: Description) -> Iterator[None]:
    """Put the index template of a description, as the role mapper does."""
    body = {"index_patterns": [f"{name}*"], "priority": 500, **index_template(reading)}
    with server.admin_session() as session:
        assert session.put(f"{server.url}/_index_template/{name}", json=body).ok
        yield
        assert session.delete(f"{server.url}/_index_template/{name}").ok


def shown(server: OpenSearch, name: str, reading: Description) -> Responses:
    """Return what the dashboard asks of the index."""
    with server.admin_session() as session:
        assert session.post(f"{server.url}/{name}/_refresh").ok
    let_read(server, f"{name}*")
    now = datetime.now(UTC)
    period = Context(TimeRange(now - timedelta(minutes=15), now + timedelta(minutes=1)))
    return fetch(Reader(connect(server)), load(reading=reading).for_index(name), period)


def mapped(server: OpenSearch, name: str) -> Any:
    """Return the fields that the index has, without what OpenSearch adds to a mapping."""
    with server.admin_session() as session:
        return session.get(f"{server.url}/{name}/_mapping").json()[name]["mappings"]["properties"]


@pytest.mark.parametrize("text", [COLD_STORE, VENDOR], ids=["cold store", "vendor"])
def test_every_record_of_another_description_has_its_end(world: World, sam_build: Path, text: str) -> None:
    """Made-up readings are indexed with the described mapping and fill each panel; broken ones are failure objects."""
    reading = parse(text)
    made = compile_template(template_of(reading), "derived", seed="1", zone=UTC).render(
        [int(time.time() * 1000)] * GOOD
    )
    with templated(world.opensearch, world.name, reading):
        world.make(code=package(sam_build / "EnrichmentFunction", text), handler="enrichment.handler.lambda_handler")
        world.start()
        world.put([*(each.encode() for each in made), *BAD])
        until(lambda: world.status.delivered + world.status.failed == GOOD + len(BAD), what="all records' ends")
    assert sorted(base64.b64decode(line["rawData"]) for line in world.failures()) == sorted(BAD)
    assert mapped(world.opensearch, world.name) == index_template(reading)["template"]["mappings"]["properties"]
    found = shown(world.opensearch, world.name, reading)
    assert found.panels["key-figures"]["aggregations"]["records"]["value"] == GOOD
    assert all(set(document) == {reading.time.name, *load(reading=reading).latest_columns} for document in found.latest)
    assert {*found.choices[reading.device.name]} == {
        reduce(dict.get, reading.device.path, json.loads(each)) for each in made
    }
    for panel in load(reading=reading).panels:
        svg = panel_svg(panel, found.panels[panel.name], width=500, height=260)
        assert "NaN" not in svg
        assert 'aria-roledescription="' in svg, panel.name
