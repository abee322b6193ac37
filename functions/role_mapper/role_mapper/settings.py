"""The function's own settings: which domain it may sign in to, and how (pure).

They come from the environment that template.yaml gives the function, never from an event: otherwise whoever may invoke
the function could name a server of their own and be sent the master user's password.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from role_mapper.errors import PropertiesError, SettingsError

__all__ = ["MasterUserMode", "Settings"]

_ENDPOINT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")


class MasterUserMode(StrEnum):
    """Who the domain's master user is (AdvancedSecurityOptions of the OpenSearch Service API)."""

    INTERNAL_USER = "InternalUser"
    IAM_ROLE = "IamRole"


@dataclass(frozen=True)
class Settings:
    """Where the domain is and how to sign in.

    Attributes:
        domain_endpoint: `host[:port]`: DOMAIN_ENDPOINT.
        master_user_mode: how to sign in: MASTER_USER_MODE.
        master_user_secret_arn: the secret with `username` and `password`: MASTER_USER_SECRET_ARN; empty with an IAM
            master.
    """

    domain_endpoint: str
    master_user_mode: MasterUserMode = MasterUserMode.INTERNAL_USER
    master_user_secret_arn: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises:
            SettingsError: a variable is missing or malformed; names it.
        """
        endpoint = environment.get("DOMAIN_ENDPOINT", "")
        if not _ENDPOINT.fullmatch(endpoint):
            raise SettingsError(
                f"DOMAIN_ENDPOINT is {endpoint!r}: set it to the domain's host[:port], without https:// or a path"
            )
        mode = environment.get("MASTER_USER_MODE", "")
        if mode not in tuple(MasterUserMode):
            raise SettingsError(f"MASTER_USER_MODE is {mode!r}: set it to one of {', '.join(MasterUserMode)}")
        secret = environment.get("MASTER_USER_SECRET_ARN", "")
        if mode == MasterUserMode.INTERNAL_USER and not secret:
            raise SettingsError("MASTER_USER_SECRET_ARN is missing: set it to the ARN of the master user's secret")
        return cls(endpoint, MasterUserMode(mode), secret)

    def check(self, properties: Mapping[str, object]) -> None:
        """Refuse the properties of an event that name another domain, secret or way to sign in.

        Raises:
            PropertiesError: they do; names the property. Nothing has been contacted.
        """
        own = {
            "DomainEndpoint": self.domain_endpoint,
            "MasterUserMode": self.master_user_mode,
            "MasterUserSecretArn": self.master_user_secret_arn,
        }
        for key, value in own.items():
            if key in properties and properties[key] != value:
                raise PropertiesError(
                    f"{key} is not the one in this function's environment: the function signs in to its own stack's "
                    "domain only"
                )
