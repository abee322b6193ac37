"""Judge a layer by the error of an AWS call about it. Pure.

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
_KEY: Final = "check the stream's key: `aws kms describe-key`, then `enable-key` or `cancel-key-deletion`"
# Errors that stop readings or operators, by operation and code: cure and runbook.
_REFUSES: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("PutRecord", "ResourceNotFoundException"): ("sam build && sam deploy", ""),
    ("PutRecord", "KMSDisabledException"): (_KEY, "domainkeyerroralarm"),
    ("PutRecord", "KMSInvalidStateException"): (_KEY, "domainkeyinaccessiblealarm"),
    ("PutRecord", "KMSNotFoundException"): (_KEY, "domainkeyinaccessiblealarm"),
    ("GetSecretValue", "InvalidRequestException"): (
        "aws secretsmanager restore-secret --secret-id SECRET_ARN", "security-options",
    ),
    ("GetSecretValue", "ResourceNotFoundException"): (
        "deploy with another MasterUserName, which creates another secret", "security-options",
    ),
}  # fmt: skip


def judge_refusal(layer: str, error: ClientError) -> Finding:
    """Return the finding for a layer about which an AWS call failed."""
    operation = error.operation_name
    code, message = (str(error.response.get("Error", {}).get(name, "")) for name in ("Code", "Message"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    refused = f"{operation} failed: {code}"
    if code in _DENIED:
        return Finding(layer, State.UNKNOWN, refused, f"get permission to call {operation}")
    if code in _THROTTLED or status >= _SERVER_ERROR:
        return Finding(layer, State.UNKNOWN, refused, "try again in a minute")
    said = f"{refused}: {' '.join(message.split())}"[:300].removesuffix(": ")
    if known := _REFUSES.get((operation, code)):
        return Finding(layer, State.REFUSES, said, *known)
    if operation == "PutRecord":
        return Finding(layer, State.REFUSES, said, "check the stream, then run iot-stream status")
    return Finding(layer, State.UNKNOWN, said, "try again")
