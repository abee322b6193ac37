"""One reading → one document: the decisions of docs/fields.md, each in a line."""

import json
from base64 import b64encode
from datetime import UTC

import msgspec
import pytest

from enrichment.reading import encode
from enrichment.reasons import Cause, ReadingError, Reason
from enrichment.values import LARGEST_TEXT
from tests import seed_function
from tests.builders import ARRIVED_AT, device_reading, firehose_event
from tests.enrichers import enrich
from tests.slow_enrichment import Refusal, slow_document


def enriched(**changes):
    """Return the document of a reading with these changes, as OpenSearch reads it."""
    [line] = encode([enrich(json.dumps(device_reading(**changes)).encode(), ARRIVED_AT, UTC)])
    return json.loads(line)


def refusal(raw):
    """Return the cause for which the bytes are refused."""
    with pytest.raises(ReadingError) as refused:
        enrich(raw, ARRIVED_AT, UTC)
    [cause] = refused.value.causes
    return cause


def test_document_has_the_seed_s_fields_in_order_and_when_it_arrived():
    """A document is one line of compact JSON that ends in a newline."""
    document = enrich(json.dumps(device_reading()).encode(), ARRIVED_AT, UTC)
    [line] = encode([document])
    assert line == (
        b'{"uuid":"3f0c6f0e-8a3b-4a57-9a53-0d5f4f1f6a11","timestamp":"2026-11-22T10:15:30.123","device_id":17,'
        b'"temp_celsius":32,"temp_fahrenheit":89.6,"track_id":4,"activity_type":"Walking",'
        b'"ingested_at":"2026-11-22T10:15:30.456"}\n'
    )


@pytest.mark.parametrize("celsius", [28, 32, 34, 40, 0, -40, 100, "34"])
@pytest.mark.parametrize("identity", [0, 50, "7"])
def test_seven_fields_are_as_the_seed_wrote_them(celsius, identity, capsys):
    """For whole-number temperatures each of the seed's fields has the same text as before, digit for digit."""
    reading = device_reading(device_temp=celsius, device_id=identity, track_id=identity, activity_type="Läufer \n")
    response = seed_function.lambda_handler(firehose_event(reading), None)
    capsys.readouterr()
    seed = json.loads(msgspec.convert(response["records"][0]["data"], bytes))
    new = enriched(**reading)
    del new["ingested_at"]
    assert json.dumps(new) == json.dumps(seed)


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        ("9007199254740993.0", 2**53 + 1),
        ('"9007199254740993.0"', 2**53 + 1),
        ("9007199254740993e0", 2**53 + 1),
        ('"9223372036854775807.0"', 2**63 - 1),
        ("170e-1", 17),
        ('"' + "0" * 5000 + '9007199254740993"', 2**53 + 1),
        ('"-' + "0" * 5000 + '17"', -17),
        ('"' + "0" * 5000 + '17.0"', 17),
        ("0e99999999999999999999", 0),
        ("0.00e-99999999999999999999", 0),
    ],
)
def test_an_id_is_exact_however_it_is_written(literal, number):
    """A double on the way would make another device of it."""
    raw = json.dumps(device_reading(device_id="?")).replace('"?"', literal)
    [line] = encode([enrich(raw.encode())])
    assert json.loads(line)["device_id"] == number


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ("17.00000000000000000001", Reason.NOT_WHOLE),
        ("1e-400", Reason.NOT_WHOLE),
        ("9223372036854775807.5", Reason.NUMBER_OUT_OF_RANGE),
        ("1e999999999", Reason.NUMBER_OUT_OF_RANGE),
        ("1e99999999999999999999", Reason.NUMBER_OUT_OF_RANGE),
        ("-1e99999999999999999999", Reason.NUMBER_OUT_OF_RANGE),
        ("1e-99999999999999999999", Reason.NOT_WHOLE),
        ('"-1e-99999999999999999999"', Reason.NOT_WHOLE),
        ('"\u00a017"', Reason.WRONG_TYPE),
        ('"17\u2003"', Reason.WRONG_TYPE),
        ('"\\u000b17"', Reason.WRONG_TYPE),
    ],
)
def test_an_id_that_is_only_nearly_one_is_refused(literal, reason):
    """Digits that a double would drop count."""
    raw = json.dumps(device_reading(device_id="?")).replace('"?"', literal)
    assert refusal(raw.encode()) == Cause(reason, "device_id")


