"""The role mapper gives only the rights that its own stack asks for, whatever an event says."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from role_mapper import handler
from tests.builders import FUNCTION_ENVIRONMENT, STACK_ID, custom_resource_event, mapping_properties
from tests.examples import examples
from tests.fake_domain import Clock, FakeDomain
from tests.lambda_context import LambdaContext
from tests.template import load_template

pytestmark = [pytest.mark.secrets, pytest.mark.usefixtures("mapper_clock", "few_saved_objects")]

ADMINISTRATOR = {
    "cluster_permissions": ["*"],
    "index_permissions": [{"index_patterns": ["*"], "allowed_actions": ["*"]}],
}
ATTACKERS = "arn:aws:iam::999999999999:role/attacker"
ANOTHER_STACK = STACK_ID.replace("iot-stream", "another")
VARIABLES = {
    "RoleName": "ROLE_NAME",
    "IndexName": "INDEX_NAME",
    "IndexPattern": "INDEX_PATTERN",
    "DeliveryRoleArn": "DELIVERY_ROLE_ARN",
    "AlertsRoleArn": "ALERTS_ROLE_ARN",
    "AdminRoleArn": "ADMIN_ROLE_ARN",
}


@pytest.fixture
def domain(whole: FakeDomain) -> FakeDomain:
    """A domain with the roles that administrators have, and with another team's."""
    whole.roles = {name: {**ADMINISTRATOR, "reserved": True} for name in ("all_access", "security_manager")}
    whole.roles["theirs"] = copy.deepcopy(ADMINISTRATOR)
    return whole


def granted(domain: FakeDomain) -> tuple[set[str], set[str]]:
    """Return who is mapped to any role, and the indices of the roles that the function made."""
    arns = {arn for mapping in domain.mappings.values() for arn in mapping.get("backend_roles", [])}
    roles = [role for name, role in domain.roles.items() if name not in {"all_access", "security_manager", "theirs"}]
    return arns, {
        pattern for role in roles for grant in role["index_permissions"] for pattern in grant["index_patterns"]
    }


@pytest.mark.parametrize("kind", ["Create", "Update", "Migrate"])
@pytest.mark.parametrize("key", VARIABLES)
def test_an_event_that_asks_for_other_rights_is_refused_by_name(domain: FakeDomain, key: str, kind: str) -> None:
    """FAILED, and nothing is called."""
    event = custom_resource_event(kind, mapping_properties(**{key: ATTACKERS}), ResponseURL="")
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(f"{key} is not the one in this function's environment ({VARIABLES[key]})")
    assert not domain.calls


@pytest.mark.parametrize("kind", ["Create", "Update", "Migrate", "Show"])
def test_an_event_for_another_stack_is_refused(domain: FakeDomain, kind: str) -> None:
    """Its objects would be another owner's, and the stack could change them no more."""
    event = custom_resource_event(kind, mapping_properties(), ResponseURL="", StackId=ANOTHER_STACK)
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith("StackId is not the one in this function's environment")
    assert not domain.calls


def test_a_delete_for_another_stack_removes_nothing(domain: FakeDomain) -> None:
    """SUCCESS, since a stack must not be stranded."""
    event = custom_resource_event("Delete", mapping_properties(), ResponseURL="", StackId=ANOTHER_STACK)
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "SUCCESS"
    assert response["Reason"].startswith("nothing was removed: StackId is not the one")
    assert not domain.calls


def test_nobody_takes_over_what_the_stack_was_not_told_to(domain: FakeDomain) -> None:
    """TakeOver is the stack's parameter."""
    event = custom_resource_event("Create", mapping_properties(TakeOver="true"), ResponseURL="")
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Reason"].startswith("TakeOver is not the one in this function's environment (TAKE_OVER)")
    assert not domain.calls


