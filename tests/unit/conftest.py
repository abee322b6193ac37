"""Unit tests have no sockets: what needs one is an integration test."""

import pytest

from role_mapper import redaction
from tests.fake_domain import FakeDomain


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Refuse every socket (pytest-socket)."""


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing to redact: a random password of another test may be part of a word."""
    monkeypatch.setattr(redaction, "_protected", set())


@pytest.fixture
def fake_domain(monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """A domain in memory, which responds to everything that is sent with `requests`."""
    domain = FakeDomain()
    domain.install(monkeypatch)
    return domain