def test_fahrenheit_has_no_minus_zero():
    """A temperature just below 0 °F would be written as -0.0."""
    assert str(enriched(device_temp=-17.77777777777779)["temp_fahrenheit"]) == "0.0"


def test_fahrenheit_drops_the_binary_noise_that_the_seed_wrote():
    """26 °C is 78.8 °F; the seed wrote 78.80000000000001. It is the one digit in which documents differ."""
    assert enriched(device_temp=26)["temp_fahrenheit"] == 78.8
    assert 26 * 1.8 + 32 != 78.8


@pytest.mark.parametrize(
    ("given", "celsius", "fahrenheit"),
    [
        (28.7, "28.7", "83.66"),
        ("28.70", "28.7", "83.66"),
        (36.6, "36.6", "97.88"),
        (32.0, "32", "89.6"),
        ("3.2e1", "32", "89.6"),
        ("+32", "32", "89.6"),
        (-0.0, "0", "32.0"),
        ("-0", "0", "32.0"),
        (-273.15, "-273.15", "-459.67"),
        (-0.5, "-0.5", "31.1"),
        (1e-7, "1e-7", "32.00000018"),
        (1e12, "1000000000000", "1800000000032.0"),
    ],
)
def test_temperature_is_kept_as_it_is(given, celsius, fahrenheit):
    """Decimals are kept, whole numbers have no point, minus zero is zero, °F has ten decimals at most."""
    [line] = encode([enrich(json.dumps(device_reading(device_temp=given)).encode(), None, UTC)])
    assert f'"temp_celsius":{celsius},"temp_fahrenheit":{fahrenheit},' in line.decode()


@pytest.mark.parametrize("given", [17, "17", " 017 ", "+17", 17.0, "17.0", "1.7e1"])
def test_id_may_be_any_whole_number(given):
    """A whole number is an id, also as a string, with a fraction of zeros or an exponent."""
    document = enriched(device_id=given, track_id=given)
    assert (document["device_id"], document["track_id"]) == (17, 17)
    assert isinstance(document["device_id"], int)


