"""Create a boto3 session with the caller's credentials and region, and explain its errors."""

import os
from typing import Any, Final

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
)

__all__ = ["advice", "caller_session", "remedy"]


class _SettingError(BotoCoreError):
    """A setting that boto3 reads when it creates a client has an invalid value."""

    fmt = "a setting of boto3 is wrong: {cause}"


_SIGN_IN: Final = "sign in with `aws sso login` or `aws configure`, or export AWS_PROFILE=… of another profile"
_ADVICE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NoRegionError, "export AWS_DEFAULT_REGION=…, for example eu-central-1, or `aws configure`"),
    (ProfileNotFound, "export AWS_PROFILE=… of `aws configure list-profiles`, or unset it"),
    (NoCredentialsError, _SIGN_IN),
    (PartialCredentialsError, _SIGN_IN),
    (SSOError, _SIGN_IN),
    (ProxyConnectionError, "check HTTPS_PROXY"),
    (SSLError, "name your company's authority in AWS_CA_BUNDLE"),
    (_SettingError, "check the variables AWS_…, such as AWS_MAX_ATTEMPTS or AWS_ENDPOINT_URL, and ~/.aws/config"),
    (EndpointConnectionError, "check the region, the network, and HTTPS_PROXY"),
    (ConnectTimeoutError, "check the region, the network, and HTTPS_PROXY"),
)
_SIGN_IN_AGAIN: Final = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "RequestExpired"}
"""Codes of CloudFormation's, STS's and Lambda's common errors ("Common Errors" in their API references)."""


class _Session(boto3.Session):
    """Raise BotoCoreError for every wrong setting: botocore raises a plain ValueError for some numbers."""

    def client(self, *args: Any, **settings: Any) -> Any:
        try:
            return super().client(*args, **settings)
        except BotoCoreError:  # some are ValueErrors too
            raise
        except ValueError as error:
            raise _SettingError(cause=error) from error


def caller_session() -> Any:
    """Return a boto3 session of the caller's; raises BotoCoreError for a profile that does not exist.

    So do its clients for what else is wrong with the caller's settings.

    boto3 reads AWS_DEFAULT_REGION and the profile's region. Where it finds neither, AWS_REGION counts, which AWS's
    other tools read ("AWS Region" in the AWS SDKs and Tools Reference Guide).
    """
    session: Any = _Session()  # its stubs say that it always has a region
    if session.region_name is None and os.environ.get("AWS_REGION"):
        return _Session(region_name=os.environ["AWS_REGION"])
    return session


def advice(error: BotoCoreError | ClientError) -> str:
    """Return what happened and what to do about it, as one line without a full stop."""
    return ": ".join(filter(None, (str(error).rstrip("."), remedy(error))))


def remedy(error: BotoCoreError | ClientError) -> str:
    """Return what the caller can do about an error; empty if the error is not about their settings."""
    if isinstance(error, ClientError):
        return _SIGN_IN if error.response.get("Error", {}).get("Code") in _SIGN_IN_AGAIN else ""
    return next((what_to_do for kind, what_to_do in _ADVICE if isinstance(error, kind)), "")
