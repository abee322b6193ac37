"""CloudFormation's side of a custom resource: its request, our response and how that is sent.

Contract: AWS page "Custom resource request and response reference". The response is PUT to a presigned URL, with an
empty Content-Type, at most 4,096 bytes, once.

Only the standard library is needed here, so that a response goes out even when nothing else can be imported.
"""

import http.client
import json
import random
import re
import time
import urllib.error
import urllib.request
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from role_mapper.redaction import redact

__all__ = ["MOST_BYTES", "Request", "Response", "ResponseNotSentError", "check_response_url", "encode", "send"]

MOST_BYTES = 4096
_CUT = "…"
_SERVICE_TIMEOUT = 3600.0
_CALL_SECONDS = 10.0
_LEAST_SECONDS = 1.0
_TRIES = 6
_FIRST_WAIT = 0.5


class ResponseNotSentError(Exception):
    """CloudFormation did not get the response: it waits until ServiceTimeout."""


@dataclass(frozen=True)
class Request:
    """What CloudFormation asks for. A malformed event still becomes a request, so that it gets a response.

    Attributes:
        kind: `Create`, `Update` or `Delete`; anything else is refused by the handler.
        response_url: where the response goes; empty when the event was made by hand, and only the function's
            result is wanted.
        physical_id: as in earlier responses; empty on Create. After a Create without a response, CloudFormation
            invents one.
        properties: the resource's properties.
        old_properties: on Update, those before it.
        service_timeout: seconds that CloudFormation waits for the response.
        resource_type: which custom resource it is, as the template names its type.
    """

    kind: str
    response_url: str
    stack_id: str
    request_id: str
    logical_id: str
    physical_id: str
    properties: Mapping[str, object] = field(repr=False)
    old_properties: Mapping[str, object] = field(repr=False)
    service_timeout: float
    resource_type: str = ""

    @classmethod
    def of(cls, event: object) -> "Request":
        """Return the request in an event; what is missing or of the wrong type is empty."""
        event = event if isinstance(event, dict) else {}

        def text(key: str) -> str:
            value = event.get(key)
            return value if isinstance(value, str) else ""

        def mapping(key: str) -> Mapping[str, object]:
            value = event.get(key)
            return value if isinstance(value, dict) else {}

        properties = mapping("ResourceProperties")
        return cls(
            kind=text("RequestType"),
            response_url=text("ResponseURL"),
            stack_id=text("StackId"),
            request_id=text("RequestId"),
            logical_id=text("LogicalResourceId"),
            physical_id=text("PhysicalResourceId"),
            properties=properties,
            old_properties=mapping("OldResourceProperties"),
            service_timeout=_seconds(properties.get("ServiceTimeout")),
            resource_type=text("ResourceType"),
        )


