"""AWS's responses by operation, in any order, each validated by botocore's model of it: a shape can't be invented."""

import copy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.validate import ParamValidator

__all__ = ["ModelledAws", "Refusal"]

_SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")


class Refusal(Exception):  # noqa: N818 - a response, not an error of the tests
    """A response with an error code."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code, self.message = code, message


type Response = Mapping[str, Any] | Refusal | Callable[[Mapping[str, Any]], Any]


class ModelledAws:
    """Returns boto3 clients that send nothing: each call gets the response of its name, `service.Operation`.

    A response that is callable gets the parameters of the call. A call without a response fails the test.
    """

    def __init__(self, responses: Mapping[str, Response]) -> None:
        self.responses = dict(responses)
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str) -> Any:
        """Return the client of a service. Clients are made once for all tests, and call the latest that was asked."""
        _Active.aws = self
        return _client(service)

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Write a call down."""
        self.calls.append((f"{model.service_model.service_name}.{model.name}", copy.deepcopy(params)))

    def respond(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        """Return the response of the call that was written down last, as botocore's own Stubber does."""
        name, params = self.calls[-1]
        assert name == f"{model.service_model.service_name}.{model.name}"
        response = self.responses[name]
        if callable(response) and not isinstance(response, Refusal):
            response = response(params)
        if isinstance(response, Refusal):
            error = {"Error": {"Code": response.code, "Message": response.message}, "ResponseMetadata": {}}
            return AWSResponse("", 400, {}, None), error
        given = {key: value for key, value in response.items() if key != "Payload"}  # a stream, which has no shape
        report = ParamValidator().validate(given, model.output_shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        return AWSResponse("", 200, {}, None), dict(response) | {"ResponseMetadata": {"HTTPStatusCode": 200}}


class _Active:
    """Who responds now."""

    aws: ModelledAws


@cache
def _client(service: str) -> Any:
    made = _SESSION.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )
    made.meta.events.register_first("before-parameter-build.*.*", lambda **call: _Active.aws.note(**call))  # noqa: PLW0108 - whoever is active then
    made.meta.events.register("before-call.*.*", lambda **call: _Active.aws.respond(**call))  # noqa: PLW0108 - the same
    return made
