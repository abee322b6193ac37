"""Send: readings have the walkthrough's shape and weights, and none is lost to a partial failure of PutRecords."""

import datetime as dt
import json
import re
import uuid
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.description import Enricher, load
from iot_stream.display import sent_text
from iot_stream.errors import IotStreamError, StackError
from iot_stream.generator import job as job_module
from iot_stream.generator import send as send_module
from iot_stream.generator.job import send_readings, wait_until_active
from iot_stream.generator.ledger import Accepted, Ledger, digest_of
from iot_stream.generator.rates import constant
from iot_stream.generator.send import SendError, Sent, put
from iot_stream.generator.series import Reading, Readings, Recorded
from iot_stream.generator.sources import Choice, notes_on, notes_on_recorded, open_readings
from iot_stream.paths import PROJECT
from iot_stream.stack import Stack, device_zone
from tests.aws_clients import aws_client
from tests.builders import device_reading

NOW = 1_795_342_530_123  # 2026-11-22T10:15:30.123Z


def _series(seed: int = 7, zone: dt.tzinfo = dt.UTC) -> Readings:
    return open_readings(Choice(), load(), seed=seed, zone=zone)


def _readings(count: int, seed: int = 7) -> list[Reading]:
    return _series(seed).take([NOW] * count)


def test_the_default_reading_is_the_walkthrough_s() -> None:
    """A uuid v4, UTC time with milliseconds (cut, not rounded), and values within the template's ranges."""
    for reading in _readings(500):
        fields = json.loads(reading.data)
        assert list(fields) == ["uuid", "device_ts", "device_id", "device_temp", "track_id", "activity_type"]
        assert reading.data == json.dumps(fields).encode() + b"\n"
        assert uuid.UUID(fields["uuid"]).version == 4
        assert fields["device_ts"] == "2026-11-22 10:15:30.123"
        assert 0 <= fields["device_id"] <= 50
        assert 0 <= fields["track_id"] <= 30
        assert re.fullmatch("[0-9a-f]{8}", reading.key)


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
    assert {reading["device_id"] for reading in readings} == {*range(51)}
    assert {reading["track_id"] for reading in readings} == {*range(31)}


def test_the_same_seed_gives_the_same_readings_and_another_gives_others() -> None:
    """A run can be repeated from its seed, however its readings are batched."""
    series = _series(1)
    assert [reading for size in (1, 30, 19) for reading in series.take([NOW] * size)] == _readings(50, seed=1)
    assert not {r.data for r in _readings(50, seed=1)} & {r.data for r in _readings(50, seed=2)}


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"])
def test_the_stack_reads_the_default_readings_at_the_time_they_were_taken(name: str) -> None:
    """Whatever its DeviceTimeZone is, which is where the function takes device times without an offset to be."""
    stack = Stack("s", "id", {}, {"DeviceTimeZone": name})
    (reading,) = _series(zone=device_zone(stack)).take([NOW])
    enriched = Enricher(load(), ZoneInfo(name)).enrich_all([reading.data], [None])
    assert enriched.timestamps == ["2026-11-22T10:15:30.123"]


def test_an_unknown_zone_of_the_stack_is_said() -> None:
    """One line with the parameter's name."""
    with pytest.raises(StackError, match="DeviceTimeZone Mars/Olympus is not an IANA time zone"):
        device_zone(Stack("s", "id", {}, {"DeviceTimeZone": "Mars/Olympus"}))


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "tests" / "descriptions").glob("*.toml")), ids=lambda path: path.stem
)
def test_readings_fit_a_description_that_is_not_the_walkthrough_s(path: Path) -> None:
    """Without a template, one is derived from the description: every reading becomes a document, at its time."""
    description, zone = load(path), ZoneInfo("Asia/Tokyo")
    readings = open_readings(Choice(), description, seed=3, zone=zone).take([NOW] * 200)
    enriched = Enricher(description, zone).enrich_all([reading.data for reading in readings], [None] * 200)
    assert not enriched.causes
    assert not enriched.dropped
    assert {stamp[:19] for stamp in enriched.timestamps} == {"2026-11-22T10:15:30"}


