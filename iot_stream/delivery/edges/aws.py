"""AWS clients that act as the delivery role, and raw JSON calls where boto3 hides or slows down a response."""

from collections.abc import Callable
from typing import Any, Final, cast

import boto3
import botocore.session
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session

from iot_stream.delivery.errors import DECODE_ERRORS, ResponseError

__all__ = ["AWS_ERRORS", "AwsClients", "JsonApi", "error_code", "parse_object"]

AWS_ERRORS: Final = (BotoCoreError, ClientError, ResponseError)
# Firehose waits 5 minutes for a function. The worker has its own retries.
_CONFIG: Final = Config(connect_timeout=5, read_timeout=310, retries={"total_max_attempts": 1}, max_pool_connections=32)


def error_code(error: Exception) -> str:
    """Return AWS's error code, e.g. `AccessDeniedException`, or the exception's name when AWS sent no response."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


class AwsClients:
    """Creates clients and sessions for one region, with the environment's credentials or those of a role.

    Args:
        region: AWS region.
        endpoint_url: the endpoint of all AWS APIs; None for AWS itself, or what the environment says.
        external_id: the condition that AWS sets when Firehose assumes a role: the account id.
        assume_roles: False uses the environment's credentials instead of every role's (where the role trusts only
            Firehose).
    """

    def __init__(
        self, region: str, endpoint_url: str | None, external_id: str = "", *, assume_roles: bool = True
    ) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._external_id = external_id
        self._assume_roles = assume_roles
        self._sessions: dict[str | None, boto3.Session] = {None: boto3.Session(region_name=region)}

    def client(self, service: str, role_arn: str | None = None, *, read_timeout: float | None = None) -> Any:
        """Return a boto3 client of `service`, acting as the role when one is given.

        It waits `read_timeout` seconds for a response, unless given as long as a function may take.
        """
        session = self.session(role_arn)
        config = _CONFIG if read_timeout is None else _CONFIG.merge(Config(read_timeout=read_timeout))
        if self._endpoint_url:  # a fake AWS has one host name for all buckets
            config = config.merge(Config(s3={"addressing_style": "path"}))
        return session.client(cast("Any", service), endpoint_url=self._endpoint_url, config=config)

    def session(self, role_arn: str | None = None) -> boto3.Session:
        """Return a session that assumes the role on first use, and again before its credentials expire."""
        name = role_arn if self._assume_roles else None
        if name not in self._sessions:
            self._sessions[name] = self._assume(cast("str", name))
        return self._sessions[name]

    def _assume(self, role_arn: str) -> boto3.Session:
        session = botocore.session.Session()
        request = {"RoleArn": role_arn, "RoleSessionName": "firehose", "ExternalId": self._external_id}
        refresh = create_assume_role_refresher(self.client("sts"), request)
        # botocore has no public way to give a session credentials that renew themselves.
        session._credentials = DeferredRefreshableCredentials(refresh, "assume-role")  # type: ignore[attr-defined]  # noqa: SLF001
        return boto3.Session(botocore_session=session, region_name=self._region)


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse any JSON object."""
    return msgspec.json.decode(body, type=dict[str, Any])


class JsonApi:
    """Signed calls of one of AWS's JSON services that return the raw response body.

    For DescribeDeliveryStream, boto3 drops keys that its model does not know (ministack's name of the OpenSearch
    destination); for GetRecords, it spends far more time on timestamps and base64 than everything else here.
    """

    def __init__(self, clients: AwsClients, service: str, role_arn: str | None = None) -> None:
        client = clients.client(service, role_arn)
        metadata = client.meta.service_model.metadata
        self.url: str = client.meta.endpoint_url
        self._target = metadata["targetPrefix"]
        self._content_type = f"application/x-amz-json-{metadata['jsonVersion']}"
        self._credentials = clients.session(role_arn).get_credentials()
        self._signing = (client.meta.service_model.signing_name, client.meta.region_name)
        self._http = URLLib3Session(timeout=30, max_pool_connections=32)

    def call[Response](
        self, operation: str, parameters: dict[str, Any], parse: Callable[[bytes], Response]
    ) -> Response:
        """Call an operation and return the response as `parse` makes it from the body, e.g. `parse_object`.

        Raises:
            ClientError: AWS's error, with its code.
            BotoCoreError: there was no response, or there are no credentials.
            ResponseError: the body of a success is not the service's.
        """
        if self._credentials is None:
            raise NoCredentialsError
        request = AWSRequest(
            "POST",
            self.url,
            headers={"X-Amz-Target": f"{self._target}.{operation}", "Content-Type": self._content_type},
            data=msgspec.json.encode(parameters),
        )
        SigV4Auth(self._credentials.get_frozen_credentials(), *self._signing).add_auth(request)
        response = self._http.send(request.prepare())
        body: bytes = response.content
        if response.status_code >= 300:  # noqa: PLR2004 - everything but success
            raise ClientError(_parse_error(body, response.status_code), operation)
        try:
            return parse(body)
        except DECODE_ERRORS as error:
            raise ResponseError(f"the body is not a response of {operation}") from error


def _parse_error(body: bytes, status: int) -> Any:
    try:
        response = parse_object(body)
    except DECODE_ERRORS:
        response = {}
    code = str(response.get("__type", status)).rpartition("#")[2]
    message = response.get("message") or response.get("Message") or ""
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
