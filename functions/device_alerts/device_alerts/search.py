"""The domain, called as this function's own IAM role (Signature Version 4).

Contract: OpenSearch documentation, "Search", "Multi-get", "Bulk", "Index document" with `if_seq_no`; and AWS page
"Signing HTTP requests to Amazon OpenSearch Service". Errors name the call and OpenSearch's reason, never a document.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import boto3
import requests
from requests_aws4auth import AWS4Auth

from device_alerts.run import ConflictError, Version

__all__ = ["Domain", "DomainError"]

_CALL_SECONDS: Final = 30.0
_RESERVE_SECONDS: Final = 3.0  # no call runs in the last seconds before the function's timeout
_MOST_BULK_BYTES: Final = 4_000_000  # the smallest instances take requests of 10 MiB
_OK: Final = range(200, 300)
_NOT_FOUND, _CONFLICT = 404, 409


class DomainError(Exception):
    """The domain does not respond, or rejects a call; says which call and why."""


class Domain:
    """The readings and the alerts of one domain; a `device_alerts.run.Index`.

    Args:
        endpoint: `host[:port]`; its certificate is verified, with `REQUESTS_CA_BUNDLE` where that is set.
        readings: the index pattern of the readings.
        alerts: the alerts index.
        session: whose credentials sign.
        remaining: seconds until the function's time-out.
    """

    def __init__(
        self, endpoint: str, readings: str, alerts: str, session: boto3.Session, remaining: Callable[[], float]
    ) -> None:
        self._url = f"https://{endpoint}"
        self._readings = quote(readings, safe="*")
        self._alerts = quote(alerts, safe="")
        self._remaining = remaining
        self._http = requests.Session()
        self._http.auth = AWS4Auth(
            refreshable_credentials=session.get_credentials(), region=session.region_name, service="es"
        )

    def search_readings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the readings; without an index there is none."""
        return self._search(f"/{self._readings}/_search?ignore_unavailable=true", body)

    def search_alerts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the alerts index."""
        return self._search(f"/{self._alerts}/_search", body)

    def refresh(self) -> None:
        """Make everything that was written to the alerts index searchable."""
        self._call("POST", f"/{self._alerts}/_refresh")

    def get(self, identity: str) -> tuple[dict[str, Any], Version] | None:
        """Return a document of the alerts index as it is now; None without it, or without the index."""
        status, body = self._call("GET", f"/{self._alerts}/_doc/{quote(identity, safe='')}", allowed=(_NOT_FOUND,))
        if status == _NOT_FOUND:
            return None
        return body["_source"], Version(body["_seq_no"], body["_primary_term"])

    def get_many(self, identities: list[str]) -> list[dict[str, Any] | None]:
        """Return documents of the alerts index as they are now, in order."""
        _, body = self._call("POST", f"/{self._alerts}/_mget", {"ids": identities})
        found = []
        for each in body["docs"]:
            if "error" in each:
                raise DomainError(f"_mget failed: {_reason(each)}")
            found.append(each["_source"] if each.get("found") else None)
        return found

    def put(self, identity: str, document: Mapping[str, Any], version: Version | None) -> Version:
        """Write a document if it has not changed since it was read.

        Raises:
            ConflictError: it is not.
        """
        place = (
            "op_type=create"
            if version is None
            else f"if_seq_no={version.seq_no}&if_primary_term={version.primary_term}"
        )
        path = f"/{self._alerts}/_doc/{quote(identity, safe='')}?{place}"
        status, body = self._call("PUT", path, document, allowed=(_CONFLICT,))
        if status == _CONFLICT:
            raise ConflictError(identity)
        return Version(body["_seq_no"], body["_primary_term"])

    def put_many(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Write documents by their ids, in requests of a bounded size.

        Raises:
            DomainError: one of them was refused.
        """
        lines: list[str] = []
        size = 0
        for identity, document in documents.items():
            pair = f"{json.dumps({'index': {'_id': identity}})}\n{json.dumps(document)}\n"
            if lines and size + len(pair) > _MOST_BULK_BYTES:
                self._bulk("".join(lines))
                lines, size = [], 0
            lines.append(pair)
            size += len(pair)
        if lines:
            self._bulk("".join(lines))

    def delete_many(self, identities: list[str]) -> None:
        """Delete documents; documents that no longer exist are not an error.

        Raises:
            DomainError: one of them was refused.
        """
        self._bulk("".join(f"{json.dumps({'delete': {'_id': identity}})}\n" for identity in identities))

    def _bulk(self, text: str) -> None:
        _, body = self._call("POST", f"/{self._alerts}/_bulk", text)
        if body["errors"]:
            failed = [each for item in body["items"] for each in item.values() if "error" in each]
            raise DomainError(f"{len(failed)} documents were rejected: {_reason(failed[0])}")

    def _search(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        _, response = self._call("POST", path, body)
        if response["_shards"]["failed"] or response["timed_out"]:
            raise DomainError(
                "only some of the shards responded to a search: no alerts are decided on incomplete results"
            )
        return dict(response)

    def _call(
        self, method: str, path: str, body: Any = None, *, allowed: tuple[int, ...] = ()
    ) -> tuple[int, dict[str, Any]]:
        name = f"{method} {path.split('?', maxsplit=1)[0]}"
        seconds = min(_CALL_SECONDS, self._remaining() - _RESERVE_SECONDS)
        if seconds <= 0:
            raise DomainError(f"no time is left for {name}: the next run continues")
        data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        try:
            response = self._http.request(
                method,
                self._url + path,
                data=data.encode() if data is not None else None,
                headers={"Content-Type": kind} if data is not None else {},
                timeout=seconds,
                allow_redirects=False,
            )
            parsed = response.json()
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors
            raise DomainError(f"{name}: no usable response ({type(error).__name__})") from None
        if response.status_code in _OK or response.status_code in allowed:
            return response.status_code, parsed
        raise DomainError(f"{name} failed with {response.status_code}: {_reason(parsed)}")


def _reason(body: Any) -> str:
    """Return OpenSearch's reason in one line; for a rejected document only the type, as the reason may quote it."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        if error.get("type") == "security_exception":
            return str(error.get("reason", ""))[:400]
        return str(error.get("type") or error.get("message") or "unknown")[:400]
    return str(error)[:400]
