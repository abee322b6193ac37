"""Saved objects of Dashboards: shipped, updated, and never taken from those who changed them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import requests

from role_mapper import files
from role_mapper.errors import CallError, OwnershipError, ResponseError, VerificationError
from role_mapper.objects.dashboards import Dashboards
from role_mapper.objects.saved_objects import fingerprint, key_of
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import FakeDomain, FakeResponse

pytestmark = pytest.mark.secrets

OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
WANTED = Properties.of(mapping_properties())
FORCED = Properties.of(mapping_properties(OverwriteDashboards="true"))
KEYS = [key_of(each) for each in files.saved_objects(WANTED)]
PANEL = next(key for key in KEYS if key.startswith("visualization/"))
DASHBOARD = next(key for key in KEYS if key.startswith("dashboard/"))


@pytest.fixture
def domain(fake_domain: FakeDomain) -> FakeDomain:
    """A domain with Dashboards."""
    fake_domain.installed = {"dashboards"}
    return fake_domain


def ship(domain: FakeDomain, properties: Properties = WANTED) -> dict[str, Change]:
    """Ship the saved objects; what became of each."""
    return {change.name: change for change in Dashboards(domain.client(), OWNER, properties).ensure()}


def take_back(domain: FakeDomain) -> dict[str, Outcome]:
    """Remove the saved objects; what became of each."""
    return {change.name: change.outcome for change in Dashboards(domain.client(), OWNER, WANTED).remove()}


def edit(domain: FakeDomain, key: str = PANEL) -> dict[str, Any]:
    """Change an object as a person does in Dashboards; the object."""
    domain.saved_objects[key]["attributes"]["title"] = "Mine"
    return copy.deepcopy(domain.saved_objects[key])


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Ship other objects from now on: one with another description, or one fewer."""
    shipped = files.saved_objects

    def change(*, description: str = "", without: str = "") -> None:
        def saved_objects(properties: Properties) -> list[dict[str, Any]]:
            objects = [each for each in shipped(properties) if key_of(each) != without]
            if description:
                objects[-1]["attributes"]["description"] = description
            return objects

        monkeypatch.setattr(files, "saved_objects", saved_objects)

    return change


def test_all_objects_are_shipped_and_then_left_alone(domain: FakeDomain) -> None:
    """The second time nothing is imported, though a newer Dashboards has migrated what it got."""
    assert {change.outcome for change in ship(domain).values()} == {Outcome.CREATED}
    assert set(domain.saved_objects) == set(KEYS)
    assert domain.saved_objects[DASHBOARD]["attributes"]["migrated"]
    domain.calls.clear()
    assert {change.outcome for change in ship(domain).values()} == {Outcome.UNCHANGED}
    assert not [call for call in domain.calls if call.path.endswith("_import")]


@pytest.mark.parametrize("tenant", [None, "", "global_tenant"])
def test_the_global_tenant_is_no_news(domain: FakeDomain, tenant: str | None) -> None:
    """Dashboards without tenants says nothing of them; the global one is an empty text."""
    domain.tenant = tenant
    assert {change.outcome for change in ship(domain).values()} == {Outcome.CREATED}


@pytest.mark.parametrize(
    ("tenant", "where"),
    [("__user__", "the master user's private tenant, where other users can't see them"), ("ops", "ops")],
)
def test_a_disabled_global_tenant_is_told(domain: FakeDomain, tenant: str, where: str) -> None:
    """Dashboards then takes another tenant than the one that was asked for, without a word.

    Source: opensearch-project/security-dashboards-plugin, server/multitenancy/tenant_resolver.ts (`resolve`) and
    server/auth/types/basic/routes.ts (`selectedTenants`).
    """
    domain.tenant = tenant
    change = ship(domain)["tenant"]
    assert change.outcome is Outcome.DIFFERS
    assert change.detail.startswith(f"they are in {where}, because Dashboards' global tenant is disabled")


def test_a_new_version_reaches_the_objects_that_nobody_changed(
    domain: FakeDomain, next_version: Callable[..., None]
) -> None:
    """Only those that differ are imported."""
    ship(domain)
    next_version(description="better")
    changed = [name for name, change in ship(domain).items() if change.outcome is Outcome.CHANGED]
    assert len(changed) == 1
    assert domain.saved_objects[changed[0]]["attributes"]["description"] == "better"
    assert {change.outcome for change in ship(domain).values()} == {Outcome.UNCHANGED}


