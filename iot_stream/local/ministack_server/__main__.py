"""Run ministack so that only requests signed with a secret key of this stack are served.

This file runs in ministack's own interpreter (`python -P`) and imports nothing of `iot_stream`. ministack alone takes
the access keys `test`, none and any twelve digits for the account's root without looking at the signature, and derives
a function's keys from its ARN. Any user of the machine could so create a function, and run code as the stack's owner.

It also verifies for the domain's gateway whose signature a request has. The secret keys, those of functions and assumed
roles included, are here and never leave: the gateway sends the string to sign and the signature, and gets the ARN
of the signer, or the reason for a refusal.

An alarm of AWS is about one metric: a name with one set of dimensions. Of ministack's it is about every metric of its
name, so that the failure of one function or delivery stream would raise the alarms of all others.

A shard iterator of AWS continues after a record. One of ministack's is a position in a list from whose beginning
expired records are removed, so that from a day after the first record on it would skip one for each that expires.
"""

import contextlib
import gc
import hmac
import json
import os
import re
import secrets
import time
from bisect import bisect_left
from types import FunctionType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote

import ministack.app as server
import pydantic_core
import yaml
from ministack.core import iam_evaluator, lambda_runtime, responses, router, sigv4
from ministack.services import cloudwatch, iam, kinesis, lambda_svc
from ministack.services.cloudformation import engine

PATH = "/_iot_stream/authenticate"
_INVALID = "The security token included in the request is invalid."
# Whether it is up; and where a custom resource responds, to a URL with a random token in it.
_UNSIGNED = re.compile(r"GET /_ministack/ready|PUT /_ministack/cfn-response/[0-9a-f-]{36}")
_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED_BODY = 1 << 20
_SALT = secrets.token_hex(32)


def _function_credentials(config: dict[str, Any]) -> dict[str, str]:
    """Return a function's credentials; ministack derives them from the ARNs, and here from a random text too."""
    credentials: dict[str, str] = _guessable_credentials({**config, "Role": f"{_SALT}/{config.get('Role', '')}"})
    return credentials


_guessable_credentials = lambda_runtime.execution_credentials
lambda_runtime.execution_credentials = lambda_svc.execution_credentials = _function_credentials
# Root is who has the one pair of keys in the environment, and proves it with a signature as everyone else.
iam_evaluator.is_root_access_key = lambda access_key: access_key == os.environ["AWS_ACCESS_KEY_ID"]
iam_evaluator._is_root_key = lambda _: False  # noqa: SLF001 - whose signature ministack does not look at


def _evaluate_alarm(alarm: dict[str, Any]) -> None:
    """Evaluate an alarm over the metric with its dimensions ("Metrics concepts", Amazon CloudWatch User Guide)."""
    dimensions = cloudwatch._dims_key({each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []})  # noqa: SLF001
    own = {key: points for key, points in cloudwatch._metrics.items() if key[2] == dimensions}  # noqa: SLF001
    # ministack's code with another view of what was recorded: writes of other threads go on reaching the real one.
    FunctionType(_evaluate_any_metric.__code__, vars(cloudwatch) | {"_metrics": own})(alarm)


_evaluate_any_metric = cloudwatch._evaluate_alarm  # noqa: SLF001
cloudwatch._evaluate_alarm = _evaluate_alarm  # noqa: SLF001


def _expire_records(stream: dict[str, Any]) -> None:
    """Remove the records past the retention, and move the iterators of their shards by as many.

    Records are in the order of their arrival; ministack looked at every one for each GetRecords and PutRecords.
    """
    cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
    for name, shard in stream["shards"].items():
        records = shard["records"]
        expired = bisect_left(records, cutoff, key=lambda record: record["ApproximateArrivalTimestamp"])
        if expired:
            shard["records"] = records[expired:]
            for iterator in list(kinesis._shard_iterators.values()):  # noqa: SLF001
                if (iterator["stream_arn"], iterator["shard_id"]) == (stream["StreamARN"], name):
                    iterator["position"] = max(0, iterator["position"] - expired)


