"""Reconcile what the stream accepted with where it ended: searchable in the index, a failure object in S3, or missing.

Counts alone can hide a lost record behind a duplicate, so records are matched one by one (docs/adr/0010): a document by
its id, which the delivery worker makes of shard and sequence number, and a failed record by the digest of its bytes,
which failure objects hold as `rawData`. Records need no field for it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import batched

from opensearchpy import OpenSearch as Client

from iot_stream.delivery.core.record import record_id
from iot_stream.failure_objects import FailedRecord, FailureKind
from iot_stream.generator.ledger import Accepted, digest_of

__all__ = ["Reconciliation", "reconcile"]

_PAGE = 10_000  # OpenSearch's own limit for one page of hits


@dataclass(frozen=True)
class Reconciliation:
    """How many records were sent and where they ended; `duplicates` counts documents beyond one per record."""

    sent: int
    searchable: int
    failed: int
    missing: int
    duplicates: int

    @property
    def complete(self) -> bool:
        """Whether every record is searchable or a failure object."""
        return self.missing == 0


def reconcile(
    records: Iterable[Accepted], client: Client, index: str, failures: Iterable[FailedRecord]
) -> Reconciliation:
    """Match accepted records with documents of `index` and with failed records.

    Args:
        records: what the stream accepted.
        client: an OpenSearch client that may read `index`.
        index: index name or pattern; it need not exist.
        failures: what the failure objects hold. Records with the same bytes are told apart by their number only.
    """
    failed_digests: Counter[bytes] = Counter()
    failed_ids: set[str] = set()
    for failure in failures:
        if failure.kind is FailureKind.DOCUMENT:
            failed_ids.add(failure.document_id)
        elif failure.data is not None:
            failed_digests[digest_of(failure.data)] += 1
    sent = searchable = failed = documents = 0
    for batch in batched(records, _PAGE // 2, strict=False):
        ids = {record_id(record.shard, record.sequence, None): record for record in batch}
        found = _searchable_ids(client, index, list(ids))
        documents += len(found)
        sent += len(batch)
        searchable += len(set(found))
        for name in ids.keys() - set(found):
            if name in failed_ids:
                failed += 1
            elif failed_digests[ids[name].digest] > 0:
                failed_digests[ids[name].digest] -= 1
                failed += 1
    return Reconciliation(sent, searchable, failed, sent - searchable - failed, documents - searchable)


def _searchable_ids(client: Client, index: str, ids: list[str]) -> list[str]:
    """Return the id of each document of `index` that has one of `ids`, once per document."""
    response = client.search(
        index=index,
        body={"query": {"ids": {"values": ids}}, "_source": False, "size": _PAGE},
        params={"ignore_unavailable": "true"},
    )
    return [hit["_id"] for hit in response["hits"]["hits"]]
