"""`iot-stream domain`: the deployed role mapper, asked by a person."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from iot_stream import domain_objects
from iot_stream.cli import cli
from iot_stream.errors import StackError
from iot_stream.stack import Stack
from role_mapper.properties import Properties
from tests.builders import STACK_ID, mapping_properties
from tests.template import load_template

PARAMETERS = {
    "OpenSearchRoleName": mapping_properties()["RoleName"],
    "OpenSearchRoleIndexPattern": "",
} | {name: value for name, value in mapping_properties().items() if name in load_template()["Parameters"]}
OUTPUTS = {
    "DomainEndpoint": mapping_properties()["DomainEndpoint"],
    "DeliveryRoleArn": mapping_properties()["DeliveryRoleArn"],
    "DeviceAlertsRoleArn": "arn:aws:iam::123456789012:role/iot-stream-DeviceAlertsRole",
    "RoleMapperFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:role-mapper",
}
STACK = Stack("iot-stream", STACK_ID, OUTPUTS, PARAMETERS)


class Lambda:
    """Lambda's Invoke, which responds as it is told."""

    def __init__(self, document: Any, **more: str) -> None:
        self.document, self.more = document, more
        self.requests: list[Any] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        """Take a request."""
        assert call["FunctionName"] == OUTPUTS["RoleMapperFunctionArn"]
        self.requests.append(json.loads(call["Payload"]))
        return {"Payload": io.BytesIO(json.dumps(self.document).encode())} | self.more


SUCCESS = {"Status": "SUCCESS", "Reason": "SUCCESS", "Data": {"Role": "created: x", "IndexTemplate": "kept: y"}}


@pytest.mark.parametrize(("action", "kind"), [("show", "Show"), ("apply", "Create"), ("remove", "Delete")])
def test_the_request_is_the_one_of_a_deployment_and_nobody_waits_for_its_response(action: str, kind: str) -> None:
    """The same owner and the same properties, so that what runs is what a deployment runs."""
    client = Lambda(SUCCESS)
    domain_objects.invoke(client, STACK, action)
    (request,) = client.requests
    assert request["RequestType"] == kind
    assert request["ResponseURL"] == ""
    assert (request["StackId"], request["LogicalResourceId"]) == (STACK_ID, "RoleMapping")
    assert Properties.of(request["ResourceProperties"]) == Properties.of(
        mapping_properties(AlertsRoleArn=OUTPUTS["DeviceAlertsRoleArn"])
    )


def test_the_table_has_a_line_for_each_kind() -> None:
    """In columns."""
    report = domain_objects.invoke(Lambda(SUCCESS), STACK, "show")
    assert report.table() == "Role           created: x\nIndexTemplate  kept: y"


def test_without_data_the_reason_is_printed() -> None:
    """A domain that is gone has no objects."""
    gone = {"Status": "SUCCESS", "Reason": "the domain no longer exists"}
    assert domain_objects.invoke(Lambda(gone), STACK, "remove").table() == "the domain no longer exists"


def test_a_failure_is_told_with_its_reason() -> None:
    """The function's, or Lambda's."""
    with pytest.raises(domain_objects.InvocationError, match="could not apply: role x is reserved"):
        domain_objects.invoke(Lambda({"Status": "FAILED", "Reason": "role x is reserved"}), STACK, "apply")
    with pytest.raises(domain_objects.InvocationError, match="could not show: Task timed out"):
        domain_objects.invoke(Lambda({"errorMessage": "Task timed out"}, FunctionError="Unhandled"), STACK, "show")


def test_a_function_that_may_not_be_invoked_is_told() -> None:
    """With AWS's words."""

    class Refusing:
        def invoke(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "Invoke")

    with pytest.raises(domain_objects.InvocationError, match=r"could not be invoked: .*not authorized"):
        domain_objects.invoke(Refusing(), STACK, "show")


def test_a_stack_of_an_older_template_is_told() -> None:
    """It lacks a parameter that the request needs."""
    older = {name: value for name, value in PARAMETERS.items() if name != "RetentionDays"}
    with pytest.raises(StackError, match="no parameter RetentionDays: deploy it again"):
        domain_objects.properties(Stack("s", STACK_ID, OUTPUTS, older))


def test_its_properties_are_the_template_s() -> None:
    """The same names as the custom resource has, but for CloudFormation's own."""
    template = load_template()
    wanted = set(template["Resources"]["RoleMapping"]["Properties"]) - {"ServiceToken", "CodeVersion"}
    assert set(domain_objects.properties(STACK)) == wanted
    assert set(PARAMETERS) <= set(template["Parameters"])
    assert set(OUTPUTS) <= set(template["Outputs"])


def test_the_commands_are_there() -> None:
    """Each says what it does."""
    shown = CliRunner().invoke(cli, ["domain", "--help"]).output
    for action in ("show", "apply", "remove"):
        assert action in shown
