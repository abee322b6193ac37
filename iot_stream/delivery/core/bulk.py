"""The body of a `_bulk` request and what its answer means for each document ("Bulk" in the OpenSearch API)."""

import re
from typing import Any, Final, NamedTuple

import msgspec

from iot_stream.delivery.core.record import NOT_JSON, Document

__all__ = ["PATH", "IndexingError", "is_one_line", "read_response", "wire_size", "write_body"]

# Only the status and error of each item come back: the rest of a full answer is as large as the documents. `*` and `,`
# are written as a signature's canonical form has them: signer and verifier then can't differ over them.
PATH: Final = "/_bulk?filter_path=items.%2A.status%2Citems.%2A.error"
_ACTION_SIZE: Final = 40
_FORBIDDEN, _UNAUTHORIZED, _TIMED_OUT, _THROTTLED, _SERVER_ERROR = 403, 401, 408, 429, 500
# What follows quotes the document: in a mapper_parsing_exception, and in Lucene's words for a term that is too long.
_QUOTES: Final = re.compile(r" (Preview of field's value|The prefix of the first immense term)")
# The words, and then the request with its headers, the session token included.
_SIGNED_REQUEST: Final = re.compile(rb"(\s|\\n)*The Canonical String for this request.*", re.DOTALL)
_SUCCESS = range(200, 300)


class IndexingError(NamedTuple):
    """Why the domain did not index a document.

    Attributes:
        status: HTTP status of the item or of the whole request; None when there was no answer at all.
        message: the domain's own words, for failure objects.
        summary: the same without the document's values, for logs; empty where the message has none.
        passing: whether trying again can help: 429, 5xx, 403 (a mapping that is not there yet), no connection.
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
        """Whether the domain did not accept who signed in, or what they may do."""
        return self.status in {_UNAUTHORIZED, _FORBIDDEN}

    @property
    def code(self) -> str:
        """For failure objects: the HTTP status code, as the developer guide says."""
        return "OS.ServiceException" if self.status is None else str(self.status)

    @property
    def log_code(self) -> str:
        """For log entries: AWS's name where one is known."""
        return "OS.BulkWritePermissionDenied" if self.status == _FORBIDDEN else f"OS.{self.code.removeprefix('OS.')}"


class _Result(msgspec.Struct):
    status: int
    error: Any = None


class _Item(msgspec.Struct):
    index: _Result


class _Answer(msgspec.Struct):
    items: list[_Item]


def is_one_line(body: bytes) -> bool:
    """Whether a document can stand in a bulk body: one line, not an empty one.

    Anything else would shift every line behind it, so that documents became actions: it must never be sent.
    """
    return b"\n" not in body and bool(body.strip())


def wire_size(document: Document) -> int:
    """The most bytes that a document takes in a body."""
    return len(document.body) + len(document.index) + len(document.record.id) + _ACTION_SIZE


def write_body(documents: list[Document], *, with_ids: bool) -> bytes:
    """The NDJSON body that indexes the documents, under their records' ids or under the domain's own."""
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
            parts.append(document.record.id.encode() + b'"}}\n')  # ids are ours: nothing in them needs an escape
        parts.append(document.body)
        parts.append(b"\n")
    return b"".join(parts)


_read = msgspec.json.Decoder(_Answer).decode


def read_response(count: int, status: int, payload: bytes) -> list[IndexingError | None]:
    """For each of `count` documents, in order: None when it is indexed, else why not.

    An answer that is no bulk answer (a proxy's page, a plain-text 503, a list of another length) says nothing about
    any document: it counts as no answer.
    """
    if status not in _SUCCESS:
        return [IndexingError(status, _say(payload))] * count
    try:
        items = _read(payload).items
    except NOT_JSON:
        items = []
    if len(items) != count:
        return [IndexingError(None, "the domain's answer is not the answer to this bulk request")] * count
    return [_judge(item.index) for item in items]


def _judge(result: _Result) -> IndexingError | None:
    if result.status in _SUCCESS:
        return None
    error = result.error
    if not isinstance(error, dict):
        return IndexingError(result.status, str(error))
    reason = _QUOTES.split(str(error.get("reason", "")), maxsplit=1)[0]
    return IndexingError(result.status, msgspec.json.encode(error).decode(), f"{error.get('type')}: {reason}")


def _say(payload: bytes) -> str:
    """The domain's words. AWS explains a wrong signature by quoting what was signed: that stays out of every log."""
    return _SIGNED_REQUEST.sub(b"", payload[:2048]).decode(errors="replace")