def _seconds(value: object) -> float:
    """Return how long CloudFormation waits: 1 to 3,600 s, and 3,600 by default."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= len("3600")):
        return _SERVICE_TIMEOUT
    return min(_SERVICE_TIMEOUT, max(1.0, float(text)))


@dataclass(frozen=True)
class Response:
    """The outcome, as CloudFormation gets it.

    Attributes:
        status: whether the resource is now as asked.
        physical_id: what the resource is called from now on.
        reason: why it failed, or what was done.
        data: what `Fn::GetAtt` can read.
    """

    status: Literal["SUCCESS", "FAILED"]
    physical_id: str
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)

    def document(self, request: Request) -> dict[str, Any]:
        """Return the response to `request` as JSON of at most 4,096 bytes; the longest texts are cut first."""
        document: dict[str, Any] = {
            "Status": self.status,
            "Reason": redact(self.reason or self.status),
            "PhysicalResourceId": self.physical_id or "none",
            "StackId": request.stack_id,
            "RequestId": request.request_id,
            "LogicalResourceId": request.logical_id,
        }
        if self.data:
            document["Data"] = {key: redact(value) for key, value in self.data.items()}
        return _fit(document)


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the bytes that are sent."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _fit(document: dict[str, Any]) -> dict[str, Any]:
    while (excess := len(encode(document)) - MOST_BYTES) > 0:
        places = [(document, key) for key, value in document.items() if isinstance(value, str)]
        places += [(document["Data"], key) for key in document.get("Data", ())]
        holder, key = max(places, key=lambda place: _size(place[0][place[1]]))
        size = _size(holder[key])
        holder[key] = _cut(holder[key], max(size - excess, size // 2))  # by half at most: then another may be longer
    return document


def _size(text: str) -> int:
    """Return how many bytes the text has inside a JSON string."""
    return len(encode({"": text})) - len(encode({"": ""}))


def _cut(text: str, most: int) -> str:
    """Return the longest beginning of `text` that has, with the mark of the cut, at most `most` bytes."""
    room = most - _size(_CUT)
    return text[: bisect_right(range(1, len(text)), room, key=lambda end: _size(text[:end]))] + _CUT if room > 0 else ""


def check_response_url(url: str, environment: Mapping[str, str]) -> None:
    """Reject a `ResponseURL` that is not CloudFormation's; an empty one means that no response is expected.

    CloudFormation's is in a bucket of its own, over HTTPS (AWS page "Access CloudFormation using an interface
    endpoint": `cloudformation-custom-resource-response-REGION`, the region without dashes). Where AWS_ENDPOINT_URL
    sets another endpoint for all of AWS's APIs, as on the local stack, a URL at that endpoint is accepted as well.

    Args:
        url: as the event has it.
        environment: AWS_REGION, which Lambda sets; URL_SUFFIX, the DNS suffix of the partition; AWS_ENDPOINT_URL.

    Raises:
        ResponseNotSentError: it is somebody else's; the URL is not shown, since it may be signed.
    """
    if url and _origin(url) not in _origins(environment):
        raise ResponseNotSentError("the ResponseURL is not one of CloudFormation's: nothing was done")


def _origins(environment: Mapping[str, str]) -> set[tuple[str, str]]:
    region = environment.get("AWS_REGION", "")
    suffix = environment.get("URL_SUFFIX") or "amazonaws.com"
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    origins = {("https", f"{bucket}.{host}.{suffix}") for host in ("s3", f"s3.{region}", f"s3-{region}")}
    endpoint = _origin(environment.get("AWS_ENDPOINT_URL", ""))
    return origins | {endpoint} if endpoint else origins


def _origin(url: str) -> tuple[str, str] | None:
    """Return scheme and `host[:port]`; None for what is not an absolute HTTP URL that every parser reads alike."""
    match = re.fullmatch(r"(https?)://([A-Za-z0-9.-]+(?::\d{1,5})?)(?:/[!-~]*)?", url)
    return (match[1], match[2]) if match and "\\" not in url else None


def send(url: str, document: Mapping[str, Any], *, seconds: float) -> None:
    """PUT the response, with a few retries within `seconds`.

    Raises:
        ResponseNotSentError: it did not arrive.
    """
    if not url.startswith(("https://", "http://")):
        raise ResponseNotSentError("the ResponseURL is not a URL")
    end = time.monotonic() + seconds
    problem = ""
    for attempt in range(_TRIES):
        left = end - time.monotonic()
        if attempt and left <= 0:
            break
        try:
            return _put(url, encode(document), min(_CALL_SECONDS, max(_LEAST_SECONDS, left)))
        except urllib.error.HTTPError as error:
            with error:
                problem = f"status {error.code}"
            if error.code < 500 and error.code not in {408, 429}:  # noqa: PLR2004  # an expired or wrong URL stays so
                break
        except (http.client.InvalidURL, ValueError):
            raise ResponseNotSentError("the ResponseURL is not a URL") from None  # and is not shown: it is signed
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {getattr(error, 'reason', '')}"
        wait = _FIRST_WAIT * 2**attempt * random.uniform(0.5, 1)  # noqa: S311  # spreads retries, guards nothing
        time.sleep(max(0.0, min(wait, end - time.monotonic())))
    raise ResponseNotSentError(f"the response was not accepted: {problem}")


def _put(url: str, body: bytes, seconds: float) -> None:
    # The presigned URL is signed for an empty Content-Type; urllib would add one of its own.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310  # CloudFormation's URL
    with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310  # the same
        pass
