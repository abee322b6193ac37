"""Send: readings have the walkthrough's shape and weights, and none is lost to a partial failure of PutRecords."""

import datetime as dt
import json
import re
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from iot_stream.errors import StackError
from iot_stream.generator import job as job_module
from iot_stream.generator import send as send_module
from iot_stream.generator.job import send_readings, wait_until_active
from iot_stream.generator.ledger import Entry, Ledger
from iot_stream.generator.readings import Reading, Readings
from iot_stream.generator.send import SendError, Sent, put

NOW = dt.datetime(2026, 11, 22, 10, 15, 30, 123_999, tzinfo=dt.UTC)


def _client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


def _readings(count: int, seed: int = 7) -> list[Reading]:
    series = Readings(seed)
    return [series.next(NOW) for _ in range(count)]


def test_a_reading_has_the_fields_of_the_walkthrough() -> None:
    """A uuid v4, UTC time with milliseconds (cut, not rounded), and values within the template's ranges."""
    for reading in _readings(500):
        fields = json.loads(reading.data)
        assert list(fields) == ["uuid", "device_ts", "device_id", "device_temp", "track_id", "activity_type"]
        assert uuid.UUID(fields["uuid"]).version == 4
        assert fields["uuid"] == reading.uuid
        assert fields["device_ts"] == "2026-11-22 10:15:30.123"
        assert 0 <= fields["device_id"] <= 50
        assert 0 <= fields["track_id"] <= 30


def test_temperatures_and_activities_come_in_their_weights() -> None:
    """20,000 readings are within a hundredth and a half of the walkthrough's shares."""
    readings = [json.loads(reading.data) for reading in _readings(20_000)]
    expected = {
        "device_temp": {32: 0.3, 34: 0.3, 28: 0.2, 40: 0.2},
        "activity_type": {"Running": 0.1, "Working": 0.2, "Walking": 0.2, "Traveling": 0.3, "Sitting": 0.2},
    }
    for field, weights in expected.items():
        counts = Counter(reading[field] for reading in readings)
        assert counts.keys() == weights.keys()
        for value, weight in weights.items():
            assert counts[value] / len(readings) == pytest.approx(weight, abs=0.015)


def test_the_same_seed_gives_the_same_readings_and_another_gives_others() -> None:
    """A run can be repeated from its seed; uuids do not depend on the time."""
    assert _readings(50, seed=1) == _readings(50, seed=1)
    assert not {r.uuid for r in _readings(50, seed=1)} & {r.uuid for r in _readings(50, seed=2)}


def test_uuids_do_not_depend_on_what_else_a_reading_draws() -> None:
    """A reading that draws one random value more, as a new field would, has the same uuid; so have all after it."""
    series = Readings(7)
    uuids = []
    for _ in range(50):
        uuids.append(series.next(NOW).uuid)
        series._values.random()
    assert uuids == [reading.uuid for reading in _readings(50)]


def test_local_times_are_written_in_utc() -> None:
    """A time with an offset is converted."""
    eastern = NOW.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    assert json.loads(Readings(1).next(eastern).data)["device_ts"] == "2026-11-22 10:15:30.123"


def test_only_the_refused_records_of_a_partial_failure_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """PutRecords is not atomic: the accepted ones of a batch are never sent twice (Kinesis API, PutRecords)."""
    monkeypatch.setattr(send_module, "_FIRST_PAUSE", 0)
    batch = _readings(3)
    kinesis = _client("kinesis")
    ok = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
    no = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}

    def expected(readings: list[Reading]) -> dict[str, Any]:
        return {"StreamName": "s", "Records": [{"Data": r.data, "PartitionKey": r.uuid} for r in readings]}

    with Stubber(kinesis) as stub:
        stub.add_response("put_records", {"FailedRecordCount": 2, "Records": [no, ok, no]}, expected(batch))
        stub.add_response("put_records", {"FailedRecordCount": 1, "Records": [no, ok]}, expected([batch[0], batch[2]]))
        stub.add_response("put_records", {"Records": [ok]}, expected([batch[0]]))
        sent = Sent()
        put(kinesis, "s", batch, sent)
        stub.assert_no_pending_responses()
    assert sent == Sent(records=3, retried=3, calls=3)


def test_records_refused_for_too_long_are_an_error_that_counts_the_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how many were accepted and what to do."""
    monkeypatch.setattr(send_module, "_PATIENCE_SECONDS", -1)
    kinesis = _client("kinesis")
    with Stubber(kinesis) as stub:
        results = [{"SequenceNumber": "1", "ShardId": "x"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "no"}]
        stub.add_response("put_records", {"FailedRecordCount": 1, "Records": results}, ANY_REQUEST)
        with pytest.raises(SendError, match=r"refused 1 records .*InternalFailure.*1 were accepted: lower the rate"):
            put(kinesis, "s", _readings(2), Sent())


ANY_REQUEST = {"StreamName": ANY, "Records": ANY}


def test_a_missing_stream_is_one_clear_line() -> None:
    """The service's own words, with the stream's name."""
    kinesis = _client("kinesis")
    with Stubber(kinesis) as stub:
        stub.add_client_error("put_records", "ResourceNotFoundException", "Stream s not found")
        with pytest.raises(SendError, match=r"could not put records into stream s: .*Stream s not found"):
            put(kinesis, "s", _readings(1), Sent())


class _Stream:
    """A stream that accepts everything, and keeps it."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert StreamName == "s"
        self.batches.append(Records)
        return {"FailedRecordCount": 0, "Records": [{}] * len(Records)}


def test_a_count_is_sent_in_full_batches_and_kept_in_the_ledger(tmp_path: Path) -> None:
    """1,234 readings go in batches of at most 500; the ledger can name each of their uuids afterwards."""
    stream, ledger = _Stream(), Ledger(tmp_path)
    sent = send_readings(stream, "s", seed=3, rate=1e15, count=1234, ledger=ledger)
    assert sent.records == 1234
    assert max(len(batch) for batch in stream.batches) == 500
    put_uuids = [record["PartitionKey"] for batch in stream.batches for record in batch]
    assert ledger.entries() == [Entry(3, 1234)]
    assert list(ledger.entries()[0].uuids()) == put_uuids
    assert ledger.sent == 1234


def test_stopping_ends_at_once_with_a_true_count(tmp_path: Path) -> None:
    """What was accepted before the stop is counted, and nothing is sent after it."""
    stream, ledger = _Stream(), Ledger(tmp_path)
    sent = send_readings(
        stream, "s", seed=3, rate=1e15, count=5000, ledger=ledger, stop=lambda: len(stream.batches) >= 2
    )
    assert sent.records == ledger.sent == 1000


@pytest.mark.parametrize("state", ["CREATING_FAILED", "DELETING", "SUSPENDED"])
def test_a_delivery_stream_that_will_not_be_active_is_an_error(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says the state and what to do, after one CREATING was waited for."""
    monkeypatch.setattr(job_module.time, "sleep", lambda _: None)
    states = iter(["CREATING", state])

    class _Firehose:
        def describe_delivery_stream(self, DeliveryStreamName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
            assert DeliveryStreamName == "d"
            return {"DeliveryStreamDescription": {"DeliveryStreamStatus": next(states)}}

    with pytest.raises(StackError, match=re.escape(f"delivery stream d is {state}, not ACTIVE")):
        wait_until_active(_Firehose(), "d")
