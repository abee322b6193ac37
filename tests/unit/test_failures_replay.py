"""Replay: every failed record is sent exactly once, whenever and however often a replay is killed; the rest stays."""

import ast
import base64
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.s3.models import s3_backends
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import TransportError

from iot_stream.failure_objects import BackupLocation, FailedRecord, FailureKind, FailureObjects, failed_records
from iot_stream.failures.destinations import DestinationError, IndexDestination, Item, StreamDestination, partition_key
from iot_stream.failures.pace import Pace
from iot_stream.failures.progress import REPLAYED, Progress, ProgressError, ProgressStore, Remaining
from iot_stream.failures.reasons import Reasons
from iot_stream.failures.replay import Options, Outcome, Replay, Source
from iot_stream.failures.selection import Selection
from iot_stream.failures.source import SourceBackup, source_records
from iot_stream.failures.transform import Transform, TransformError, TransformTimeoutError, load_transform, unchanged
from iot_stream.paths import PROJECT
from tests.aws_clients import aws_client
from tests.builders import device_reading
from tests.examples import examples

BUCKET, STREAM, PREFIX = "backup", "readings", "opensearch_backup/"
LOCATION = BackupLocation(BUCKET, PREFIX, PREFIX)
FOLDER = f"{PREFIX}processing-failed/2026/11/26/10/"
REASONS = Reasons(UTC)
DOCUMENTS = f"{PREFIX}AmazonOpenSearchService_failed/2026/11/26/10/"


def good(number: int) -> bytes:
    """A reading that the function accepts."""
    return json.dumps(device_reading(uuid=f"reading-{number}")).encode()


def failed_reading(data: bytes, code: str = "Lambda.FunctionError", arrived: int = 1_795_342_530_456) -> bytes:
    """A line of a processing-failed object ("Handle failure in data transformation", Firehose Developer Guide)."""
    line = {"attemptsMade": 4, "arrivalTimestamp": arrived, "errorCode": code, "errorMessage": "it failed"}
    line |= {"attemptEndingTimestamp": arrived + 1, "rawData": base64.b64encode(data).decode(), "lambdaArn": "arn"}
    return json.dumps(line).encode() + b"\n"


def failed_document(data: bytes, document_id: str = "1.2.3", index: str = "iot-stream") -> bytes:
    """A line of a failed document's object ("Handle data delivery failure")."""
    line = {"attemptsMade": 1, "arrivalTimestamp": 1_795_342_530_456, "errorCode": "400", "errorMessage": "refused"}
    line |= {"esDocumentId": document_id, "esIndexName": index, "esTypeName": ""}
    return json.dumps(line | {"rawData": base64.b64encode(data).decode()}).encode() + b"\n"


class Killed(BaseException):
    """The process ends: nothing catches it."""


@dataclass
class Faulty:
    """A boto3 client on which chosen calls fail before or after they took effect."""

    client: Any
    faults: Iterator[tuple[str, BaseException] | None]

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)
        if name not in {"put_records", "put_object", "copy_object", "delete_object", "get_object"}:
            return attribute

        def call(**arguments: Any) -> Any:
            fault = next(self.faults, None)
            if fault and fault[0] == "before":
                raise fault[1]
            response = attribute(**arguments)
            if fault:
                raise fault[1]
            return response

        return call


@dataclass
class Bulk:
    """Stands in for an OpenSearch client: keeps what `_bulk` brings, and responds with what a test asks for.

    The shape of responses is that of the "Bulk" API; tests/e2e/test_failures.py holds it against the real OpenSearch.
    """

    responses: list[Any] = field(default_factory=list)
    documents: dict[tuple[str, str], str] = field(default_factory=dict)

    def bulk(self, body: str) -> dict[str, Any]:
        """Take documents in, or respond as asked."""
        response = self.responses.pop(0) if self.responses else None
        if isinstance(response, Exception):
            raise response
        lines = body.splitlines()
        items: list[dict[str, Any]] = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            name = json.loads(action)["index"]
            status, error = response.get(name["_id"], (201, None)) if response else (201, None)
            if status == 201:
                self.documents[name["_index"], name["_id"]] = document
            items.append({"index": {"status": status} | ({"error": {"type": error}} if error else {})})
        return {"items": items}


