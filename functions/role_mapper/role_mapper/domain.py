"""The domain: one HTTPS endpoint, called as its master user."""

import logging
from typing import Any
from urllib.parse import quote

import opensearchpy
import requests
from opensearchpy import OpenSearch, RequestsHttpConnection

from role_mapper.deadline import Deadline
from role_mapper.errors import ReadOnlyError, ResponseError, TimeUpError, UnreachableError
from role_mapper.master_user import IamMaster, InternalUser
from role_mapper.redaction import root_cause, words

__all__ = ["Domain", "path"]

_CALL_SECONDS = 15.0
_LEAST_SECONDS = 1.0
_READING_POSTS = ("/_bulk_get", "/auth/login")
_NOT_FOUND = 404
_UNAUTHORIZED = 401
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

# opensearch-py logs request bodies (the log-in's too) and tracebacks; every failure is told by our errors instead.
for name in ("opensearch", "opensearchpy.trace"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


class _Connection(RequestsHttpConnection):
    """A connection that never follows a redirect: the master user's password is for one host."""

    def perform_request(self, *args: Any, **options: Any) -> Any:
        return super().perform_request(*args, **options | {"allow_redirects": False})


class Domain:
    """Calls to one domain, each within the time that is left.

    Args:
        endpoint: `host[:port]`. The client verifies its certificate, with `REQUESTS_CA_BUNDLE` where that is set.
        master_user: how to sign in.
        deadline: the time there is.
        read_only: refuse every call that would change the domain.
    """

    def __init__(
        self,
        endpoint: str,
        master_user: InternalUser | IamMaster,
        deadline: Deadline,
        *,
        read_only: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self._read_only = read_only
        self.deadline = deadline
        self.master_user = master_user
        self._client = OpenSearch(
            hosts=[f"https://{endpoint}"],
            http_auth=master_user,
            connection_class=_Connection,
            verify_certs=True,
            max_retries=0,  # Deadline retries, and knows more reasons to
            retry_on_status=(),
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The answer's body: what its JSON says, or its text.

        Raises:
            ResponseError: any status but 2xx.
            UnreachableError: no answer within the time there is.
            TimeUpError: no time is left to ask.
            SecretError: there is nothing to sign in with.
            ReadOnlyError: it would change a domain that is only looked at.
        """
        name = f"{method} {path}"
        if self._read_only and method != "GET" and not path.endswith(_READING_POSTS):
            raise ReadOnlyError(name)
        seconds = self._seconds_for(name)
        try:
            return self._client.transport.perform_request(
                method,
                path,
                params=params,
                body=body,
                headers=headers,
                timeout=seconds,
            )
        except opensearchpy.ConnectionError as error:
            cause, unknown_name = root_cause(error)
            raise UnreachableError(name, f"{cause} (https://{self.endpoint})", unknown_name=unknown_name) from None
        except opensearchpy.SerializationError:
            raise ResponseError(name, 200, "something that is not JSON, so not from OpenSearch") from None
        except opensearchpy.TransportError as error:
            status = int(error.status_code)
            if status == _UNAUTHORIZED:
                self.master_user.forget()
            raise ResponseError(name, status, words(error.info or error.error)) from None

    def find(self, path: str, *, params: dict[str, str] | None = None) -> Any:
        """The body of what a GET finds, or None where there is nothing (404)."""
        try:
            return self.call("GET", path, params=params)
        except ResponseError as refusal:
            if refusal.status == _NOT_FOUND:
                return None
            raise

    def delete(self, path: str, *, headers: dict[str, str] | None = None) -> bool:
        """Delete what is there; False if there was nothing."""
        try:
            self.call("DELETE", path, headers=headers)
        except ResponseError as refusal:
            if refusal.status == _NOT_FOUND:
                return False
            raise
        return True

    def has(self, path: str) -> bool:
        """Whether anything on the domain answers under this path; a plugin that is not installed does not.

        Raises:
            CallError: it can't be told now.
        """
        try:
            self.call("GET", path)
        except ResponseError as refusal:
            if refusal.status == _NOT_FOUND or "no handler found" in str(refusal):
                return False
            if refusal.status == _TOO_MANY_REQUESTS or refusal.status >= _SERVER_ERROR:
                raise
        return True

    def check_reachable(self) -> None:
        """Return if anything answers, whatever it says; nobody signs in.

        Raises:
            UnreachableError: nothing does.
            TimeUpError: no time is left to ask.
        """
        url = f"https://{self.endpoint}/"
        seconds = self._seconds_for(url)
        try:
            requests.head(url, timeout=seconds)
        except requests.RequestException as error:
            cause, unknown_name = root_cause(error)
            raise UnreachableError(url, cause, unknown_name=unknown_name) from None

    def _seconds_for(self, name: str) -> float:
        """How long one call may take, so that it ends before the time does."""
        left = self.deadline.remaining
        if not left:
            raise TimeUpError(f"no time was left for {name}")
        return max(_LEAST_SECONDS, min(_CALL_SECONDS, left))

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def path(*parts: str) -> str:
    """A path of literal parts, each of them quoted: a role's name may hold anything."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