def _expire_iterators() -> None:
    """Remove the expired iterators, which are the first ones: they are in the order of their creation.

    ministack looked at every one, five minutes of them, for each request to Kinesis.
    """
    oldest = time.time() - kinesis.ITERATOR_EXPIRY_SECONDS
    iterators = kinesis._shard_iterators._data  # noqa: SLF001 - those of every account and region
    while iterators and next(iter(iterators.values()))["created_at"] < oldest:
        del iterators[next(iter(iterators))]


kinesis._expire_records = _expire_records  # noqa: SLF001
kinesis._expire_iterators = _expire_iterators  # noqa: SLF001


class TemplateLoader(yaml.CSafeLoader):
    """Reads a template as ministack does, with libyaml: Python alone takes two seconds for each deployment."""

    yaml_constructors = engine.CfnLoader.yaml_constructors


PythonTemplateLoader, engine.CfnLoader = engine.CfnLoader, TemplateLoader


def read_json(text: Any) -> Any:
    """Parse JSON as `json.loads` does; fall back to it for what the faster parser rejects."""
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return json.loads(text)


def write_json(value: Any, *, ensure_ascii: bool = True, **options: Any) -> str:
    """Write JSON that means the same as what `json.dumps` writes, without its blanks."""
    if not options:
        with contextlib.suppress(ValueError):  # such as half of a surrogate pair
            text = pydantic_core.to_json(value).decode()
            if text.isascii() or not ensure_ascii:
                return text
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


# The standard library's took half of ministack's processor time in a delivery, most of it for functions' events.
_faster = SimpleNamespace(**{**vars(json), "loads": read_json, "dumps": write_json})
kinesis.json = lambda_svc.json = lambda_runtime.json = responses.json = _faster


