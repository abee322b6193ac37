"""What GetRecords returns, and the user records in it."""

from typing import Final

import msgspec

from iot_stream.delivery.core import kpl
from iot_stream.delivery.core.record import Record, record_id

__all__ = ["GetRecordsResponse", "KinesisRecord", "epoch_ms", "to_records"]

_FINER_UNIT: Final = 1e11


class KinesisRecord(msgspec.Struct):
    """A record of a stream ("Record" in the Kinesis API)."""

    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: str
    PartitionKey: str


class GetRecordsResponse(msgspec.Struct):
    """A response of GetRecords; without a next iterator, the shard is closed and these are its last records."""

    Records: list[KinesisRecord]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


def to_records(shard: str, response: GetRecordsResponse) -> list[Record]:
    """Return the user records in a response, with aggregated KPL records deaggregated."""
    records: list[Record] = []
    for kinesis in response.Records:
        sequence, data = kinesis.SequenceNumber, kinesis.Data
        arrived = epoch_ms(kinesis.ApproximateArrivalTimestamp)
        users = kpl.deaggregate(data) if kpl.looks_aggregated(data) else None
        if users is None:
            size = len(data) // 4 * 3 - data.count("=", -2)
            name = record_id(shard, sequence, None)
            records.append(Record(shard, sequence, None, kinesis.PartitionKey, arrived, data, name, size))
            continue
        for number, user in enumerate(users):
            text, name = kpl.encode(user.data), record_id(shard, sequence, number)
            records.append(Record(shard, sequence, number, user.partition_key, arrived, text, name, len(user.data)))
    return records


def epoch_ms(timestamp: float) -> int:
    """Return a timestamp in milliseconds; AWS's are in seconds, those of other implementations in finer units too.

    More than 100 billion seconds would be beyond the year 5000, as many milliseconds are in 1973.
    """
    while abs(timestamp) >= _FINER_UNIT:
        timestamp /= 1000
    return round(timestamp * 1000)
