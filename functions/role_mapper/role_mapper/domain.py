"""The domain: one HTTPS endpoint, called as its master user."""

import json
from typing import Any
from urllib.parse import quote

import requests
import urllib3

from role_mapper.deadline import Deadline
from role_mapper.errors import (
    DeadlineExceededError,
    ReadOnlyError,
    ResponseError,
    UnexpectedResponseError,
    UnreachableError,
)
from role_mapper.master_user import IamMaster, InternalUser
from role_mapper.redaction import explanation, root_cause

__all__ = ["Domain", "path"]

_CALL_SECONDS = 15.0
_LEAST_SECONDS = 1.0
_READING_POSTS = (
    "/_dashboards/api/saved_objects/_bulk_get",
    "/_dashboards/auth/login",
    "/_index_template/_simulate_index/",
)
_SUCCESS = range(200, 300)
_UNAUTHORIZED = 401


class Domain:
    """Calls to one domain, each within the time that is left.

    Args:
        endpoint: `host[:port]`. Its certificate is verified, with `REQUESTS_CA_BUNDLE` where that is set.
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
        self.deadline = deadline
        self.master_user = master_user
        self._read_only = read_only
        self.session = requests.Session()
        self.session.auth = master_user

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Make one call and return the response's JSON, or its text where it is not JSON.

        Args:
            method: GET, PUT, POST, PATCH or DELETE.
            path: from the root, quoted (see `path`).
            body: JSON, or a string that is sent as it is.
            params: the query.
            headers: beyond those of every call.

        Raises:
            ResponseError: any status but 2xx; redirects are not followed, since the sign-in is for one host.
            UnreachableError: no response within the time there is.
            DeadlineExceededError: no time is left for the call.
            SecretError: there is nothing to sign in with.
            ReadOnlyError: it would change a domain that is only inspected.
        """
        name = f"{method} {path}"
        if self._read_only and method != "GET" and not any(part in path for part in _READING_POSTS):
            raise ReadOnlyError(name)
        seconds = self._seconds_for(name)
        data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        json_type = {"Content-Type": "application/json"} if data is not None else {}
        try:
            response = self.session.request(
                method,
                f"https://{self.endpoint}{path}",
                params=params,
                data=data.encode() if data is not None else None,
                headers=json_type | (headers or {}),
                timeout=seconds,
                allow_redirects=False,
            )
        except (OSError, urllib3.exceptions.HTTPError) as error:  # requests' own errors are OSErrors
            cause, unknown_name = root_cause(error)
            raise UnreachableError(name, f"{cause} (https://{self.endpoint})", unknown_name=unknown_name) from None
        parsed = _parse(response.content)
        if response.status_code in _SUCCESS:
            return parsed
        if response.status_code == _UNAUTHORIZED:
            self.master_user.forget()
        raise ResponseError(name, response.status_code, explanation(parsed), parsed) from None

    def get(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """Return the JSON object of a GET, or None where OpenSearch itself says that there is nothing.

        Raises:
            UnexpectedResponseError: the response is something else, from which nothing can be concluded.
        """
        try:
            return self.expect_object(f"GET {path}", self.call("GET", path, params=params))
        except ResponseError as error:
            if error.absent:
                return None
            raise

    def delete(self, path: str, *, headers: dict[str, str] | None = None) -> None:
        """Send a DELETE; the caller must read back whether the object is gone."""
        try:
            self.call("DELETE", path, headers=headers)
        except ResponseError as error:
            if not error.absent:
                raise

    def has(self, path: str) -> bool:
        """Return whether a plugin serves this path: False only when OpenSearch says that it has no handler for it.

        Raises:
            CallError: it is not known now.
        """
        try:
            self.call("GET", path)
        except ResponseError as error:
            if error.no_handler:
                return False
            if error.retryable and not error.sign_in_refused:
                raise
        return True

    @staticmethod
    def expect_object(call: str, body: Any) -> dict[str, Any]:
        """Return the body if it is a JSON object.

        Raises:
            UnexpectedResponseError: it is not.
        """
        if not isinstance(body, dict):
            raise UnexpectedResponseError(call, explanation(body))
        return body

    def check_reachable(self) -> None:
        """Check that the endpoint responds, with any status, without signing in.

        Raises:
            UnreachableError: it does not.
            DeadlineExceededError: no time is left for the call.
        """
        url = f"https://{self.endpoint}/"
        seconds = self._seconds_for(url)
        try:
            requests.head(url, timeout=seconds)
        except requests.RequestException as error:
            cause, unknown_name = root_cause(error)
            raise UnreachableError(url, cause, unknown_name=unknown_name) from None

    def _seconds_for(self, name: str) -> float:
        """Return how long one call may take, so that it ends before the time does."""
        left = self.deadline.remaining
        if not left:
            raise DeadlineExceededError(f"no time was left for {name}")
        return max(_LEAST_SECONDS, min(_CALL_SECONDS, left))

    def close(self) -> None:
        """Close its connections."""
        self.session.close()


def _parse(content: bytes) -> Any:
    text = content.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def path(*parts: str) -> str:
    """Return a path of literal parts, each of them quoted: a role's name may hold any character."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
