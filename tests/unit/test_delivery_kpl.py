"""KPL records: the aggregated format is decoded exactly, and nothing else is mistaken for it."""

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core import kpl
from tests.kpl import MAGIC, UserRecord, aggregate, field, varint

user_records = st.builds(UserRecord, st.text(min_size=1, max_size=300), st.binary(max_size=400))


@given(st.lists(user_records, min_size=1, max_size=20))
def test_user_records_come_out_as_they_went_in(records: list[UserRecord]) -> None:
    """Number, order, keys and data of user records survive aggregation."""
    data = base64.b64encode(aggregate(records)).decode()
    assert kpl.looks_aggregated(data)
    assert kpl.deaggregate(data) == records


@given(st.binary(max_size=200))
def test_other_data_is_a_plain_record(data: bytes) -> None:
    """Data that is not an aggregated record is unchanged, whatever it begins with, and never raises."""
    assert kpl.deaggregate(base64.b64encode(data).decode()) is None
    assert kpl.deaggregate(base64.b64encode(MAGIC + data).decode()) is None


@given(st.binary(min_size=1, max_size=200))
def test_a_sound_digest_over_nonsense_is_no_aggregated_record(message: bytes) -> None:
    """A message with a valid magic number and digest is decoded as a whole, or the record is left unchanged."""
    data = base64.b64encode(MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()).decode()
    users = kpl.deaggregate(data)
    assert users is None or all(isinstance(user, UserRecord) for user in users)


def test_a_damaged_digest_is_no_aggregated_record() -> None:
    """An aggregated record whose digest does not match is one plain record."""
    whole = aggregate([UserRecord("a", b"1")])
    assert kpl.deaggregate(base64.b64encode(whole[:-1] + b"\0").decode()) is None


def test_unknown_fields_are_passed_over() -> None:
    """Explicit hash keys, tags and fields of later versions are ignored."""
    extra = field(2, 5) + field(4, b"\x0a\x01t") + varint(9 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4)
    whole = aggregate([UserRecord("a", b"1"), UserRecord("b", b"2")], extra=extra)
    assert kpl.deaggregate(base64.b64encode(whole).decode()) == [UserRecord("a", b"1"), UserRecord("b", b"2")]