@dataclass
class World:
    """A bucket and a stream in moto, and a domain."""

    s3: Any
    kinesis: Any
    bulk: Bulk = field(default_factory=Bulk)
    faults: list[tuple[str, BaseException] | None] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def put(self, **objects: bytes) -> None:
        """Write objects into the folder of processing failures."""
        for name, body in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}{name}", Body=body)

    def object_keys(self) -> list[str]:
        """Return every key of the bucket."""
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def clock(self) -> float:
        """Return the time, later by what was slept."""
        return time.time() + sum(self.slept)

    def replay(
        self, transform: Transform = unchanged, sources: Iterable[Source] | None = None, **asked: Any
    ) -> Outcome:
        """Replay everything, with the faults that are set on its next calls."""
        faults = iter(self.faults)
        self.faults = []
        pace = Pace(1e9, lambda: 0.0, lambda _: None)
        s3, kinesis = Faulty(self.s3, faults), Faulty(self.kinesis, faults)
        objects = FailureObjects(self.s3, LOCATION)
        replay = Replay(
            StreamDestination(kinesis, STREAM, pace, self.clock, self.slept.append),
            lambda: IndexDestination(self.bulk, pace, self.clock, self.slept.append),  # type: ignore[arg-type]
            ProgressStore(s3, BUCKET),
            REASONS,
            Options(**asked),
            clock=self.clock,
            transform=transform,
        )
        found = (Source(each.key, partial(objects.records, each.key)) for each in objects.objects())
        return replay.run(sources if sources is not None else found)

    def streamed(self) -> list[bytes]:
        """All records of the stream."""
        found = []
        for shard in self.kinesis.list_shards(StreamName=STREAM)["Shards"]:
            iterator = self.kinesis.get_shard_iterator(
                StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found += [record["Data"] for record in self.kinesis.get_records(ShardIterator=iterator)["Records"]]
        return found


def make_world() -> World:
    """An empty bucket and a stream of two shards."""
    s3, kinesis = aws_client("s3"), aws_client("kinesis")
    s3.create_bucket(Bucket=BUCKET)
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    return World(s3, kinesis)


@pytest.fixture
def world() -> Iterator[World]:
    """A bucket and a stream of its own."""
    with mock_aws():
        yield make_world()


# ---- what goes where -----------------------------------------------------------------------------------------------


def test_original_bytes_go_to_the_stream_and_the_object_to_replayed(world: World) -> None:
    """Byte for byte; the object moves, and no progress is left behind."""
    world.put(a=failed_reading(good(1)) + failed_reading(good(2)))
    outcome = world.replay()
    assert sorted(world.streamed()) == [good(1), good(2)]
    assert world.object_keys() == [f"{REPLAYED}{FOLDER}a"]
    assert (outcome.streamed, outcome.moved, outcome.complete) == (2, 1, True)


def test_documents_go_to_their_index_by_their_own_id(world: World) -> None:
    """Once or twice is the same; a document without an id gets one that stays the same."""
    key = f"{DOCUMENTS}a"
    body = failed_document(b'{"a":1}') + failed_document(b'{"b":\n2}', "", "iot-stream-2026-11")
    for _ in range(2):
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        assert world.replay().indexed == 2
    assert world.bulk.documents["iot-stream", "1.2.3"] == '{"a":1}'
    assert sorted(world.bulk.documents.values()) == ['{"a":1}', '{"b": 2}']
    assert world.streamed() == []


def test_what_would_fail_again_stays(world: World) -> None:
    """With its reason; the good ones of the same object are sent, and not again by the next replay."""
    world.put(a=failed_reading(good(1)) + failed_reading(b'{"uuid": "x"}', "Lambda.ProcessingFailedStatus"))
    first, second = world.replay(), world.replay()
    assert world.streamed() == [good(1)]
    assert f"{FOLDER}a" in world.object_keys()
    assert not first.complete
    assert any("field_missing" in reason for reason in first.stays)
    assert (second.streamed, second.earlier) == (0, 1)
    assert world.replay(check=False).streamed == 1
    assert sorted(world.streamed()) == sorted([good(1), b'{"uuid": "x"}'])
    assert f"{FOLDER}a" not in world.object_keys()


def test_what_was_replayed_is_not_listed_as_failed(world: World) -> None:
    """Of several objects, and only by what the next replay would leave out too."""
    world.put(a=failed_reading(good(1)) + failed_reading(b"{"), b=failed_reading(b"["))
    assert (_remaining(world), _left_out(world)) == ([("a", 0), ("a", 1), ("b", 0)], 0)
    world.replay()
    assert (_remaining(world), _left_out(world)) == ([("a", 1), ("b", 0)], 1)


def test_what_is_discarded_is_neither_sent_nor_lost(world: World) -> None:
    """The rest of its object can be replayed; then the object moves, byte for byte."""
    body = failed_reading(good(1)) + failed_reading(b"{") + failed_reading(b"[") + b"not a line\n"
    world.put(a=body)
    asked: dict[str, Any] = {"discard": True, "selection": Selection(reasons=frozenset({"not_json"}))}
    tried = world.replay(dry_run=True, **asked)
    assert (tried.discarded, tried.other, tried.broken.count, _left_out(world)) == (2, 1, 1, 0)
    done = world.replay(**asked)
    assert (done.discarded, done.other, done.broken.count, done.moved) == (2, 1, 1, 0)
    assert _remaining(world) == [("a", 0), ("a", 3)]
    assert world.replay().streamed == 1
    assert world.replay(discard=True).discarded == 1, "without a filter, also what can't be read"
    assert (world.streamed(), world.object_keys()) == ([good(1)], [f"{REPLAYED}{FOLDER}a"])
    assert world.s3.get_object(Bucket=BUCKET, Key=f"{REPLAYED}{FOLDER}a")["Body"].read() == body


def test_what_the_old_reason_no_longer_selects_is_told(world: World) -> None:
    """After the cure the reason is another: whoever repeats the filter of before would send nothing."""
    world.put(a=failed_reading(good(1), "Lambda.ProcessingFailedStatus") + failed_reading(b"{"))
    outcome = world.replay(selection=Selection(reasons=frozenset({"wrong_type"})))
    assert (outcome.sent, outcome.other, outcome.now_valid) == (0, 2, 1)
    assert outcome.as_dict()["hints"] == ["the failed records have the reasons: valid (1), not_json (1)"]
    outcome = world.replay(selection=Selection(reasons=frozenset({"valid"})))
    assert (outcome.sent, outcome.other, outcome.now_valid, outcome.hints) == (1, 1, 0, [])


def test_a_document_can_be_discarded(world: World) -> None:
    """Nothing is sent to its index."""
    world.s3.put_object(Bucket=BUCKET, Key=f"{DOCUMENTS}a", Body=failed_document(b"{}"))
    outcome = world.replay(discard=True)
    assert (outcome.discarded, outcome.indexed, outcome.moved) == (1, 0, 1)
    assert world.bulk.documents == {}


@pytest.mark.parametrize("asked", [{}, {"selection": Selection(kind=FailureKind.PROCESSING)}])
def test_what_s3_did_not_return_is_not_discarded(world: World, asked: dict[str, Any]) -> None:
    """An archived object can't be read: nobody knows its records, and the next object is looked at all the same."""
    body = failed_reading(b"{")
    world.s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}a", Body=body, StorageClass="GLACIER")
    world.put(b=body)
    outcome = world.replay(discard=True, **asked)
    assert (outcome.discarded, outcome.broken.count, outcome.complete, outcome.moved) == (1, 1, False, 1)
    assert world.object_keys() == sorted([f"{FOLDER}a", f"{REPLAYED}{FOLDER}b"])


