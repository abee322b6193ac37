"""Run ministack, and verify for the domain's gateway whose signature a request has.

This file runs in ministack's own interpreter (`python -P`) and imports nothing of `iot_stream`. The secret keys, those
of functions and assumed roles included, are there and never leave it: the gateway sends the string to sign and the
signature, and gets the ARN of the signer, or the reason for a refusal.
"""

import hmac
import json
from typing import Any

import ministack.app as server
from ministack.core import iam_evaluator, responses, sigv4
from ministack.services import iam

PATH = "/_iot_stream/authenticate"
_INVALID = "The security token included in the request is invalid."


def authenticate(question: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Return 200 with the ARN of the principal whose secret key makes this signature, else 403 with AWS's message.

    Args:
        question: `accessKey`, `sessionToken` (empty for none), `day` and `region` of the credential scope,
            `stringToSign` and `signature`.
    """
    access_key = question["accessKey"]
    of_session = responses._account_from_sts_session(access_key)  # noqa: SLF001 - ministack has no public look-up
    account = of_session or iam_evaluator.find_iam_access_key_account(access_key) or responses.get_account_id()
    credential = iam_evaluator.resolve_credential(access_key, account, question["sessionToken"])
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return 403, {"message": credential.message}
    expected = sigv4.calculate_signature(
        credential.secret_access_key, question["day"], question["region"], "es", question["stringToSign"]
    )
    if not hmac.compare_digest(expected.encode(), question["signature"].encode()):
        return 403, {"message": sigv4.SIGNATURE_MISMATCH}
    arn = _role_arn(credential) if credential.principal_type == "AssumedRole" else credential.principal_arn
    return (200, {"arn": arn}) if arn else (403, {"message": _INVALID})


def _role_arn(credential: Any) -> str:
    """Return the ARN of the role, which the session's ARN has without the role's path; empty if it is deleted."""
    name = credential.principal_arn.split("/")[1]
    role = iam._roles.get_scoped(credential.account_id, None, name)  # noqa: SLF001 - no public look-up without a request
    return role["Arn"] if role else ""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Respond to the gateway's requests; pass everything else to ministack."""
    if scope["type"] != "http" or scope["path"] != PATH:
        await server_app(scope, receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        status, response = authenticate(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        status, response = 400, {"message": f"not a request of the gateway: {type(error).__name__}"}
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(response).encode()})


server_app = server.app
if __name__ == "__main__":
    server.app = app
    server.main()
