"""Transformation: the event is AWS's, and whatever the function returns, every record gets a verdict."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core import transformation
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.transformation import DROPPED, ProcessingError, Stream, build_event, parse_response

STREAM = Stream(
    "arn:aws:firehose:eu-west-1:000000000000:deliverystream/d", "arn:aws:kinesis:eu-west-1:000000000000:stream/s",
    "eu-west-1",
)  # fmt: skip


def make_record(number: int, data: bytes = b"x", subsequence: int | None = None, key: str = "key") -> Record:
    """Return a record of shard 1."""
    shard, sequence = "shardId-000000000001", f"{number:020d}"
    return Record(
        shard,
        sequence,
        subsequence,
        key,
        1_700_000_000_123 + number,
        base64.b64encode(data).decode(),
        record_id(shard, sequence, subsequence),
        len(data),
    )


def test_the_event_is_the_one_that_aws_sends() -> None:
    """Names, nesting and types as in the developer guide and in captured events."""
    record = make_record(7, b"hello")
    part = make_record(8, b"", subsequence=2)
    assert json.loads(build_event(STREAM, "invocation", [record, part])) == {
        "invocationId": "invocation",
        "sourceKinesisStreamArn": STREAM.source_arn,
        "deliveryStreamArn": STREAM.delivery_stream_arn,
        "region": "eu-west-1",
        "records": [
            {
                "recordId": "1.00000000000000000007.0",
                "approximateArrivalTimestamp": 1_700_000_000_130,
                "data": "aGVsbG8=",
                "kinesisRecordMetadata": {
                    "sequenceNumber": "00000000000000000007",
                    "subsequenceNumber": "",
                    "partitionKey": "key",
                    "shardId": "shardId-000000000001",
                    "approximateArrivalTimestamp": 1_700_000_000_130,
                },
            },
            {
                "recordId": "1.00000000000000000008.2",
                "approximateArrivalTimestamp": 1_700_000_000_131,
                "data": "",
                "kinesisRecordMetadata": {
                    "sequenceNumber": "00000000000000000008",
                    "subsequenceNumber": 2,
                    "partitionKey": "key",
                    "shardId": "shardId-000000000001",
                    "approximateArrivalTimestamp": 1_700_000_000_131,
                },
            },
        ],
    }


@given(st.lists(st.tuples(st.binary(max_size=60), st.text(min_size=1, max_size=256)), max_size=30))
def test_wire_size_bounds_the_event(contents: list[tuple[bytes, str]]) -> None:
    """No event is larger than the sum of its records' wire sizes, so none exceeds Lambda's 6 MB."""
    records = [make_record(number, data, key=key) for number, (data, key) in enumerate(contents)]
    bound = sum(map(transformation.wire_size, records)) + transformation.MAX_PAYLOAD - transformation.payload_bound()
    assert len(build_event(STREAM, "x" * 36, records)) <= bound


RECORDS = [make_record(number) for number in range(4)]
GOOD = base64.b64encode(b'{"a":1}\n').decode()


def response(*records: Any) -> bytes:
    """Return a function's response."""
    return json.dumps({"records": list(records)}).encode()


def ok(number: int, **changes: Any) -> dict[str, Any]:
    """Return one record of a response."""
    return {"recordId": RECORDS[number].id, "result": "Ok", "data": GOOD} | changes


def test_each_result_has_its_verdict() -> None:
    """Ok is a document, Dropped is dropped; ProcessingFailed and any other result are processing failures."""
    payload = response(ok(0), ok(1, result="Dropped"), ok(2, result="ProcessingFailed"), ok(3, result="Fine"))
    assert parse_response(RECORDS, payload) == [
        b'{"a":1}\n',
        DROPPED,
        transformation.FLAGGED,
        transformation.NOT_PARSED,
    ]


def test_order_does_not_matter() -> None:
    """The recordId, not the position, identifies the record."""
    payload = response(ok(3, result="Dropped"), ok(1), ok(0), ok(2))
    assert parse_response(RECORDS, payload) == [b'{"a":1}\n'] * 3 + [DROPPED]


