"""The function: every event gets one response, truthful and in time."""

import json
import sys
import threading
import urllib.request
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from iot_stream.paths import PROJECT
from role_mapper import handler, master_user, response_sender
from role_mapper.cloudformation import MOST_BYTES, encode
from role_mapper.deadline import Deadline
from tests.builders import STACK_ID, custom_resource_event, mapping_properties
from tests.examples import examples
from tests.fake_domain import Clock, FakeDomain, error
from tests.lambda_context import LambdaContext
from tests.secrets import make_secret

PHYSICAL_ID = (
    "arn:aws:cloudformation:us-east-1:123456789012:stack/iot-stream/RoleMapping"
    "@search-builders.us-east-1.es.amazonaws.com"
)


class CloudFormation:
    """Where the responses arrive."""

    def __init__(self) -> None:
        self.responses: list[dict[str, Any]] = []
        self.arrived = threading.Event()

    def urlopen(self, request: urllib.request.Request, timeout: float) -> Any:
        """Take one response, as the presigned URL does."""
        assert request.get_method() == "PUT"
        assert request.get_header("Content-type") == ""
        assert 0 < timeout <= 10
        assert isinstance(request.data, bytes)
        assert len(request.data) <= MOST_BYTES
        self.responses.append(json.loads(request.data))
        self.arrived.set()
        return open("/dev/null", "rb")  # noqa: PTH123  # an empty response, closed by its reader


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    """CloudFormation, as far as it takes responses."""
    taker = CloudFormation()
    monkeypatch.setattr(urllib.request, "urlopen", taker.urlopen)
    return taker


# Responses are received in every test, whether it looks at them or not.
pytestmark = [pytest.mark.secrets, pytest.mark.usefixtures("cloudformation", "domain")]


@pytest.fixture
def domain(fake_domain: FakeDomain, mapper_clock: Clock) -> FakeDomain:
    """A domain whose master user's secret can be read, and whose waits take no time."""
    assert mapper_clock
    return fake_domain


