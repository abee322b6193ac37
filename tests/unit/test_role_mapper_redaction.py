"""What is said of failed calls: the domain's words in every form it has for them, and nothing secret."""

import base64
import html
import json
import socket
import ssl
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from role_mapper import redaction
from role_mapper.redaction import explanation, protect, redact, root_cause
from tests.secrets import spellings


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("Unauthorized", "Unauthorized", id="plain text"),
        pytest.param({"status": "NOT_FOUND", "message": "role 'x' not found."}, "role 'x' not found.", id="security"),
        pytest.param(
            {"status": "error", "reason": "Invalid configuration", "invalid_keys": {"keys": "reserved"}},
            'Invalid configuration {"invalid_keys": {"keys": "reserved"}}',
            id="security, with keys",
        ),
        pytest.param(
            {"error": {"type": "illegal_argument_exception", "reason": "same priority"}, "status": 400},
            "illegal_argument_exception: same priority",
            id="core",
        ),
        pytest.param(
            {"error": {"type": "a", "reason": "b", "caused_by": {"reason": "c", "caused_by": {"reason": "d"}}}},
            "a: b, because d",
            id="core, with causes",
        ),
        pytest.param({"error": "no handler found for uri [/x]"}, "no handler found for uri [/x]", id="no handler"),
        pytest.param(
            {"Message": "User: arn:aws:sts::1:assumed-role/x is not authorized"},
            "User: arn:aws:sts::1:assumed-role/x is not authorized",
            id="AWS",
        ),
        pytest.param(
            {"statusCode": 401, "error": "Unauthorized", "message": "Authentication Exception"},
            "Authentication Exception",
            id="Dashboards",
        ),
        pytest.param('{"message": "from text"}', "from text", id="JSON as text"),
        pytest.param(None, "no explanation", id="nothing"),
        pytest.param("", "no explanation", id="empty"),
        pytest.param("<html>\n  <b>502</b>\n</html>", "<html> <b>502</b> </html>", id="a proxy's page"),
    ],
)
def test_the_domains_own_words_are_found(body: Any, expected: str) -> None:
    """The plugins, the core, AWS in front of them and proxies all have their own form."""
    assert explanation(body) == expected


SIGNATURE_MISMATCH = {
    "message": "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method.\n\nThe Canonical String for this request should have been\n'PUT\n/x\n\n"
    "host:search-x\nx-amz-date:20261122T101530Z\nx-amz-security-token:IQoJb3JpZ2luX2VjEToken\n\nhost;x-amz-date\n'\n"
}


def test_a_refused_signature_is_told_without_the_signed_request() -> None:
    """AWS explains it with every signed header, the session token included."""
    said = explanation(SIGNATURE_MISMATCH)
    assert said.startswith("The request signature we calculated does not match")
    assert "IQoJ" not in said
    assert "Canonical" not in said


@pytest.mark.parametrize(
    "echo",
    [
        "Authorization: Basic YWRtaW46c2VjcmV0c2VjcmV0",
        "header 'authorization' = Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0",
        "Basic YWRtaW46c2VjcmV0c2VjcmV0 was refused",
        "x-amz-security-token: IQoJb3JpZ2luX2VjEToken",
        "AWS4-HMAC-SHA256 Credential=AKIDSECRET/20261122/us-east-1/es/aws4_request, Signature=c2VjcmV0",
        "Set-Cookie: security_authentication=c2VjcmV0",
    ],
)
def test_a_response_that_echoes_a_signed_header_is_not_repeated(echo: str) -> None:
    """Proxies and debug pages do that."""
    said = explanation(f"Refused. {echo}")
    assert said.startswith("Refused.")
    for secret in ("YWRt", "eyJ", "IQoJ", "AKID", "c2Vj"):
        assert secret not in said


def test_long_words_are_cut() -> None:
    """A page of HTML is no explanation."""
    assert len(explanation("x" * 10_000)) == 600