def test_missing_duplicated_and_unknown_ids_fail_only_their_own_record() -> None:
    """AWS's codes: Lambda.MissingRecordId and Lambda.DuplicatedRecordId; an unknown id is ignored."""
    payload = response(ok(0), ok(1), ok(1, result="Dropped"), ok(3), ok(0, recordId="unknown"))
    verdicts = parse_response(RECORDS, payload)
    assert verdicts == [b'{"a":1}\n', transformation.DUPLICATED, transformation.MISSING, b'{"a":1}\n']
    assert [v.code for v in verdicts if isinstance(v, ProcessingError)] == [
        "Lambda.DuplicatedRecordId",
        "Lambda.MissingRecordId",
    ]


def test_data_that_is_not_base64_fails_only_its_own_record() -> None:
    """Not base64, null, a number, an object, absent: Lambda.JsonProcessingException."""
    for data in ("!!!!", "abc", None, 5, {"a": 1}, "ä"):
        verdicts = parse_response(RECORDS, response(ok(0, data=data), ok(1), ok(2), ok(3)))
        assert verdicts == [transformation.NOT_PARSED] + [b'{"a":1}\n'] * 3
    absent = {"recordId": RECORDS[0].id, "result": "Ok"}
    assert parse_response(RECORDS, response(absent, ok(1), ok(2), ok(3)))[0] is transformation.NOT_PARSED


def test_escapes_in_base64_are_decoded() -> None:
    """Some JSON writers escape the solidus or the equals sign."""
    payload = response(ok(0), ok(1), ok(2), ok(3)).replace(GOOD.encode(), b"Pz8\\/Pw\\u003d\\u003d")
    assert parse_response(RECORDS, payload) == [b"???\x3f"] * 4


def test_an_invalid_response_fails_the_whole_batch() -> None:
    """Not JSON, no records, records that are not a list: every record fails with Lambda.JsonProcessingException."""
    deep = b"[" * 20_000 + b"]" * 20_000
    nested = (deep, b'{"x":' + deep + b"}", b'{"records":[{"result":' + deep + b"}]}")
    for payload in (b"", b"null", b"{", b'{"records": 5}', b"{}", b"[]", b'"\xff"', b'{"records": [5]}', *nested):
        assert parse_response(RECORDS, payload) == [transformation.NOT_PARSED] * 4


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
response_records = st.fixed_dictionaries(
    {},
    optional={
        "recordId": st.sampled_from([record.id for record in RECORDS]) | json_values,
        "result": st.sampled_from(["Ok", "Dropped", "ProcessingFailed"]) | json_values,
        "data": st.just(GOOD) | json_values,
    },
)


@given(
    st.lists(response_records, max_size=6).map(lambda records: json.dumps({"records": records}).encode()) | st.binary()
)
def test_every_record_gets_one_verdict_whatever_is_returned(payload: bytes) -> None:
    """Nothing raises, and there is a verdict for each record, in order."""
    verdicts = parse_response(RECORDS, payload)
    assert len(verdicts) == len(RECORDS)
    assert all(isinstance(verdict, bytes | ProcessingError) or verdict is DROPPED for verdict in verdicts)


RETURNED = st.fixed_dictionaries(
    {"result": st.sampled_from(["Ok", "Ok", "Dropped", "ProcessingFailed", "ok"])},
    optional={
        "data": st.none()
        | st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode())
        | st.text(alphabet="ABab01+/=-_ \n", max_size=9)
    },
)


@given(st.lists(RETURNED, max_size=8))
def test_one_malformed_record_changes_no_other_verdict(returned: list[dict[str, Any]]) -> None:
    """A batch that is decoded in one go has the verdicts that each record has by itself."""
    records = [make_record(number) for number in range(len(returned))]
    items = [{"recordId": record.id} | item for record, item in zip(records, returned, strict=True)]
    malformed = {"recordId": "unknown", "result": 7}
    alone = [
        parse_response([record], json.dumps({"records": [item, malformed]}).encode())
        for record, item in zip(records, items, strict=True)
    ]
    assert parse_response(records, json.dumps({"records": items}).encode()) == [verdict for (verdict,) in alone]


def test_timeouts_are_distinguished_from_other_errors() -> None:
    """AWS's and ministack's messages mean a timeout; anything else is the function's own error."""
    aws = b'{"errorMessage":"2026-01-01T00:00:00.000Z 1-2-3 Task timed out after 3.00 seconds"}'
    assert transformation.parse_error(aws).code == "Lambda.FunctionTimedOut"
    assert transformation.parse_error(b'{"errorType":"Sandbox.Timedout"}').code == "Lambda.FunctionTimedOut"
    assert transformation.parse_error(b'{"errorType":"ValueError"}').code == "Lambda.FunctionError"
