"""Track the read position of one shard, and detect records that may have expired before they were read.

Kinesis accepts any sequence number as a position and says nothing of what it no longer has: where the position's record
is past the stream's retention, it continues with the oldest one that is left. So a position is verified by reading its
record again, whenever reading continues there with a new iterator: at the start, and after an iterator was lost (it
expires after five minutes, "GetShardIterator" in the Kinesis API).
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from iot_stream.delivery.core.get_records import GetRecordsResponse, epoch_ms, to_records
from iot_stream.delivery.core.record import Record

__all__ = ["MIN_RETENTION", "Gap", "ShardBatch", "ShardReader"]

# "The minimum value … is 24 hours" (RetentionPeriodHours of DecreaseStreamRetentionPeriod), in milliseconds.
MIN_RETENTION: Final = 24 * 3600 * 1000
_FIRST_LIMIT: Final = 100  # while the records' size is unknown


class Gap(NamedTuple):
    """Records may have left the stream unread: those that arrived between these moments (epoch ms).

    Attributes:
        since: until when everything was read; None when an earlier worker read it, which does not say when.
        until: arrival of the first record that is left; None while there is none.
    """

    since: int | None
    until: int | None

    def describe(self, shard: str) -> str:
        """Return the gap as a sentence about this shard."""
        since, until = (f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%MZ}" if at else "" for at in self)
        arrived = " and ".join(filter(None, (since and f"after {since}", until and f"before {until}")))
        records = f"records of {shard}" + (f" that arrived {arrived}" if arrived else "")
        return f"{records} may have left the stream unread"


class ShardBatch(NamedTuple):
    """The result of one GetRecords.

    Attributes:
        shard: the shard's id.
        records: its user records, in order.
        behind: MillisBehindLatest.
        ended: whether the shard is closed and these are its last records.
        throttled: the operation that Kinesis throttled (GetRecords or GetShardIterator), with nothing read.
        restarted: whether the shard has no record at its saved position, so that it is read from the start again.
        gap: before these records, when others may have left the stream unread.
    """

    shard: str
    records: list[Record]
    behind: int
    ended: bool
    throttled: str | None = None
    restarted: bool = False
    gap: Gap | None = None


class ShardReader:
    """The read position of one shard.

    Attributes:
        shard: the shard's id.
        after: sequence number of the last record that was read; None reads from the delivery stream's start.
        verified: whether the next response continues right after `after`; otherwise it must begin with that record.
        iterator: for the next GetRecords; None when a new one is needed.
        limit: records of the next GetRecords.
        attempt: failures in a row.
    """

    def __init__(self, shard: str, after: str | None) -> None:
        self.shard = shard
        self.after = after
        self.verified = after is None
        self.iterator: str | None = None
        self.limit = _FIRST_LIMIT
        self.attempt = 0
        self._seen_until: int | None = None  # everything that arrived before is read (epoch ms); None: not by this one
        self._saved: str | None = None  # a saved position that has no record, until the oldest record is known
        self._restarted = False
        self._gap: Gap | None = None

    def lose_iterator(self) -> None:
        """Continue with a new iterator, after the last record."""
        self.iterator = None
        self.verified = self.after is None and self._seen_until is None

    def accept(self, response: GetRecordsResponse, now: int) -> bool:
        """Take a response's position, and drop the record at `after` from it if that was to be verified.

        Args:
            response: what GetRecords returned.
            now: epoch milliseconds.

        Returns:
            False when the shard has no record at `after`: then it is read from the delivery stream's start.
        """
        self.iterator = response.NextShardIterator
        if not self.verified and not self._verify(response, now):
            return False
        if response.Records:
            first, last = response.Records[0], response.Records[-1]
            if self._saved is not None:
                if int(first.SequenceNumber) > int(self._saved):
                    self._gap = Gap(None, epoch_ms(first.ApproximateArrivalTimestamp))
                self._saved = None
            self.after = last.SequenceNumber
            self._seen_until = epoch_ms(last.ApproximateArrivalTimestamp)
        if response.MillisBehindLatest == 0:
            self._seen_until = now
        return True

    def reject(self, now: int) -> None:
        """Read from the delivery stream's start, because Kinesis says that `after` is not a position of this shard."""
        self._leave_position(now, until=None)

    def expire(self, now: int) -> None:
        """End the shard, which the stream no longer has."""
        self.iterator, self.verified = None, True
        if self._seen_until is None or self._may_have_missed(now):
            self._gap = Gap(self._seen_until, None)

    def batch(self, response: GetRecordsResponse) -> ShardBatch:
        """Return what was read with a response that was accepted."""
        restarted, self._restarted = self._restarted, False
        gap, self._gap = self._gap, None
        records = to_records(self.shard, response)
        ended = self.iterator is None
        return ShardBatch(self.shard, records, response.MillisBehindLatest, ended, restarted=restarted, gap=gap)

    def _verify(self, response: GetRecordsResponse, now: int) -> bool:
        """Compare a response with the position; return whether its other records continue there."""
        records = response.Records
        if records and records[0].SequenceNumber == self.after:
            self.verified = True
            self._seen_until = epoch_ms(records.pop(0).ApproximateArrivalTimestamp)
            return True
        if not records and response.MillisBehindLatest > 0:
            return True  # "It might take multiple calls to get to a portion of the shard that contains records"
        until = epoch_ms(records[0].ApproximateArrivalTimestamp) if records else None
        missed = self._may_have_missed(now)
        continues = self.after is None or (int(records[0].SequenceNumber) > int(self.after) if records else not missed)
        if self._seen_until is None or not continues:
            self._leave_position(now, until)
            return False
        self.verified = True
        if missed:
            self._gap = Gap(self._seen_until, until)
        return True

    def _may_have_missed(self, now: int) -> bool:
        """Return whether records that arrived after the last one read may be past the retention."""
        return self._seen_until is not None and now - self._seen_until >= MIN_RETENTION

    def _leave_position(self, now: int, until: int | None) -> None:
        if self._seen_until is None:
            self._saved, self._restarted = self.after, True
        elif self._may_have_missed(now):
            self._gap = Gap(self._seen_until, until)
        self.after, self.iterator, self.verified = None, None, True
