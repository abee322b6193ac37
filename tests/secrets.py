"""Passwords made up for tests, and whether one of them got into a text."""

import functools
import json
from base64 import b64encode
from urllib.parse import quote

__all__ = ["leaks", "make_secret", "spellings"]

_SECRETS: set[str] = set()


def make_secret(text: str) -> str:
    """Return the text, which from now on no test may print (`tests/conftest.py` looks)."""
    _SECRETS.add(text)
    return text


def leaks(text: str) -> list[str]:
    """Return how each secret that is in the text got into it: as it is, escaped, encoded or in a header."""
    return [form for secret in _SECRETS for form, spelled in spellings(secret) if spelled in text]


@functools.cache
def spellings(secret: str) -> list[tuple[str, str]]:
    """Return each form in which a secret can stand in a text, with its name."""
    raw = secret.encode()
    # Base64 of `user:password` depends on where the password begins: all three alignments, without their edges.
    encoded = [b64encode(b"x" * shift + raw).decode()[4 : 4 * ((shift + len(raw)) // 3)] for shift in range(3)]
    return [
        ("plain", secret),
        ("in JSON", json.dumps(secret)[1:-1]),
        ("in a URL", quote(secret, safe="")),
        *(("in base64", part) for part in encoded),
    ]
