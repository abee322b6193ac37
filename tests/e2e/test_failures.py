"""Failed records come back: listed with reasons, repaired, replayed, in the index exactly once; also after a kill."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch as Client

from iot_stream.cli import cli
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.processes import clean_environment
from tests.builders import device_reading
from tests.polling import until
from tests.unit.test_failures_replay import failed_document, failed_reading

REPAIR = """
import json

def transform(data, failure):
    try:
        reading = json.loads(data)
    except ValueError:
        return None
    if failure["kind"] == "document":
        return data
    reading.setdefault("device_id", 1)
    if isinstance(reading["device_temp"], list):
        reading["device_temp"] = reading["device_temp"][0]
    return json.dumps(reading)
"""


@pytest.fixture
def run_id() -> str:
    """What this test's readings begin with."""
    return f"replay-{uuid4().hex[:12]}"


def invoke(local_stack: LocalStack, *arguments: str) -> Result:
    """Run a command on the local stack."""
    return CliRunner(mix_stderr=False).invoke(
        cli, ["failures", arguments[0], "--state", str(local_stack.folder), *arguments[1:]]
    )


def uuids(local_stack: LocalStack, run_id: str) -> Counter[str]:
    """How often each reading of a run is in the index."""
    index = local_stack.stack().output("IndexName")
    client = local_stack.opensearch.admin_client()
    client.indices.refresh(index=f"{index}*")
    body = {"query": {"prefix": {"uuid": run_id}}, "size": 10_000, "_source": ["uuid"]}
    hits = client.search(index=f"{index}*", body=body)["hits"]["hits"]
    return Counter(hit["_source"]["uuid"] for hit in hits)


def put_object(local_stack: LocalStack, name: str, body: bytes, folder: str = "processing-failed") -> str:
    """Leave a failure object in the bucket, as Firehose does."""
    stack = local_stack.stack()
    key = f"{stack.output('BackupPrefix')}{folder}/2026/11/26/10/{name}"
    local_stack.aws.client("s3").put_object(Bucket=stack.output("BackupBucketName"), Key=key, Body=body)
    return key


def object_keys(local_stack: LocalStack) -> list[str]:
    """All keys of the bucket."""
    bucket = local_stack.stack().output("BackupBucketName")
    pages = local_stack.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def test_faults_of_every_kind_are_listed_repaired_and_replayed_once(
    local_stack: LocalStack, run_id: str, tmp_path: Path
) -> None:
    """What the function refused, with its reasons; what the domain refused, by its own id; the rest is discarded."""
    stack = local_stack.stack()
    since = datetime.now(UTC).isoformat()
    faults: list[Any] = [
        device_reading(uuid=f"{run_id}-no-id", device_id=...),
        device_reading(uuid=f"{run_id}-list", device_temp=[31]),
    ]
    data = [json.dumps(fault).encode() for fault in faults] + [f"{run_id} is not JSON".encode(), b"\xff is not UTF-8"]
    kinesis = local_stack.aws.client("kinesis")
    for each in data:
        kinesis.put_record(StreamName=stack.output("StreamName"), Data=each, PartitionKey="1")

    def listed() -> dict[str, Any]:
        result = invoke(local_stack, "list", "--since", since, "--kind", "processing", "--json")
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.output))

    found = until(lambda: (summary := listed())["records"] >= len(data) and summary, what="the failure objects")
    reasons: Counter[str] = Counter()
    for group in found["groups"]:
        reasons.update(group["reasons"])
    assert {"field_missing: device_id", "wrong_type: device_temp", "not_json", "not_utf8"} <= set(reasons)

    now = int(time.time() * 1000)
    document = {"uuid": f"{run_id}-document", "timestamp": "2026-11-26T10:00:00.000", "device_id": 1, "temp_celsius": 1}
    put_object(
        local_stack,
        f"{run_id}-documents",
        _arrived(failed_document(json.dumps(document).encode(), f"{run_id}.1", stack.output("IndexName")), now)
        + _arrived(failed_document(b'{"temp_celsius": "hot"}', f"{run_id}.2", stack.output("IndexName")), now),
        "AmazonOpenSearchService_failed",
    )
    (tmp_path / "repair.py").write_text(REPAIR)
    arguments = ("replay", "--since", since, "--transform", str(tmp_path / "repair.py"), "--json")
    first = invoke(local_stack, *arguments)
    assert first.exit_code == 1, first.output  # what is not JSON stays
    outcome = json.loads(first.stdout)
    assert (outcome["streamed"], outcome["indexed"]) == (2, 1)
    assert outcome["stays"]["skipped by the transform script"] == 2
    assert any("mapper_parsing_exception" in reason for reason in outcome["stays"])
    second = json.loads(invoke(local_stack, *arguments).stdout)
    assert (second["streamed"], second["indexed"]) == (0, 0)

    expected = {f"{run_id}-no-id": 1, f"{run_id}-list": 1, f"{run_id}-document": 1}
    until(lambda: uuids(local_stack, run_id) == expected, what="the repaired readings")
    shown = invoke(local_stack, "show", "--since", since, "--reason", "not_json", "--limit", "1")
    assert f"{run_id} is not JSON" in shown.output

    left = listed()
    assert left["records"] == found["records"] - 2, "the two readings are resolved"
    assert left["resolved"], "the document, whose object stays"
    discarded = invoke(local_stack, "discard", "--since", since, "--json")
    assert discarded.exit_code == 0, discarded.output
    assert json.loads(discarded.stdout)["discarded"] == 3, "two readings and a document"
    assert listed()["records"] == 0


