"""The body of a `_bulk` request, and what the response says about each document ("Bulk" in the OpenSearch API)."""

import re
from typing import Any, Final, NamedTuple

import msgspec

from iot_stream.delivery.core.record import Document
from iot_stream.delivery.errors import DECODE_ERRORS

__all__ = ["PATH", "IndexingError", "build_body", "is_one_line", "parse_response", "wire_size"]

# Return only the status and error of each item: a full response is as large as the documents. `*` and `,` are
# percent-encoded as in a signature's canonical request, so that signer and verifier cannot differ about them.
PATH: Final = "/_bulk?filter_path=items.%2A.status%2Citems.%2A.error"
_ACTION_SIZE: Final = 40
_FORBIDDEN, _UNAUTHORIZED, _TIMED_OUT, _THROTTLED, _SERVER_ERROR = 403, 401, 408, 429, 500
# The text from here on quotes the document: in a mapper_parsing_exception, and in Lucene's message about a term that is
# too long.
_QUOTES: Final = re.compile(r" (Preview of field's value|The prefix of the first immense term)")
# AWS explains a wrong signature by quoting the signed request with its headers, including the session token.
_SIGNED_REQUEST: Final = re.compile(rb"(\s|\\n)*The Canonical String for this request.*", re.DOTALL)
_SUCCESS = range(200, 300)


class IndexingError(NamedTuple):
    """Why the domain did not index a document.

    Attributes:
        status: HTTP status of the item or of the whole request; None when there was no response.
        message: the domain's error, for failure objects.
        summary: the same without the document's values, for logs; empty where the message quotes none.
        retryable: whether a retry can help: 401, 403 (the role mapping may be missing), 408, 429, 5xx, no response.
    """

    status: int | None
    message: str
    summary: str = ""

    @property
    def retryable(self) -> bool:  # noqa: D102 - described with the attributes
        status = self.status
        return (
            status is None or status in {_UNAUTHORIZED, _FORBIDDEN, _TIMED_OUT, _THROTTLED} or status >= _SERVER_ERROR
        )

    @property
    def unauthorized(self) -> bool:
        """Return whether authentication or authorization failed."""
        return self.status in {_UNAUTHORIZED, _FORBIDDEN}

    @property
    def code(self) -> str:
        """Return the code for failure objects: the HTTP status, as the developer guide says."""
        return "OS.ServiceException" if self.status is None else str(self.status)

    @property
    def log_code(self) -> str:
        """Return the code for log entries: AWS's name where one is known."""
        return "OS.BulkWritePermissionDenied" if self.status == _FORBIDDEN else f"OS.{self.code.removeprefix('OS.')}"


class _Result(msgspec.Struct):
    status: int
    error: Any = None


class _Item(msgspec.Struct):
    index: _Result


class _Response(msgspec.Struct):
    items: list[_Item]


def is_one_line(body: bytes) -> bool:
    """Return whether a document can be part of a bulk body: one line that is not empty.

    Anything else would shift the lines that follow, so that documents would be read as actions; it must never be sent.
    """
    return b"\n" not in body and body != b"" and not body.isspace()


def wire_size(document: Document) -> int:
    """Return the most bytes that a document takes in a body."""
    return len(document.body) + len(document.index) + len(document.record.id) + _ACTION_SIZE


def build_body(documents: list[Document], *, with_ids: bool) -> bytes:
    """Return the NDJSON body that indexes the documents, with their records' ids or without any id."""
    parts: list[bytes] = []
    actions: dict[str, bytes] = {}
    for document in documents:
        index = document.index
        action = actions.get(index)
        if action is None:
            name = msgspec.json.encode(index)
            action = b'{"index":{"_index":' + name + (b',"_id":"' if with_ids else b"}}\n")
            actions[index] = action
        parts.append(action)
        if with_ids:
            parts.append(document.record.id.encode() + b'"}}\n')  # record ids need no JSON escape
        parts.append(document.body)
        parts.append(b"\n")
    return b"".join(parts)


_decode = msgspec.json.Decoder(_Response).decode


def parse_response(count: int, status: int, payload: bytes) -> list[IndexingError | None]:
    """Return, for each of `count` documents in order, None when it is indexed or else the error.

    A body that is not the response to this request (a proxy's page, a list of another length) says nothing about the
    documents: it counts as no response.
    """
    if status not in _SUCCESS:
        return [IndexingError(status, _error_message(payload))] * count
    try:
        items = _decode(payload).items
    except DECODE_ERRORS:
        items = []
    if len(items) != count:
        return [IndexingError(None, "the response is not the response to this bulk request")] * count
    return [_parse_item(item.index) for item in items]


def _parse_item(result: _Result) -> IndexingError | None:
    if result.status in _SUCCESS:
        return None
    error = result.error
    if not isinstance(error, dict):
        return IndexingError(result.status, str(error))
    reason = _QUOTES.split(str(error.get("reason", "")), maxsplit=1)[0]
    return IndexingError(result.status, msgspec.json.encode(error).decode(), f"{error.get('type')}: {reason}")


def _error_message(payload: bytes) -> str:
    """Return the domain's message without the signed request, which must never reach a log."""
    return _SIGNED_REQUEST.sub(b"", payload[:2048]).decode(errors="replace")
