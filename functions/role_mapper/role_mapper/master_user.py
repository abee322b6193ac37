"""Sign in to the domain as its master user: an internal user, or this function's own IAM role."""

import base64
import json
import logging
from collections.abc import Callable

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from requests import PreparedRequest
from requests.auth import AuthBase
from requests_aws4auth import AWS4Auth

from role_mapper.errors import SecretError
from role_mapper.redaction import protect, redact
from role_mapper.settings import MasterUserMode, Settings

__all__ = ["IamMaster", "InternalUser", "sign_in"]

# At DEBUG, botocore logs what it receives: the secret.
logging.getLogger("botocore").setLevel(logging.WARNING)

_CLIENT = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
# Errors of IAM while a new role's policy is not effective everywhere yet, and temporary ones.
_RETRYABLE_CODES = {
    "AccessDenied",
    "AccessDeniedException",
    "InternalServiceError",
    "InternalServiceErrorException",
    "Throttling",
    "ThrottlingException",
    "UnrecognizedClientException",
}


class InternalUser(AuthBase):
    """Basic authentication with the user name and password of a secret, read when they are first needed.

    Args:
        read: the secret's text: JSON with `username` and `password` (the shape that RDS and others use too).
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._header: str | None = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign one request in."""
        if self._header is None:
            self._header = self._make_header()
        request.headers["Authorization"] = self._header
        return request

    def credentials(self) -> tuple[str, str]:
        """Return user name and password as the secret has them now.

        Raises:
            SecretError: the secret can't be read or has another shape.
        """
        try:
            secret = json.loads(self._read())
            user, password = str(secret["username"]), str(secret["password"])
        except (ValueError, TypeError, KeyError):
            # The parser's own error holds the text that it could not parse: it must not be chained.
            raise SecretError(
                'the master user\'s secret must be JSON with "username" and "password"', retryable=False
            ) from None
        protect(password, _basic(user, password))
        return user, password

    def forget(self) -> None:
        """Read the secret again next time: it may have been rotated."""
        self._header = None

    def _make_header(self) -> str:
        return "Basic " + _basic(*self.credentials())


def _basic(user: str, password: str) -> str:
    # UTF-8, as the security plugin reads it; requests' own basic authentication fails outside Latin-1.
    return base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


class IamMaster(AWS4Auth):  # type: ignore[misc]  # requests-aws4auth ships no types
    """Signature Version 4 with this function's own, refreshable credentials."""

    def __init__(self, session: boto3.Session) -> None:
        credentials, region = session.get_credentials(), session.region_name
        if credentials is None or region is None:
            raise SecretError("there are no AWS credentials, or no region, to sign with", retryable=False)
        super().__init__(refreshable_credentials=credentials, region=region, service="es")
        self._credentials = credentials

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign one request."""
        keys = self._credentials.get_frozen_credentials()
        protect(keys.secret_key or "", keys.token or "")
        signed: PreparedRequest = super().__call__(request)
        return signed

    def forget(self) -> None:
        """Do nothing: the credentials renew themselves."""


def sign_in(settings: Settings, session: boto3.Session) -> InternalUser | IamMaster:
    """Return how to sign in, as the function's environment says."""
    if settings.master_user_mode is MasterUserMode.IAM_ROLE:
        return IamMaster(session)
    return InternalUser(lambda: _read_secret(session, settings.master_user_secret_arn))


def _read_secret(session: boto3.Session, arn: str) -> str:
    """Return the secret's text, as it is now."""
    call = f"GetSecretValue of {arn}"
    try:
        client = session.client("secretsmanager", config=_CLIENT)
        return client.get_secret_value(SecretId=arn).get("SecretString", "")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise SecretError(f"{call} returned {code}: {redact(str(error))}", retryable=code in _RETRYABLE_CODES) from None
    except (NoCredentialsError, NoRegionError) as error:
        raise SecretError(f"{call} is not possible: {redact(str(error))}", retryable=False) from None
    except BotoCoreError as error:
        raise SecretError(f"{call} got no response: {redact(str(error))}", retryable=True) from None
