"""The envelope of Firehose's transformation: what comes back, whatever went in, and how large it may be."""

import json
from base64 import b64decode
from datetime import UTC

import pytest

from enrichment.firehose import RESPONSE_LIMIT, EventError
from enrichment.reasons import Cause, Reason
from tests.builders import ARRIVED_AT, device_reading, firehose_event, firehose_record, kinesis_metadata
from tests.enrichers import transform


def documents(batch):
    """Return the batch's documents as OpenSearch reads them."""
    return [json.loads(b64decode(result["data"])) for result in batch.results if result["result"] == "Ok"]


def test_one_undecodable_record_does_not_hurt_the_499_beside_it():
    """A bad record is ProcessingFailed with its own data; every other one is Ok, in its place."""
    event = firehose_event(*[device_reading(device_id=number) for number in range(500)])
    event["records"][250]["data"] = "*"
    batch = transform(event, UTC)
    assert [result["recordId"] for result in batch.results] == [f"record-{number}" for number in range(500)]
    assert batch.results[250] == {"recordId": "record-250", "result": "ProcessingFailed", "data": "*"}
    assert [document["device_id"] for document in documents(batch)] == [*range(250), *range(251, 500)]
    assert batch.failures == {Cause(Reason.NOT_BASE64): ["record-250"]}


def test_failed_records_of_a_large_batch_keep_their_places():
    """Records are handled a chunk at a time; the response is one list, in the order of the request."""
    bad = [0, 1, 499, 500, 501, 1100, 1299]
    event = firehose_event(*["{" if number in bad else device_reading(device_id=number) for number in range(1300)])
    batch = transform(event)
    assert [result["recordId"] for result in batch.results] == [f"record-{number}" for number in range(1300)]
    failed = [number for number, result in enumerate(batch.results) if result["result"] == "ProcessingFailed"]
    assert failed == bad
    assert [document["device_id"] for document in documents(batch)] == [n for n in range(1300) if n not in bad]
    assert batch.failures == {Cause(Reason.NOT_JSON): [f"record-{number}" for number in bad]}


@pytest.mark.parametrize(
    "data",
    [
        "QQ",
        "QQ=",
        "QUI",
        "QUJDRA",
        "QUJDREU",
        "Q===",
        "QQ==\n",
        " QQ==",
        "QQ-_",
        "QQ==QQ==",
        "é",
        "\x00",
        None,
        5,
        ["QQ=="],
    ],
)
def test_data_that_is_not_base64_comes_back_unchanged(data):
    """Text comes back unchanged; where data is not text, there is nothing to give back."""
    batch = transform(firehose_event(firehose_record(b"") | {"data": data}), UTC)
    assert batch.failures == {Cause(Reason.NOT_BASE64): ["record-0"]}
    assert batch.results[0]["data"] == (data if isinstance(data, str) else "")


def test_data_that_can_not_be_written_has_question_marks():
    """Half a surrogate pair has no UTF-8 form, and would break the whole response; Firehose never sends one."""
    response = transform(firehose_event(firehose_record(b"") | {"data": "QQ\ud800"}), UTC).results
    assert json.dumps(response, ensure_ascii=False).encode()
    assert response[0]["data"] == "QQ?"


def test_record_id_that_can_not_be_written_hurts_no_other_record():
    """Half a surrogate pair in a recordId would break the whole response; Firehose misses that record alone."""
    good = json.dumps(device_reading())
    batch = transform(
        firehose_event(firehose_record(good, "a\ud800"), firehose_record(good, "b"), firehose_record("x", "c\udc00"))
    )
    assert [(result["recordId"], result["result"]) for result in batch.results] == [
        ("a?", "Ok"), ("b", "Ok"), ("c?", "ProcessingFailed"),
    ]  # fmt: skip
    assert json.dumps(batch.results, ensure_ascii=False).encode()
    assert batch.failures == {Cause(Reason.NOT_JSON): ["c?"]}