def test_templates_are_mixed_by_weight(tmp_path: Path) -> None:
    """Each with series of its own: what one of them draws does not depend on the other."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("one {{random.number}}")
    two.write_text("\ufefftwo {{random.number}}", encoding="utf-8")
    mixed = [
        r.data for r in open_readings(Choice([(two, 3), (one, 1)]), load(), seed=1, zone=dt.UTC).take([NOW] * 4000)
    ]
    alone = [r.data for r in open_readings(Choice([(two, 1)]), load(), seed=1, zone=dt.UTC).take([NOW] * 4000)]
    twos = [data for data in mixed if data.startswith(b"two ")]
    assert len(twos) / 4000 == pytest.approx(0.75, abs=0.03)
    assert twos == alone[: len(twos)]
    assert {data[:4] for data in mixed} == {b"one ", b"two "}


@pytest.mark.parametrize(
    ("zone", "time", "note"),
    [
        (
            "Asia/Seoul",
            '{{date.utc("YYYY-MM-DD HH:mm")}}',
            "as 2026-11-22T01:15:00.000 UTC.*DeviceTimeZone .Asia/Seoul",
        ),
        ("Asia/Seoul", '{{date.now("YYYY-MM-DD HH:mm")}}', None),
        ("UTC", '{{date.utc("YYYY-MM-DD HH:mm")}}', None),
        ("Asia/Seoul", "{{date.now}}", None),
        ("UTC", '{{date.now("ddd, hA")}}', "its readings fail in the function: .*device_ts"),
    ],
)
def test_what_a_template_does_to_its_readings_is_said_before(
    zone: str, time: str, note: str | None, tmp_path: Path
) -> None:
    """Times that the function will misread, and readings that it refuses; for templates that were given."""
    text = (PROJECT / "iot_stream" / "generator" / "templates" / "walkthrough.template").read_text()
    file = tmp_path / "t"
    file.write_text(text.replace('{{date.now("YYYY-MM-DD HH:mm:ss.SSS")}}', time))
    notes = notes_on(
        Choice([(file, 1)]), load(), zone=device_zone(Stack("s", "i", {}, {"DeviceTimeZone": zone})), now=NOW
    )
    assert len(notes) == (note is not None)
    assert note is None or re.search(note, notes[0])


def test_half_a_surrogate_pair_stops_nothing(tmp_path: Path) -> None:
    """JSON can write it, in a choice or a format; UTF-8 can't."""
    file = tmp_path / "t"
    file.write_text(r"""{{random.arrayElement(["\ud800x\ud83d\ude00"])}} {{date.utc("[\udfff]")}}""")
    (reading,) = open_readings(Choice([(file, 1)]), load(), seed=1, zone=dt.UTC).take([NOW])
    assert reading.data.decode() == "?x\N{GRINNING FACE} ?\n"


def test_a_template_that_can_not_be_read_is_one_clear_line(tmp_path: Path) -> None:
    """With its name."""
    bad = tmp_path / "bad.template"
    for make in (lambda: None, lambda: bad.write_bytes(b"\xff")):
        make()
        with pytest.raises(IotStreamError, match=r"template .*bad\.template can't be read as UTF-8 text"):
            open_readings(Choice([(bad, 1)]), load(), seed=1, zone=dt.UTC)


def test_only_the_refused_records_of_a_partial_failure_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """PutRecords is not atomic: the accepted ones of a batch are never sent twice (Kinesis API, PutRecords)."""
    monkeypatch.setattr(send_module, "_FIRST_PAUSE", 0)
    batch = _readings(3)
    kinesis = aws_client("kinesis")
    ok = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
    no = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}

    def expected(readings: list[Reading]) -> dict[str, Any]:
        return {"StreamName": "s", "Records": [{"Data": r.data, "PartitionKey": r.key} for r in readings]}

    with Stubber(kinesis) as stub:
        stub.add_response("put_records", {"FailedRecordCount": 2, "Records": [no, ok, no]}, expected(batch))
        stub.add_response("put_records", {"FailedRecordCount": 1, "Records": [no, ok]}, expected([batch[0], batch[2]]))
        stub.add_response("put_records", {"Records": [ok]}, expected([batch[0]]))
        sent, accepted = Sent(), list[Accepted]()
        put(kinesis, "s", batch, sent, on_accepted=accepted.extend)
        stub.assert_no_pending_responses()
    assert sent == Sent(records=3, retried=3, calls=3)
    assert [record.digest for record in accepted] == [digest_of(batch[number].data) for number in (1, 2, 0)]


