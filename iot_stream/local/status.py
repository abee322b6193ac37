"""The pipeline's counts on this machine, in flow order, from those who know them."""

from dataclasses import asdict, dataclass
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException

from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.generator.ledger import Ledger
from iot_stream.local.local_stack import LocalStack

__all__ = ["Status", "administrator", "ledger", "status"]


@dataclass(frozen=True)
class Status:
    """Records at each step since `up`; `lag_ms` is the age of the oldest record on its way, 0 when there is none.

    `searchable` is None while OpenSearch does not answer.
    """

    sent: int
    transformed: int
    delivered: int
    failed: int
    searchable: int | None
    pending: int
    lag_ms: int
    delivering: bool
    last_error: str | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def ledger(local_stack: LocalStack) -> Ledger:
    """What `iot-stream send` writes on this machine."""
    return Ledger(local_stack.folder / "sent")


def administrator(local_stack: LocalStack) -> Client:
    """An OpenSearch client with the administrator's certificate."""
    server = local_stack.opensearch
    return Client(
        hosts=[server.url],
        ca_certs=str(server.ca_file),
        client_cert=str(server.admin_cert),
        client_key=str(server.admin_key),
        timeout=10,
        max_retries=2,
    )


def status(local_stack: LocalStack, client: Client, index: str) -> Status:
    """The counts now; `index` is the index name before rotation."""
    delivery = read_status(local_stack.delivery_state)
    return Status(
        sent=ledger(local_stack).sent,
        transformed=delivery.transformed,
        delivered=delivery.delivered,
        failed=delivery.failed,
        searchable=_searchable(client, index),
        pending=delivery.pending,
        lag_ms=delivery.lag_ms,
        delivering=local_stack.delivering,
        last_error=delivery.last_error,
    )


def _searchable(client: Client, index: str) -> int | None:
    try:
        answer = client.count(index=f"{index}*", params={"ignore_unavailable": "true"})
    except OpenSearchException:
        return None
    return int(answer["count"])