def test_a_body_that_breaks_off_is_not_discarded(world: World) -> None:
    """What came before it is; the rest may be readable the next time."""
    world.put(a=failed_reading(b"{") * 3)

    def broken_off() -> Iterator[FailedRecord]:
        body = failed_reading(b"{") * 3

        def chunks() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            raise ReadTimeoutError(endpoint_url="https://s3")

        return failed_records(f"{FOLDER}a", FailureKind.PROCESSING, chunks())

    outcome = world.replay(discard=True, sources=[Source(f"{FOLDER}a", broken_off)])
    assert (outcome.discarded, outcome.broken.count, outcome.moved) == (1, 1, 0)
    assert world.replay(discard=True).discarded == 2


def test_a_discard_asks_nothing_of_an_interrupted_replay(world: World) -> None:
    """Its batch may be older than the stream keeps records; what is not discarded of it stays to be decided."""
    world.put(a=failed_reading(good(1)) + failed_reading(b"{") + failed_reading(good(2)))
    store = ProgressStore(world.s3, BUCKET)
    store.save(f"{FOLDER}a", Progress(set(), (0, 1), 1))
    with pytest.raises(DestinationError, match="--unsure"):
        world.replay()
    assert world.replay(discard=True, selection=Selection(reasons=frozenset({"not_json"}))).discarded == 1
    assert store.load(f"{FOLDER}a") == Progress({1}, (0,), 1)
    assert world.replay(unsure="send").streamed == 2
    assert world.object_keys() == [f"{REPLAYED}{FOLDER}a"]


def test_progress_of_backups_is_not_looked_for_among_failures(world: World) -> None:
    """Backups never move, so that theirs stays for ever."""
    ProgressStore(world.s3, BUCKET, backup=True).save(f"{PREFIX}2026/11/26/10/x", Progress({0}))
    assert ProgressStore(world.s3, BUCKET).started() == set()
    assert ProgressStore(world.s3, BUCKET, backup=True).started() == {f"{PREFIX}2026/11/26/10/x"}


def test_progress_that_can_t_be_read_is_named_with_what_to_do(world: World) -> None:
    """The object's key, not only the folder."""
    key = f"{REPLAYED}progress/{FOLDER}a.json"
    world.put(a=failed_reading(good(1)))
    world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"?")
    with pytest.raises(ProgressError, match=re.escape(f"s3://{BUCKET}/{key}: not the progress of a replay")):
        _read(world)


def _remaining(world: World) -> list[tuple[str, int]]:
    return [(record.key.removeprefix(FOLDER), record.line) for record in _read(world)[0]]


def _left_out(world: World) -> int:
    return _read(world)[1].resolved


def _read(world: World) -> tuple[list[FailedRecord], Remaining]:
    objects, remaining = FailureObjects(world.s3, LOCATION), Remaining(ProgressStore(world.s3, BUCKET))
    return list(remaining.of(objects.records_of(objects.objects()))), remaining


