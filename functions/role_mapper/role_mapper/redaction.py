"""Build error messages with credentials redacted (pure).

Two nets: every value that the function has used as a secret (`protect`) is replaced wherever it stands and however it
is spelled, and what looks like a signed header is replaced whatever it holds. AWS, for one, explains a refused
signature with the whole canonical request, session token included.
"""

import base64
import html
import json
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = ["explanation", "protect", "redact", "root_cause"]

_MOST_CHARACTERS = 600
_NOT_SHOWN = "(not shown)"
_LEAST_CHARACTERS = 4  # a shorter value would be found in any text, and no password or token is so short
_CANONICAL_REQUEST = re.compile(r"\s*The Canonical String for this request.*", re.DOTALL | re.IGNORECASE)
_SIGNED = re.compile(
    r"(?i)\b(authorization|x-amz-security-token|cookie|set-cookie)(['\"]?\s*[:=]\s*).*?(?=\\n|\n|$)"
    r"|\b(Signature|Credential)=[^,\s\"]+"
    r"|\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}"
)
_PERCENT = re.compile(r"%[0-9A-F]{2}")


_protected: set[str] = set()
"""Every spelling of every secret that this process has used."""


def protect(*values: str) -> None:
    """Make `redact` replace these values from now on: passwords, tokens, keys and header values."""
    for value in values:
        if len(value) >= _LEAST_CHARACTERS:
            _protected.update(_spellings(value))


def _spellings(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogatepass")
    spelled = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        quote(quote(raw, safe=""), safe=""),
        raw.hex(),
        raw.hex().upper(),
    }
    spelled |= {_PERCENT.sub(lambda match: match[0].lower(), each) for each in spelled}
    spelled |= {json.dumps(each)[1:-1] for each in spelled}  # an error that quotes JSON, in JSON
    # Base64 of `user:password` depends on where the password begins: all three alignments, without their edges.
    for shift in range(3):
        inner = base64.b64encode(b"x" * shift + raw).decode("ascii")[4 if shift else 0 : 4 * ((shift + len(raw)) // 3)]
        spelled |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {each for each in spelled if len(each) >= _LEAST_CHARACTERS}


def redact(text: str) -> str:
    """Return the text without any secret that the function has used, and without signed headers."""
    for spelled in sorted(_protected, key=len, reverse=True):
        text = text.replace(spelled, _NOT_SHOWN)
    return _SIGNED.sub(_NOT_SHOWN, _CANONICAL_REQUEST.sub("", text))


def explanation(body: object) -> str:
    """Return the domain's explanation from an error's body: JSON of the plugins, of the core, of AWS, or plain text."""
    text = redact(_explanation(body) or "no explanation")
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
    """Return the core's innermost cause, which a person can act on."""
    cause = error
    while isinstance(inner := cause.get("caused_by"), dict):
        cause = inner
    return "" if cause is error or not cause.get("reason") else f", because {cause['reason']}"


def root_cause(error: BaseException) -> tuple[str, bool]:
    """Return the innermost cause of a client's exception, and whether it is a name that DNS does not know.

    The wrappers' own texts hold addresses of objects and whole URLs; the innermost one is what a person needs.
    """
    innermost = list(_chain(error))[-1]
    if isinstance(innermost, socket.gaierror):
        unknown = innermost.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
        return f"name resolution: {innermost.strerror}", unknown
    if isinstance(innermost, OSError) and innermost.strerror:
        return redact(innermost.strerror), False
    return explanation(str(innermost)) if str(innermost) else type(innermost).__name__, False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]
        current = next((item for item in inner if isinstance(item, BaseException) and id(item) not in seen), None)
