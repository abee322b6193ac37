"""The alerts function against a real OpenSearch, as the role that the role mapper gives it.

What it does there is what it does to the index in memory, on which the unit tests' random days run.
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
import requests
from requests.auth import AuthBase

from device_alerts.documents import RUN_ID, iso
from device_alerts.progress import Progress
from device_alerts.rules import parse
from device_alerts.run import ConflictError, Run, RunSettings, Version
from device_alerts.search import Domain, DomainError
from iot_stream.description import load
from iot_stream.local.opensearch import OpenSearch
from iot_stream.readings.alert_files import alert_rules
from role_mapper import provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain as MasterDomain
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.alerts_index import Killer, MemoryIndex, Topic

RULES = parse(alert_rules(load()))
SEED = random.randrange(10**6)
MINUTE = 60_000


class _Bearer(AuthBase):
    """Signs in as an IAM role, as the local domain's gateway does for a signed request."""

    def __init__(self, opensearch: OpenSearch, arn: str) -> None:
        self._opensearch, self._arn = opensearch, arn

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._opensearch.token(self._arn)}"
        return request


@dataclass
class Fleet:
    """A stream's index, and the alerts function's view of it."""

    opensearch: OpenSearch
    wanted: Properties
    domain: Domain

    def send(self, readings: list[dict[str, Any]]) -> None:
        """Index some readings, and make them searchable."""
        lines = [line for each in readings for line in ({"index": {"_index": self.wanted.index_name}}, each)]
        with self.opensearch.admin_session() as admin:
            body = "".join(json.dumps(line) + "\n" for line in lines)
            headers = {"Content-Type": "application/x-ndjson"}
            response = admin.post(f"{self.opensearch.url}/_bulk?refresh=true", data=body, headers=headers)
            assert not response.json()["errors"], response.text[:500]

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return everything in the alerts index."""
        with self.opensearch.admin_session() as admin:
            url = f"{self.opensearch.url}/{self.wanted.alerts_index}"
            admin.post(f"{url}/_refresh")
            hits = admin.post(f"{url}/_search", json={"size": 1_000}).json()["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.fixture(scope="module")
def fleet(opensearch: OpenSearch) -> Iterator[Fleet]:
    """An index of this module's own, prepared by the role mapper's objects with the administrator's certificate."""
    name = f"fleet-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:iam::000000000000:role/{name}-alerts"
    endpoint = f"127.0.0.1:{opensearch.port}"
    wanted = Properties(
        domain_endpoint=endpoint,
        delivery_role_arn=f"arn:aws:iam::000000000000:role/{name}",
        alerts_role_arn=arn,
        index_name=name,
        role_name=name,
        index_pattern=f"{name}*",
        number_of_replicas=0,
    )
    owner = Owner.of(f"arn:aws:cloudformation:us-east-1:000000000000:stack/{name}/x", "RoleMapping", endpoint)

    def master() -> MasterDomain:
        domain = MasterDomain(endpoint, None, Deadline(120))  # type: ignore[arg-type]
        domain.session = opensearch.admin_session()
        return domain

    provision.apply(master(), wanted, owner)
    session = boto3.Session("a", "b", region_name="us-east-1")
    domain = Domain(endpoint, f"{name}*", wanted.alerts_index, session, lambda: 60.0)
    domain._http.auth = _Bearer(opensearch, arn)
    domain._http.verify = str(opensearch.ca_file)
    domain._http.trust_env = False
    yield Fleet(opensearch, wanted, domain)
    provision.remove(master(), wanted, owner)
    with opensearch.admin_session() as admin:
        admin.delete(f"{opensearch.url}/{name},{wanted.alerts_index}?ignore_unavailable=true")