def test_a_record_with_several_causes_fails_once():
    """Each cause names the record; the record counts once."""
    batch = transform(firehose_event(device_reading(device_id=None, track_id=None), device_reading()))
    assert batch.failures == {
        Cause(Reason.WRONG_TYPE, "device_id"): ["record-0"], Cause(Reason.WRONG_TYPE, "track_id"): ["record-0"],
    }  # fmt: skip
    assert (batch.failed, len(batch.results)) == (1, 2)


def test_dropped_fields_are_counted_by_name_for_documents_only():
    """A failed record keeps all its fields in the backup bucket: nothing of it is dropped."""
    batch = transform(
        firehose_event(
            device_reading(note=1, battery={"mv": 1}),
            device_reading(note=None),
            device_reading(note=1, device_temp="32"),
            device_reading(note=1, device_temp="warm"),
            device_reading(note=1, device_ts="yesterday"),
        )
    )
    assert (batch.failed, batch.dropped) == (2, {"note": 3, "battery": 1})


def test_data_of_amazon_msk_comes_back_as_failed():
    """Records of MSK have another key ("Required parameters for data transformation"); their data is given back."""
    batch = transform(firehose_event({"recordId": "m", "kafkaRecordValue": "QUJD"}))
    assert batch.failures == {Cause(Reason.MSK_RECORD): ["m"]}
    assert batch.results == [{"recordId": "m", "result": "ProcessingFailed", "data": "QUJD"}]


def test_failed_data_keeps_even_odd_base64():
    """Failed data is given back as text, not decoded and encoded again, which would mend `QR==` to `QQ==`."""
    assert transform(firehose_event(firehose_record(b"") | {"data": "QR=="}), UTC).results[0]["data"] == "QR=="


def test_empty_data_and_absent_data_are_empty():
    """Firehose sends empty data as an empty string; a record without any has the same reason."""
    absent = firehose_record(b"", "absent")
    del absent["data"]
    batch = transform(firehose_event(firehose_record(b"", "empty"), absent), UTC)
    assert batch.failures == {Cause(Reason.EMPTY): ["empty", "absent"]}


def test_arrival_is_kinesis_s_where_there_is_a_stream_and_firehose_s_otherwise():
    """`ingested_at` is the earliest arrival that AWS tells: into the stream, or into Firehose by direct put."""
    batch = transform(
        firehose_event(
            firehose_record(device_reading(), "stream", 5000, kinesisRecordMetadata=kinesis_metadata(ARRIVED_AT)),
            firehose_record(device_reading(), "direct", 5000),
            firehose_record(device_reading(), "neither", None),
        ),
        UTC,
    )
    assert [document.get("ingested_at") for document in documents(batch)] == [
        "2026-11-22T10:15:30.456",
        "1970-01-01T00:00:05.000",
        None,
    ]


def test_batch_counts_bytes_and_device_times():
    """Bytes are those of the decoded readings and of the documents, newline included."""
    reading = json.dumps(device_reading())
    batch = transform(firehose_event(reading, b"\xff"), UTC)
    assert (batch.bytes_in, batch.bytes_out) == (len(reading) + 1, len(b64decode(batch.results[0]["data"])))
    assert batch.timestamps == ["2026-11-22T10:15:30.123"]


def test_empty_event_has_an_empty_response():
    """No records in, no records out."""
    assert transform(firehose_event(), UTC).results == []


@pytest.mark.parametrize(
    "event",
    [{}, {"key1": "value1"}, None, [], {"records": None}, {"records": {}}, {"records": [None]}, {"records": ["x"]},
     {"records": [{"data": ""}]}, {"records": [{"recordId": 5, "data": ""}]}],
)  # fmt: skip
def test_event_that_is_not_firehose_s_raises(event):
    """An invocation by mistake fails with words; no record of it can be returned."""
    with pytest.raises(EventError, match="not a Firehose transformation event"):
        transform(event, UTC)


# ---- Lambda's limit of a response -------------------------------------------------------------------------------


