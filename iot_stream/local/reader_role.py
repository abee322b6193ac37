"""The role with which the live page, the terminal and snapshots read the local OpenSearch.

It may search the stack's index and do nothing else. No user and no password belong to it: a short-lived token names the
role, and the security plugin maps it to itself. `up` creates it once; whoever only reads never writes here.
"""

import time
from http import HTTPStatus

import requests

from iot_stream.errors import SetupError
from iot_stream.local.opensearch import OpenSearch

__all__ = ["READER_ROLE", "create_reader_role"]

READER_ROLE = "iot-stream-live-reader"
_SECONDS = 60  # each change makes the security plugin reload its whole configuration
_CONFLICT_SECONDS = 0.2


def create_reader_role(server: OpenSearch, *patterns: str) -> None:
    """Create the role with read access to the indices of the patterns, and map it to its own name.

    Security plugin REST API: "Create role" and "Create role mapping", both PUT; a concurrent change is a 409.

    Raises:
        SetupError: OpenSearch refuses, or does not respond.
    """
    role = {
        "cluster_permissions": ["indices:data/read/msearch"],
        "index_permissions": [{"index_patterns": list(patterns), "allowed_actions": ["read"]}],
    }
    deadline = time.monotonic() + _SECONDS
    with server.admin_session() as session:
        for kind, body in (("roles", role), ("rolesmapping", {"backend_roles": [READER_ROLE]})):
            url = f"{server.url}/_plugins/_security/api/{kind}/{READER_ROLE}"
            try:
                response = session.put(url, json=body, timeout=_SECONDS)
                while response.status_code == HTTPStatus.CONFLICT and time.monotonic() < deadline:
                    time.sleep(_CONFLICT_SECONDS)
                    response = session.put(url, json=body, timeout=_SECONDS)
                response.raise_for_status()
            except requests.RequestException as error:
                raise SetupError(f"OpenSearch did not create the live page's role: {error}") from error