def test_what_a_person_changed_is_kept_and_reported_each_time(
    domain: FakeDomain, next_version: Callable[..., None]
) -> None:
    """Also when the shipped object changes; the others still get theirs."""
    ship(domain)
    edit(domain, DASHBOARD)
    mine = copy.deepcopy(domain.saved_objects[DASHBOARD])
    for description in ("", "better", "best"):
        if description:
            next_version(description=description)
        change = ship(domain)[DASHBOARD]
        assert change.outcome is Outcome.KEPT
        assert "OverwriteDashboards=true" in change.detail
        assert domain.saved_objects[DASHBOARD] == mine


def test_forced_it_is_replaced_after_a_copy(domain: FakeDomain) -> None:
    """The copy has a title that tells it, an id of its own, and the same content."""
    ship(domain)
    mine = edit(domain)
    change = ship(domain, FORCED)[PANEL]
    assert (change.outcome, change.detail) == (Outcome.CHANGED, "changed in Dashboards; a copy of it was kept")
    assert domain.saved_objects[PANEL]["attributes"]["title"] != "Mine"
    (copied,) = [each for key, each in domain.saved_objects.items() if key not in KEYS]
    assert copied["attributes"] == mine["attributes"] | {"title": "Mine (kept copy)"}
    assert copied["references"] == mine["references"]
    assert {change.outcome for change in ship(domain, FORCED).values()} == {Outcome.UNCHANGED}


def test_an_object_of_that_id_that_was_never_shipped_is_somebodys(domain: FakeDomain) -> None:
    """Somebody imported a changed file by hand before the stack was deployed."""
    domain.saved_objects[PANEL] = {"type": "visualization", "id": PANEL.split("/")[1], "attributes": {"title": "Old"}}
    assert ship(domain)[PANEL].outcome is Outcome.KEPT
    assert domain.saved_objects[PANEL]["attributes"] == {"title": "Old"}


def test_an_object_that_a_person_deleted_comes_back(domain: FakeDomain) -> None:
    """A dashboard without one of its panels is broken."""
    ship(domain)
    del domain.saved_objects[PANEL]
    assert ship(domain)[PANEL].outcome is Outcome.CREATED


def test_an_object_that_is_no_longer_shipped_goes_unless_somebody_changed_it(
    domain: FakeDomain, next_version: Callable[..., None]
) -> None:
    """It was shipped once, so it is known."""
    ship(domain)
    next_version(without=PANEL)
    edited = copy.deepcopy(domain)
    assert ship(domain)[PANEL].outcome is Outcome.REMOVED
    assert PANEL not in domain.saved_objects
    assert PANEL not in ship(domain)

    vars(domain).update(vars(edited))
    edit(domain)
    assert ship(domain)[PANEL].outcome is Outcome.KEPT
    assert PANEL in domain.saved_objects


def test_an_object_that_could_not_be_deleted_is_not_forgotten(
    domain: FakeDomain, next_version: Callable[..., None]
) -> None:
    """A DELETE that fails once is tried again, for the record still knows the object, and what was shipped with it."""
    ship(domain)
    next_version(without=PANEL, description="better")
    domain.meanwhile = {"DELETE": lambda: FakeResponse(503, "busy", "text/plain")}
    with pytest.raises(ResponseError, match="busy"):
        ship(domain)
    domain.meanwhile = {}
    again = {name: change.outcome for name, change in ship(domain).items()}
    assert again.pop(PANEL) is Outcome.REMOVED
    assert set(again.values()) == {Outcome.UNCHANGED}
    assert PANEL not in domain.saved_objects
    assert PANEL not in ship(domain)


def test_an_import_whose_response_was_lost_is_no_change_of_somebodys(domain: FakeDomain) -> None:
    """It was done, and Dashboards has migrated what it got: the next try does it again, and asks nobody."""
    serve, tries = domain._import, iter(range(9))

    def lost(call: Any) -> FakeResponse:
        sender = serve(call)
        if next(tries) == 0:
            raise requests.ReadTimeout("slow")
        return sender

    domain._import = lost  # type: ignore[method-assign]
    assert {change.outcome for change in ship(domain).values()} == {Outcome.CREATED}
    assert {change.outcome for change in ship(domain).values()} == {Outcome.UNCHANGED}


