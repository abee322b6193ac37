"""The custom resource that refuses a deployment which can't work, before the domain is made and data flows.

It invokes the enrichment function with a sample reading as Firehose would ("Data transformation flow") and expects a
document: an unknown time zone, packages of another architecture or a broken description fail here, with the
function's own words, and not in every batch. It returns the number of the version that it has checked. The alias that
the delivery stream invokes takes its version from there, so no batch reaches one that was not checked.

CloudFormation sends an Update with the earlier properties when it rolls back. So the earlier values are those of the
physical id, which changes only when a check succeeded: a rollback is never compared with what was just refused.
"""

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.deployment_rules import derived, problems, remembered
from role_mapper.errors import CallError, PropertiesError
from role_mapper.files import sample_reading

__all__ = ["handle"]

_NAME: Final = "deployment-check"
_RECORD: Final = "sample"
_CONFIG = Config(connect_timeout=5, read_timeout=70, retries={"total_max_attempts": 1})
# Errors of Lambda while a new role or function is not ready everywhere yet, and temporary ones.
_RETRYABLE = {
    "AccessDeniedException",
    "CodeArtifactUserPendingException",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "ServiceException",
    "TooManyRequestsException",
}

logger = logging.getLogger("role_mapper")


def handle(request: Request, deadline: Deadline) -> Response:
    """Check what is about to be deployed; there is nothing to delete.

    Raises:
        RoleMapperError: what is wrong, and what to do.
    """
    if request.kind == "Delete":
        return Response("SUCCESS", request.physical_id)
    parameters = _texts(request.properties.get("Parameters"))
    found = list(problems(parameters, _earlier(request.physical_id)))
    if found:
        raise PropertiesError("; ".join(found))
    function = request.properties.get("EnrichmentFunction")
    if not isinstance(function, str) or not function:
        raise PropertiesError("EnrichmentFunction is missing: set it to the ARN of the function's version")
    sample = parameters.get("SampleReading") or sample_reading()
    client = boto3.client("lambda", config=_CONFIG)
    deadline.retry(lambda: _expect_document(client, function, sample))
    data = {**derived(parameters), "EnrichmentVersion": function.rpartition(":")[2]}
    return Response("SUCCESS", _physical_id(remembered(parameters)), data=data)


def _expect_document(client: Any, function: str, sample: str) -> None:
    """Invoke the function once.

    Raises:
        CallError: it can't be invoked or makes no document; retryable while it may not be ready yet.
    """
    event = {
        "invocationId": _NAME,
        "deliveryStreamArn": f"arn:aws:firehose:{client.meta.region_name}:123456789012:deliverystream/{_NAME}",
        "region": client.meta.region_name,
        "records": [
            {
                "recordId": _RECORD,
                "approximateArrivalTimestamp": 1_767_225_600_000,
                "data": base64.b64encode(sample.encode()).decode(),
            }
        ],
    }
    try:
        response = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        payload = response["Payload"].read()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise CallError(f"the enrichment function can't be invoked: {code}", retryable=code in _RETRYABLE) from error
    except BotoCoreError as error:
        raise CallError(f"the enrichment function can't be invoked: {type(error).__name__}", retryable=True) from error
    if "FunctionError" in response:
        raise CallError(f"the enrichment function fails: {_error(payload)}", retryable=False)
    if not _is_document(payload):
        raise CallError(
            "the enrichment function can't transform SampleReading; its log group has the reason. Set SampleReading to "
            "a reading that your devices send, leave it empty, or correct functions/enrichment/readings.toml",
            retryable=False,
        )


def _is_document(payload: bytes) -> bool:
    """Return whether a response has exactly the sample's record, `Ok`, with a JSON object in it."""
    try:
        [record] = json.loads(payload)["records"]
        document = json.loads(base64.b64decode(record["data"], validate=True))
        return record["recordId"] == _RECORD and record["result"] == "Ok" and isinstance(document, dict)
    except (ValueError, KeyError, TypeError):
        return False


def _error(payload: bytes) -> str:
    """Return a failed function's error as `errorType: errorMessage` (AWS page "Lambda function errors")."""
    try:
        error = json.loads(payload)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return "its log group has the reason"


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise PropertiesError("Parameters must be a map of the template's parameters")
    return value


def _physical_id(kept: Mapping[str, str]) -> str:
    return ":".join([_NAME, *(f"{name}={value}" for name, value in sorted(kept.items()))])


def _earlier(physical_id: str) -> dict[str, str]:
    """Return what `_physical_id` wrote; empty for an id that it did not write."""
    name, *pairs = physical_id.split(":")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair) if name == _NAME else {}
