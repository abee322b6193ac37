"""What a signature proves: the claims of requests that botocore and requests-aws4auth sign, and of tampered ones.

Both are independent implementations of Signature Version 4 (IAM User Guide, "Create a signed AWS API request"), so that
what is accepted here is what clients of a domain of Amazon OpenSearch Service send.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st
from requests_aws4auth import AWS4Auth

from iot_stream.local.gateway.signature import Claim, Request, SignatureError, is_signed, read_claim

HOST = "127.0.0.1:19201"
REGION = "us-east-1"
KEYS = Credentials("ASIAEXAMPLE", "secret/key+", "session/token==")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def proves(claim: Claim) -> bool:
    """Whether the claim's signature is the one that the secret key makes, as the local AWS compares it."""
    key = b"AWS4" + KEYS.secret_key.encode()
    for text in (claim.day, claim.region, "es", "aws4_request"):
        key = _hmac(key, text)
    right = _hmac(key, claim.string_to_sign).hex()
    return (claim.access_key, claim.token, claim.signature) == (KEYS.access_key, KEYS.token, right)


def read(request: Request, now: dt.datetime | None = None) -> Claim:
    """Return the request's claim, now."""
    return read_claim(request, region=REGION, hosts=frozenset({HOST}), now=now or dt.datetime.now(dt.UTC))


def by_botocore(method: str, target: str, headers: dict[str, str], body: bytes, **scope: str) -> Request:
    """Return the request as botocore signs it."""
    request = AWSRequest(method, f"https://{HOST}{target}", headers={"Host": HOST} | headers, data=body)
    SigV4Auth(KEYS, scope.get("service", "es"), scope.get("region", REGION)).add_auth(request)
    return received(method, target, dict(request.headers.items()), body)