def growing_event(sizes):
    """Return an event whose n-th record has `sizes[n]` extra bytes that its document drops."""
    return firehose_event(*[device_reading(note="x" * size) for size in sizes])


def response_size(batch):
    """Return the bytes of the response as Lambda's runtime writes it."""
    return len(json.dumps({"records": batch.results}))


def test_response_within_the_limit_is_left_alone():
    """A response of exactly the limit has all its documents."""
    event = growing_event([0] * 50)
    size = response_size(transform(event, UTC))
    assert transform(event, UTC, limit=size).failures == {}


def test_response_over_the_limit_fails_the_fewest_records():
    """One byte over the limit costs one record: the one whose document is largest beside its reading."""
    event = growing_event([0, 0, 9, 0, 0])
    event["records"][3] = firehose_record(
        '{"uuid":"","device_ts":"2026-11-22 10:15:30","device_id":1,"device_temp":1,"track_id":1,"activity_type":""}',
        "record-3",
    )
    size = response_size(transform(event, UTC))
    batch = transform(event, UTC, limit=size - 1)
    assert batch.failures == {Cause(Reason.RESPONSE_TOO_LARGE): ["record-3"]}
    assert batch.results[3] == {
        "recordId": "record-3",
        "result": "ProcessingFailed",
        "data": event["records"][3]["data"],
    }
    assert response_size(batch) <= size - 1
    assert batch.bytes_out == sum(
        len(b64decode(result["data"])) for result in batch.results if result["result"] == "Ok"
    )


@pytest.mark.parametrize("cut", [1, 40, 200, 700])
def test_response_over_the_limit_is_brought_within_it(cut):
    """However far over, the response fits, and one more document would not."""
    event = growing_event([0] * 60)
    limit = response_size(transform(event, UTC)) - cut
    batch = transform(event, UTC, limit=limit)
    failed = sum(map(len, batch.failures.values()))
    saved = (response_size(transform(event, UTC)) - response_size(batch)) // failed
    assert response_size(batch) <= limit < response_size(batch) + saved
    assert {result["recordId"] for result in batch.results} == {record["recordId"] for record in event["records"]}


def test_documents_that_shrink_are_never_failed():
    """Failing a record whose document is smaller than its reading would make the response larger."""
    assert transform(growing_event([500] * 10), UTC, limit=100).failures == {}


def test_failed_records_count_with_what_json_makes_of_them():
    """Data that is not base64 may need escapes; the limit holds for the response as written."""
    event = growing_event([0] * 40)
    event["records"][0]["data"] = "\x00" * 1000
    limit = response_size(transform(event, UTC)) - 1
    batch = transform(event, UTC, limit=limit)
    assert response_size(batch) <= limit
    assert len(batch.failures[Cause(Reason.RESPONSE_TOO_LARGE)]) == 1


def test_largest_request_has_a_response_within_lambda_s_limit():
    """A request of 6 MB that Firehose can send has a response of 6 MB at most, and it parses."""
    record = firehose_record(device_reading(), "shardId-000000000000" + "4" * 140, kinesisRecordMetadata={})
    count = RESPONSE_LIMIT // (len(json.dumps(record)) + 2)
    event = firehose_event(*[record] * count)
    batch = transform(event, UTC)
    assert response_size(batch) <= RESPONSE_LIMIT
    assert len(batch.results) == count


def test_response_limit_takes_effect_at_six_megabytes():
    """With the real limit a batch of growing documents is cut to it, and loses no more than it must."""
    tiny = '{"uuid":"","device_ts":"2026-11-22 10:15:30","device_id":1,"device_temp":1,"track_id":1,"activity_type":""}'
    event = firehose_event(*[firehose_record(tiny, f"{number:05}") for number in range(24_000)])
    batch = transform(event, UTC)
    [(cause, failed)] = batch.failures.items()
    assert cause.reason is Reason.RESPONSE_TOO_LARGE
    assert 0 < len(failed) < 24_000
    assert RESPONSE_LIMIT - 200 < response_size(batch) <= RESPONSE_LIMIT
