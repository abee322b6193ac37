"""The schedule of the alerts function on the local stack, after tests that pause it: its next run is nearly due."""

from iot_stream.local.local_stack import LocalStack
from tests.alerts_function import last_run
from tests.polling import until


def test_the_schedule_runs_the_function(local_stack: LocalStack, runs_by_hand: list[int]) -> None:
    """EventBridge's rule invokes it every minute, with the permission that the template gives; nobody else has."""
    stack = local_stack.stack()
    until(lambda: last_run(local_stack, stack) > runs_by_hand[-1], seconds=150, what="a run of the schedule")
