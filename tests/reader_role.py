"""Read access for the live page's role in end-to-end tests, which share one OpenSearch and run at the same time.

Integration tests have a role for each process (tests/integration/conftest.py); a page in a process of its own has not.
"""

from http import HTTPStatus

from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import READER_ROLE, create_reader_role

__all__ = ["let_read"]


def let_read(server: OpenSearch, *patterns: str) -> None:
    """Let the role read the indices of these patterns too (security plugin, "Patch role"); it keeps all others.

    `create_reader_role` would replace what another test has given it.
    """
    grant = {"index_patterns": list(patterns), "allowed_actions": ["read"]}
    url = f"{server.url}/_plugins/_security/api/roles/{READER_ROLE}"
    with server.admin_session() as session:
        response = session.patch(url, json=[{"op": "add", "path": "/index_permissions/-", "value": grant}])
    if response.status_code == HTTPStatus.NOT_FOUND:
        create_reader_role(server, *patterns)
    else:
        response.raise_for_status()