def test_with_aws_the_same_clients_replay_into_the_same_stack(local_stack: LocalStack, run_id: str) -> None:
    """By the caller's endpoint, region and credentials; the domain by its endpoint and the master user's password."""
    index = local_stack.stack().output("IndexName")
    now = int(time.time() * 1000)
    reading = json.dumps(device_reading(uuid=f"{run_id}-reading")).encode()
    document = json.dumps(
        {"uuid": f"{run_id}-document", "timestamp": "2026-11-26T10:00:00.000", "device_id": 1}
    ).encode()
    code = f"Test.{run_id}"
    keys = [
        put_object(local_stack, f"{run_id}-reading", _arrived(failed_reading(reading, code), now)),
        put_object(
            local_stack,
            f"{run_id}-document",
            _arrived(failed_document(document, f"{run_id}.1", index), now, errorCode=code),
            "AmazonOpenSearchService_failed",
        ),
    ]
    authority = str(local_stack.opensearch.ca_file)
    environment = local_stack.aws.environment() | {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority}
    command = ["failures", "replay", "--aws", "--stack", local_stack.stack_name, "--code", code, "--json"]
    first = CliRunner(mix_stderr=False, env=environment).invoke(cli, command)
    assert first.exit_code == 0, (first.stdout, first.stderr, first.exception)
    outcome = json.loads(first.stdout)
    assert (outcome["streamed"], outcome["indexed"], outcome["moved"]) == (1, 1, 2)
    assert " (AWS); " in first.stderr
    expected = {f"{run_id}-reading": 1, f"{run_id}-document": 1}
    until(lambda: uuids(local_stack, run_id) == expected, what="the replayed records")
    left = object_keys(local_stack)
    assert not set(keys) & set(left)
    assert {f"replayed/{key}" for key in keys} <= set(left)
    second = CliRunner(mix_stderr=False, env=environment).invoke(cli, command)
    assert json.loads(second.stdout)["objects"] == outcome["objects"] - 2, "nothing is left of them to send"


def _arrived(line: bytes, arrived: int, **more: str) -> bytes:
    return json.dumps(json.loads(line) | {"arrivalTimestamp": arrived} | more).encode() + b"\n"


def test_a_replay_killed_in_the_middle_goes_on_without_sending_twice(local_stack: LocalStack, run_id: str) -> None:
    """SIGKILL while batches are under way; the same command again: every reading is in the index exactly once."""
    names = [f"{run_id}-{number}" for number in range(3000)]
    lines = [failed_reading(json.dumps(device_reading(uuid=name)).encode(), f"Test.{run_id}") for name in names]
    keys = [
        put_object(local_stack, f"{run_id}-{part}", b"".join(lines[part * 1500 : (part + 1) * 1500])) for part in (0, 1)
    ]
    command = [sys.executable, "-m", "iot_stream", "failures", "replay", "--state", str(local_stack.folder)]
    command += ["--code", f"Test.{run_id}", "--rate", "100"]  # seconds between batches, however slow the machine
    client, index = local_stack.opensearch.admin_client(), f"{local_stack.stack().output('IndexName')}*"
    kills = 0
    for sent in (300, 1200, 2200):
        process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            until(lambda: _sent(client, index, run_id) >= sent or process.poll() is not None, what="the first batches")  # noqa: B023
        finally:
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
    assert kills, "every replay was over before it was killed"
    result = invoke(local_stack, "replay", "--code", f"Test.{run_id}", "--json")
    assert result.exit_code == 0, result.output
    until(lambda: len(uuids(local_stack, run_id)) == len(names), what="all readings")
    assert set(uuids(local_stack, run_id).values()) == {1}
    left = object_keys(local_stack)
    assert not set(keys) & set(left)
    assert {f"replayed/{key}" for key in keys} <= set(left)
    assert not [key for key in left if key.startswith("replayed/progress/") and run_id in key]


def _sent(client: Client, index: str, run_id: str) -> int:
    """How many of the run's readings are searchable."""
    client.indices.refresh(index=index)
    return int(client.count(index=index, body={"query": {"prefix": {"uuid": run_id}}})["count"])
