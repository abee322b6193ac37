"""The function's own settings: which domain it may sign in to, how, and to whom it may give which rights (pure).

They come from the environment that template.yaml gives the function, never from an event: otherwise whoever may invoke
the function could name a server of their own and be sent the master user's password, or make a role of their own an
administrator of the domain.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from role_mapper.cloudformation import Request
from role_mapper.errors import PropertiesError, SettingsError
from role_mapper.properties import Properties

__all__ = ["MasterUserMode", "Settings"]

_ENDPOINT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_GRANTS: Final = {
    "RoleName": "role_name",
    "IndexName": "index_name",
    "IndexPattern": "index_pattern",
    "DeliveryRoleArn": "delivery_role_arn",
    "AlertsRoleArn": "alerts_role_arn",
    "AdminRoleArn": "admin_role_arn",
    "TakeOver": "take_over",
}
"""Properties of the custom resource that say who gets rights, on what and in whose place, by their attributes.

The environment's variables have the attributes' names, in capitals.
"""


class MasterUserMode(StrEnum):
    """Who the domain's master user is (AdvancedSecurityOptions of the OpenSearch Service API)."""

    INTERNAL_USER = "InternalUser"
    IAM_ROLE = "IamRole"


@dataclass(frozen=True)
class Settings:
    """Where the domain is, how to sign in, and what may be granted.

    Attributes:
        domain_endpoint: `host[:port]`: DOMAIN_ENDPOINT.
        master_user_mode: how to sign in: MASTER_USER_MODE.
        master_user_secret_arn: the secret with `username` and `password`: MASTER_USER_SECRET_ARN; empty with an IAM
            master.
        grants: the values of `RoleName`, `IndexName`, `IndexPattern`, `DeliveryRoleArn`, `AlertsRoleArn`,
            `AdminRoleArn` and `TakeOver` that are accepted.
        stack_id: the stack whose objects they are: STACK_ID.
    """

    domain_endpoint: str
    master_user_mode: MasterUserMode = MasterUserMode.INTERNAL_USER
    master_user_secret_arn: str = ""
    grants: Mapping[str, str] = field(default_factory=dict)
    stack_id: str = ""

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
        grants = {key: environment.get(name.upper(), "") for key, name in _GRANTS.items()}
        return cls(endpoint, MasterUserMode(mode), secret, grants, environment.get("STACK_ID", ""))

    @classmethod
    def for_request(
        cls, environment: Mapping[str, str], request: Request, wanted: Properties | None = None
    ) -> "Settings":
        """Read the settings, and check that the request is for this stack and asks only for what may be granted.

        Args:
            environment: the function's environment variables.
            request: the request to check.
            wanted: the requested objects; None for a request that creates none.

        Raises:
            SettingsError: a variable is missing or malformed; names it.
            PropertiesError: it is for another stack or domain, or wants more than is granted. Nothing was contacted.
        """
        settings = cls.from_environment(environment)
        settings.check(request.properties, request.stack_id)
        if wanted is not None:
            settings.check_grants(wanted)
        return settings

    def check(self, properties: Mapping[str, object], stack_id: str) -> None:
        """Reject an event for another stack, and properties that name another domain, secret or sign-in method.

        Raises:
            PropertiesError: they do; names the property. Nothing has been contacted.
        """
        if stack_id != self.stack_id:
            raise PropertiesError(
                "StackId is not the one in this function's environment: this function serves only its own stack"
            )
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

    def check_grants(self, wanted: Properties) -> None:
        """Reject properties that would grant rights to another role, or on other indices.

        Raises:
            PropertiesError: they would; names the property and its variable. Nothing has been contacted.
        """
        for key, name in _GRANTS.items():
            value = getattr(wanted, name)
            asked = str(value).lower() if isinstance(value, bool) else value
            if asked != self.grants.get(key):
                raise PropertiesError(
                    f"{key} is not the one in this function's environment ({name.upper()}): the function gives only "
                    "the rights that its own stack asks for; finish or roll back its update, or change its parameters"
                )