def authenticate(question: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Return 200 with the ARN of the principal whose secret key makes this signature, else 403 with AWS's message.

    Args:
        question: `accessKey`, `sessionToken` (empty for none), `day` and `region` of the credential scope,
            `stringToSign` and `signature`.
    """
    credential = _credential(question["accessKey"], question["sessionToken"])
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return 403, {"message": credential.message}
    expected = sigv4.calculate_signature(
        credential.secret_access_key, question["day"], question["region"], "es", question["stringToSign"]
    )
    if not hmac.compare_digest(expected.encode(), question["signature"].encode()):
        return 403, {"message": sigv4.SIGNATURE_MISMATCH}
    arn = _role_arn(credential) if credential.principal_type == "AssumedRole" else credential.principal_arn
    return (200, {"arn": arn}) if arn else (403, {"message": _INVALID})


def _credential(access_key: str, token: str) -> Any:
    of_session = responses._account_from_sts_session(access_key)  # noqa: SLF001 - ministack has no public look-up
    account = of_session or iam_evaluator.find_iam_access_key_account(access_key) or responses.get_account_id()
    return iam_evaluator.resolve_credential(access_key, account, token)


def _role_arn(credential: Any) -> str:
    """Return the full ARN of a session's role, whose path the session's ARN lacks; empty if the role was deleted."""
    name = credential.principal_arn.split("/")[1]
    role = iam._roles.get_scoped(credential.account_id, None, name)  # noqa: SLF001 - no public look-up without a request
    return role["Arn"] if role else ""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Respond to the gateway's requests, and hand ministack what is signed; refuse everything else."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    elif scope["type"] != "http":
        await server_app(scope, receive, send)
    elif _UNSIGNED.fullmatch(f"{scope['method']} {scope['path']}"):
        await _serve_unsigned(scope, receive, send)
    elif scope["path"] == PATH:
        await _respond_to_gateway(receive, send)
    else:
        await _serve_signed(scope, receive, send)


async def _respond_to_gateway(receive: Any, send: Any) -> None:
    try:
        status, response = authenticate(json.loads(await _body(receive, _UNSIGNED_BODY)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        status, response = 400, {"message": f"not a request of the gateway: {type(error).__name__}"}
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(response).encode()})


async def _serve_unsigned(scope: Any, receive: Any, send: Any) -> None:
    """Hand on what needs no signature; anybody may send it, so it is small (a custom resource's has 4,096 bytes)."""
    try:
        body = await _body(receive, _UNSIGNED_BODY)
    except ValueError:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await server_app(scope, _with_body(body, receive), send)


async def _serve_signed(scope: Any, receive: Any, send: Any) -> None:
    """Hand the request on, with its body, if a secret key of this stack has signed it; else respond as AWS does."""
    query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
    body = b""
    failure = _claim_failure(scope["headers"], query)
    if failure is None:
        body = await _body(receive)
        failure = _signature_failure(scope, query, body)
    else:
        with contextlib.suppress(ValueError):  # only to know which service is meant
            body = await _body(receive, _UNSIGNED_BODY)
    if failure is not None:
        await _refuse(scope, query, body, failure, send)
        return
    await server_app(scope, _with_body(body, receive), send)


def _claim_failure(headers: list[tuple[bytes, bytes]], query: dict[str, list[str]]) -> Any:
    """Return why the request can't be signed by a key of this stack with any body, or None.

    A second Authorization header, or credentials in the query string too, could name another key than the verified one.
    """
    given = [value.decode("latin-1") for name, value in headers if name.lower() == b"authorization"]
    in_query = {name.lower() for name in query} & {"x-amz-credential", "x-amz-algorithm", "awsaccesskeyid"}
    if in_query:
        words = "The local AWS accepts no presigned URL: sign the request's headers."
        return iam_evaluator.AuthError("AccessDenied", words)
    if len(given) != 1 or not given[0].startswith(f"{_ALGORITHM} "):
        return iam_evaluator.AuthError("MissingAuthenticationToken", "Missing Authentication Token")
    token = next((value.decode("latin-1") for name, value in headers if name.lower() == b"x-amz-security-token"), "")
    credential = _credential(router.extract_access_key_id({"authorization": given[0]}), token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return iam_evaluator.AuthError(credential.code, credential.message)
    return None


def _signature_failure(scope: Any, query: dict[str, list[str]], body: bytes) -> Any:
    """Return why the signature, its time or its token is not valid, else None."""
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    iam_evaluator.pin_signed_request(scope["method"], raw_path.decode("latin-1"), query, scope["headers"])
    iam_evaluator.pin_signed_body(body)
    access_key = router.extract_access_key_id(_as_dict(scope["headers"]))
    server.set_request_account_id(server._request_account_scope(access_key))  # noqa: SLF001 - as its own app does
    checked = iam_evaluator.authenticate(access_key, responses.get_account_id())
    if isinstance(checked, iam_evaluator.ResolvedCredential):
        return None
    return checked or iam_evaluator.AuthError("UnrecognizedClientException", _INVALID)


async def _refuse(scope: Any, query: dict[str, list[str]], body: bytes, failure: Any, send: Any) -> None:
    """Respond in the protocol of the service that the request is for."""
    headers, method, path = _as_dict(scope["headers"]), scope["method"], scope["path"]
    parameters = server._routing_params(method, path, headers, body, query)  # noqa: SLF001
    service = router.detect_service(method, path, headers, parameters)
    request_id = responses.new_uuid()
    status, names, content = server._credential_failure(service, "", request_id, failure, headers)  # noqa: SLF001
    await server._send_response(send, status, names, content, head=method == "HEAD")  # noqa: SLF001


def _as_dict(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _with_body(body: bytes, receive: Any) -> Any:
    """Return a `receive` that gives a body that was read already, and then what follows."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return pending.pop() if pending else await receive()

    return replay


async def _body(receive: Any, limit: int | None = None) -> bytes:
    """Return the request's body (ValueError above `limit` bytes)."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if limit is not None and size > limit:
            raise ValueError("too large")
        more = message.get("more_body", False)
    return b"".join(parts)


server_app = server.app
if __name__ == "__main__":
    server.app = app
    # A search for cycles looks at every record of every stream, and a function's event makes thousands of objects.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    server.main()
