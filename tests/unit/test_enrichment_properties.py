"""The contract of the enrichment function over arbitrary input, against the slow implementation."""

import json
from base64 import b64decode
from datetime import UTC
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import device_reading, firehose_event, firehose_record
from tests.enrichers import transform
from tests.examples import examples
from tests.slow_enrichment import Refusal, slow_document

ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Australia/Lord_Howe")]

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**63 - 2, 2**63 + 2),
    st.floats(),
    st.floats(-274, 1e3).map(lambda number: round(number, 2)),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Ll"]), max_size=3),
)
any_json = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
numeric_text = st.from_regex(
    r"\s?[+-]?[0-9]{1,3}(\.[0-9]{1,3})?([eE][+-]?[0-9])?\s?", fullmatch=True
) | st.integers().map(str)
times = st.one_of(
    st.datetimes().map(lambda time: time.isoformat(" ", timespec="milliseconds")),
    st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat("T")),
    st.from_regex(
        r"2026-[0-1]?[0-9]-[0-3]?[0-9][T ][0-2]?[0-9]:[0-6]?[0-9]:[0-6]?[0-9](\.[0-9]{0,7})?Z?", fullmatch=True
    ),
    st.from_regex(r"2026-(03-29|10-25|04-05|10-04|11-01|03-08) 0[0-3]:[0-5]0:00\.[0-9]{3}", fullmatch=True),
    st.from_regex(r"2026-11-22 10:15:30\.123[+-][0-2][0-9]:?([0-6][0-9])?", fullmatch=True),
)
good_values = {
    "uuid": st.uuids().map(str) | st.text(),
    "device_ts": times,
    "device_id": st.integers(0, 50) | st.integers(-(2**63), 2**63 - 1) | numeric_text,
    "device_temp": st.sampled_from([28, 32, 34, 40]) | st.floats(-273.15, 1e12) | numeric_text,
    "track_id": st.integers(0, 30) | numeric_text,
    "activity_type": st.sampled_from(["Running", "Sitting"]) | st.text(),
}
good_readings = st.fixed_dictionaries(good_values)


@st.composite
def near_valid(draw):
    """Return the bytes of a reading with at most one thing wrong: a field, a key more or less, a byte."""
    reading = draw(good_readings)
    for field in draw(st.lists(st.sampled_from([*reading, "extra"]), max_size=1)):
        reading[field] = draw(any_json)
    for field in draw(st.lists(st.sampled_from(list(good_values)), max_size=1)):
        if draw(st.booleans()):
            del reading[field]
    raw = json.dumps(reading, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        return raw
    cut = draw(st.integers(0, len(raw)))
    return raw[:cut] + draw(st.binary(max_size=2)) + raw[cut + draw(st.integers(0, 2)) :]


payloads = st.one_of(
    st.binary(max_size=200),
    any_json.map(lambda value: json.dumps(value).encode()),
    near_valid(),
)
arrivals = st.none() | st.integers(0, 4_102_444_800_000)


def refusals(raw):
    """Return the reason for which the slow implementation refuses the bytes, or none."""
    try:
        slow_document(raw)
    except Refusal as refusal:
        return refusal.causes
    return []


def assert_as_the_rules_say(record, result, zone):
    """Hold one transformed record against the slow implementation and Firehose's contract."""
    assert result.keys() == {"recordId", "result", "data"}
    raw = b64decode(record["data"], validate=True)
    try:
        expected = slow_document(raw, record.get("approximateArrivalTimestamp"), zone)
    except Refusal:
        assert (result["result"], result["data"]) == ("ProcessingFailed", record["data"])
        return
    assert result["result"] == "Ok"
    line = b64decode(result["data"], validate=True)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert list(document.items()) == list(expected.items())
    assert [type(value) for value in document.values()] == [type(value) for value in expected.values()]


@examples(100)
@given(st.lists(st.tuples(payloads, arrivals), max_size=5), st.sampled_from(ZONES))
def test_any_bytes_are_transformed_by_the_rules(batch, zone):
    """No input raises; every record comes back once, in order, as the slow implementation says, for its reason."""
    event = firehose_event(
        *[firehose_record(raw, f"id-{number}", arrival) for number, (raw, arrival) in enumerate(batch)]
    )
    before = json.dumps(event)
    transformed = transform(event, zone)
    assert json.dumps(event) == before
    assert [result["recordId"] for result in transformed.results] == [record["recordId"] for record in event["records"]]
    for record, result in zip(event["records"], transformed.results, strict=True):
        assert_as_the_rules_say(record, result, zone)
    json.loads(json.dumps({"records": transformed.results}))


@examples(100)
@given(near_valid())
def test_reasons_are_those_of_the_rules(raw):
    """A refused reading has the same reason from both implementations."""
    transformed = transform(firehose_event(raw), UTC)
    assert [str(cause) for cause in transformed.failures] == refusals(raw)


@examples(75)
@given(good_readings, st.sampled_from(ZONES), arrivals)
def test_good_readings_become_documents_in_every_zone(reading, zone, arrival):
    """Readings in any of the accepted forms are read as the rules say."""
    event = firehose_event(firehose_record(reading, "only", arrival))
    assert_as_the_rules_say(event["records"][0], transform(event, zone).results[0], zone)


@examples(75)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_any_text_is_a_data_field(texts):
    """Data that may or may not be base64 comes back as it was, or decoded: nothing else."""
    event = firehose_event(*[firehose_record(b"", f"{number}") | {"data": text} for number, text in enumerate(texts)])
    assert [result["data"] for result in transform(event, UTC).results] == texts


@examples(40)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.data())
def test_response_never_exceeds_its_limit(paddings, data):
    """For any limit that the event's own data leaves room for, the response is within it and parses."""
    event = firehose_event(*[device_reading(note="x" * padding) for padding in paddings])
    whole = len(json.dumps({"records": transform(event, UTC).results}))
    smallest = len(json.dumps({"records": transform(event, UTC, limit=0).results}))
    limit = data.draw(st.integers(smallest, whole))
    transformed = transform(event, UTC, limit=limit)
    assert len(json.dumps({"records": transformed.results})) <= limit
    for record, result in zip(event["records"], transformed.results, strict=True):
        assert result["result"] == "Ok" or result["data"] == record["data"]