def test_a_transform_repairs_records(world: World, tmp_path: Path) -> None:
    """A script gets bytes and what the failure object says; None and its own errors leave the record."""
    script = tmp_path / "repair.py"
    script.write_text(
        "import json\n"
        "def transform(data, failure):\n"
        "    assert failure['code'] == 'Lambda.ProcessingFailedStatus'\n"
        "    reading = json.loads(data)\n"
        "    if reading['uuid'] == 'leave':\n"
        "        return None\n"
        "    return json.dumps(reading | {'device_temp': float(reading['device_temp'].rstrip('C'))})\n"
    )
    readings = [device_reading(uuid="mend", device_temp="32C"), device_reading(uuid="leave"), {"no": "uuid"}]
    lines = [failed_reading(json.dumps(each).encode(), "Lambda.ProcessingFailedStatus") for each in readings]
    world.put(a=b"".join(lines))
    outcome = world.replay(load_transform(script, REASONS.of))
    assert [json.loads(data)["device_temp"] for data in world.streamed()] == [32.0]
    assert outcome.stays == {"skipped by the transform script": 1, "transform failed: KeyError (line 5)": 1}


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        (FailedRecord("k", 0, FailureKind.PROCESSING, data=b"[]"), ("not_an_object",)),
        (FailedRecord("k", 0, FailureKind.PROCESSING, data=good(1)), ("valid",)),
        (
            FailedRecord("k", 0, FailureKind.DOCUMENT, "400", "mapper_parsing_exception: secret", data=b"{}"),
            ("mapper_parsing_exception",),
        ),
    ],
)
def test_a_transform_is_told_what_the_list_shows(
    record: FailedRecord, reasons: tuple[str, ...], tmp_path: Path
) -> None:
    """It repairs by reason; the page that explains it names every key."""
    (tmp_path / "script.py").write_text("def transform(data, failure): return repr(failure)")
    text = load_transform(tmp_path / "script.py", REASONS.of)(record)
    assert text is not None
    failure = ast.literal_eval(text.decode())
    assert failure["reasons"] == reasons
    page = (PROJECT / "docs" / "failures.md").read_text(encoding="utf-8")
    [keys] = re.findall(r"^`failure` has the keys (.*?)\.$", page, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", keys)) == sorted(failure)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "does not define"),
        ("\n1 / 0", r"ZeroDivisionError: division by zero \(line 2\)$"),
        ("def transform(:", "SyntaxError"),
        ("import sys; sys.exit('no')", r"SystemExit: no \(line 1\)$"),
        ("def transform(data): pass", r"must take \(data, failure\): too many positional arguments$"),
        ("transform = 1", "does not define"),
    ],
)
def test_a_script_that_can_t_be_used_is_said(tmp_path: Path, text: str, words: str) -> None:
    """Before anything is sent."""
    (tmp_path / "script.py").write_text(text)
    with pytest.raises(TransformError, match=words):
        load_transform(tmp_path / "script.py", REASONS.of)


def test_a_script_must_return_bytes(tmp_path: Path) -> None:
    """Anything else leaves the record, and the error quotes nothing of it."""
    (tmp_path / "script.py").write_text("def transform(data, failure): return {'secret': data}")
    with pytest.raises(TransformError, match=r"^transform returned dict, not bytes, text or None$"):
        load_transform(tmp_path / "script.py", REASONS.of)(FailedRecord("k", 0, FailureKind.PROCESSING, data=b"secret"))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("import sys; sys.exit(3)", "SystemExit"),
        ("raise BaseException('secret')", "BaseException"),
        ("raise ValueError(data)", "ValueError"),
        ("data.nothing()", "AttributeError"),
        ("return transform(data, failure)", "RecursionError"),
    ],
)
def test_however_a_script_ends_the_record_stays_and_the_others_are_sent(
    world: World, tmp_path: Path, statement: str, error: str
) -> None:
    """With the error's type and the script's line, and nothing of the record."""
    (tmp_path / "script.py").write_text(
        f"def transform(data, failure):\n    if b'bad' in data:\n        {statement}\n    return data\n"
    )
    bad = json.dumps(device_reading(uuid="bad")).encode()
    world.put(a=failed_reading(good(1)) + failed_reading(bad) + failed_reading(good(2)))
    outcome = world.replay(load_transform(tmp_path / "script.py", REASONS.of))
    assert outcome.stays == {f"transform failed: {error} (line 3)": 1}
    assert sorted(world.streamed()) == [good(1), good(2)]
    assert world.replay().streamed == 1, "the same command without the script sends what stayed"
    assert sorted(world.streamed()) == sorted([good(1), bad, good(2)])


SOON = "assert 20 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30; signal.setitimer(signal.ITIMER_REAL, 0.01)"
"""Has 30 seconds pass for a script, if so many were set: what returns has them all, however busy the machine is."""


