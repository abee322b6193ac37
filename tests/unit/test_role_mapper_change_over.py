"""Old names work until the delivery stream uses the new ones, and then no longer."""

import logging
from typing import Any

import pytest

from role_mapper import change_over, files, handler, provision
from role_mapper.cloudformation import Request
from role_mapper.deadline import Deadline
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.builders import DOMAIN_ENDPOINT, FUNCTION_ENVIRONMENT, STACK_ID, custom_resource_event, mapping_properties
from tests.fake_domain import FakeDomain
from tests.template import load_template

pytestmark = pytest.mark.secrets

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:iot-enrichment"
OLD = mapping_properties(IndexPattern="old*") | {
    "EnrichmentFunction": FUNCTION,
    "RoleMapping": "RoleMapping",
    "WaitSeconds": "240",
}
NEW = OLD | {"IndexPattern": "new*"}
OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)


class Recorder(Deadline):
    """A deadline that does not wait, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        super().__init__(600, wait=self.waits.append)


@pytest.fixture
def domain(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """A domain that was prepared for the new index, with the function's environment around it."""
    monkeypatch.setattr(files, "saved_objects", lambda _: [])
    for name, value in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INDEX_PATTERN", NEW["IndexPattern"])
    monkeypatch.setattr(change_over, "sign_in", lambda *_: None)
    monkeypatch.setattr(change_over, "Domain", lambda *_, **__: fake_domain.client(60))
    client = fake_domain.client()
    before = Properties.of(OLD)
    provision.apply(client, before, OWNER)
    provision.apply(client, Properties.of(NEW), OWNER, before)
    return fake_domain


def change(kind: str, new: dict[str, str], old: dict[str, str], deadline: Deadline) -> Any:
    """Send a request as CloudFormation does."""
    event = custom_resource_event(kind, new, OldResourceProperties=old, ResourceType="Custom::ChangeOver")
    return change_over.handle(Request.of(event), "id", deadline)


def patterns(domain: FakeDomain) -> list[str]:
    """Return the indices that the role may write to."""
    [grant] = domain.roles[NEW["RoleName"]]["index_permissions"]
    found: list[str] = grant["index_patterns"]
    return found


def test_the_role_is_narrowed_after_the_wait(domain: FakeDomain) -> None:
    """Both indices until then, the new one alone from then on."""
    assert patterns(domain) == ["new*", "old*"]
    deadline = Recorder()
    assert change("Update", NEW, OLD, deadline).status == "SUCCESS"
    assert deadline.waits == [240]
    assert patterns(domain) == ["new*"]


@pytest.mark.parametrize(
    ("kind", "old"),
    [("Create", {}), ("Delete", {}), ("Update", NEW), ("Update", NEW | {"WaitSeconds": "0"})],
    ids=["create", "delete", "nothing changed", "another wait"],
)
def test_without_another_name_nothing_waits(domain: FakeDomain, kind: str, old: dict[str, str]) -> None:
    """A first deployment and any other update are as quick as before, and the domain is not called."""
    domain.calls.clear()
    deadline = Recorder()
    assert change(kind, NEW, old, deadline).status == "SUCCESS"
    assert not deadline.waits
    assert not domain.calls


@pytest.mark.usefixtures("domain")
def test_another_function_waits_as_well() -> None:
    """The old one is deleted when this resource is updated."""
    deadline = Recorder()
    change("Update", NEW, NEW | {"EnrichmentFunction": f"{FUNCTION}-old"}, deadline)
    assert deadline.waits == [240]


def test_a_domain_that_fails_does_not_roll_a_rename_back(
    domain: FakeDomain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The role may write to one index too many: that is said, and no reason to undo the update."""
    monkeypatch.setenv("DOMAIN_ENDPOINT", "another.example.org")
    with caplog.at_level(logging.WARNING):
        response = change("Update", NEW, OLD, Recorder())
    assert response.status == "SUCCESS"
    assert "still covers the earlier index" in response.reason
    assert patterns(domain) == ["new*", "old*"]


def test_the_template_gives_it_the_role_mappings_properties() -> None:
    """It narrows the same role of the same owner, after the delivery stream, and has the time to wait."""
    resources = load_template()["Resources"]
    change_over_, mapping = (resources[name]["Properties"] for name in ("ChangeOver", "RoleMapping"))
    assert resources["ChangeOver"]["Type"] == handler._CHANGE_OVER
    assert resources["ChangeOver"]["DependsOn"] == "DeliveryStream"
    assert change_over_["RoleMapping"] == "RoleMapping"
    shared = change_over_.keys() & mapping.keys() - {"ServiceTimeout"}
    assert {name: change_over_[name] for name in shared} == {name: mapping[name] for name in shared}
    assert shared >= {"DomainEndpoint", "RoleName", "IndexPattern", "DeliveryRoleArn", "IndexName", "TakeOver"}
    longest = load_template()["Parameters"]["ChangeOverSeconds"]["MaxValue"]
    assert longest + 60 < resources["RoleMapperFunction"]["Properties"]["Timeout"] < int(change_over_["ServiceTimeout"])
