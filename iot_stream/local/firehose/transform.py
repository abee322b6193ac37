"""Transform: the function, by Lambda Invoke as the delivery role."""

import logging
from typing import Any
from uuid import uuid4

from iot_stream.local.firehose import envelope
from iot_stream.local.firehose.aws import AWS_ERRORS, Access, code_of
from iot_stream.local.firehose.envelope import Fault, Stream, Verdict
from iot_stream.local.firehose.record import Record
from iot_stream.local.firehose.settings import Function

__all__ = ["Transform", "pass_through"]

_log = logging.getLogger(__name__)

_FAULTS = {
    "AccessDeniedException": envelope.ACCESS_DENIED,
    "AccessDenied": envelope.ASSUME_ROLE_DENIED,  # STS's spelling
    "ResourceNotFoundException": envelope.NOT_FOUND,
    "TooManyRequestsException": envelope.LIMIT_EXCEEDED,
    "ThrottlingException": envelope.LIMIT_EXCEEDED,
    "ReadTimeoutError": envelope.TIMED_OUT,
}


def pass_through(records: list[Record]) -> list[Verdict] | Fault:
    """Every record's own data as its document."""
    return [envelope.decode(record.data) for record in records]


class Transform:
    """The transformation function of a delivery stream."""

    def __init__(self, access: Access, function: Function, stream: Stream) -> None:
        self._client: Any = access.client("lambda", function.role_arn)
        self._arn = function.arn
        self._stream = stream

    def invoke(self, records: list[Record]) -> list[Verdict] | Fault:
        """A verdict for each record, or why there is none for any of them. Nothing of AWS's raises."""
        event = envelope.write_event(self._stream, str(uuid4()), records)
        try:
            answer = self._client.invoke(FunctionName=self._arn, Payload=event)
            payload: bytes = answer["Payload"].read()
        except AWS_ERRORS as error:
            code = code_of(error)
            _log.warning("invoking the function failed (%s)", code)
            return _FAULTS.get(code, Fault(f"Lambda.{code}", f"The Lambda function could not be invoked ({code})."))
        if "FunctionError" in answer:
            return envelope.read_error(payload)
        if len(payload) > envelope.MAX_PAYLOAD:
            return envelope.FUNCTION_ERROR  # on AWS Lambda itself refuses so large an answer
        return envelope.read_answer(records, payload)