@pytest.mark.parametrize("given", [2**63 - 1, -(2**63), 2**53 + 1, str(2**53 + 1)])
def test_large_id_keeps_every_digit(given):
    """An id may be any signed 64-bit number, and does not go through a double."""
    assert enriched(device_id=given)["device_id"] == int(given)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"uuid": ...}, Reason.FIELD_MISSING, "uuid"),
        ({"device_ts": ...}, Reason.FIELD_MISSING, "device_ts"),
        ({"track_id": None}, Reason.WRONG_TYPE, "track_id"),
        ({"device_id": True}, Reason.WRONG_TYPE, "device_id"),
        ({"device_temp": False}, Reason.WRONG_TYPE, "device_temp"),
        ({"device_temp": [32]}, Reason.WRONG_TYPE, "device_temp"),
        ({"device_temp": "1_000"}, Reason.WRONG_TYPE, "device_temp"),
        ({"device_temp": "٣٢"}, Reason.WRONG_TYPE, "device_temp"),
        ({"device_temp": "nan"}, Reason.WRONG_TYPE, "device_temp"),
        ({"device_temp": "0x20"}, Reason.WRONG_TYPE, "device_temp"),
        ({"activity_type": 3}, Reason.WRONG_TYPE, "activity_type"),
        ({"device_ts": 1795342530}, Reason.WRONG_TYPE, "device_ts"),
        ({"device_id": 0.5}, Reason.NOT_WHOLE, "device_id"),
        ({"track_id": "1e-1"}, Reason.NOT_WHOLE, "track_id"),
        ({"device_id": 2**63}, Reason.NUMBER_OUT_OF_RANGE, "device_id"),
        ({"device_id": -(2**63) - 1}, Reason.NUMBER_OUT_OF_RANGE, "device_id"),
        ({"device_id": 9223372036854775808.0}, Reason.NUMBER_OUT_OF_RANGE, "device_id"),
        ({"track_id": "1e999"}, Reason.NUMBER_OUT_OF_RANGE, "track_id"),
        ({"device_id": "9" * 5000}, Reason.NUMBER_OUT_OF_RANGE, "device_id"),
        ({"device_temp": "-" + "9" * 5000}, Reason.NUMBER_OUT_OF_RANGE, "device_temp"),
        ({"device_temp": -273.16}, Reason.NUMBER_OUT_OF_RANGE, "device_temp"),
        ({"device_temp": -274}, Reason.NUMBER_OUT_OF_RANGE, "device_temp"),
        ({"device_temp": 1.1e12}, Reason.NUMBER_OUT_OF_RANGE, "device_temp"),
        ({"uuid": "\udc00"}, Reason.LONE_SURROGATE, "uuid"),
        ({"uuid": "x" * (LARGEST_TEXT + 1)}, Reason.TEXT_TOO_LONG, "uuid"),
        ({"activity_type": "é" * (LARGEST_TEXT // 2 + 1)}, Reason.TEXT_TOO_LONG, "activity_type"),
    ],
)
def test_reading_is_refused_for_its_field(changes, reason, field):
    """What a field can't be is refused with the reason and the field's name."""
    assert refusal(json.dumps(device_reading(**changes)).encode()) == Cause(reason, field)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \r\n\t", Reason.EMPTY),
        (b"\xff", Reason.NOT_UTF8),
        (json.dumps(device_reading()).encode()[:-1] + b', "note": "\xff"}', Reason.NOT_UTF8),
        (json.dumps(device_reading(uuid="?")).encode().replace(b"?", b"\xff"), Reason.NOT_UTF8),
        (json.dumps(device_reading(device_ts="?")).encode().replace(b"?", b"\xed\xa0\x80"), Reason.NOT_UTF8),
        (json.dumps(device_reading()).encode().replace(b"uuid", b"uui\xc0"), Reason.NOT_UTF8),
        (json.dumps(device_reading()).encode("utf-16"), Reason.UTF16),
        (json.dumps(device_reading()).encode("utf-16-be"), Reason.UTF16),
        (json.dumps(device_reading()).encode("utf-32"), Reason.UTF16),
        (json.dumps(device_reading()).encode("utf-32-be"), Reason.UTF16),
        (b"\xef\xbb\xbf" + json.dumps(device_reading()).encode(), Reason.BYTE_ORDER_MARK),
        ("\u00a0".encode(), Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (json.dumps(device_reading(device_temp=float("nan"))).encode(), Reason.NOT_JSON),
        (json.dumps(device_reading(note=float("inf"))).encode(), Reason.NOT_JSON),
        (b'{"uuid": 1,}', Reason.NOT_JSON),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"[" * 9000 + b"]" * 9000, Reason.NOT_AN_OBJECT),
        (b"[" * 100_000, Reason.NESTED_TOO_DEEP),
    ],
)
def test_bytes_that_hold_no_object_are_refused(raw, reason):
    """What is not a JSON object is refused with what it is instead."""
    assert refusal(raw) == Cause(reason)


def test_syntax_is_checked_before_fields():
    """A reading that is cut off is not JSON, even when one of its fields was wrong before the cut."""
    assert refusal(json.dumps(device_reading(uuid=5)).encode()[:-1]).reason is Reason.NOT_JSON


def test_everything_that_is_wrong_is_named():
    """All fields and reasons, in the order of the description: whoever mends a device needs to look once."""
    with pytest.raises(ReadingError) as refused:
        enrich(json.dumps({"track_id": None, "device_id": "x", "uuid": "u", "device_ts": "t"}).encode())
    assert refused.value.causes == (
        Cause(Reason.BAD_TIMESTAMP, "device_ts"),
        Cause(Reason.WRONG_TYPE, "device_id"),
        Cause(Reason.FIELD_MISSING, "device_temp"),
        Cause(Reason.WRONG_TYPE, "track_id"),
        Cause(Reason.FIELD_MISSING, "activity_type"),
    )


