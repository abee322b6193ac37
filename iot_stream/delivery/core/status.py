"""What a worker reports about itself."""

import msgspec

__all__ = ["DeliveryStatus"]


class DeliveryStatus(msgspec.Struct, frozen=True):
    """Counts of user records since the state was created.

    Attributes:
        read: read from the stream.
        transformed: the function returned Ok, or there is no function.
        dropped: the function returned Dropped.
        processing_failed: the function failed them; they are in failure objects, or will be.
        delivered: indexed.
        failed: in failure objects, of both kinds.
        pending: read, without an outcome yet.
        gaps: how often records may have left the stream unread, past its retention.
        lag_ms: age of the oldest pending record, or how far reading is behind the tip of the stream, whichever is
            greater; 0 when there is nothing to do.
        oldest_undelivered: arrival of the oldest pending record, epoch milliseconds.
        last_error: the last entry of the error log, as long as records that had arrived before it wait for an outcome.
        last_error_at: when it was written, epoch milliseconds.
        updated_at: when this was written, epoch milliseconds.
        version: VersionId of the delivery stream's settings in force.
        state: `running`, `paused` (out of memory for records: neither the domain nor the bucket accepts), `stopped`.
    """

    read: int = 0
    transformed: int = 0
    dropped: int = 0
    processing_failed: int = 0
    delivered: int = 0
    failed: int = 0
    pending: int = 0
    gaps: int = 0
    lag_ms: int = 0
    oldest_undelivered: int | None = None
    last_error: str | None = None
    last_error_at: int | None = None
    updated_at: int = 0
    version: str = ""
    state: str = "running"
