"""Reconcile what was sent with where it ended: searchable in the index, a failure object in S3, or missing.

Counts alone can hide a lost record behind a duplicate, so readings are matched one by one, by uuid.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched

from opensearchpy import OpenSearch as Client

from iot_stream.failure_objects import FailureObjects

__all__ = ["Reconciliation", "failed_uuids", "reconcile"]

_PAGE = 10_000  # OpenSearch's own limit for one page of hits


@dataclass(frozen=True)
class Reconciliation:
    """How many readings were sent and where they ended; `duplicates` counts documents beyond one per reading."""

    sent: int
    searchable: int
    failed: int
    missing: int
    duplicates: int

    @property
    def complete(self) -> bool:
        """Whether every reading is searchable or a failure object."""
        return self.missing == 0


def reconcile(uuids: Iterable[str], client: Client, index: str, failures: Iterable[str]) -> Reconciliation:
    """Match sent readings with documents of `index` and with the readings of failure objects.

    Args:
        uuids: those of all sent readings.
        client: an OpenSearch client that may read `index`.
        index: index name or pattern; it need not exist.
        failures: uuids found in failure objects.
    """
    kept = set(failures)
    sent = searchable = failed = missing = documents = 0
    for batch in batched(uuids, _PAGE // 2, strict=False):
        found = _searchable_uuids(client, index, batch)
        documents += len(found)
        unique = set(found)
        sent += len(batch)
        searchable += len(unique)
        rest = set(batch) - unique
        failed += len(rest & kept)
        missing += len(rest - kept)
    return Reconciliation(sent, searchable, failed, missing, documents - searchable)


def _searchable_uuids(client: Client, index: str, uuids: Iterable[str]) -> list[str]:
    """Return the uuid of each document of `index` that has one of `uuids`, once per document."""
    response = client.search(
        index=index,
        body={"query": {"terms": {"uuid": list(uuids)}}, "_source": ["uuid"], "size": _PAGE},
        params={"ignore_unavailable": "true"},
    )
    return [hit["_source"]["uuid"] for hit in response["hits"]["hits"]]


def failed_uuids(failures: FailureObjects) -> Iterator[str]:
    """Yield the uuid of each reading or document in the failure objects; data without one is skipped.

    Raises:
        FailureReadError: the bucket can't be listed.
    """
    for record in failures.records_of(failures.objects()):
        yield from _uuid_of(record.data or b"")


def _uuid_of(data: bytes) -> Iterator[str]:
    try:
        yield str(json.loads(data)["uuid"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return
