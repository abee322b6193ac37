"""The local stack's counts in flow order, each from the part that knows it."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException

from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.failure_objects import FailureObjects, FailureReadError
from iot_stream.generator.ledger import Ledger
from iot_stream.local.local_stack import LocalStack

__all__ = ["Counts", "read_counts", "with_resolved"]


@dataclass(frozen=True)
class Counts:
    """Records at each step since `up`.

    Attributes:
        sent: records that the stream accepted from `iot-stream send` and `run`.
        transformed: records that the function returned as Ok.
        delivered: documents that OpenSearch accepted.
        failed: records and documents written to failure objects.
        searchable: documents of the index, None while OpenSearch does not respond.
        pending: records read from the stream whose outcome is still open.
        lag_ms: age of the oldest pending record in milliseconds, 0 when there is none; None while the delivery worker,
            which knows it, is not running.
        delivering: whether the delivery worker is running.
        last_error: when and what the worker's last error was, None if there was none or it is cured.
        unresolved: whether some of the failed records were neither replayed nor discarded; None when that is not known.
    """

    sent: int
    transformed: int
    delivered: int
    failed: int
    searchable: int | None
    pending: int
    lag_ms: int | None
    delivering: bool
    last_error: str | None
    unresolved: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return asdict(self)


def read_counts(local_stack: LocalStack, client: Client, index: str) -> Counts:
    """Return the counts as they are now.

    Args:
        local_stack: a running local stack.
        client: an OpenSearch client that may read the index.
        index: the index name, without the suffix of a rotation.
    """
    delivery, delivering = read_status(local_stack.delivery_state), local_stack.delivering
    return Counts(
        sent=Ledger(local_stack.ledger_folder).sent,
        transformed=delivery.transformed,
        delivered=delivery.delivered,
        failed=delivery.failed,
        searchable=_searchable(client, index),
        pending=delivery.pending,
        lag_ms=delivery.lag_ms if delivering else None,
        delivering=delivering,
        last_error=_last_error(delivery),
    )


def with_resolved(counts: Counts, objects: FailureObjects) -> Counts:
    """Return the counts with what the bucket says of resolved records: the worker's count of failures only grows."""
    try:
        unresolved = objects.any_left() if counts.failed else False
    except FailureReadError:
        unresolved = None
    return replace(counts, unresolved=unresolved)


def _last_error(delivery: DeliveryStatus) -> str | None:
    if delivery.last_error is None or delivery.last_error_at is None:
        return delivery.last_error
    return f"{datetime.fromtimestamp(delivery.last_error_at / 1000, UTC):%H:%M:%S} UTC, {delivery.last_error}"


def _searchable(client: Client, index: str) -> int | None:
    try:
        response = client.count(index=f"{index}*", params={"ignore_unavailable": "true"})
    except OpenSearchException:
        return None
    return int(response["count"])
