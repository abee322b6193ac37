"""What can go wrong while a domain is prepared, in one tree.

RoleMapperError                  what happened and what to do; the text becomes the Reason that CloudFormation shows
├── SettingsError                the function's environment lacks a setting or has a malformed one
├── PropertiesError              a property of the custom resource is missing or invalid
├── OwnershipError               an object of that name belongs to someone else, or to OpenSearch itself
├── EffectError                  an object is as wanted, but something else keeps it from having effect
├── ReadOnlyError                a call would change a domain that is only inspected
├── DeadlineExceededError        the time was up before an error went away, or before a call could be made
└── CallError                    one call failed; `retryable` says whether the same call can succeed later
    ├── ResponseError            the domain responded with an error status
    ├── UnexpectedResponseError  the response is not one that OpenSearch gives to that call
    ├── UnreachableError         no response: DNS, connection, TLS, time-out
    ├── SecretError              the master user's secret could not be read
    └── VerificationError        what was written or deleted reads back as something else

No text here holds a password or a signed header (see `role_mapper.redaction`).
"""

import traceback

__all__ = [
    "CallError",
    "DeadlineExceededError",
    "EffectError",
    "OwnershipError",
    "PropertiesError",
    "ReadOnlyError",
    "ResponseError",
    "RoleMapperError",
    "SecretError",
    "SettingsError",
    "UnexpectedResponseError",
    "UnreachableError",
    "VerificationError",
    "place",
]

_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_CONFLICT = 409
_TOO_MANY_REQUESTS = 429
# A new domain gives all of these for a while: its master user and its roles are not effective yet (401, 403), it starts
# (5xx), it is busy (429), or someone changes its security configuration at the same moment (409).
_RETRYABLE = {_UNAUTHORIZED, _FORBIDDEN, _CONFLICT, _TOO_MANY_REQUESTS}
_SERVER_ERRORS = range(500, 600)
_SECURITY, _DASHBOARDS = "/_plugins/_security/", "/_dashboards/"
# Types of the core and of Index State Management, as tests/fixtures/index-management.json and the integration tests
# have them.
_ABSENT_TYPES = {"resource_not_found_exception", "index_not_found_exception", "status_exception"}


class RoleMapperError(Exception):
    """Base class; the message is one sentence that says what happened and what to do."""


def place(error: BaseException) -> str:
    """Return the type of an unforeseen error and where it came up; its text may quote the value that caused it."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {at.name}, line {at.lineno} of {at.filename}"


class SettingsError(RoleMapperError):
    """The function's environment lacks a setting or has a malformed one."""


class PropertiesError(RoleMapperError):
    """A property of the custom resource is missing or invalid."""


class OwnershipError(RoleMapperError):
    """An object of that name belongs to someone else, or to OpenSearch itself."""


class EffectError(RoleMapperError):
    """The objects are as wanted, but something else on the domain keeps them from having effect."""


class ReadOnlyError(RoleMapperError):
    """A call would change a domain that is only inspected; the text is the call."""


class DeadlineExceededError(RoleMapperError):
    """The time was up before an error went away, or before a call could be made.

    Attributes:
        seconds: how long was tried; None where no step has been given up yet.
    """

    def __init__(self, text: str, *, seconds: float | None = None) -> None:
        super().__init__(text if seconds is None else f"{text} (gave up after {seconds:.0f} s)")
        self.seconds = seconds


class CallError(RoleMapperError):
    """One call failed.

    Attributes:
        retryable: whether the same call can succeed later.
    """

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class ResponseError(CallError):
    """The domain responded with an error status.

    Attributes:
        status: the HTTP status.
        body: the response's JSON, or its text; None where it is not known.
    """

    def __init__(self, call: str, status: int, explanation: str, body: object = None) -> None:
        self.status = status
        self.body = body
        self._method, _, self._path = call.partition(" ")
        foreign = status == _NOT_FOUND and body is not None and not self.absent
        retryable = status in _RETRYABLE or status in _SERVER_ERRORS or foreign
        super().__init__(f"{call} returned {status}: {explanation}", retryable=retryable)

    @property
    def absent(self) -> bool:
        """Whether that which serves the path says that the object does not exist, each in its own form of a 404."""
        body = self.body
        if self.status != _NOT_FOUND or not isinstance(body, dict):
            return False
        if self._path.startswith(_SECURITY):
            return body.get("status") == "NOT_FOUND"
        if self._path.startswith(_DASHBOARDS):  # its POSTs name no object in the path
            return body.get("statusCode") == _NOT_FOUND and self._method != "POST"
        error = body.get("error")
        return isinstance(error, dict) and error.get("type") in _ABSENT_TYPES

    @property
    def no_handler(self) -> bool:
        """Whether OpenSearch says that nothing serves the path: the plugin is not installed."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return self.status == _BAD_REQUEST and isinstance(error, str) and error.startswith("no handler found for uri")

    @property
    def nothing_matches(self) -> bool:
        """Whether Index State Management says that no index matches the pattern that it is to explain."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        reason = error.get("reason") if isinstance(error, dict) else None
        return self.status == _BAD_REQUEST and isinstance(reason, str) and "no documents to get" in reason

    @property
    def not_offered(self) -> bool:
        """Whether Amazon's domain does not offer the call at all: 401 `Your request: '/…' is not allowed.`."""
        message = self.body.get("Message") if isinstance(self.body, dict) else None
        return (
            self.status == _UNAUTHORIZED
            and isinstance(message, str)
            and message.startswith("Your request: ")
            and message.endswith(" is not allowed.")
        )

    @property
    def sign_in_refused(self) -> bool:
        """Whether the master user is not let in, or may not make the call."""
        return self.status in {_UNAUTHORIZED, _FORBIDDEN}


class UnexpectedResponseError(CallError):
    """The response is not one that OpenSearch gives to that call: a proxy's, or of a domain that starts.

    It is retryable: nothing may be concluded from it, least of all that an object does not exist.
    """

    def __init__(self, call: str, explanation: str) -> None:
        super().__init__(f"{call} got an unexpected response: {explanation}", retryable=True)


class UnreachableError(CallError):
    """No response: DNS, connection, TLS or time-out.

    Attributes:
        unknown_name: DNS says that the domain's name does not exist.
    """

    def __init__(self, call: str, cause: str, *, unknown_name: bool) -> None:
        super().__init__(f"{call} got no response: {cause}", retryable=True)
        self.unknown_name = unknown_name


class SecretError(CallError):
    """The master user's secret could not be read."""


class VerificationError(CallError):
    """What was written or deleted reads back as something else: someone changed it at the same moment."""

    def __init__(self, text: str) -> None:
        super().__init__(text, retryable=True)