def test_a_script_that_does_not_return_ends_the_replay_which_goes_on_from_there(world: World, tmp_path: Path) -> None:
    """Though it catches every Exception; the time is that of one record."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import signal\ndef transform(data, failure):\n    if b'bad' in data:\n        {SOON}\n"
        "        try:\n            while True: pass\n        except Exception:\n            pass\n    return data\n"
    )
    bad = json.dumps(device_reading(uuid="bad")).encode()
    world.put(a=failed_reading(good(1)), b=failed_reading(good(2)) + failed_reading(bad))
    words = rf"^transform did not return for line 1 of {FOLDER}b within 30 s; what was confirmed is kept"
    with pytest.raises(TransformTimeoutError, match=words):
        world.replay(load_transform(script, REASONS.of, seconds=30))
    assert world.streamed() == [good(1)]
    outcome = world.replay()
    assert (outcome.streamed, outcome.moved) == (2, 1)
    assert sorted(world.streamed()) == sorted([good(1), bad, good(2)])
    script.write_text(f"import signal\n{SOON}\nwhile True: pass")
    with pytest.raises(TransformTimeoutError, match=r"script\.py was not loaded within 30 s"):
        load_transform(script, REASONS.of, seconds=30)


def test_what_a_script_prints_is_no_part_of_the_command_s_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` stays JSON: it goes to stderr."""
    (tmp_path / "script.py").write_text("print('loaded')\ndef transform(data, failure):\n    print('called')\n")
    load_transform(tmp_path / "script.py", REASONS.of)(FailedRecord("k", 0, FailureKind.PROCESSING, data=b"x"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "loaded\ncalled\n")


def test_text_that_is_not_unicode_leaves_the_record(tmp_path: Path) -> None:
    """A lone surrogate, which UTF-8 has no bytes for, is the script's error like any other."""
    (tmp_path / "script.py").write_text("def transform(data, failure): return chr(0xD800)")
    with pytest.raises(TransformError, match=r"^transform failed: UnicodeEncodeError\b"):
        load_transform(tmp_path / "script.py", REASONS.of)(FailedRecord("k", 0, FailureKind.PROCESSING, data=b"x"))


def test_a_broken_object_is_a_row_not_the_end(world: World) -> None:
    """It stays where it is; what follows is replayed."""
    world.put(a=b"\x1f\x8bbroken", b=failed_reading(good(1)) + b"garbage\n", c=failed_reading(good(2)))
    outcome = world.replay()
    assert sorted(world.streamed()) == [good(1), good(2)]
    assert world.object_keys() == sorted([f"{FOLDER}a", f"{FOLDER}b", f"{REPLAYED}{FOLDER}c", *_progress(world)])
    assert outcome.broken.count == 2
    assert not outcome.complete


def _progress(world: World) -> list[str]:
    return [key for key in world.object_keys() if key.startswith(f"{REPLAYED}progress/")]


def test_filters_and_limit_choose_records(world: World) -> None:
    """What is not selected keeps its object in place until it is replayed too."""
    world.put(
        a=failed_reading(good(1), "A", 1000) + failed_reading(good(2), "B", 2000) + failed_reading(good(3), "B", 3000)
    )
    assert world.replay(selection=Selection(codes=frozenset({"A"}))).streamed == 1
    assert world.replay(selection=Selection(since_ms=3000)).streamed == 1
    assert world.replay(selection=Selection(reasons=frozenset({"not_json"}))).streamed == 0
    assert f"{FOLDER}a" in world.object_keys()
    assert world.replay(limit=1).streamed == 1
    assert sorted(world.streamed()) == [good(1), good(2), good(3)]
    assert world.object_keys() == [f"{REPLAYED}{FOLDER}a"]


def test_a_limit_stops_in_the_middle_of_an_object(world: World) -> None:
    """And the next replay goes on there."""
    world.put(a=b"".join(failed_reading(good(n)) for n in range(5)))
    assert [world.replay(limit=2).streamed for _ in range(3)] == [2, 2, 1]
    assert sorted(world.streamed()) == sorted(good(n) for n in range(5))


def test_a_dry_run_changes_nothing(world: World) -> None:
    """It says what would be sent."""
    world.put(a=failed_reading(good(1)) + failed_reading(b"bad"))
    before = world.object_keys()
    outcome = world.replay(dry_run=True)
    assert (outcome.streamed, outcome.stays.total()) == (1, 1)
    assert (world.object_keys(), world.streamed()) == (before, [])


def test_batches_hold_five_hundred_records(world: World) -> None:
    """More than PutRecords takes (API reference: 500 records, 5 MiB) is sent in several calls."""
    world.put(a=b"".join(failed_reading(good(n)) for n in range(1203)))
    world.put(b=b"".join(failed_reading(b'{"a": "' + b"x" * 900_000 + b'"}') for _ in range(7)))
    outcome = world.replay(check=False)
    assert outcome.streamed == 1210
    assert len(world.streamed()) == len(set(world.streamed())) + 6


def test_a_record_that_no_stream_takes_stays(world: World) -> None:
    """1 MiB with its partition key is the most (API reference, PutRecordsRequestEntry)."""
    world.put(a=failed_reading(b"x" * 1_048_576) + failed_reading(good(1)))
    outcome = world.replay(check=False)
    assert outcome.stays == {"too large for a record of the stream": 1}
    assert world.streamed() == [good(1)]


# ---- interruptions -------------------------------------------------------------------------------------------------

CALLS = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(["before", "after"]), st.just(Killed())),
)