def test_create_update_and_delete_get_the_response_that_cloudformation_wants(
    domain: FakeDomain, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same id throughout, the request's own ids, and what was done as Data."""
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    monkeypatch.setenv("ROLE_NAME", "renamed")
    changed = mapping_properties(RoleName="renamed")
    update = custom_resource_event(
        "Update", changed, PhysicalResourceId=PHYSICAL_ID, OldResourceProperties=mapping_properties()
    )
    handler.lambda_handler(update, LambdaContext())
    handler.lambda_handler(custom_resource_event("Delete", changed, PhysicalResourceId=PHYSICAL_ID), LambdaContext())
    for response in cloudformation.responses:
        assert response["Status"] == "SUCCESS"
        assert response["PhysicalResourceId"] == PHYSICAL_ID
        assert response["StackId"] == STACK_ID
        assert response["LogicalResourceId"] == "RoleMapping"
    assert [response["Data"]["Role"] for response in cloudformation.responses] == [
        "created: kinesis-firehose",
        "created: renamed; removed: kinesis-firehose",
        "removed: renamed",
    ]
    assert domain.state() == FakeDomain().state()


def test_the_response_is_also_the_functions_result(cloudformation: CloudFormation) -> None:
    """For people who invoke it by hand; without a ResponseURL nothing is sent at all."""
    result = handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    assert [result] == cloudformation.responses
    again = handler.lambda_handler(custom_resource_event("Create", ResponseURL=""), LambdaContext())
    assert again["Data"]["Role"] == "unchanged: kinesis-firehose"
    assert len(cloudformation.responses) == 1


def test_a_refusal_is_reported_failed_with_the_domains_words(
    domain: FakeDomain, cloudformation: CloudFormation
) -> None:
    """Never SUCCESS on a 4xx."""
    domain.faults = {1: error(400, "Invalid configuration")}
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    (response,) = cloudformation.responses
    assert response["Status"] == "FAILED"
    assert response["Reason"] == (
        "PUT /_plugins/_security/api/roles/kinesis-firehose returned 400: Invalid configuration"
    )


def test_the_rollback_of_a_create_that_was_refused_for_its_properties_succeeds(
    domain: FakeDomain, cloudformation: CloudFormation
) -> None:
    """Nothing was made with them, so there is nothing that could block the rollback; the id is CloudFormation's."""
    broken = mapping_properties(DeliveryRoleArn="")
    handler.lambda_handler(custom_resource_event("Create", broken), LambdaContext())
    handler.lambda_handler(
        custom_resource_event("Delete", broken, PhysicalResourceId="iot-stream-1ABC"), LambdaContext()
    )
    assert [response["Status"] for response in cloudformation.responses] == ["FAILED", "SUCCESS"]
    assert "DeliveryRoleArn is missing" in cloudformation.responses[0]["Reason"]
    assert cloudformation.responses[1]["PhysicalResourceId"] == "iot-stream-1ABC"
    assert not domain.calls


def test_the_rollback_of_a_create_that_an_existing_index_forbids_cleans_up(
    domain: FakeDomain, cloudformation: CloudFormation
) -> None:
    """Retention without rotation needs an alias of the index's name: refused at the end, when all objects are made."""
    domain.indices = {"iot-stream": None}
    before = domain.state()
    rolling = mapping_properties(RetentionDays="7")
    handler.lambda_handler(custom_resource_event("Create", rolling), LambdaContext())
    handler.lambda_handler(custom_resource_event("Delete", rolling, PhysicalResourceId=PHYSICAL_ID), LambdaContext())
    assert [response["Status"] for response in cloudformation.responses] == ["FAILED", "SUCCESS"]
    assert domain.state() == before


def test_a_delete_with_an_id_it_never_made_still_removes_its_own(
    domain: FakeDomain, cloudformation: CloudFormation
) -> None:
    """After a Create that never got a response, CloudFormation invents the id."""
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    handler.lambda_handler(custom_resource_event("Delete", PhysicalResourceId="invented"), LambdaContext())
    assert cloudformation.responses[1]["PhysicalResourceId"] == "invented"
    assert domain.state() == FakeDomain().state()


def test_another_endpoint_is_another_resource(
    domain: FakeDomain, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation sees a replacement and sends a Delete for the old one, which succeeds and changes nothing."""
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    domain.host = "search-new.us-east-1.es.amazonaws.com"
    monkeypatch.setenv("DOMAIN_ENDPOINT", domain.host)
    moved = mapping_properties(DomainEndpoint=domain.host)
    update = custom_resource_event(
        "Update", moved, PhysicalResourceId=PHYSICAL_ID, OldResourceProperties=mapping_properties()
    )
    handler.lambda_handler(update, LambdaContext())
    assert cloudformation.responses[1]["Status"] == "SUCCESS"
    assert cloudformation.responses[1]["PhysicalResourceId"] == PHYSICAL_ID.replace("builders", "new")
    state, calls = domain.state(), len(domain.calls)
    handler.lambda_handler(custom_resource_event("Delete", PhysicalResourceId=PHYSICAL_ID), LambdaContext())
    assert cloudformation.responses[2]["Status"] == "SUCCESS"
    assert cloudformation.responses[2]["Reason"].startswith(
        "nothing was removed: DomainEndpoint is not the one in this"
    )
    assert (domain.state(), len(domain.calls)) == (state, calls)


def test_an_update_from_properties_of_an_older_version_removes_nothing(cloudformation: CloudFormation) -> None:
    """What can't be read can't be told to be ours."""
    update = custom_resource_event("Update", OldResourceProperties={"Some": "other"}, PhysicalResourceId=PHYSICAL_ID)
    handler.lambda_handler(update, LambdaContext())
    assert cloudformation.responses[0]["Status"] == "SUCCESS"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
keys = (
    "RequestType",
    "StackId",
    "RequestId",
    "LogicalResourceId",
    "PhysicalResourceId",
    "ResourceProperties",
    "OldResourceProperties",
)


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(json_values, st.dictionaries(st.sampled_from(keys), json_values)))
def test_any_event_gets_a_response_and_never_success_without_a_domain(domain: FakeDomain, event: Any) -> None:
    """Malformed, empty, of another type: a response within the limits, and FAILED unless there is nothing to remove."""
    response = handler.lambda_handler(event, LambdaContext())
    assert set(response) >= {"Status", "Reason", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId"}
    assert 1 <= len(response["PhysicalResourceId"].encode("utf-8", "replace")) <= 1024
    assert len(encode(response)) <= MOST_BYTES
    deleted = isinstance(event, dict) and event.get("RequestType") == "Delete"
    assert response["Status"] == ("SUCCESS" if deleted else "FAILED")
    assert not domain.calls


def test_a_client_that_cannot_be_imported_is_reported(
    cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that was built wrong says so at once instead of after ServiceTimeout."""
    for module in [name for name in sys.modules if name.startswith(("role_mapper.", "requests_aws4auth"))]:
        if module.rsplit(".", 1)[-1] in {"custom_resource", "master_user", "requests_aws4auth"}:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "requests_aws4auth", None)
    monkeypatch.delattr("role_mapper.custom_resource", raising=False)
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    (response,) = cloudformation.responses
    assert response["Status"] == "FAILED"
    assert response["Reason"] == (
        "cannot import requests_aws4auth: the function's package is incomplete, run sam build"
    )


def test_an_unforeseen_error_is_reported_with_its_place_and_not_its_text(
    domain: FakeDomain, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text may quote what it stumbled over: a secret."""

    def stumble(*_: Any) -> Any:
        raise UnicodeDecodeError("ascii", domain.users["admin"].encode(), 0, 1, domain.users["admin"])

    monkeypatch.setattr(master_user.InternalUser, "credentials", stumble)
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    (response,) = cloudformation.responses
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith("unexpected UnicodeDecodeError at stumble, line ")


def test_a_call_that_hangs_is_reported_before_lambda_ends_the_function(
    fake_domain: FakeDomain, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard reports FAILED, and what the work says later is not sent any more."""
    released = threading.Event()
    secret = json.dumps({"username": "admin", "password": fake_domain.users["admin"]})

    def hang(*_: Any) -> str:
        assert cloudformation.arrived.wait(60), "the guard did not respond"
        released.set()
        return secret

    monkeypatch.setattr(master_user, "_read_secret", hang)
    monkeypatch.setattr(response_sender, "Deadline", Deadline)
    result = handler.lambda_handler(custom_resource_event("Create"), LambdaContext(seconds=1))
    assert released.is_set()
    assert [result] == cloudformation.responses
    assert result["Status"] == "FAILED"
    assert result["Reason"].startswith("not finished within 1 s")
    assert [call.method for call in fake_domain.calls] in ([], ["GET"]), "nothing is written after the response"


@pytest.mark.parametrize(("lambda_seconds", "service_timeout"), [(10, "660"), (600, "10")])
def test_the_work_ends_with_whoever_stops_listening_first(
    fake_domain: FakeDomain,
    monkeypatch: pytest.MonkeyPatch,
    lambda_seconds: float,
    service_timeout: str,
) -> None:
    """Lambda's time-out or the resource's ServiceTimeout; the Reason says how long was tried."""
    monkeypatch.setattr(response_sender, "Deadline", Deadline)
    monkeypatch.setattr(
        response_sender, "_RESERVE", 0.9
    )  # 1 s to try, and the guard 4.5 s later: no stall comes between
    fake_domain.always = error(503)
    event = custom_resource_event("Create", mapping_properties(ServiceTimeout=service_timeout))
    response = handler.lambda_handler(event, LambdaContext(lambda_seconds))
    assert response["Reason"] == (
        "GET /_plugins/_security/api/roles/kinesis-firehose returned 503: "
        "OpenSearch Security not initialized. (gave up after 1 s)"
    )


def test_a_log_line_tells_the_outcome_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each request, for CloudWatch Logs Insights."""
    handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    printed = capsys.readouterr().out
    print(printed)  # for the search for secrets
    (line,) = [json.loads(line) for line in printed.splitlines()]
    assert line["level"] == "INFO"
    assert line["request"] == "Create"
    assert line["status"] == "SUCCESS"
    assert line["data"]["Role"] == "created: kinesis-firehose"
    assert "X-Amz-Signature" not in printed


EVENTS = PROJECT / "events"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in EVENTS.glob("cloudformation-*.expected.json"))


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_event_has_its_expected_response(
    domain: FakeDomain, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The same pairs that `sam local invoke` is held to."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", make_secret("of-a-sample-event"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for variable, value in json.loads((EVENTS / "environment.json").read_text())["RoleMapperFunction"].items():
        monkeypatch.setenv(variable, value)
    domain.host = "127.0.0.1"
    domain.always = ConnectionRefusedError(111, "Connection refused")
    event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    expected = json.loads((EVENTS / f"{name}.expected.json").read_text(encoding="utf-8"))
    assert handler.lambda_handler(event, LambdaContext()) == expected


def test_there_is_a_sample_of_each_request() -> None:
    """Create, Update and Delete."""
    kinds = {json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))["RequestType"] for name in NAMES}
    assert kinds == {"Create", "Update", "Delete"}