@pytest.mark.parametrize("longest", ["x" * LARGEST_TEXT, "é" * (LARGEST_TEXT // 2), "😀" * (LARGEST_TEXT // 4)])
def test_text_as_long_as_a_keyword_may_be_is_kept(longest):
    """The limit counts bytes of UTF-8, as Lucene does."""
    assert enriched(activity_type=longest)["activity_type"] == longest


@pytest.mark.parametrize("text", ["", "Läufer", "走る 🏃", "a\u2028b", "\x00", 'quote " and \\', "line\nend", "\x7f"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_text_keeps_its_unicode(text, ascii_only):
    """Text comes out as it went in, escaped or not, on one line."""
    raw = json.dumps(device_reading(activity_type=text, uuid=text), ensure_ascii=ascii_only).encode()
    [line] = encode([enrich(raw, ARRIVED_AT, UTC)])
    document = json.loads(line)
    assert (document["activity_type"], document["uuid"]) == (text, text)
    assert line.count(b"\n") == 1


def test_extra_fields_are_left_out_whatever_they_hold():
    """Only the six fields matter: `_id`, which Firehose would not deliver, and huge numbers included."""
    raw = (
        json.dumps(device_reading(_id="x", ingested_at="x", note="\ud800"))[:-1] + ', "big": 1e999, "n": ' + "9" * 5000
    )
    assert set(json.loads(encode([enrich((raw + "}").encode(), None, UTC)])[0])) == {
        "uuid", "timestamp", "device_id", "temp_celsius", "temp_fahrenheit", "track_id", "activity_type",
    }  # fmt: skip


@pytest.mark.parametrize("first", ["1", "null", "true", '"warm"', "[]"])
def test_last_of_duplicate_keys_counts(first):
    """A key given twice has its last value, whatever the first was."""
    raw = json.dumps(device_reading())[1:]
    [line] = encode([enrich(f'{{"device_temp": {first}, {raw}'.encode())])
    assert json.loads(line)["temp_celsius"] == 32


@pytest.mark.parametrize("arrival", [None, "1795342530456", 1.5, True, 10**18, -(10**18), 2**70])
def test_document_has_no_ingested_at_without_a_usable_arrival(arrival):
    """An arrival time that is absent or no time of the calendar is left out; the reading is not lost for it."""
    [line] = encode([enrich(json.dumps(device_reading()).encode(), arrival, UTC)])
    assert b"ingested_at" not in line


def test_error_quotes_nothing_of_the_payload():
    """What is raised may be logged: it holds the reason and a field's name, and no cause that holds more."""
    with pytest.raises(ReadingError) as refused:
        enrich(json.dumps(device_reading(device_temp="secret")).encode(), None, UTC)
    assert str(refused.value) == "wrong_type: device_temp"
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


ENCODED = b64encode(json.dumps(device_reading()).encode()).decode()


@pytest.mark.parametrize("besides", [{}, {"topic": "devices/17", "ts": 1795342530123}, {"device_id": 17}])
def test_an_encoded_reading_among_other_fields_of_an_iot_rule_is_recognised(besides):
    """`SELECT encode(*, 'base64') AS data, topic() AS topic`: AWS IoT Core Developer Guide, "Functions" (`encode`)."""
    raw = json.dumps({"data": ENCODED} | besides).encode()
    assert refusal(raw) == Cause(Reason.IOT_RULE_ENVELOPE)
    with pytest.raises(Refusal) as slow:
        slow_document(raw, ARRIVED_AT)
    assert slow.value.causes == ["iot_rule_envelope"]


def test_an_encoded_object_of_a_device_hides_no_wrong_value():
    """A whole reading may carry base64 itself: then the field that is wrong is the reason."""
    raw = json.dumps(device_reading(device_temp=-300, data=ENCODED)).encode()
    assert refusal(raw) == Cause(Reason.NUMBER_OUT_OF_RANGE, "device_temp")
    with pytest.raises(Refusal) as slow:
        slow_document(raw, ARRIVED_AT)
    assert slow.value.causes == ["number_out_of_range: device_temp"]
