"""A caller whose environment would send everything elsewhere, or let nothing be written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["FOLDER", "HOSTILE", "hostile_environment"]

FOLDER = "Gerät 1, Östliche Straße"
"""Name of a folder with blanks and umlauts."""
HOSTILE = {
    "HTTP_PROXY": "http://proxy.invalid:3128",
    "HTTPS_PROXY": "http://proxy.invalid:3128",
    "ALL_PROXY": "http://proxy.invalid:3128",
    "AWS_PROFILE": "nosuch",
    "AWS_DEFAULT_PROFILE": "nosuch",
    "AWS_REGION": "eu-north-1",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "AWS_ACCESS_KEY_ID": "callers",
    "AWS_SECRET_ACCESS_KEY": "callers",
    "AWS_SESSION_TOKEN": "callers",
    "AWS_ENDPOINT_URL": "https://aws.invalid",
    "AWS_RETRY_MODE": "nonsense",
    "AWS_MAX_ATTEMPTS": "99",
    "AWS_CA_BUNDLE": "/nonexistent/bundle.pem",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "PIP_USER": "1",
    "PYTHONPATH": "/nonexistent",
}
_OF_THE_MACHINE = {
    "LC_ALL": "C",
    "LANG": "C",
    "HOME": "/dev/null/home",  # below a file: not even root can write there
    "REQUESTS_CA_BUNDLE": "/nonexistent/bundle.pem",
    "SSL_CERT_FILE": "/nonexistent/bundle.pem",
}
_FOR_DOWNLOADS = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HOME", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
"""Where a download finds its proxy, its certificates and pip's settings."""


@contextmanager
def hostile_environment(*, downloads: bool = False) -> Iterator[None]:
    """Set all of it, the locale C, a HOME that can't be written and the umask 077 for a `with` block.

    `sam build` and OpenSearch's download use the caller's proxies, certificates and settings of pip on purpose; with
    `downloads` those stay.
    """
    given = {
        name: value for name, value in (HOSTILE | _OF_THE_MACHINE).items() if not (downloads and name in _FOR_DOWNLOADS)
    }
    before = {name: os.environ.get(name) for name in given}
    umask = os.umask(0o077)
    os.environ.update(given)
    try:
        yield
    finally:
        os.umask(umask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