@examples(20)
@given(
    objects=st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=3),
    lives=st.lists(st.lists(CALLS, max_size=20), max_size=6),
)
def test_however_often_it_is_killed_each_record_is_sent_once(
    objects: list[list[bool]], lives: list[list[tuple[str, BaseException] | None]]
) -> None:
    """Killed before or after any call, and started again: each good record is in the stream exactly once."""
    with mock_aws():
        world, expected = make_world(), []
        for number, lines in enumerate(objects):
            data = [good(100 * number + n) if fine else b"bad" for n, fine in enumerate(lines)]
            expected += [each for each in data if each != b"bad"]
            world.put(**{f"object-{number}": b"".join(map(failed_reading, data))})
        for faults in lives:
            world.faults = list(faults)
            try:
                world.replay()
            except Killed:
                continue
        world.replay()
        assert Counter(world.streamed()) == Counter(expected)
        whole = {f"{REPLAYED}{FOLDER}object-{n}" for n, lines in enumerate(objects) if all(lines)}
        assert {key for key in world.object_keys() if key.startswith(REPLAYED + FOLDER)} == whole


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://kinesis"),
        ConnectTimeoutError(endpoint_url="https://kinesis"),
        ClientError({"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "PutRecords"),
    ],
    ids=["read time-out", "no connection", "server error"],
)
def test_a_lost_response_is_looked_for_in_the_stream(world: World, when: str, error: Exception) -> None:
    """Whether PutRecords took effect or not, the records are in the stream once."""
    world.put(a=failed_reading(good(1)) + failed_reading(good(2)))
    world.faults = [None, None, (when, error)]  # progress is read, written, then the records are put
    assert world.replay().streamed == 2
    assert sorted(world.streamed()) == [good(1), good(2)]


