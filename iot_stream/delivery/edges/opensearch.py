"""Index: `_bulk` requests to the domain, authenticated in one of four ways."""

import base64
import os
import time
from pathlib import Path
from typing import Final

import requests
from requests.auth import AuthBase
from requests_aws4auth import AWS4Auth

from iot_stream.delivery.core import bulk
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.record import Document
from iot_stream.delivery.edges.aws import AWS_ERRORS, AwsClients, error_code
from iot_stream.delivery.edges.memory import release_frames
from iot_stream.delivery.errors import DeliveryError
from iot_stream.role_token import role_token

__all__ = ["SIGN_INS", "BearerAuth", "Domain", "check_sign_in", "sign_in"]

SIGN_INS: Final = ("sigv4", "jwt", "basic", "none")
_TOKEN_SECONDS: Final = 3600
_TIMEOUT: Final = (5, 60)


class BearerAuth(AuthBase):
    """Signs in as an IAM role with a bearer token, for an OpenSearch outside AWS (`role_token`)."""

    def __init__(self, role_arn: str, key: bytes) -> None:
        self._role_arn = role_arn
        self._key = key
        self._token = ""
        self._renew_at = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the Authorization header."""
        now = time.time()
        if now >= self._renew_at:
            self._token = role_token(self._role_arn, self._key, seconds=_TOKEN_SECONDS)
            self._renew_at = now + _TOKEN_SECONDS / 2
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def check_sign_in(method: str, domain_url: str | None, ca_file: Path | None) -> None:
    """Reject a sign-in that would send a password or token to an arbitrary server named by the delivery stream.

    Anyone who can change the delivery stream can name another server. A signature is valid for one host and five
    minutes, a password for every host and without limit.

    Raises:
        DeliveryError: the caller has named neither the domain nor the authority that its certificate must be from.
    """
    if method in {"basic", "jwt"} and not (domain_url or ca_file):
        raise DeliveryError(
            f"--sign-in {method} needs --domain-url or --ca: otherwise anyone who can change the delivery stream could "
            "redirect the credentials to another server"
        )


def sign_in(
    method: str, clients: AwsClients, role_arn: str, region: str, jwt_key: Path | None = None
) -> AuthBase | tuple[str, str] | None:
    """Return the authentication for requests to a domain.

    Args:
        method: one of `SIGN_INS`. `sigv4` signs with the role's credentials, as Firehose does; `jwt` sends a token for
            the role; `basic` takes OPENSEARCH_USER and OPENSEARCH_PASSWORD from the environment; `none` sends nothing.
        clients: provides the role's credentials.
        role_arn: the delivery role.
        region: the domain's region.
        jwt_key: for `jwt`, a file with the security plugin's `signing_key` (base64).

    Raises:
        DeliveryError: the key file or an environment variable is missing.
    """
    if method == "jwt":
        if jwt_key is None:
            raise DeliveryError("--sign-in jwt needs --jwt-key FILE, the security plugin's signing_key")
        try:
            return BearerAuth(role_arn, base64.b64decode(jwt_key.read_text(encoding="ascii")))
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{jwt_key} holds no base64 key: {error}") from error
    if method == "basic":
        try:
            return os.environ["OPENSEARCH_USER"], os.environ["OPENSEARCH_PASSWORD"]
        except KeyError as error:
            raise DeliveryError(f"--sign-in basic needs the environment variable {error}") from error
    if method == "sigv4":
        credentials = clients.session(role_arn).get_credentials()
        auth: AuthBase = AWS4Auth(region=region, service="es", refreshable_credentials=credentials)
        return auth
    return None


class Domain:
    """The destination: an OpenSearch endpoint.

    Args:
        url: e.g. `https://127.0.0.1:19200`.
        auth: see `sign_in`.
        ca_file: the certificate authority to verify it with; None for the default ones.
        with_ids: whether documents get their records' ids (FIREHOSE_DEFAULT).
    """

    def __init__(
        self, url: str, auth: AuthBase | tuple[str, str] | None, ca_file: Path | None, *, with_ids: bool
    ) -> None:
        self._url = url
        self._with_ids = with_ids
        self._session = requests.Session()
        # The environment's CA variables and netrc must not override the arguments.
        self._session.trust_env = False
        self._session.auth = auth
        self._session.verify = str(ca_file) if ca_file else True
        self._session.headers["Content-Type"] = "application/x-ndjson"

    def index(self, documents: list[Document]) -> list[IndexingError | None]:
        """Send one bulk request; return None for each document that is indexed, else the error.

        Redirects are not followed: documents go to the domain, and to nobody whom it names.
        """
        body = bulk.build_body(documents, with_ids=self._with_ids)
        try:
            response = self._session.post(self._url + bulk.PATH, data=body, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            release_frames(error)
            return [IndexingError(None, f"no response from the domain ({type(error).__name__})")] * len(documents)
        except AWS_ERRORS as error:  # the delivery role's credentials are fetched on use
            return [IndexingError(None, f"no credentials to sign in with ({error_code(error)})")] * len(documents)
        if response.is_redirect:
            return [IndexingError(None, f"the domain redirects ({response.status_code})")] * len(documents)
        return bulk.parse_response(len(documents), response.status_code, response.content)
