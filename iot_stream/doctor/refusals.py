"""What it means for a layer that AWS refused a call about it. Pure.

The codes are those of the services' "Common errors" and of the operations' own errors in their API references.
"""

from typing import Final

from botocore.exceptions import ClientError

from iot_stream.doctor.finding import Finding, State

__all__ = ["judge_refusal"]

_DENIED: Final = {
    "403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "KMSAccessDeniedException", "NotAuthorized",
    "UnauthorizedOperation",
}  # fmt: skip
_THROTTLED: Final = {
    "KMSThrottlingException", "LimitExceededException", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException",
}  # fmt: skip
_SERVER_ERROR: Final = 500
_KEY: Final = "look at the stream's key: `aws kms describe-key`, then `enable-key` or `cancel-key-deletion`"
# What stops readings, or whoever looks after the domain: by operation and code.
_REFUSES: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("PutRecord", "ResourceNotFoundException"): ("sam build && sam deploy", ""),
    ("PutRecord", "KMSDisabledException"): (_KEY, "domainkeyerroralarm"),
    ("PutRecord", "KMSInvalidStateException"): (_KEY, "domainkeyinaccessiblealarm"),
    ("PutRecord", "KMSNotFoundException"): (_KEY, "domainkeyinaccessiblealarm"),
    ("GetSecretValue", "InvalidRequestException"): (
        "aws secretsmanager restore-secret --secret-id SECRET_ARN", "security-options",
    ),
    ("GetSecretValue", "ResourceNotFoundException"): (
        "deploy with another MasterUserName, which makes another secret", "security-options",
    ),
}  # fmt: skip


def judge_refusal(layer: str, error: ClientError) -> Finding:
    """Return what is said of a layer about which AWS refused a call."""
    operation = error.operation_name
    code, message = (str(error.response.get("Error", {}).get(name, "")) for name in ("Code", "Message"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    refused = f"{operation} was refused: {code}"
    if code in _DENIED:
        return Finding(layer, State.UNKNOWN, refused, f"let yourself call {operation}")
    if code in _THROTTLED or status >= _SERVER_ERROR:
        return Finding(layer, State.UNKNOWN, refused, "try again in a minute")
    said = f"{refused}: {' '.join(message.split())}"[:300].removesuffix(": ")
    if known := _REFUSES.get((operation, code)):
        return Finding(layer, State.REFUSES, said, *known)
    if operation == "PutRecord":
        return Finding(layer, State.REFUSES, said, "look at what the stream says, then at iot-stream status")
    return Finding(layer, State.UNKNOWN, said, "try again")
