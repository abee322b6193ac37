"""A deployed stack is found by its outputs, and what is wrong with it is said in one line."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from iot_stream.errors import StackError
from iot_stream.stack import Stack, find_stack
from tests.aws_clients import aws_client

CREATED = "2026-11-22T10:00:00Z"


def _described(status: str) -> dict[str, Any]:
    outputs = [{"OutputKey": "DomainEndpoint", "OutputValue": "127.0.0.1:19200"}]
    stack = {"StackName": "s", "StackId": "arn:s", "CreationTime": CREATED, "StackStatus": status, "Outputs": outputs}
    return {"Stacks": [stack]}


STATUSES = aws_client("cloudformation").meta.service_model.shape_for("StackStatus").enum
UNUSABLE = {
    *("CREATE_IN_PROGRESS", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"),
    *("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"),
}


@pytest.mark.parametrize("status", sorted(set(STATUSES) - UNUSABLE))
def test_a_stack_that_was_once_complete_has_its_outputs(status: str) -> None:
    """A rolled back update left the stack as it was; one that is under way or stuck is when operators need them."""
    client = aws_client("cloudformation")
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", _described(status), {"StackName": "s"})
        stack = find_stack(client, "s")
    assert stack == Stack("s", "arn:s", {"DomainEndpoint": "127.0.0.1:19200"})
    with pytest.raises(StackError, match=r"stack s has no output Nothing: deploy it again"):
        stack.output("Nothing")


@pytest.mark.parametrize("status", sorted(UNUSABLE))
def test_a_stack_that_is_not_usable_is_refused_with_its_status(status: str) -> None:
    """A rolled back creation left nothing behind, so it is refused too."""
    client = aws_client("cloudformation")
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", _described(status), {"StackName": "s"})
        with pytest.raises(StackError, match=f"stack s is {status}"):
            find_stack(client, "s")


def test_a_stack_that_is_not_there_says_how_to_deploy_it() -> None:
    """CloudFormation returns ValidationError for an unknown stack (API reference, DescribeStacks)."""
    client = aws_client("cloudformation")
    with Stubber(client) as stub:
        stub.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
        with pytest.raises(StackError, match=r"there is no stack s here: deploy it with `sam build && sam deploy`"):
            find_stack(client, "s")


def test_an_unreachable_cloudformation_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network there is one line, not a traceback."""
    client = aws_client("cloudformation")

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://cloudformation.invalid")

    monkeypatch.setattr(client, "describe_stacks", fail)
    with pytest.raises(StackError, match="CloudFormation could not be reached for stack s"):
        find_stack(client, "s")
