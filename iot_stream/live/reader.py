"""Read OpenSearch as a user who may do nothing else.

The user is a role, as everything that signs in here is: a short-lived token names it, and the security plugin maps
that name to read access on one index pattern. No password exists that could leak. The administrator's certificate
is needed once, to make the role.
"""

import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import requests
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException

from iot_stream.dashboards.answers import Body, QuestionError, SearchError
from iot_stream.local.opensearch import OpenSearch

__all__ = ["Reader", "connect", "make_role"]

ROLE = "iot-stream-live-reader"
_TOKEN_SECONDS = 60
_SECONDS = 10
_ROLE_SECONDS = 60  # each change makes the security plugin read everything anew


class Reader:
    """Runs searches; an `iot_stream.dashboards.answers.Search`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, searches: Sequence[tuple[str, Body]]) -> list[dict[str, Any]]:
        """Answer the response to each (index, body), in order.

        A pattern that no index fits gives a response without hits and aggregations. Raises SearchError when
        OpenSearch does not answer, refuses, or answers only in part.
        """
        lines: list[str] = []
        for index, body in searches:
            lines += [json.dumps({"index": index, "ignore_unavailable": True}), json.dumps(body)]
        try:
            answers = self._client.msearch(body="\n".join(lines) + "\n")["responses"]
        except OpenSearchException as error:
            raise SearchError(f"OpenSearch does not answer ({_reason(error)}): is the local stack running?") from error
        for answer in answers:
            if "error" in answer:
                cause = (answer["error"].get("root_cause") or [answer["error"]])[0]
                kind = QuestionError if answer.get("status") == HTTPStatus.BAD_REQUEST else SearchError
                raise kind(f"OpenSearch refused a search: {cause.get('reason') or cause.get('type')}")
            if answer["_shards"]["failed"] or answer["timed_out"]:
                raise SearchError("OpenSearch answered only in part: look at its log")
        return list(answers)


def make_role(server: OpenSearch, pattern: str) -> None:
    """Give the reader's role read access to the indices of `pattern`, and map the role to its own name.

    Security plugin REST API: PUT roles, PUT rolesmapping. Raises SearchError when they are refused.
    """
    role = {
        "cluster_permissions": ["indices:data/read/msearch"],
        "index_permissions": [{"index_patterns": [pattern], "allowed_actions": ["read"]}],
    }
    deadline = time.monotonic() + _ROLE_SECONDS
    with server.admin_session() as session:
        for kind, body in (("roles", role), ("rolesmapping", {"backend_roles": [ROLE]})):
            url = f"{server.url}/_plugins/_security/api/{kind}/{ROLE}"
            try:
                answer = session.put(url, json=body, timeout=_ROLE_SECONDS)
                while answer.status_code == HTTPStatus.CONFLICT and time.monotonic() < deadline:
                    time.sleep(0.2)  # somebody else changes roles at this moment
                    answer = session.put(url, json=body, timeout=_ROLE_SECONDS)
                answer.raise_for_status()
            except requests.RequestException as error:
                raise SearchError(f"the live page's role could not be made: {error}") from error


def connect(server: OpenSearch) -> Client:
    """An OpenSearch client that signs in as the reader, each request with a token made for it."""

    def sign(*_: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {server.token(ROLE, seconds=_TOKEN_SECONDS)}"}

    return Client(
        hosts=[server.url],
        http_auth=sign,
        ca_certs=str(server.ca_file),
        timeout=_SECONDS,
        max_retries=1,
        pool_maxsize=8,
    )


def _reason(error: OpenSearchException) -> str:
    status = getattr(error, "status_code", None)
    return f"{type(error).__name__}{f' {status}' if status not in {None, 'N/A'} else ''}"
