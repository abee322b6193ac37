"""Read a request signed with Signature Version 4 and rebuild the string to sign. Pure.

Source: IAM User Guide, "Create a signed AWS API request" (canonical request, string to sign) and "Elements of an AWS
API request signature". The secret key is not needed here: only the local AWS knows it, and it compares the
signature.
"""

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

__all__ = ["ALGORITHM", "Claim", "Request", "SignatureError", "is_signed", "read_claim"]

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "es"
_WINDOW: Final = dt.timedelta(minutes=5)
_AUTHORIZATION: Final = re.compile(
    rf"{ALGORITHM} +Credential=(?P<key>\w+)/(?P<day>\d{{8}})/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request, *"
    r"SignedHeaders=(?P<headers>[a-z0-9_;-]+), *Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
# Its unreserved characters, which are never encoded.
_SAFE: Final = "-_.~"


class SignatureError(Exception):
    """The request is not signed correctly; the text is the message of the 403 response."""


@dataclass(frozen=True)
class Request:
    """An HTTP request as it arrived.

    Attributes:
        method: e.g. `PUT`.
        path: percent-encoded, as on the request line.
        query: the same, without the question mark.
        headers: names in lower case, with their values, in their order; a character is a byte (Latin-1).
        body: the bytes that were sent.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the values of all headers of this name."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Claim:
    """The signer that a request claims, and the string that its signature must have been computed from.

    Attributes:
        access_key: the signer's access key id.
        token: the session token, empty for credentials without one.
        day: the date of the credential scope, `YYYYMMDD`.
        region: the region of the credential scope; its service is always `es`.
        string_to_sign: what HMAC-SHA256 with the derived signing key has to be computed of.
        signature: the signature to compare with, in hexadecimal.
        request: the request as it was signed; only this may be passed on as the signer's.
    """

    access_key: str
    token: str
    day: str
    region: str
    string_to_sign: str
    signature: str
    request: Request


def is_signed(request: Request) -> bool:
    """Return whether the request claims an AWS signature: in any Authorization header, or in its query string."""
    in_header = any(value.lstrip().startswith("AWS") for value in request.values("authorization"))
    return in_header or "x-amz-signature=" in request.query.lower() or "x-amz-credential=" in request.query.lower()


def read_claim(request: Request, *, region: str, hosts: frozenset[str], now: dt.datetime) -> Claim:
    """Return what the request claims; it is proved only when the signature matches.

    Args:
        request: one for which `is_signed` is true.
        region: the domain's.
        hosts: values of the Host header that mean this domain.
        now: the time, with a zone.

    Raises:
        SignatureError: the claim is malformed, so that no signature could prove it.
    """
    match = _AUTHORIZATION.fullmatch(_only(request, "authorization").strip())
    if match is None:
        raise SignatureError(
            f"Authorization header must be {ALGORITHM} Credential=KEY/DATE/REGION/{SERVICE}/aws4_request, "
            "SignedHeaders=…, Signature=…; the local domain does not support other kinds of AWS signatures."
        )
    if (match["service"], match["region"]) != (SERVICE, region):
        raise SignatureError(f"Credential should be scoped to a valid region ({region}) and service ({SERVICE}).")
    stamp = _only(request, "x-amz-date")
    _check_date(stamp, match["day"], now)
    names = match["headers"].split(";")
    if names != sorted(set(names)):
        raise SignatureError("SignedHeaders must be sorted and must list each header only once.")
    # Headers that say who signs, when and what for must themselves be signed.
    unsigned = {name for name, _ in request.headers if name == "host" or name.startswith("x-amz-")} - set(names)
    if unsigned or not {"host", "x-amz-date"} <= set(names):
        missing = sorted(unsigned | ({"host", "x-amz-date"} - set(names)))
        raise SignatureError(f"These headers must be signed: {', '.join(missing)}.")
    signed = {name: " ".join(_only(request, name).split()) for name in names}
    if signed["host"] not in hosts:
        raise SignatureError(f"The request must be signed for the host {' or '.join(sorted(hosts))}.")
    payload_hash = hashlib.sha256(request.body).hexdigest()
    if not hmac.compare_digest(signed.get("x-amz-content-sha256", payload_hash).encode(), payload_hash.encode()):
        raise SignatureError("The x-amz-content-sha256 header is not the SHA-256 of the request's body.")
    path, query = _canonical_path(request.path), _canonical_query(request.query)
    headers = "".join(f"{name}:{signed[name]}\n" for name in names)
    canonical = "\n".join(
        [request.method, quote(path, safe="/" + _SAFE), query, headers, ";".join(names), payload_hash]
    )
    scope = f"{match['day']}/{match['region']}/{match['service']}/aws4_request"
    return Claim(
        match["key"],
        signed.get("x-amz-security-token", ""),
        match["day"],
        match["region"],
        "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()]),
        match["signature"],
        Request(request.method, path, query, _as_signed(request, signed), request.body),
    )


def _only(request: Request, name: str) -> str:
    """Return the value of the only header with this name.

    Raises:
        SignatureError: the header is missing, or occurs twice, and only one of them would be verified.
    """
    values = request.values(name)
    if len(values) != 1:
        raise SignatureError(f"The request must have exactly one {name} header.")
    return values[0]


def _check_date(stamp: str, day: str, now: dt.datetime) -> None:
    try:
        signed_at = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        raise SignatureError("The x-amz-date header must have the form YYYYMMDDTHHMMSSZ.") from None
    if signed_at.strftime("%Y%m%d") != day:
        raise SignatureError("Date in Credential scope does not match YYYYMMDD from x-amz-date.")
    if abs(now - signed_at) > _WINDOW:
        kind = "expired" if signed_at < now else "not yet current"
        raise SignatureError(
            f"Signature {kind}: {stamp} differs from the current time {now:%Y%m%dT%H%M%SZ} by more than 5 minutes."
        )


def _canonical_path(path: str) -> str:
    """Return the path.

    Raises:
        SignatureError: it is not canonical, so OpenSearch would get another path than the signed one.
    """
    segments = path.split("/")
    if not path.isascii() or segments[0] or {".", ".."} & set(segments) or "" in segments[1:-1]:
        raise SignatureError("The path must be normalized (no empty, '.' or '..' segments) and percent-encoded.")
    return path


def _canonical_query(query: str) -> str:
    """Return each parameter encoded and all of them sorted.

    Raises:
        SignatureError: a parameter occurs twice, and sorting would change which one comes last.
    """
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    encoded = sorted((_encode(name), _encode(value)) for name, value in pairs)
    if len({name for name, _ in encoded}) != len(encoded):
        raise SignatureError("A signed request must not contain a query parameter more than once.")
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encode(text: str) -> str:
    """Return the text encoded as AWS signs it; a plus sign is a space, as in OpenSearch."""
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_SAFE)


def _as_signed(request: Request, signed: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers to pass on: the signed headers as they were signed, then the others."""
    unsigned = tuple((name, value) for name, value in request.headers if name not in signed)
    return tuple(signed.items()) + unsigned
