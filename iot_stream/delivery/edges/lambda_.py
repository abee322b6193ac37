"""Transform: invokes the function as the delivery role."""

import logging
from typing import Any
from uuid import uuid4

from iot_stream.delivery.core import transformation
from iot_stream.delivery.core.record import Record
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.transformation import ProcessingError, Stream, Verdict
from iot_stream.delivery.edges.aws import AWS_ERRORS, AwsClients, error_code
from iot_stream.delivery.edges.memory import release_frames

__all__ = ["Transform", "pass_through"]

_log = logging.getLogger(__name__)

_ERRORS = {
    "AccessDeniedException": transformation.ACCESS_DENIED,
    "AccessDenied": transformation.ASSUME_ROLE_DENIED,  # STS's spelling
    "ResourceNotFoundException": transformation.NOT_FOUND,
    "TooManyRequestsException": transformation.LIMIT_EXCEEDED,
    "ThrottlingException": transformation.LIMIT_EXCEEDED,
    "ReadTimeoutError": transformation.TIMED_OUT,
}


def pass_through(records: list[Record]) -> list[Verdict] | ProcessingError:
    """Return each record's own data as its document."""
    return [transformation.decode(record.data) for record in records]


class Transform:
    """The transformation function of a delivery stream."""

    def __init__(self, clients: AwsClients, function: Function, stream: Stream) -> None:
        self._client: Any = clients.client("lambda", function.role_arn)
        self._arn = function.arn
        self._stream = stream

    def invoke(self, records: list[Record]) -> list[Verdict] | ProcessingError:
        """Return a verdict for each record, or the error for the whole batch. AWS's errors never raise."""
        event = transformation.build_event(self._stream, str(uuid4()), records)
        try:
            response = self._client.invoke(FunctionName=self._arn, Payload=event)
            payload: bytes = response["Payload"].read()
        except AWS_ERRORS as error:
            release_frames(error)
            code = error_code(error)
            _log.warning("Invoke of the function failed (%s)", code)
            return _ERRORS.get(
                code, ProcessingError(f"Lambda.{code}", f"The Lambda function could not be invoked ({code}).")
            )
        if "FunctionError" in response:
            return transformation.parse_error(payload)
        if len(payload) > transformation.MAX_PAYLOAD:
            return transformation.FUNCTION_ERROR  # on AWS, Lambda itself rejects such a response
        return transformation.parse_response(records, payload)
