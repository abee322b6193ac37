"""What can go wrong while a domain is prepared, in one tree.

RoleMapperError            what happened and what to do; its text becomes the Reason that CloudFormation shows
├── PropertiesError        a property of the custom resource is missing or makes no sense
├── OwnershipError         an object of that name belongs to someone else, or to OpenSearch itself
├── ReadOnlyError          a call would change a domain that is only looked at
├── GaveUpError            a passing trouble did not pass within the time there was
│   └── TimeUpError        no time was left to ask at all
└── TroubleError           one call failed; `passing` says whether trying again can help
    ├── RefusedError       the domain answered with an error status
    ├── UnreachableError   no answer: DNS, connection, TLS, time-out
    ├── SecretError        the master user's secret could not be read
    └── DiffersError       what was written reads back as something else

No text here holds a password or a signed header (`role_mapper.wording` sees to that).
"""

__all__ = [
    "DiffersError",
    "GaveUpError",
    "OwnershipError",
    "PropertiesError",
    "ReadOnlyError",
    "RefusedError",
    "RoleMapperError",
    "SecretError",
    "TimeUpError",
    "TroubleError",
    "UnreachableError",
]

_CONFLICT = 409
# A young domain answers all of these for a while: its master user and its roles are not effective yet (401, 403),
# it starts (5xx), it is busy (429), or someone changes its security configuration at the same moment (409).
_PASSING = {401, 403, _CONFLICT, 429}
_SERVER_ERRORS = range(500, 600)


class RoleMapperError(Exception):
    """One sentence for a person: what happened and what to do."""


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


class TroubleError(RoleMapperError):
    """One call failed.

    Attributes:
        passing: whether the same call can succeed later.
    """

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


class RefusedError(TroubleError):
    """The domain answered with an error status.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, call: str, status: int, words: str) -> None:
        super().__init__(f"{call} answered {status}: {words}", passing=status in _PASSING or status in _SERVER_ERRORS)
        self.status = status


class UnreachableError(TroubleError):
    """No answer: DNS, connection, TLS or time-out.

    Attributes:
        unknown_name: DNS says that the domain's name does not exist.
    """

    def __init__(self, call: str, cause: str, *, unknown_name: bool) -> None:
        super().__init__(f"{call} got no answer: {cause}", passing=True)
        self.unknown_name = unknown_name


class SecretError(TroubleError):
    """The master user's secret could not be read."""


class DiffersError(TroubleError):
    """What was written reads back as something else: someone changed it at the same moment."""

    def __init__(self, text: str) -> None:
        super().__init__(text, passing=True)
