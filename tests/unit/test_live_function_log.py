"""Why the function failed records, counted from its log."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from iot_stream.live.function_log import FunctionLog, Reason
from tests.aws_clients import aws_client

GROUP = "/aws/lambda/iot-enrichment"


@pytest.fixture
def logs() -> Iterator[Any]:
    """A CloudWatch Logs client, without any log."""
    with mock_aws():
        yield aws_client("logs")


def write(logs: Any, *messages: str, seconds_ago: float = 1) -> None:
    """Put lines into the function's log, so old."""
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
    now = int((time.time() - seconds_ago) * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=events)


def line(reason: str, records: int, **more: Any) -> str:
    """A line as the enrichment function writes it."""
    ids = [f"record-{number}" for number in range(records)]
    return json.dumps({"message": "records failed", "Reason": reason, "recordIds": ids} | more)


def test_reasons_are_added_up_over_batches(logs: Any) -> None:
    """Most records first, told apart by the field to blame."""
    write(
        logs, line("missing", 1, field="uuid"), line("not-json", 2), line("not-json", 3), line("missing", 2, field="b")
    )
    assert FunctionLog(logs, GROUP).reasons() == [
        Reason("not-json", None, 5),
        Reason("missing", "b", 2),
        Reason("missing", "uuid", 1),
    ]


def test_other_lines_are_passed_over(logs: Any) -> None:
    """Batches, Lambda's own lines, and text that merely speaks of failed records."""
    write(logs, "START RequestId: 1", json.dumps({"message": "batch"}), "3 records failed", line("not-json", 1))
    assert FunctionLog(logs, GROUP).reasons() == [Reason("not-json", None, 1)]


def test_only_the_last_hour_counts(logs: Any) -> None:
    """To the second, both ways."""
    write(logs, line("old", 1), seconds_ago=3_630)
    write(logs, line("young", 1), seconds_ago=3_570)
    assert FunctionLog(logs, GROUP).reasons() == [Reason("young", None, 1)]


def test_json_that_is_no_line_of_the_function_is_passed_over(logs: Any) -> None:
    """A list, and a message of another kind with everything that such a line has."""
    write(logs, "[]", '"records failed"', line("other", 1).replace("records failed", "records failed again"))
    assert FunctionLog(logs, GROUP).reasons() == []


def test_without_a_log_there_are_no_reasons(logs: Any) -> None:
    """A function that was never called has none, and the page shows the failures all the same."""
    assert FunctionLog(logs, GROUP).reasons() == []
