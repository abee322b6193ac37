"""Unit tests have no sockets: what needs one is an integration test."""

import pytest

from tests.fake_domain import FakeDomain


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Refuse every socket (pytest-socket)."""


@pytest.fixture
def fake_domain(monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """A domain in memory, which answers everything that is sent with `requests`."""
    domain = FakeDomain()
    domain.install(monkeypatch)
    return domain
