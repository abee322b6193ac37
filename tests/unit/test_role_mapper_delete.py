"""Delete: a domain that can't be used must not strand the stack; Create and Update stay strict."""

from typing import Any

import pytest
import requests

from role_mapper import handler, master_user, response_sender
from role_mapper.errors import SecretError
from role_mapper.objects.retention_policy import RetentionPolicy
from tests.builders import FUNCTION_ENVIRONMENT, custom_resource_event, mapping_properties
from tests.fake_domain import Clock, FakeDomain, FakeResponse, error
from tests.lambda_context import LambdaContext

pytestmark = pytest.mark.secrets


@pytest.fixture
def clock(fake_domain: FakeDomain, mapper_clock: Clock) -> Clock:
    """Time that passes only in waits, at a domain with every plugin."""
    fake_domain.installed = {"ism", "dashboards"}
    return mapper_clock


def invoke(kind: str) -> dict[str, Any]:
    """Invoke the function; its response."""
    properties = mapping_properties(IndexRotationPeriod="OneDay", RetentionDays="7")
    return handler.lambda_handler(
        custom_resource_event(kind, properties, ResponseURL="", PhysicalResourceId="id"), LambdaContext()
    )


@pytest.mark.parametrize(
    "error",
    [error(401), error(403), error(503), requests.ConnectionError("refused"), requests.Timeout("slow")],
    ids=["401", "403", "503", "refused", "time-out"],
)
def test_a_domain_that_lets_nobody_in_for_a_minute_is_left_behind(
    fake_domain: FakeDomain, clock: Clock, error: FakeResponse | Exception
) -> None:
    """SUCCESS after about a minute, with the reason, and with everything that stays behind."""
    assert invoke("Create")["Status"] == "SUCCESS"
    fake_domain.always = error
    begun = clock.now
    response = invoke("Delete")
    assert response["Status"] == "SUCCESS"
    assert clock.now - begun < 100
    assert response["Reason"].startswith("left in the domain: Dashboards iot-stream, RetentionPolicy iot-stream,")
    assert "gave up after 60 s" in response["Reason"]
    assert {key: value.split(":")[0] for key, value in response["Data"].items()} == dict.fromkeys(
        ("Role", "RoleMapping", "IndexTemplate", "RetentionPolicy", "Dashboards"), "left behind"
    )
    assert invoke("Update")["Status"] == "FAILED"


def test_one_object_that_cannot_be_removed_does_not_keep_the_others(fake_domain: FakeDomain, clock: Clock) -> None:
    """A refusal of one call: the rest goes, and that one is named."""
    assert clock.now == 0
    invoke("Create")
    serve = fake_domain._serve

    def refuse(call: Any) -> FakeResponse:
        return error(400) if (call.method, call.path) == ("DELETE", "/_index_template/iot-stream") else serve(call)

    fake_domain._serve = refuse  # type: ignore[method-assign]
    response = invoke("Delete")
    assert response["Status"] == "SUCCESS"
    assert response["Reason"].startswith("left in the domain: IndexTemplate iot-stream, because DELETE ")
    assert not fake_domain.roles
    assert not fake_domain.mappings
    assert not fake_domain.policies


def test_a_fault_of_the_function_s_own_strands_no_stack(
    fake_domain: FakeDomain, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by its type and place, without the value in its text, and the other objects go."""
    assert clock.now == 0
    invoke("Create")

    def fault(_: Any) -> None:
        raise KeyError("pa55word")

    monkeypatch.setattr(RetentionPolicy, "remove", fault)
    response = invoke("Delete")
    assert response["Status"] == "SUCCESS"
    assert response["Reason"].startswith(
        "left in the domain: RetentionPolicy iot-stream, because unexpected KeyError at fault, line"
    )
    assert "pa55word" not in str(response)
    assert not fake_domain.roles
    assert not fake_domain.index_templates


def test_a_secret_that_is_gone_leaves_everything_behind_at_once(
    fake_domain: FakeDomain, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not come back by waiting."""
    invoke("Create")

    def gone(*_: Any) -> str:
        raise SecretError("GetSecretValue returned ResourceNotFoundException", retryable=False)

    monkeypatch.setattr(master_user, "_read_secret", gone)
    begun = clock.now
    response = invoke("Delete")
    assert (response["Status"], clock.now - begun < 1) == ("SUCCESS", True)
    assert "because GetSecretValue returned" in response["Reason"]
    assert fake_domain.roles


def test_a_delete_that_hangs_is_a_success_as_well(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog responds; a DELETE_FAILED would need a person."""
    for name, value in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def hang(*_: Any, **__: Any) -> None:
        sender._watchdog.join(60)

    sender: Any = None
    original = response_sender.ResponseSender.__enter__

    def enter(self: Any) -> Any:
        nonlocal sender
        sender = self
        return original(self)

    monkeypatch.setattr(response_sender.ResponseSender, "__enter__", enter)
    monkeypatch.setattr(fake_domain, "_respond", hang)
    event = custom_resource_event("Delete", ResponseURL="")
    assert handler.lambda_handler(event, LambdaContext(seconds=1))["Status"] == "SUCCESS"