def test_somebody_elses_component_template_is_left_alone(domain: FakeDomain) -> None:
    """The record's place may be taken: that is refused before anything is imported, or taken over when told to."""
    theirs = {"template": {"mappings": {"properties": {"x": {"type": "keyword"}}}}, "_meta": {"description": "BI's"}}
    record = f"{WANTED.index_name}-dashboards"
    domain.component_templates[record] = copy.deepcopy(theirs)
    with pytest.raises(OwnershipError, match=f"component template {record} exists and was not made by this stack"):
        ship(domain)
    assert domain.component_templates == {record: theirs}
    assert not domain.saved_objects
    ship(domain, Properties.of(mapping_properties(TakeOver="true")))
    assert set(take_back(domain).values()) == {Outcome.REMOVED}
    assert record in domain.component_templates


def test_dashboards_own_cache_of_fields_is_no_change(domain: FakeDomain) -> None:
    """It refreshes an index pattern's list of fields by itself."""
    ship(domain)
    pattern = next(key for key in KEYS if key.startswith("index-pattern/"))
    domain.saved_objects[pattern]["attributes"]["fields"] = "[{}]"
    assert ship(domain)[pattern].outcome is Outcome.UNCHANGED


def test_on_removal_what_people_changed_stays(domain: FakeDomain) -> None:
    """Everything else goes, the record included."""
    ship(domain)
    mine = edit(domain)
    del domain.saved_objects[DASHBOARD]
    outcomes = take_back(domain)
    assert outcomes.pop(PANEL) is Outcome.KEPT
    assert outcomes.pop(DASHBOARD) is Outcome.ABSENT
    assert set(outcomes.values()) == {Outcome.REMOVED}
    assert domain.saved_objects == {PANEL: mine}
    assert not domain.component_templates


def test_another_stack_removes_nothing(domain: FakeDomain) -> None:
    """The record says whose it is."""
    ship(domain)
    before = domain.state()
    other = Owner.of(STACK_ID.replace("iot-stream", "x"), "RoleMapping", DOMAIN_ENDPOINT)
    assert Dashboards(domain.client(), other, WANTED).remove() == []
    assert domain.state() == before


@pytest.mark.parametrize("form", [True, False], ids=["log-in form", "basic authentication"])
def test_an_internal_user_gets_in_either_way(domain: FakeDomain, form: bool) -> None:
    """The form first; where there is none, each call signs in by itself."""
    domain.form_login = form
    assert {change.outcome for change in ship(domain).values()} == {Outcome.CREATED}


def test_a_dashboards_that_is_not_ready_is_no_missing_one(domain: FakeDomain) -> None:
    """503 is a reason to try again, not to skip."""
    domain.faults = {0: FakeResponse(503, "OpenSearch Dashboards server is not ready yet", "text/plain")}
    with pytest.raises(ResponseError, match="not ready yet") as raised:
        ship(domain)
    assert raised.value.retryable


def test_an_import_that_fails_with_status_200_is_a_failure(domain: FakeDomain) -> None:
    """It names the objects and Dashboards' reasons."""
    errors = [{"type": "dashboard", "id": "x", "error": {"type": "missing_references"}}]
    domain.meanwhile = {}
    serve = domain._import
    domain._import = lambda _: FakeResponse(200, {"success": False, "successCount": 0, "errors": errors})  # type: ignore[method-assign]
    with pytest.raises(CallError, match="dashboard/x: missing_references") as raised:
        ship(domain)
    assert not raised.value.retryable
    domain._import = serve  # type: ignore[method-assign]


def test_an_object_that_does_not_read_back_is_a_failure(domain: FakeDomain) -> None:
    """An import may succeed for fewer objects than it got."""
    serve = domain._import

    def lossy(call: Any) -> FakeResponse:
        sender = serve(call)
        del domain.saved_objects[PANEL]
        return sender

    domain._import = lossy  # type: ignore[method-assign]
    with pytest.raises(Exception, match=f"saved objects do not read back: {PANEL}") as raised:
        ship(domain)
    assert isinstance(raised.value.__cause__, VerificationError)


def test_another_index_gets_objects_of_its_own(domain: FakeDomain) -> None:
    """Two stacks with different index names share a domain: ids, patterns and queries differ throughout."""
    other = Properties.of(mapping_properties(IndexName="sensors"))
    objects = files.saved_objects(other)
    assert not {key_of(each) for each in objects} & set(KEYS)
    assert "iot-stream" not in str(objects)
    assert len({fingerprint(each) for each in objects}) == len(KEYS)
    ship(domain)
    ship(domain, other)
    assert len(domain.saved_objects) == 2 * len(KEYS)
