"""Transform: the function, by Lambda Invoke as the delivery role."""

import logging
from typing import Any
from uuid import uuid4

from iot_stream.delivery.core import transformation
from iot_stream.delivery.core.record import Record
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.transformation import ProcessingError, Stream, Verdict
from iot_stream.delivery.edges.aws import AWS_ERRORS, Access, code_of

__all__ = ["Transform", "pass_through"]

_log = logging.getLogger(__name__)

_FAULTS = {
    "AccessDeniedException": transformation.ACCESS_DENIED,
    "AccessDenied": transformation.ASSUME_ROLE_DENIED,  # STS's spelling
    "ResourceNotFoundException": transformation.NOT_FOUND,
    "TooManyRequestsException": transformation.LIMIT_EXCEEDED,
    "ThrottlingException": transformation.LIMIT_EXCEEDED,
    "ReadTimeoutError": transformation.TIMED_OUT,
}


def pass_through(records: list[Record]) -> list[Verdict] | ProcessingError:
    """Every record's own data as its document."""
    return [transformation.decode(record.data) for record in records]


class Transform:
    """The transformation function of a delivery stream."""

    def __init__(self, access: Access, function: Function, stream: Stream) -> None:
        self._client: Any = access.client("lambda", function.role_arn)
        self._arn = function.arn
        self._stream = stream

    def invoke(self, records: list[Record]) -> list[Verdict] | ProcessingError:
        """A verdict for each record, or why there is none for any of them. Nothing of AWS's raises."""
        event = transformation.write_event(self._stream, str(uuid4()), records)
        try:
            answer = self._client.invoke(FunctionName=self._arn, Payload=event)
            payload: bytes = answer["Payload"].read()
        except AWS_ERRORS as error:
            code = code_of(error)
            _log.warning("invoking the function failed (%s)", code)
            return _FAULTS.get(
                code, ProcessingError(f"Lambda.{code}", f"The Lambda function could not be invoked ({code}).")
            )
        if "FunctionError" in answer:
            return transformation.read_error(payload)
        if len(payload) > transformation.MAX_PAYLOAD:
            return transformation.FUNCTION_ERROR  # on AWS Lambda itself refuses so large an answer
        return transformation.read_response(records, payload)