def test_the_alerts_index_is_no_earlier_index_of_the_delivery_stream(
    domain: FakeDomain, mapper_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alerts function's role is the stack's too, and has it: the delivery stream's must not get it."""
    del mapper_clock  # it sets the environment, before this does
    alerts = ATTACKERS.replace("attacker", "alerts")
    monkeypatch.setenv("ALERTS_ROLE_ARN", alerts)
    wanted, index = mapping_properties(AlertsRoleArn=alerts), "device-alerts-iot-stream"
    handler.lambda_handler(custom_resource_event("Create", wanted, ResponseURL=""), LambdaContext())
    old = wanted | {"RoleName": index, "IndexPattern": index}
    event = custom_resource_event("Update", wanted, OldResourceProperties=old, ResponseURL="", PhysicalResourceId="id")
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "SUCCESS", response["Reason"]
    [grant] = domain.roles["kinesis-firehose"]["index_permissions"]
    assert grant["index_patterns"] == ["iot-stream*"]


values = st.sampled_from([ATTACKERS, "*", "all_access", "theirs", "theirs*", ""])
asked = st.dictionaries(st.sampled_from([*VARIABLES, "TakeOver"]), values | st.sampled_from(["true"]), max_size=4)
events = st.builds(
    lambda kind, resource, now, before: custom_resource_event(
        kind,
        mapping_properties(RetentionDays="0") | {"RoleMapping": "RoleMapping", "WaitSeconds": "0"} | now,
        OldResourceProperties=mapping_properties() | before,
        ResourceType=resource,
        ResponseURL="",
        PhysicalResourceId="id",
    ),
    st.sampled_from(["Create", "Update", "Delete", "Show", "Migrate"]),
    st.sampled_from(["Custom::OpenSearchRoleMapping", "Custom::ChangeOver"]),
    asked,
    asked,
)


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=events)
def test_no_event_gives_a_right_that_the_stack_does_not_ask_for(domain: FakeDomain, event: dict[str, Any]) -> None:
    """Nobody else is mapped to any role, and no role covers another index: not for the time of an update either."""
    before = copy.deepcopy((domain.roles, domain.mappings))
    handler.lambda_handler(event, LambdaContext())
    arns, patterns = granted(domain)
    domain.roles, domain.mappings = before
    assert arns <= {FUNCTION_ENVIRONMENT["DELIVERY_ROLE_ARN"]}
    assert patterns <= {FUNCTION_ENVIRONMENT["INDEX_PATTERN"]}


def test_the_earlier_index_is_no_way_to_more_rights(domain: FakeDomain) -> None:
    """During an update the role covers the earlier index too, but only if the stack's own role had it."""
    earlier = mapping_properties(RoleName="theirs", IndexPattern="*")
    event = custom_resource_event("Update", OldResourceProperties=earlier, ResponseURL="", PhysicalResourceId="id")
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "SUCCESS", response["Reason"]
    assert granted(domain)[1] == {FUNCTION_ENVIRONMENT["INDEX_PATTERN"]}


def test_the_stacks_own_rights_are_given(
    domain: FakeDomain, mapper_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tests see a right where there is one."""
    del mapper_clock  # it sets the environment, before this does
    administrator = ATTACKERS.replace("attacker", "administrator")
    monkeypatch.setenv("ADMIN_ROLE_ARN", administrator)
    event = custom_resource_event("Create", mapping_properties(AdminRoleArn=administrator), ResponseURL="")
    assert handler.lambda_handler(event, LambdaContext())["Status"] == "SUCCESS"
    assert domain.mappings["all_access"]["backend_roles"] == [administrator]
    assert granted(domain) == (
        {administrator, FUNCTION_ENVIRONMENT["DELIVERY_ROLE_ARN"]},
        {FUNCTION_ENVIRONMENT["INDEX_PATTERN"]},
    )


def test_the_template_grants_what_its_resources_ask_for() -> None:
    """The environment, the custom resources and the scheduled repair have the same values."""
    resources = load_template()["Resources"]
    variables = resources["RoleMapperFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["STACK_ID"] == {"Ref": "AWS::StackId"}
    for key, variable in (VARIABLES | {"TakeOver": "TAKE_OVER"}).items():
        for resource in ("RoleMapping", "ChangeOver"):
            assert resources[resource]["Properties"][key] == variables[variable], (resource, key)