def _refused(operation: str) -> ClientError:
    """Firehose and other readers share a shard's five reads a second (API reference, GetRecords)."""
    return ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, operation)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("get_records", _refused("GetRecords")),
        ("get_records", ReadTimeoutError(endpoint_url="x")),
        ("get_shard_iterator", _refused("GetShardIterator")),
        (
            "describe_stream_summary",
            ClientError({"Error": {"Code": "LimitExceededException"}}, "DescribeStreamSummary"),
        ),
    ],
)
def test_looking_into_a_busy_stream_takes_patience(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    """One read too many does not end the search for records whose response was lost; a minute of them does."""
    world.put(a=failed_reading(good(1)))
    real, left = getattr(world.kinesis, name), [2]

    def read(**arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return real(**arguments)

    with monkeypatch.context() as patched:
        patched.setattr(world.kinesis, name, read)
        world.faults = [None, None, ("after", ReadTimeoutError(endpoint_url="x"))]
        assert world.replay().streamed == 1
        left[0] = 1000
        with pytest.raises(DestinationError, match="can't be read"):
            StreamDestination(
                world.kinesis, STREAM, Pace(1, lambda: 0, lambda _: None), world.clock, world.slept.append
            ).find("k", [0], round(world.clock() * 1000))
    assert 1000 - left[0] < 70
    assert world.streamed() == [good(1)]


def test_throttling_is_waited_out(world: World) -> None:
    """A request that is refused as a whole put nothing, so it is simply repeated."""
    world.put(a=failed_reading(good(1)))
    refused = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutRecords")
    world.faults = [None, None, ("before", refused), ("before", refused)]
    assert world.replay().streamed == 1
    assert len(world.streamed()) == 1
    assert world.slept


def test_a_refused_request_ends_the_replay_and_the_next_one_goes_on(world: World) -> None:
    """No permission, no stream: one error, nothing lost, nothing sent twice."""
    world.put(a=failed_reading(good(1)))
    refused = ClientError(
        {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "PutRecords"
    )
    world.faults = [None, None, ("before", refused)]
    with pytest.raises(DestinationError, match="AccessDenied"):
        world.replay()
    assert world.replay().streamed == 1
    assert world.streamed() == [good(1)]


def test_single_refused_records_are_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PutRecords is not atomic: only what has an ErrorCode is put again."""
    put, calls = world.kinesis.put_records, []

    def some(**arguments: Any) -> Any:
        calls.append(len(arguments["Records"]))
        if len(calls) > 1:
            return put(**arguments)
        response = put(**arguments | {"Records": arguments["Records"][:2]})
        response["Records"] += [{"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}]
        return response

    monkeypatch.setattr(world.kinesis, "put_records", some)
    world.put(a=b"".join(failed_reading(good(n)) for n in range(3)))
    assert world.replay().streamed == 3
    assert calls == [3, 1]
    assert Counter(world.streamed()) == Counter(good(n) for n in range(3))


def test_botocore_does_not_repeat_put_records_by_itself() -> None:
    """Its retry handler has the name that is taken away (botocore, ClientCreator._register_retries)."""
    client = boto3.client("kinesis", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    failed = {"ResponseMetadata": {"HTTPStatusCode": 500}, "Error": {"Code": "InternalFailure"}}
    model = client.meta.service_model.operation_model("PutRecords")

    class Response:
        status_code, headers, content = 500, {}, b""

    def retried() -> bool:
        responses = client.meta.events.emit(
            "needs-retry.kinesis.PutRecords", response=(Response, failed), endpoint=None, operation=model, attempts=1,
            caught_exception=None, request_dict={"context": {}},
        )  # fmt: skip
        return any(delay is not None for _, delay in responses)

    assert retried()
    StreamDestination(client, STREAM, Pace(1, lambda: 0, lambda _: None), lambda: 0, lambda _: None)
    assert not retried()


def test_what_the_stream_no_longer_tells_is_asked(world: World) -> None:
    """A batch under way more than the stream's retention ago: a person decides."""
    world.put(a=failed_reading(good(1)) + failed_reading(good(2)))
    world.faults = [None, None, ("after", Killed())]
    with pytest.raises(Killed):
        world.replay()
    world.slept.append(25 * 3600)
    with pytest.raises(DestinationError, match="--unsure send or --unsure skip"):
        world.replay()
    assert world.replay(unsure="skip").streamed == 0
    assert len(world.streamed()) == 2
    assert world.object_keys() == [f"{REPLAYED}{FOLDER}a"]


def test_partition_keys_are_unique() -> None:
    """By object and line, so that the stream can be asked for each record."""
    assert len({partition_key(key, line) for key in ("a", "b") for line in range(10)}) == 20
    assert len(partition_key("k" * 900, 10**9)) <= 256  # PutRecordsRequestEntry, PartitionKey


# ---- the index -----------------------------------------------------------------------------------------------------


def send(bulk: Bulk, *items: Item) -> Any:
    """Send documents with a clock that moves only by waiting."""
    slept: list[float] = []
    pace = Pace(1e9, lambda: 0.0, lambda _: None)
    destination = IndexDestination(bulk, pace, lambda: sum(slept), slept.append)  # type: ignore[arg-type]
    return destination.send(items)


def test_a_document_that_the_domain_refuses_stays() -> None:
    """By its error type; the document itself is not quoted."""
    bulk = Bulk([{"2": (400, "mapper_parsing_exception")}])
    sent = send(bulk, Item(0, b'{"a":1}', "i", "1"), Item(1, b'{"a":"x"}', "i", "2"), Item(2, b"[1]", "i", "3"))
    assert sent.confirmed == {0}
    assert sent.refused == {1: "400 mapper_parsing_exception", 2: "not a JSON object"}


def test_a_busy_domain_is_waited_for() -> None:
    """429, 5xx and no connection at all: the rest alone is sent again."""
    busy = {"1": (429, "circuit_breaking_exception")}
    bulk = Bulk([NoConnection("N/A", "refused", None), TransportError(503, "unavailable"), busy])
    assert send(bulk, Item(0, b"{}", "i", "1"), Item(1, b"{}", "i", "2")).confirmed == {0, 1}


@pytest.mark.parametrize("status", [401, 403, 413])
def test_a_domain_that_lets_nobody_in_ends_the_replay(status: int) -> None:
    """At once, with its status."""
    with pytest.raises(DestinationError, match=str(status)):
        send(Bulk([TransportError(status, "security_exception")]), Item(0, b"{}", "i", "1"))


def test_a_domain_that_never_responds_ends_the_replay() -> None:
    """After a minute."""
    with pytest.raises(DestinationError, match="within a minute"):
        send(Bulk([NoConnection("N/A", "refused", None)] * 100), Item(0, b"{}", "i", "1"))


# ---- progress, pace ------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 500)), st.lists(st.integers(0, 500)), st.integers(0, 2**50))
def test_progress_is_read_as_it_was_written(done: set[int], pending: list[int], since: int) -> None:
    """Whatever lines are done or pending."""
    progress = Progress(done, tuple(pending), since)
    assert Progress.from_json(progress.to_json()) == progress


@given(
    st.binary(max_size=40)
    | st.sampled_from(
        [
            b"{}",
            b"[]",
            b'{"done": 1, "pending": [], "since_ms": 0}',
            b'{"done": [], "pending": [], "since_ms": 1e400}',
            b"[" * 100_000,
        ]
    )
)
def test_other_bytes_are_not_progress(body: bytes) -> None:
    """One error, no guess: a wrong guess sends twice."""
    with pytest.raises(ProgressError, match="progress"):
        Progress.from_json(body)


def test_the_pace_is_kept_halved_and_raised() -> None:
    """A hundred records a second, fifty after a refusal, and slowly up again."""
    slept: list[float] = []
    pace = Pace(100, lambda: sum(slept), slept.append)
    for _ in range(3):
        pace.wait_for(50)
    assert sum(slept) == pytest.approx(1.0)
    pace.refused()
    assert pace.rate == 50
    for _ in range(20):
        pace.accepted()
    assert pace.rate == 100


# ---- source backups ------------------------------------------------------------------------------------------------


def test_a_source_backup_is_never_taken_for_failures(world: World) -> None:
    """It is fed back on purpose only, once, and stays where it is."""
    key = f"{PREFIX}2026/11/26/10/kinesis-Opensearch-1"
    world.s3.put_object(Bucket=BUCKET, Key=key, Body=good(1) + good(2))
    assert world.replay().objects == 0
    backup = SourceBackup(world.s3, LOCATION)

    def sources() -> Iterator[Source]:
        return (Source(each.key, partial(backup.records, each), move=False) for each in backup.objects())

    assert world.replay(sources=sources()).streamed == 2
    assert world.replay(sources=sources()).earlier == 2
    assert sorted(world.streamed()) == [good(1), good(2)]
    assert key in world.object_keys()


_BUFFER = timedelta(minutes=1)


def put_written(s3: Any, key: str, body: bytes, written: datetime) -> None:
    """Write an object of whose `LastModified` moto is told, for only its clock could say it otherwise."""
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys[key].last_modified = written.replace(tzinfo=None)


@dataclass
class Echoing:
    """A Kinesis client whose delivery stream backs up at once what it reads (`AllDocuments`), a minute later by S3."""

    kinesis: Any
    s3: Any
    echoes: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kinesis, name)

    def put_records(self, **arguments: Any) -> Any:
        """Put them, and back them up under a later key."""
        response = self.kinesis.put_records(**arguments)
        self.echoes += 1
        assert self.echoes < 20, "it feeds back what it fed back"
        body = b"".join(record["Data"] for record in arguments["Records"])
        put_written(self.s3, f"{PREFIX}2026/11/27/04/echo-{self.echoes:02}", body, datetime.now(UTC) + _BUFFER)
        return response


def test_the_backup_of_what_is_fed_back_is_not_fed_back(world: World) -> None:
    """However lazily the bucket is listed, and however often the command is given."""
    for number in range(3):
        world.s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}2026/11/26/10/kinesis-{number}", Body=good(number))
    store, backup = ProgressStore(world.s3, BUCKET), SourceBackup(world.s3, LOCATION)
    assert store.backup_start() is None
    kinesis = world.kinesis
    world.kinesis = Echoing(kinesis, world.s3)
    outcomes = []
    for _ in range(3):
        until = store.start_backup(world.slept.append)
        found = [Source(each.key, partial(backup.records, each), move=False) for each in backup.objects(until=until)]
        outcomes.append(world.replay(sources=found))
    assert [outcome.streamed for outcome in outcomes] == [3, 0, 0]
    assert [outcome.earlier for outcome in outcomes] == [0, 3, 3]
    assert len(list(backup.objects())) == 6, "the backup holds the echoes"
    assert world.slept == [1.0], "once, until LastModified tells an echo"


def test_a_backup_is_chosen_by_when_its_objects_were_written(world: World) -> None:
    """Its records do not say when they arrived."""
    times = [datetime(2026, 11, 26, hour, tzinfo=UTC) for hour in (8, 9, 10)]
    for number, written in enumerate(times):
        put_written(world.s3, f"{PREFIX}2026/11/26/08/kinesis-{number}", good(number), written)
    backup = SourceBackup(world.s3, LOCATION)
    found = [Source(each.key, partial(backup.records, each), move=False) for each in backup.objects()]
    since, until = (round(time.timestamp() * 1000) for time in times[1:])
    assert world.replay(sources=found, selection=Selection(since_ms=since, until_ms=until)).streamed == 1
    assert world.streamed() == [good(1)]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5)), max_size=8), st.integers(1, 30), st.booleans()
)
def test_concatenated_objects_are_told_apart(documents: list[dict[str, str]], size: int, lines: bool) -> None:
    """Byte for byte, however the object is cut into pieces, with line ends or without."""
    texts = [json.dumps(each, ensure_ascii=False).encode() for each in documents]
    content = (b"\n" if lines else b"").join(texts)
    records = list(source_records("k", (content[i : i + size] for i in range(0, len(content), size))))
    assert [record.data for record in records] == texts


