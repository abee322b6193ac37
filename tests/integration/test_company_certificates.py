"""Set-up works behind a proxy that signs with a company's own authority: a real TLS server, and the system's store."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from iot_stream.local.certificates import make_certificates
from iot_stream.local.distribution import system_certificates


class _Ok(BaseHTTPRequestHandler):
    """Responds 200 to everything."""

    def do_GET(self) -> None:
        """Respond."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Say nothing."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server whose authority is in the system's store alone (OpenSSL's SSL_CERT_FILE)."""
    certificates = make_certificates(tmp_path / "company")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.node_cert, certificates.node_key)
    server = HTTPServer(("127.0.0.1", 0), _Ok)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_downloads_trust_a_company_s_own_authority(url: str) -> None:
    """Inside the `with` block, and nowhere else: the local servers are verified by their own authority alone."""
    before = ssl.SSLContext
    with system_certificates():
        assert requests.get(url, timeout=10).ok
    assert ssl.SSLContext is before
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, timeout=10)
