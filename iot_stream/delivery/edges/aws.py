"""AWS calls as the delivery role, and raw JSON calls where boto3 hides or slows down an answer."""

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

from iot_stream.delivery.core.record import NOT_JSON

__all__ = ["AWS_ERRORS", "Access", "JsonApi", "ResponseError", "code_of", "read_object"]

AWS_ERRORS: Final = (BotoCoreError, ClientError)
# Firehose waits 5 minutes for a function; retries are this worker's own business.
_CONFIG: Final = Config(connect_timeout=5, read_timeout=310, retries={"total_max_attempts": 1}, max_pool_connections=32)


class ResponseError(BotoCoreError):
    """What answered with success is not the service: no JSON of it, e.g. a proxy's page."""

    fmt = "the answer is not one of the service"


def code_of(error: Exception) -> str:
    """AWS's error code, e.g. `AccessDeniedException`; the exception's name where there was no answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


class Access:
    """Clients for one region, with the environment's credentials or with those of a role.

    Args:
        region: AWS region.
        endpoint_url: where all of AWS's APIs are; None for AWS itself, or what the environment says.
        external_id: AWS's own condition when Firehose assumes a role: the account's id.
        assume_roles: False uses the environment's credentials in place of every role's (where the role trusts only
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

    def client(self, service: str, role_arn: str | None = None) -> Any:
        """A boto3 client of `service`, as the role when one is given."""
        session = self.session(role_arn)
        config = _CONFIG
        if self._endpoint_url:  # a fake of AWS has one name for all buckets
            config = config.merge(Config(s3={"addressing_style": "path"}))
        return session.client(cast("Any", service), endpoint_url=self._endpoint_url, config=config)

    def session(self, role_arn: str | None = None) -> boto3.Session:
        """A session that assumes the role when it is first used, and again before its credentials expire."""
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


def read_object(body: bytes) -> dict[str, Any]:
    """Any JSON object."""
    return msgspec.json.decode(body, type=dict[str, Any])


class JsonApi:
    """Signed calls of one of AWS's JSON services, answered with the raw bytes.

    For DescribeDeliveryStream boto3 drops keys that its model does not know (ministack's name of the OpenSearch
    destination), and for GetRecords it spends far more time on time stamps and base64 than everything else here.
    """

    def __init__(self, access: Access, service: str, role_arn: str | None = None) -> None:
        client = access.client(service, role_arn)
        metadata = client.meta.service_model.metadata
        self.url: str = client.meta.endpoint_url
        self._target = metadata["targetPrefix"]
        self._content_type = f"application/x-amz-json-{metadata['jsonVersion']}"
        self._credentials = access.session(role_arn).get_credentials()
        self._signing = (client.meta.service_model.signing_name, client.meta.region_name)
        self._http = URLLib3Session(timeout=30, max_pool_connections=32)

    def call[Answer](self, operation: str, parameters: dict[str, Any], read: Callable[[bytes], Answer]) -> Answer:
        """The answer, as `read` makes it from the body, e.g. `read_object`.

        Raises:
            ClientError: AWS's error, with its code.
            BotoCoreError: there was no answer, or none of the service, or there are no credentials.
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
        if response.status_code >= 300:  # noqa: PLR2004 - all but success
            raise ClientError(_error(body, response.status_code), operation)
        try:
            return read(body)
        except NOT_JSON as error:
            raise ResponseError from error


def _error(body: bytes, status: int) -> Any:
    try:
        answer = read_object(body)
    except NOT_JSON:
        answer = {}
    code = str(answer.get("__type", status)).rpartition("#")[2]
    message = answer.get("message") or answer.get("Message") or ""
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
