"""Judge the enrichment function. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from iot_stream.doctor.finding import Finding, State

__all__ = ["judge_concurrency", "judge_function", "judge_invocation"]

_FEW_INVOCATIONS: Final = 50  # of a whole account: new accounts have 10
_ABOVE_INFO: Final = {"WARN", "ERROR", "FATAL"}


def judge_function(configuration: Mapping[str, Any] | None, function: str) -> Iterator[Finding]:
    """Judge GetFunctionConfiguration of the alias that the delivery stream invokes; None: there is none."""
    if configuration is None:
        text = f"function {function} does not exist: the function or its alias was deleted"
        yield Finding(
            "function",
            State.REFUSES,
            text,
            "sam build && sam deploy --parameter-overrides EnrichmentFunctionName=…",
            "processingfailurealarm",
        )
        return
    state = configuration.get("State", "Active")
    if state not in {"Active", "Inactive"}:  # an inactive one becomes active with its next invocation
        text = f"function {function} is {state}: {configuration.get('StateReason', '')}"
        wait = f"aws lambda wait published-version-active --function-name {function}"
        cure = wait if state == "Pending" else "sam build && sam deploy"  # a function being created needs no fix
        yield Finding("function", State.REFUSES, text, cure, "processingfailurealarm")
    level = configuration.get("LoggingConfig", {}).get("ApplicationLogLevel")
    if level in _ABOVE_INFO:
        text = f"its log level is {level}: Lambda drops its metrics, which are log lines of level INFO"
        cure = "set its application log level to INFO, then sam build && sam deploy"
        yield Finding("function", State.WARNING, text, cure, "transformfailurealarm")


def judge_concurrency(reserved: int | None, account: int | None, function: str) -> Iterator[Finding]:
    """Judge ReservedConcurrentExecutions of the function and ConcurrentExecutions of the account."""
    if reserved == 0:
        cure = f"aws lambda delete-function-concurrency --function-name {function}"
        yield Finding(
            "function",
            State.REFUSES,
            "its reserved concurrency is 0: Lambda throttles every call",
            cure,
            "functionthrottlesalarm",
        )
    elif account is not None and account <= _FEW_INVOCATIONS:
        text = f"the account's limit is {account} concurrent executions, for all its functions together"
        cure = "request an increase in Service Quotas: Lambda, Concurrent executions"
        yield Finding("function", State.WARNING, text, cure, "quotas")


def judge_invocation(error: str, result: Mapping[str, Any] | None, reasons: Collection[str]) -> Iterator[Finding]:
    """Judge the function's response to one valid reading.

    Args:
        error: the error of the function or of Lambda; empty if the function responded.
        result: the record in the response ("Data transformation", Firehose developer guide), or None.
        reasons: why the reading fails by the description in this clone.
    """
    again = "sam build && sam deploy"
    if error:
        yield Finding(
            "function",
            State.REFUSES,
            f"it fails: {error}",
            f"deploy the previous version, or fix it and {again}",
            "functionerrorsalarm",
        )
    elif result is None or result.get("result") not in {"Ok", "Dropped", "ProcessingFailed"}:
        yield Finding(
            "function",
            State.REFUSES,
            "its response is not a valid Firehose transformation response",
            f"deploy the previous version, or fix it and {again}",
            "processingfailurealarm",
        )
    elif result["result"] != "Ok":
        why = (
            ", ".join(reasons) or "the deployed function differs from functions/enrichment/readings.toml in this clone"
        )
        yield Finding(
            "function",
            State.REFUSES,
            f"it returns {result['result']} for SampleReading: {why}",
            again,
            "transformfailurealarm",
        )
    else:
        yield Finding("function", State.OK, "it transforms SampleReading into a document")
