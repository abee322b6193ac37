"""What may be said of a failed call: the domain's own words, without anything secret (pure).

A refused signature is explained by AWS with the whole canonical request, session token included; a Reason, a log line
or an exception must not repeat it.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["root_cause", "words"]

_MOST_CHARACTERS = 600
_CANONICAL_REQUEST = re.compile(r"\s*The Canonical String for this request.*", re.DOTALL | re.IGNORECASE)
_SIGNED = re.compile(
    r"(?i)\b(authorization|x-amz-security-token|cookie|set-cookie)(['\"]?\s*[:=]\s*).*?(?=\\n|\n|$)"
    r"|\b(Signature|Credential)=[^,\s\"]+"
    r"|\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}"
)


def words(body: object) -> str:
    """The domain's explanation from an error's body: JSON of the plugins, of the core, of AWS, or plain text."""
    text = _explanation(body) or "no explanation"
    text = _SIGNED.sub("(not shown)", _CANONICAL_REQUEST.sub("", text))
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _explanation(body: object) -> str:
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            parsed = json.loads(body)
        except ValueError:
            return body
        return _explanation(parsed) if isinstance(parsed, dict) else body
    if not isinstance(body, dict):
        return "" if body is None else str(body)
    error = body.get("error")
    if isinstance(error, dict):  # the core: {"error": {"type", "reason"}, "status"}
        cause = _innermost_cause(error)
        return ": ".join(str(error[key]) for key in ("type", "reason") if error.get(key)) + cause or json.dumps(error)
    for key in ("message", "Message", "reason"):
        if body.get(key):
            # The security plugin names the offending keys beside its reason.
            details = {name: body[name] for name in ("invalid_keys", "missing_mandatory_keys") if body.get(name)}
            return str(body[key]) + (f" {json.dumps(details)}" if details else "")
    return str(error) if error else json.dumps(body)


def _innermost_cause(error: Mapping[str, Any]) -> str:
    """What the core puts deepest is what a person can act on."""
    cause = error
    while isinstance(inner := cause.get("caused_by"), dict):
        cause = inner
    return "" if cause is error or not cause.get("reason") else f", because {cause['reason']}"


def root_cause(error: BaseException) -> tuple[str, bool]:
    """What lies at the bottom of a client's exception, and whether it is a name that DNS does not know.

    The wrappers' own texts hold addresses of objects and whole URLs; the innermost one is what a person needs.
    """
    innermost = list(_chain(error))[-1]
    if isinstance(innermost, socket.gaierror):
        unknown = innermost.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
        return f"name resolution: {innermost.strerror}", unknown
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror, False
    return words(str(innermost)) if str(innermost) else type(innermost).__name__, False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]
        current = next((item for item in inner if isinstance(item, BaseException) and id(item) not in seen), None)