@given(st.binary(max_size=200), st.integers(1, 30))
def test_any_bytes_of_a_backup_are_read_without_an_error(content: bytes, size: int) -> None:
    """What is no JSON object is one row with a problem, the last one."""
    records = list(source_records("k", [content[i : i + size] for i in range(0, len(content), size)]))
    assert all(not record.problem and json.loads(record.data or b"") is not None for record in records[:-1])


@examples(8)  # a bucket and a stream for each; any bytes are the readers' own tests' work
@given(st.lists(st.binary(max_size=60), min_size=5, max_size=20))
def test_any_failure_objects_are_replayed_without_an_error(bodies: list[bytes]) -> None:
    """Any bytes under the failure folder, and any bytes as rawData: rows, records or reasons, never an exception."""
    with mock_aws():
        world = make_world()
        world.put(**{f"raw-{n}": body for n, body in enumerate(bodies)})
        world.put(**{f"line-{n}": failed_reading(body) for n, body in enumerate(bodies)})
        outcome = world.replay()
        assert outcome.objects == 2 * len(bodies)
        assert outcome.streamed + outcome.stays.total() + outcome.broken.count >= 2 * len(bodies)


def test_botocore_knows_the_calls() -> None:
    """The names and members that replay uses are those of botocore's models."""
    session = botocore.session.get_session()
    shape = session.get_service_model("kinesis").operation_model("PutRecords").output_shape
    assert {"ErrorCode", "SequenceNumber"} <= set(shape.members["Records"].member.members)
    summary = session.get_service_model("kinesis").operation_model("DescribeStreamSummary").output_shape
    assert {"RetentionPeriodHours", "StreamARN"} <= set(summary.members["StreamDescriptionSummary"].members)
