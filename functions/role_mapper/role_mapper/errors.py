"""What can go wrong while a domain is prepared, in one tree.

RoleMapperError            what happened and what to do; its text becomes the Reason that CloudFormation shows
├── SettingsError          the function's environment lacks a setting or has a malformed one
├── PropertiesError        a property of the custom resource is missing or makes no sense
├── OwnershipError         an object of that name belongs to someone else, or to OpenSearch itself
├── ReadOnlyError          a call would change a domain that is only looked at
├── GaveUpError            a passing trouble did not pass within the time there was
│   └── TimeUpError        no time was left to ask at all
└── CallError           one call failed; `retryable` says whether trying again can help
    ├── ResponseError       the domain answered with an error status
    ├── UnreachableError   no answer: DNS, connection, TLS, time-out
    ├── SecretError        the master user's secret could not be read
    └── VerificationError       what was written reads back as something else

No text here holds a password or a signed header (`role_mapper.redaction` sees to that).
"""

__all__ = [
    "CallError",
    "GaveUpError",
    "OwnershipError",
    "PropertiesError",
    "ReadOnlyError",
    "ResponseError",
    "RoleMapperError",
    "SecretError",
    "SettingsError",
    "TimeUpError",
    "UnreachableError",
    "VerificationError",
]

_CONFLICT = 409
# A young domain answers all of these for a while: its master user and its roles are not effective yet (401, 403),
# it starts (5xx), it is busy (429), or someone changes its security configuration at the same moment (409).
_PASSING = {401, 403, _CONFLICT, 429}
_SERVER_ERRORS = range(500, 600)


class RoleMapperError(Exception):
    """One sentence for a person: what happened and what to do."""


class SettingsError(RoleMapperError):
    """The function's environment lacks a setting or has a malformed one."""


class PropertiesError(RoleMapperError):
    """A property of the custom resource is missing or makes no sense."""


class OwnershipError(RoleMapperError):
    """An object of that name belongs to someone else, or to OpenSearch itself."""


class ReadOnlyError(RoleMapperError):
    """A call would change a domain that is only looked at; its text is the call."""


class GaveUpError(RoleMapperError):
    """A passing trouble did not pass within the time there was."""


class TimeUpError(GaveUpError):
    """No time was left to ask at all."""


class CallError(RoleMapperError):
    """One call failed.

    Attributes:
        passing: whether the same call can succeed later.
    """

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class ResponseError(CallError):
    """The domain answered with an error status.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, call: str, status: int, words: str) -> None:
        super().__init__(f"{call} answered {status}: {words}", retryable=status in _PASSING or status in _SERVER_ERRORS)
        self.status = status


class UnreachableError(CallError):
    """No answer: DNS, connection, TLS or time-out.

    Attributes:
        unknown_name: DNS says that the domain's name does not exist.
    """

    def __init__(self, call: str, cause: str, *, unknown_name: bool) -> None:
        super().__init__(f"{call} got no answer: {cause}", retryable=True)
        self.unknown_name = unknown_name


class SecretError(CallError):
    """The master user's secret could not be read."""


class VerificationError(CallError):
    """What was written reads back as something else: someone changed it at the same moment."""

    def __init__(self, text: str) -> None:
        super().__init__(text, retryable=True)