def test_the_role_reads_readings_and_writes_alerts_and_nothing_else(fleet: Fleet) -> None:
    """By the real security plugin: each other call is refused with 403."""
    domain, readings = fleet.domain, fleet.wanted.index_name
    assert domain.get(RUN_ID) is None, "there is no index yet"
    version = domain.put(RUN_ID, {"kind": "run", "memory": {}}, None)
    with pytest.raises(ConflictError):
        domain.put(RUN_ID, {"kind": "run", "memory": {}}, None)
    with pytest.raises(ConflictError):
        domain.put(RUN_ID, {"kind": "run", "memory": {}}, Version(version.seq_no + 7, version.primary_term))
    domain.put(RUN_ID, {"kind": "run", "memory": {}}, version)
    fleet.send([{"device_id": 999, "timestamp": "2000-01-01T00:00:00", "ingested_at": "2000-01-01T00:00:00"}])
    for method, path in [
        ("POST", f"/{readings}/_doc"),
        ("DELETE", f"/{readings}"),
        ("POST", f"/{readings}/_delete_by_query"),
        ("GET", f"/{readings}/_mapping"),
        ("DELETE", f"/{fleet.wanted.alerts_index}"),
        ("POST", "/other/_search"),
        ("POST", "/other/_doc"),
        ("GET", "/_cluster/health"),
        ("GET", "/_plugins/_security/api/roles"),
    ]:
        with pytest.raises(DomainError, match="403"):
            domain._call(method, path, {"query": {"match_all": {}}} if method == "POST" else None)
    with fleet.opensearch.admin_session() as admin:
        admin.delete(f"{fleet.opensearch.url}/{fleet.wanted.alerts_index}")


def test_a_real_index_and_the_one_in_memory_say_the_same(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random devices over some minutes, in pages of seven: the same documents and the same messages."""
    monkeypatch.setattr("device_alerts.queries._PAGE", 7)
    draw = random.Random(SEED)
    now = [time.time_ns() // 1_000_000 - 15 * MINUTE]
    memory = MemoryIndex(lambda: now[0], Killer())
    settings = RunSettings("fleet", grace=5_000, late_after=600_000)
    topics = (Topic(Killer()), Topic(Killer()))
    moods = {device: draw.choice(["fine", "hot", "silent", "ahead", "flapping"]) for device in range(1, 40)}
    moods[2**53 + 1] = "hot"
    moods[2**53 + 3] = "gone"
    for minute in range(12):
        batch = []
        for _ in range(3):
            now[0] += 20_000
            for device, mood in moods.items():
                if (mood == "silent" and 1 <= minute < 9) or (mood == "gone" and minute):
                    continue
                hot = (mood == "hot" and minute < 8) or (mood == "flapping" and draw.random() < 0.5)
                arrived = now[0] - draw.randrange(5_000)
                batch.append(
                    {
                        "device_id": device,
                        "temp_celsius": draw.uniform(38.5, 60) if hot else draw.uniform(0, 36),
                        "timestamp": _text(arrived + (900_000 if mood == "ahead" else 0)),
                        "ingested_at": _text(arrived),
                    }
                )
        fleet.send(batch)
        for reading in batch:  # the index rounds to hundredths
            memory.add({**reading, "temp_celsius": round(reading["temp_celsius"], 2)})
        for index, topic in zip((fleet.domain, memory), topics, strict=True):
            Run(RULES, settings, index, topic.publish, lambda _: Progress(), clock=lambda: now[0], lease=50_000).go()
    real = fleet.documents()
    assert real.keys() == memory.written.keys(), f"seed {SEED}"
    assert real == memory.written, f"seed {SEED}"
    assert {each["alert"]["rule"] for each in real.values() if each["kind"] == "alert"} == {
        "too_high",
        "silent",
        "clock_wrong",
    }
    assert f"device:{2**53 + 1}" in real
    assert [(each.id, each.opened, each.closed) for each in topics[0].messages] == [
        (each.id, each.opened, each.closed) for each in topics[1].messages
    ], f"seed {SEED}"
    fleet.domain.refresh()
    memory.refresh()
    for index, topic in zip((fleet.domain, memory), topics, strict=True):
        forgetful = replace(settings, keep=4 * MINUTE)
        summary = Run(
            RULES, forgetful, index, topic.publish, lambda _: Progress(), clock=lambda: now[0], lease=50_000
        ).go()
        assert summary.forgotten >= 1, f"seed {SEED}"
    assert f"device:{2**53 + 3}" not in memory.written
    assert fleet.documents() == memory.written, f"seed {SEED}"


def _text(instant: int) -> str:
    """Return a time as the enrichment function writes it: without the zone."""
    return iso(instant).removesuffix("Z")