def test_records_refused_for_too_long_are_an_error_that_counts_the_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how many were accepted and what to do."""
    monkeypatch.setattr(send_module, "_RETRY_SECONDS", -1)
    kinesis = aws_client("kinesis")
    with Stubber(kinesis) as stub:
        results = [{"SequenceNumber": "1", "ShardId": "x"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "no"}]
        stub.add_response("put_records", {"FailedRecordCount": 1, "Records": results}, ANY_REQUEST)
        with pytest.raises(SendError, match=r"refused 1 records .*InternalFailure.*1 were accepted: lower the rate"):
            put(kinesis, "s", _readings(2), Sent())


ANY_REQUEST = {"StreamName": ANY, "Records": ANY}


def test_a_missing_stream_is_one_clear_line() -> None:
    """The service's own words, with the stream's name."""
    kinesis = aws_client("kinesis")
    with Stubber(kinesis) as stub:
        stub.add_client_error("put_records", "ResourceNotFoundException", "Stream s not found")
        with pytest.raises(SendError, match=r"could not put records into stream s: .*Stream s not found"):
            put(kinesis, "s", _readings(1), Sent())


class _Stream:
    """A stream that accepts everything, and keeps it."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.data: list[bytes] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert StreamName == "s"
        self.batches.append(Records)
        numbers = range(len(self.data), len(self.data) + len(Records))
        self.data += [record["Data"] for record in Records]
        results = [{"ShardId": "shardId-000000000001", "SequenceNumber": str(number)} for number in numbers]
        return {"FailedRecordCount": 0, "Records": results}


def test_a_count_is_sent_in_full_batches_and_kept_in_the_ledger(tmp_path: Path) -> None:
    """1,234 readings go in batches of at most 500; the ledger can name each of their uuids afterwards."""
    stream, ledger = _Stream(), Ledger(tmp_path)
    sent = send_readings(stream, "s", _series(3), due=constant(1e15), count=1234, ledger=ledger)
    assert sent.records == 1234
    assert max(len(batch) for batch in stream.batches) == 500
    records = list(ledger.records())
    assert [record.sequence for record in records] == [str(number) for number in range(1234)]
    assert [record.digest for record in records] == [digest_of(data) for data in stream.data]
    assert {record.shard for record in records} == {"shardId-000000000001"}
    assert ledger.sent == 1234


@given(
    runs=st.lists(
        st.lists(
            st.builds(
                Accepted,
                shard=st.integers(0, 10**12 - 1).map("shardId-{:012}".format),
                # The API's pattern is 0|([1-9]\d{0,128}); ministack's numbers begin with zeros (services/kinesis.py).
                sequence=st.from_regex(r"[0-9]{1,129}", fullmatch=True, alphabet="0123456789"),
                digest=st.binary(min_size=16, max_size=16),
            )
        ),
        max_size=3,
    )
)
def test_a_ledger_gives_back_every_record_of_every_run(runs: list[list[Accepted]]) -> None:
    """Any shard and sequence number that the Kinesis API allows; counting needs no reading."""
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        for number, records in enumerate(runs):
            ledger.append(str(number), records[:1])
            ledger.append(str(number), records[1:])
        assert list(ledger.records()) == [record for records in runs for record in records]
        assert ledger.sent == sum(map(len, runs))


def test_an_entry_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    """The ones before it count."""
    ledger = Ledger(tmp_path)
    ledger.append("run", [Accepted("shardId-000000000000", str(number), b"d" * 16) for number in range(3)])
    file = tmp_path / "run.accepted"
    file.write_bytes(file.read_bytes()[:-1])
    assert ledger.sent == len(list(ledger.records())) == 2