def _wrapped(inner: Exception) -> Exception:
    """Return an error as requests wraps it."""
    reason = urllib3.exceptions.HTTPError("<urllib3.connection object at 0x7f>: failed")
    reason.__cause__ = inner
    retries = urllib3.exceptions.MaxRetryError(None, "/secret-url", reason)  # type: ignore[arg-type]
    return requests.ConnectionError(retries)


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        pytest.param(ConnectionRefusedError(111, "Connection refused"), ("Connection refused", False), id="refused"),
        pytest.param(
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            ("name resolution: Name or service not known", True),
            id="unknown name",
        ),
        pytest.param(
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            ("name resolution: Temporary failure in name resolution", False),
            id="no resolver",
        ),
        pytest.param(TimeoutError("timed out"), ("timed out", False), id="time-out"),
        pytest.param(ssl.SSLError(1, "certificate verify failed"), ("certificate verify failed", False), id="TLS"),
        pytest.param(EOFError(), ("EOFError", False), id="without words"),
    ],
)
def test_the_innermost_cause_is_told(inner: Exception, expected: tuple[str, bool]) -> None:
    """Without addresses of objects and URLs, the same each time; and only DNS's own no means an unknown name."""
    assert root_cause(_wrapped(inner)) == expected


SHAPES = {
    "base64 in brackets": lambda secret: f"[{base64.b64encode(b'admin:' + secret.encode()).decode()}]",
    "a table cell": lambda secret: f"<td>{html.escape(secret)}</td>",
    "a sentence": lambda secret: f"cannot sign in admin with password {secret}, sorry",
    "a URL": lambda secret: f"https://admin:{quote(secret, safe='')}@search-x/",
    "a form": lambda secret: f"user=admin&password={quote_plus(secret)}",
    "JSON": lambda secret: json.dumps({"message": {"nested": [secret]}}),
    "JSON in JSON": lambda secret: json.dumps({"reason": json.dumps({"x": secret})[:7] + secret}),
    "Python": lambda secret: repr({"password": secret}),
    "hex": lambda secret: secret.encode().hex(),
    "another user's base64": lambda secret: base64.b64encode(b"x:" + secret.encode()).decode(),
    "URL-safe base64": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
}
"""How a proxy, a debug page or an error can repeat what it was sent."""
passwords = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Zs", "Cc"]),
    min_size=8,
    max_size=40,
)


@given(passwords, st.sampled_from(sorted(SHAPES)))
def test_a_secrets_value_is_replaced_wherever_and_however_it_stands(secret: str, shape: str) -> None:
    """Values are recognised, not only the shapes that they usually have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_protected", set())
        protect(secret, base64.b64encode(b"admin:" + secret.encode()).decode())
        repeated = SHAPES[shape](secret)
        for said in (redact(repeated), explanation(repeated), explanation({"message": repeated})):
            assert not [spelled for _, spelled in spellings(secret) if spelled in repeated and spelled in said]


@pytest.mark.parametrize(
    "repeated",
    [
        json.dumps(json.dumps({"x": 'aB"c\\d+e/F=g'})),
        "aB%22c%5cd%2be%2fF%3dg",
        "aB%2522c%255Cd%252Be%252FF%253Dg",
        "614222635C642B652F463D67",
    ],
    ids=["JSON in JSON", "lower-case URL", "URL in a URL", "upper-case hex"],
)
def test_a_secret_that_was_encoded_twice_or_otherwise_is_replaced(repeated: str) -> None:
    """As servers and proxies spell what they quote; each is known in full, whatever the function sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_protected", set())
        protect('aB"c\\d+e/F=g')
        said = redact(f"refused: {repeated}")
        assert "(not shown)" in said
        assert repeated.strip('"')[-8:-3] not in said


def test_a_cut_does_not_leave_half_a_secret() -> None:
    """It is replaced first and cut then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_protected", set())
        protect("S3cret-of-the-domain")
        assert "S3cr" not in explanation("x" * 590 + "S3cret-of-the-domain")
