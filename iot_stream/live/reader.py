"""Search OpenSearch as the reader's role, which can do nothing else."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import AuthorizationException, OpenSearchException

from iot_stream.dashboards.search import BadQueryError, Body, SearchError
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import READER_ROLE

__all__ = ["Reader", "connect"]

_TOKEN_SECONDS = 60
_SECONDS = 10


class Reader:
    """Run searches through an opensearch-py client; an `iot_stream.dashboards.search.Search`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, searches: Sequence[tuple[str, Body]]) -> list[dict[str, Any]]:
        """Return the response to each (index, body), in order.

        A pattern without any index gives a response without hits and aggregations.

        Raises:
            SearchError: OpenSearch does not respond, rejects a search, or some of its shards failed.
        """
        lines: list[str] = []
        for index, body in searches:
            lines += [json.dumps({"index": index, "ignore_unavailable": True}), json.dumps(body)]
        try:
            responses = self._client.msearch(body="\n".join(lines) + "\n")["responses"]
        except AuthorizationException as error:
            raise SearchError(
                f"OpenSearch has no role {READER_ROLE} that may search: start the local stack again (`iot-stream up`)"
            ) from error
        except OpenSearchException as error:
            raise SearchError(f"OpenSearch does not respond ({_reason(error)}): is the local stack running?") from error
        for response in responses:
            if "error" in response:
                cause = (response["error"].get("root_cause") or [response["error"]])[0]
                kind = BadQueryError if response.get("status") == HTTPStatus.BAD_REQUEST else SearchError
                raise kind(f"OpenSearch rejected a search: {cause.get('reason') or cause.get('type')}")
            if response["_shards"]["failed"] or response["timed_out"]:
                raise SearchError("OpenSearch searched only some of its shards: check its log")
        return list(responses)


def connect(server: OpenSearch) -> Client:
    """Return an OpenSearch client that signs in as the reader's role, with a new token for each request."""
    # opensearch-py logs a traceback for each failed call; the SearchError is what people see.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)

    def sign(*_: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {server.token(READER_ROLE, seconds=_TOKEN_SECONDS)}"}

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