def test_stopping_ends_at_once_with_a_true_count(tmp_path: Path) -> None:
    """What was accepted before the stop is counted, and nothing is sent after it."""
    stream, ledger = _Stream(), Ledger(tmp_path)
    sent = send_readings(
        stream, "s", _series(3), due=constant(1e15), count=5000, ledger=ledger, stop=lambda: len(stream.batches) >= 2
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


def test_a_firehose_that_does_not_respond_is_one_error() -> None:
    """Errors without a response are BotoCoreError, not ClientError."""

    class _Firehose:
        def describe_delivery_stream(self, DeliveryStreamName: str) -> None:  # noqa: ARG002, N803 - boto3's names
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    with pytest.raises(StackError, match=r"delivery stream d can't be described: Could not connect to the endpoint"):
        wait_until_active(_Firehose(), "d")


class _Clock:
    """A clock that moves when somebody sleeps, and by `request` seconds for each request to the stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, request: float = 0.0) -> None:
        self.now = 1000.0
        self.request = request
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(send_module, "time", clock)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _TimedStream(_Stream):
    """A stream whose requests take the clock's time, and fail as long as `errors` has some."""

    def __init__(self, clock: _Clock, *errors: Exception) -> None:
        super().__init__()
        self.clock, self.errors = clock, list(errors)

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.clock.now += self.clock.request
        if self.errors:
            raise self.errors.pop(0)
        return super().put_records(StreamName, Records)


def _refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutRecords")


def test_a_rate_that_can_be_reached_sends_every_reading_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 per second for 30 seconds are 3,000, and the reached rate is the asked one."""
    stream = _TimedStream(_Clock(monkeypatch, request=0.01))
    sent = send_readings(stream, "s", _series(1), due=constant(100), seconds=30)
    assert sent.records == len(stream.data) == 3000
    assert sent.rate == pytest.approx(100, rel=0.01)
    assert not sent.abandoned


@pytest.mark.parametrize("rate", [3, 100, 1999, 4000])
def test_every_second_has_its_share_of_the_device_times(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the sender starts and however long requests take: a chart by the second is a line, without dips."""
    clock = _Clock(monkeypatch, request=0.013)
    clock.now += 0.37
    stream = _TimedStream(clock)
    send_readings(stream, "s", _series(), due=constant(rate), seconds=8)
    times = [json.loads(data)["device_ts"][:19] for data in stream.data]
    assert times == sorted(times)
    whole = [count for _, count in sorted(Counter(times).items())][1:-1]
    assert len(whole) == 7
    assert all(abs(count - rate) <= 1 + rate * 0.01 for count in whole)


def test_requests_go_four_times_a_second_and_full_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a grid from the start, so that a second has four of them, also where a request takes long."""
    clock = _Clock(monkeypatch, request=0.1)
    stream = _TimedStream(clock)
    send_readings(stream, "s", _series(), due=constant(40), seconds=3)
    assert [len(batch) for batch in stream.batches] == [10] * 12
    stream = _TimedStream(clock)
    begun = clock.now
    send_readings(stream, "s", _series(), due=constant(3000), count=3000)
    assert Counter(len(batch) for batch in stream.batches)[500] >= 5
    assert clock.now - begun < 1.4


def test_large_records_go_in_requests_of_five_mebibytes(tmp_path: Path) -> None:
    """With their partition keys (Kinesis API reference, PutRecords); nothing is lost or out of order."""
    file = tmp_path / "large"
    file.write_text("{{random.number}} " + "x" * 30_000)
    stream = _Stream()
    readings = open_readings(Choice([(file, 1)]), load(), seed=1, zone=dt.UTC)
    assert send_readings(stream, "s", readings, due=constant(1e15), count=600).records == 600
    sizes = [sum(len(record["Data"]) + len(record["PartitionKey"]) for record in batch) for batch in stream.batches]
    assert max(sizes) <= 5 * 1024 * 1024
    assert len(sizes) <= 5
    again = open_readings(Choice([(file, 1)]), load(), seed=1, zone=dt.UTC)
    assert stream.data == [reading.data for reading in again.take([NOW] * 600)]


def test_a_stall_does_not_make_old_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stream that refused for ten seconds, what was due meanwhile goes at once, at most a second old."""
    clock = _Clock(monkeypatch, request=0.001)
    stream = _TimedStream(clock)
    ages: list[float] = []
    original = stream.put_records

    def put_records(**request: Any) -> dict[str, Any]:
        if len(stream.batches) == 4:
            clock.now += 10
        for record in request["Records"]:
            taken = dt.datetime.fromisoformat(json.loads(record["Data"])["device_ts"] + "+00:00").timestamp()
            ages.append(clock.now - taken)
        return original(**request)

    stream.put_records = put_records  # type: ignore[method-assign]
    sent = send_readings(stream, "s", _series(), due=constant(1000), seconds=15)
    assert sent.records == 15_000
    assert sum(age > 1.5 for age in ages) == 250  # those in the request that stalled


def test_a_rate_that_can_not_be_reached_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million per second for two seconds, where a request takes 0.1 s: no catching up afterwards."""
    clock = _Clock(monkeypatch, request=0.1)
    sent = send_readings(_TimedStream(clock), "s", _series(1), due=constant(1e6), seconds=2)
    assert clock.now - 1000 < 3.2
    assert sent.seconds == pytest.approx(clock.now - 1000)
    assert sent.rate == pytest.approx(sent.records / sent.seconds)
    assert "the requested 1,000,000 per second were not reached" in sent_text(sent, seed=1)


@pytest.mark.parametrize(
    "error",
    [
        _refused("ProvisionedThroughputExceededException"),
        _refused("KMSThrottlingException"),
        _refused("InternalFailure"),
        EndpointConnectionError(endpoint_url="https://kinesis.invalid"),
    ],
    ids=["throttled", "KMS", "the service", "the network"],
)
def test_a_call_that_is_refused_as_a_whole_is_tried_again_and_counted(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As single refused records are (Kinesis API reference, PutRecords, Errors)."""
    stream, sent = _TimedStream(_Clock(monkeypatch), error, error), Sent()
    put(stream, "s", _readings(3), sent)
    assert sent == Sent(records=3, retried=6, calls=3)


def test_what_stays_refused_for_a_minute_is_an_error_with_the_accepted_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """After about a minute, not at once and not for ever."""
    clock = _Clock(monkeypatch)
    stream, sent = _TimedStream(clock, *[_refused("KMSDisabledException")] * 1000), Sent(records=7)
    with pytest.raises(SendError, match=r"refused 3 records for 60 s .*KMSDisabledException.*7 were accepted"):
        put(stream, "s", _readings(3), sent)
    assert 60 < clock.now - 1000 < 66


@pytest.mark.parametrize("error", [_refused("AccessDeniedException"), NoCredentialsError()], ids=["IAM", "credentials"])
def test_what_no_retry_changes_is_said_at_once(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the number of those that were accepted before."""
    clock = _Clock(monkeypatch)
    with pytest.raises(SendError, match=r"could not put records into stream s: .*; 7 were accepted before"):
        put(_TimedStream(clock, error), "s", _readings(3), Sent(records=7))
    assert clock.now == 1000


def test_no_pause_is_longer_than_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """They double up to five seconds; the last one ends when the time does."""
    clock = _Clock(monkeypatch)
    stream, sent = _TimedStream(clock, *[_refused("KMSDisabledException")] * 1000), Sent()
    put(stream, "s", _readings(3), sent, over=lambda: clock.now >= 1007, until=1007)
    assert (clock.now, sent.abandoned) == (1007, 3)


def test_a_stop_does_not_wait_for_refused_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted as not sent, and said so."""
    stream, sent = _TimedStream(_Clock(monkeypatch), *[_refused("KMSDisabledException")] * 1000), Sent()
    put(stream, "s", _readings(3), sent, over=lambda: True)
    assert sent == Sent(abandoned=3, calls=1)
    assert "3 throttled and NOT retried" in sent_text(sent, seed=1)


def test_recorded_readings_are_noted_before_they_are_sent() -> None:
    """What the function would refuse, and times at which nobody would look; nothing where all is well."""
    now = 1_790_000_000_000
    at = dt.datetime.fromtimestamp(now / 1000, dt.UTC).isoformat()
    good = json.dumps(device_reading(device_ts=at)).encode()
    old = json.dumps(device_reading(device_ts="2026-05-03 14:05:09")).encode()
    assert notes_on_recorded([good, old], load(), zone=dt.UTC, now=now) == []
    assert notes_on_recorded([old, b"{", old], load(), zone=dt.UTC, now=now) == [
        (
            "1 of 3 readings fail in the function; the first is number 2: not_json. `iot-stream readings try` shows"
            " how to fix them"
        ),
        "the latest time of the readings is 2026-05-03T14:05:09.000 UTC: choose a time range that includes it",
    ]


def test_recorded_readings_have_keys_of_their_own() -> None:
    """Else all would be in one shard; the same seed gives the same."""
    taken = Recorded([b"a", b"b"], 7).take([0] * 5)
    assert [reading.data for reading in taken] == [b"a", b"b", b"a", b"b", b"a"]
    assert len({reading.key for reading in taken}) == 5
    assert taken == Recorded([b"a", b"b"], 7).take([0] * 5)
