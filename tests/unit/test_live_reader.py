"""Searches as the reader's role: what OpenSearch is asked, and what people are told when it does not do it."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy.exceptions import AuthorizationException, TransportError
from opensearchpy.exceptions import ConnectionError as NoConnection

from iot_stream.dashboards.search import BadQueryError, SearchError
from iot_stream.live.reader import Reader

GOOD = {"hits": {"hits": []}, "_shards": {"failed": 0}, "timed_out": False, "status": 200}


@dataclass
class Client:
    """An opensearch-py client whose msearch returns these responses, or raises ("Multi-search", OpenSearch API)."""

    responses: list[dict[str, Any]] | Exception
    bodies: list[str] = field(default_factory=list)

    def msearch(self, body: str) -> dict[str, Any]:
        """Return the responses."""
        self.bodies.append(body)
        if isinstance(self.responses, Exception):
            raise self.responses
        return {"took": 1, "responses": self.responses}


def search(responses: list[dict[str, Any]] | Exception) -> list[dict[str, Any]]:
    """Run one search for each response."""
    count = len(responses) if isinstance(responses, list) else 1
    return Reader(Client(responses))([("index-*", {"size": 0})] * count)  # type: ignore[arg-type]


def test_searches_are_lines_of_header_and_body() -> None:
    """Each search is two lines, the last one ended too; a pattern without an index is not an error."""
    client = Client([GOOD, GOOD])
    assert Reader(client)([("a-*", {"size": 1}), ("b", {"size": 2})]) == [GOOD, GOOD]  # type: ignore[arg-type]
    (body,) = client.bodies
    assert body.endswith("\n")
    assert [json.loads(line) for line in body.splitlines()] == [
        {"index": "a-*", "ignore_unavailable": True},
        {"size": 1},
        {"index": "b", "ignore_unavailable": True},
        {"size": 2},
    ]


def test_a_role_without_rights_says_how_to_get_them() -> None:
    """The role is made when the local stack starts."""
    with pytest.raises(SearchError, match="may search: start the local stack again"):
        search(AuthorizationException(403, "security_exception", {}))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TransportError(503, "busy", {}), r"\(TransportError 503\)"),
        (NoConnection("N/A", "refused", OSError()), r"\(ConnectionError\)"),
    ],
)
def test_no_response_is_said_with_its_status(error: Exception, words: str) -> None:
    """Where there is one."""
    with pytest.raises(SearchError, match=f"OpenSearch does not respond {words}: is the local stack running"):
        search(error)


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        ({"status": 400, "error": {"type": "a", "root_cause": [{"type": "b", "reason": "bad"}]}}, BadQueryError, "bad"),
        ({"status": 500, "error": {"type": "a", "reason": "worse"}}, SearchError, "worse"),
        ({"status": 500, "error": {"type": "a", "root_cause": []}}, SearchError, "a"),
    ],
)
def test_a_rejected_search_has_its_innermost_reason(
    response: dict[str, Any], error: type[Exception], words: str
) -> None:
    """A 400 is the query's fault; where there is no reason, the type has to do."""
    with pytest.raises(SearchError, match=f"^OpenSearch rejected a search: {words}$") as raised:
        search([GOOD, response])
    assert raised.type is error


@pytest.mark.parametrize("partial", [{"_shards": {"failed": 1}}, {"timed_out": True}])
def test_half_a_response_is_no_response(partial: dict[str, Any]) -> None:
    """Figures of some shards would be wrong without saying so."""
    with pytest.raises(SearchError, match="only some of its shards"):
        search([GOOD | partial])
