"""AWS's APIs on 127.0.0.1: ministack, in its own environment (its pins clash with aws-sam-cli's).

It enforces IAM: an assumed role's credentials allow what the role's policies allow and nothing else; the same holds for
functions. The root user's credentials are random for each start; they are in a file that only its owner can read.
"""

import configparser
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from iot_stream.errors import SetupError, StackError
from iot_stream.local import processes
from iot_stream.local.processes import Process
from iot_stream.paths import MINISTACK_PYTHON

__all__ = ["ACCOUNT", "NAME", "PROFILE", "Ministack"]

NAME = "ministack"  # of its process
ACCOUNT = "000000000000"
PROFILE = "iot-stream-local"
_START_SECONDS = 180
_SERVER = Path(__file__).parent / "ministack_server" / "__main__.py"


@dataclass(frozen=True)
class Ministack:
    """One ministack: the folder of its temporary files and log, its port on 127.0.0.1, and its region."""

    folder: Path
    port: int
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        """Return the endpoint of every AWS API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def profile_file(self) -> Path:
        """Return the AWS configuration file with its profile: the root user's credentials, the region, the endpoint.

        samconfig.toml's `local` environment names the profile. Where the file is not there is no such profile, so that
        `sam deploy --config-env local` never reaches AWS.
        """
        return self.folder / "config"

    def environment(self) -> dict[str, str]:
        """Return the variables that make any AWS client (boto3, sam, the AWS CLI) call only this ministack.

        Raises:
            StackError: it was never started.
        """
        return self._credentials() | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_credentials(self) -> None:
        """Write `profile_file` with new credentials of the root user."""
        profile = {
            "region": self.region,
            "endpoint_url": self.url,
            # Of the form of AWS's own: clients and logs treat them as what they are.
            "aws_access_key_id": f"AKIA{secrets.token_hex(8).upper()}",
            "aws_secret_access_key": secrets.token_urlsafe(30),
        }
        lines = [f"[profile {PROFILE}]", *(f"{name} = {value}" for name, value in profile.items())]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.profile_file.unlink(missing_ok=True)
        self.profile_file.touch(mode=0o600)
        self.profile_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _credentials(self) -> dict[str, str]:
        """Return the root user's credentials as variables (raises StackError)."""
        profile = configparser.RawConfigParser()
        try:
            profile.read_string(self.profile_file.read_text(encoding="utf-8"))
            names = ("aws_access_key_id", "aws_secret_access_key")
            return {name.upper(): profile.get(f"profile {PROFILE}", name) for name in names}
        except (OSError, configparser.Error) as error:
            raise StackError(
                f"the local AWS's credentials can't be read from {self.profile_file} ({type(error).__name__}): start "
                "the local stack again (`iot-stream up`)"
            ) from error

    def client(self, service: str, config: Config | None = None) -> Any:
        """Return a boto3 client of `service` for this ministack, with the root user's credentials.

        Nothing of the caller's environment reaches it: no variable, configuration file, profile or proxy. `config`
        has settings beside those for a local AWS. Who asks for the same client shares it: making one takes longer than
        a call.
        """
        credentials = self._credentials()
        key = (credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"])
        return _client(service, self.url, self.region, key, config)

    def start(self, *, domain_endpoint: str, ca_file: Path, enforce_iam: bool = True) -> Process:
        """Start it with new credentials of the root user and return once it is ready.

        Args:
            domain_endpoint: `host:port` of every OpenSearch domain.
            ca_file: certificate authority with which functions verify that endpoint; they inherit it through the
                environment, so their code needs nothing for the local stack.
            enforce_iam: whether assumed roles can do only what their policies allow.

        Raises:
            SetupError: it is not installed, or did not start.
        """
        if not MINISTACK_PYTHON.exists():
            raise SetupError("ministack is not installed here: run `make setup`")
        temporary = self.folder / "tmp"
        self.make_credentials()
        temporary.mkdir(mode=0o700, exist_ok=True)
        process = processes.start(
            NAME,
            [str(MINISTACK_PYTHON), "-P", str(_SERVER)],
            log=self.folder / "ministack.log",
            environment=processes.clean_environment(
                **self._credentials(), **self._settings(temporary, domain_endpoint, ca_file, enforce_iam=enforce_iam)
            ),
            cwd=self.folder,
        )
        processes.wait_until(self._ready, process, seconds=_START_SECONDS, what="its first response")
        return process

    def _settings(
        self, temporary: Path, domain_endpoint: str, ca_file: Path, *, enforce_iam: bool
    ) -> Mapping[str, str]:
        return {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": self.region,
            "AUTH": str(enforce_iam).lower(),
            # These two would listen on all interfaces.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            # At start it removes labelled containers from any Docker engine that it finds.
            "DOCKER_HOST": "unix:///nonexistent",
            "TMPDIR": str(temporary),
            "MINISTACK_OPENSEARCH_ENDPOINT": domain_endpoint,
            # The first is for requests, the second for urllib and urllib3.
            "REQUESTS_CA_BUNDLE": str(ca_file),
            "SSL_CERT_FILE": str(ca_file),
        }

    def _ready(self) -> bool:
        return processes.responds(f"{self.url}/_ministack/ready")


@cache
def _client(service: str, url: str, region: str, key: tuple[str, str], config: Config | None) -> Any:
    return _session().client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            s3={"addressing_style": "path"},
            proxies={},  # None would take the caller's
        ).merge(config or Config()),
    )


@cache
def _session() -> Any:
    """Return a boto3 session with botocore's default settings, independent of the caller's environment."""
    settings = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    settings["config_file"] = settings["credentials_file"] = (None, None, os.devnull, None)
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=settings))