def by_aws4auth(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """Return the request as requests-aws4auth signs it: this is how the role mapper and the worker sign."""
    auth = AWS4Auth(KEYS.access_key, KEYS.secret_key, REGION, "es", session_token=KEYS.token)
    request = requests.Request(method, f"https://{HOST}{target}", headers=headers, data=body, auth=auth).prepare()
    assert request.url is not None
    target = request.url.removeprefix(f"https://{HOST}")
    return received(method, target, {"Host": HOST, **request.headers}, body)


def received(method: str, target: str, headers: dict[str, Any], body: bytes) -> Request:
    """Return the request as a server gets it."""
    url = urlsplit(target)
    texts = {name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
    return Request(method, url.path, url.query, tuple(texts.items()), body)


def set_header(request: Request, name: str, value: str) -> Request:
    """Return the request with another value of one header."""
    return replace(request, headers=tuple((n, value if n == name else v) for n, v in request.headers))


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
raw = st.text(st.characters(max_codepoint=255), max_size=8)
"""What a server can get in a header: a character a byte."""
segments = words.map(lambda text: quote(text, safe="")).filter(lambda text: text not in {".", ".."})
targets = st.builds(
    lambda path, query: "/" + "/".join(path) + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""),
    st.lists(segments, max_size=3),
    st.dictionaries(segments, segments, max_size=3),
)
methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"])
signers = st.sampled_from([by_botocore, by_aws4auth])
extras = st.sampled_from([{}, {"Content-Type": "application/json"}, {"X-Amz-Meta": "a  b"}])
signed_requests = st.builds(lambda sign, *rest: sign(*rest), signers, methods, targets, extras, st.binary(max_size=40))


@given(signed_requests)
def test_what_clients_sign_is_proved(request: Request) -> None:
    """Any method, path, query, header and body; what is passed on is what was signed."""
    assert is_signed(request)
    claim = read(request)
    assert proves(claim)
    assert (claim.request.method, claim.request.path, claim.request.body) == (
        request.method,
        request.path,
        request.body,
    )
    assert sorted(filter(None, claim.request.query.split("&"))) == sorted(filter(None, request.query.split("&")))


@st.composite
def tampered(draw: Callable[[Any], Any]) -> tuple[Request, Request]:
    """Return a signed request, and the same with one thing changed on the way."""
    request = draw(signed_requests)
    part = draw(st.sampled_from(["method", "path", "query", "body", "header", "authorization"]))
    match part:
        case "method":
            changed = replace(request, method=draw(methods))
        case "path":
            changed = replace(request, path=draw(st.one_of(targets.map(lambda t: urlsplit(t).path), words)))
        case "query":
            changed = replace(request, query=draw(st.one_of(targets.map(lambda t: urlsplit(t).query), words)))
        case "body":
            changed = replace(request, body=draw(st.binary(max_size=40)))
        case "header":
            signed = dict(request.headers)["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
            changed = set_header(request, draw(st.sampled_from(signed)), draw(raw))
        case _:
            text = dict(request.headers)["authorization"]
            at = draw(st.integers(0, len(text) - 1))
            changed = set_header(request, "authorization", text[:at] + draw(raw) + text[at + draw(st.integers(0, 2)) :])
    return request, changed


@given(tampered())
def test_nothing_tampered_with_passes(pair: tuple[Request, Request]) -> None:
    """It is refused, is not proved, is no signed request any more, or is passed on as it was signed."""
    request, changed = pair
    assume(changed != request)
    if not is_signed(changed):
        return  # passed on without an identity
    try:
        claim = read(changed)
    except SignatureError:
        return
    assert not proves(claim) or claim.request == read(request).request


@pytest.mark.parametrize("seconds", [-302, 302])
def test_a_request_is_good_for_five_minutes(seconds: int) -> None:
    """A replay, or a clock that is wrong, is refused."""
    request = by_botocore("GET", "/", {}, b"")
    now = dt.datetime.now(dt.UTC)
    with pytest.raises(SignatureError, match=r"Signature (expired|not yet current): .* more than 5 minutes"):
        read(request, now + dt.timedelta(seconds=seconds))
    assert proves(read(request, now + dt.timedelta(seconds=seconds * 298 / 302)))


def change(name: str, old: str, new: str) -> Callable[[Request], Request]:
    """Return how to replace `old` by `new` in a header."""
    return lambda request: set_header(request, name, dict(request.headers)[name].replace(old, new))


def add(name: str, value: str) -> Callable[[Request], Request]:
    """Return how to add a header that is not signed."""
    return lambda request: replace(request, headers=(*request.headers, (name, value)))


def drop(name: str) -> Callable[[Request], Request]:
    """Return how to leave a header out."""
    return lambda request: replace(request, headers=tuple(pair for pair in request.headers if pair[0] != name))


REFUSED: dict[str, tuple[Callable[[Request], Request], str]] = {
    "another algorithm": (change("authorization", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "must be AWS4-HMAC-SHA256"),
    "version 2": (lambda request: set_header(request, "authorization", "AWS AKID:c2ln"), "must be AWS4-HMAC-SHA256"),
    "another region": (change("authorization", "/us-east-1/", "/eu-west-1/"), "scoped to a valid region"),
    "another service": (change("authorization", "/es/", "/s3/"), "scoped to a valid region .* service"),
    "another day": (change("authorization", "ASIAEXAMPLE/2", "ASIAEXAMPLE/3"), "does not match YYYYMMDD"),
    "not a date": (lambda request: set_header(request, "x-amz-date", "yesterday"), "must have the form YYYYMMDD"),
    "no date": (drop("x-amz-date"), "exactly one x-amz-date header"),
    "two dates": (add("x-amz-date", "20260101T000000Z"), "exactly one x-amz-date header"),
    "two authorizations": (add("authorization", "Basic YTpi"), "exactly one authorization header"),
    "two hosts": (add("host", "elsewhere"), "exactly one host header"),
    "an unsigned host": (change("authorization", "host;", ""), "must be signed: host"),
    "an unsigned token": (change("authorization", ";x-amz-security-token", ""), "must be signed: x-amz-security-token"),
    "a header of AWS's added": (add("x-amz-meta", "a"), "must be signed: x-amz-meta"),
    "another host": (lambda request: set_header(request, "host", "elsewhere"), "must be signed for the host"),
    "unsorted headers": (change("authorization", "host;x-amz-date", "x-amz-date;host"), "must be sorted"),
    "a body that is not hashed": (
        lambda _: by_botocore("GET", "/", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b""),
        "not the SHA-256",
    ),
    "dot segments": (lambda request: replace(request, path="/a/../b"), "must be normalized"),
    "empty segments": (lambda request: replace(request, path="//b"), "must be normalized"),
    "a parameter twice": (lambda request: replace(request, query="a=1&%61=2"), "more than once"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_says_why(name: str) -> None:
    """What could mean one thing to the signer and another to OpenSearch never gets there."""
    spoil, reason = REFUSED[name]
    request = spoil(by_botocore("GET", "/b", {}, b""))
    assert is_signed(request)
    with pytest.raises(SignatureError, match=reason):
        read(request)


def test_a_signature_in_the_query_is_a_signed_request() -> None:
    """Presigned URLs are refused, not passed on without an identity: nobody takes them for accepted."""
    request = Request("GET", "/", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", (("host", HOST),), b"")
    assert is_signed(request)
    with pytest.raises(SignatureError, match="exactly one authorization header"):
        read(request)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer a.b.c"}])
def test_other_ways_to_sign_in_are_not_signatures(headers: dict[str, str]) -> None:
    """They are OpenSearch's business."""
    assert not is_signed(received("GET", "/_search?q=signature", headers, b""))
