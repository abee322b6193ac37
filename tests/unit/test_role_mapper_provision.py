"""All managed objects, applied in order and removed in reverse, on a domain in memory with recorded responses."""

from dataclasses import replace
from typing import Any

import pytest

from role_mapper import provision
from role_mapper.errors import OwnershipError, RoleMapperError
from role_mapper.ownership import Owner
from role_mapper.report import Outcome
from tests.builders import STACK_ID
from tests.fake_domain import FakeDomain, FakeResponse
from tests.provisioning import (
    ADMIN,
    ALERTS,
    ALERTS_ARN,
    ANOTHER,
    INDEX,
    KINDS,
    OTHERS,
    OWNER,
    ROLE,
    WANTED,
    apply,
    look,
    outcomes,
    remove,
    update,
)

pytestmark = [pytest.mark.secrets, pytest.mark.usefixtures("few_saved_objects")]


# ---- apply twice = once; apply then remove = before ----


def test_everything_is_created_once_and_then_left_alone(whole: FakeDomain) -> None:
    """The second time nothing is written, and the report says so."""
    assert outcomes(apply(whole)) == {kind: {Outcome.CREATED} for kind in KINDS} | {"Indices": {Outcome.UNCHANGED}}
    state = whole.state()
    whole.calls.clear()
    assert outcomes(apply(whole)) == {kind: {Outcome.UNCHANGED} for kind in (*KINDS, "Indices")}
    assert whole.state() == state
    assert {call.method for call in whole.calls if "_plugins/_security" in call.path} == {"GET"}


@pytest.mark.parametrize("others", [None, OTHERS], ids=["alone", "others mapped to other roles"])
def test_apply_then_remove_leaves_the_domain_as_it_was(whole: FakeDomain, others: dict[str, Any] | None) -> None:
    """Nothing of it stays, and nothing of anybody else's goes."""
    if others:
        whole.roles["theirs"] = {"description": "theirs", "cluster_permissions": []}
        whole.mappings["theirs"] = {"reserved": False} | others
    before = whole.state()
    apply(whole)
    assert outcomes(remove(whole)) == {kind: {Outcome.REMOVED} for kind in KINDS}
    assert whole.state() == before


def test_removing_what_is_not_there_is_no_failure(whole: FakeDomain) -> None:
    """Anything may be gone already."""
    assert {outcome for kind in outcomes(remove(whole)).values() for outcome in kind} == {Outcome.ABSENT}


def patterns(domain: FakeDomain, role: str = ROLE) -> list[str]:
    """Return the indices that a role may write to."""
    found: list[str] = domain.roles[role]["index_permissions"][0]["index_patterns"]
    return found


@pytest.mark.parametrize("name", [ROLE, "another-role"])
def test_both_indices_may_be_written_to_until_the_role_is_narrowed(whole: FakeDomain, name: str) -> None:
    """The delivery stream goes on with the earlier index for a while; then nothing is left of it."""
    renamed = replace(WANTED, index_name="new", index_pattern="new*", role_name=name)
    apply(whole)
    client = whole.client()
    provision.apply(client, renamed, OWNER, WANTED)
    provision.withdraw(client, WANTED, renamed, OWNER)
    assert patterns(whole, name) == ["new*", WANTED.index_pattern]
    provision.narrow(whole.client(), renamed, OWNER)
    assert patterns(whole, name) == ["new*"]
    state = whole.state()
    apply(whole, renamed)
    assert whole.state() == state, "as if it had never had another name"


@pytest.mark.parametrize("others", [[], ["arn:aws:iam::123456789012:role/master"]], ids=["nobody", "the master"])
def test_an_iam_role_administers_beside_the_master(whole: FakeDomain, others: list[str]) -> None:
    """It is added to the roles that a further master user is mapped to, and taken out again with the parameter."""
    for role in ("all_access", "security_manager"):
        whole.roles[role] = {"static": True, "reserved": True, "cluster_permissions": ["*"]}
        if others:
            whole.mappings[role] = {"backend_roles": list(others)}
    apply(whole)
    before = set(whole.mappings)
    wanted = replace(WANTED, admin_role_arn=ADMIN)
    apply(whole, wanted)
    for role in ("all_access", "security_manager"):
        assert whole.mappings[role]["backend_roles"] == [*others, ADMIN]
    state = whole.state()
    apply(whole, wanted)
    assert whole.state() == state, "once"
    update(whole, wanted, WANTED)
    assert set(whole.mappings) == before
    for role in ("all_access", "security_manager"):
        assert whole.mappings.get(role, {}).get("backend_roles", []) == others


def test_a_role_that_the_domain_lacks_is_no_failure(whole: FakeDomain) -> None:
    """Only Amazon OpenSearch Service has security_manager."""
    whole.roles["all_access"] = {"static": True, "reserved": True, "cluster_permissions": ["*"]}
    changes = apply(whole, replace(WANTED, admin_role_arn=ADMIN))
    assert {change.name: change.outcome for change in changes if change.kind == "RoleMapping"} == {
        ROLE: Outcome.CREATED,
        "all_access": Outcome.CREATED,
        "security_manager": Outcome.SKIPPED,
    }


def test_a_rollback_adds_no_index_that_was_never_written_to(whole: FakeDomain) -> None:
    """CloudFormation then sends the properties that failed as the earlier ones."""
    apply(whole)
    state = whole.state()
    provision.apply(whole.client(), WANTED, OWNER, replace(WANTED, index_name="failed", index_pattern="failed*"))
    assert whole.state() == state


@pytest.mark.parametrize("gone", ["roles", "mappings", "index_templates", "component_templates", "policies"])
def test_removing_what_is_partly_gone_removes_the_rest(whole: FakeDomain, gone: str) -> None:
    """A person may have cleaned up half of it."""
    apply(whole)
    getattr(whole, gone).clear()
    whole.saved_objects.clear()
    remove(whole)
    state = whole.state()
    assert not any(state[part] for part in state if part != "indices")


@pytest.mark.parametrize("lost", ["roles", "mappings", "index_templates", "policies", "saved_objects", "everything"])
def test_a_domain_that_lost_its_objects_gets_them_back(whole: FakeDomain, lost: str) -> None:
    """One node without replicas, or a new security index: applying again needs no changed property."""
    apply(whole)
    expected = whole.state()
    parts = ["roles", "mappings", "index_templates", "component_templates", "policies", "saved_objects"]
    for part in parts if lost == "everything" else [lost]:
        getattr(whole, part).clear()
    apply(whole)
    assert whole.state() == expected


# ---- updates ----


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"role_name": "other-role"}, id="role"),
        pytest.param({"index_pattern": "*"}, id="pattern"),
        pytest.param({"delivery_role_arn": "arn:aws:iam::123456789012:role/new"}, id="delivery role"),
        pytest.param({"index_name": "other"}, id="index"),
        pytest.param({"retention_days": 7}, id="retention"),
        pytest.param({"retention_days": 0}, id="no retention"),
        pytest.param({"retention_days": 0, "index_rotation_period": "NoRotation"}, id="rotation"),
        pytest.param({"number_of_shards": 3, "number_of_replicas": 2}, id="shards and replicas"),
        pytest.param({"refresh_interval": "30s"}, id="refresh interval"),
    ],
)
def test_an_update_leads_to_what_a_create_would_and_its_rollback_leads_back(
    whole: FakeDomain, change: dict[str, Any]
) -> None:
    """Only what the old properties had added goes; a rollback is the same update the other way round."""
    now = replace(WANTED, **change)
    apply(whole)
    before = whole.state()
    fresh = FakeDomain(installed={"ism", "dashboards"})
    with pytest.MonkeyPatch.context() as patch:
        fresh.install(patch)
        apply(fresh, now)

    update(whole, WANTED, now)
    assert whole.state() == fresh.state()
    update(whole, now, WANTED)
    assert whole.state() == before


def test_the_rollback_of_an_update_that_failed_half_way_restores_the_state(whole: FakeDomain) -> None:
    """CloudFormation sends an Update with the old properties, and those that failed as the old ones."""
    apply(whole)
    before = whole.state()
    now = replace(WANTED, role_name="new-role", index_name="new")
    whole.index_templates["new"] = {"index_patterns": ["theirs"]}
    with pytest.raises(OwnershipError):
        update(whole, WANTED, now)
    assert "new-role" in whole.roles
    update(whole, now, WANTED)
    del whole.index_templates["new"]
    assert whole.state() == before


def test_another_domain_endpoint_is_another_owner(whole: FakeDomain) -> None:
    """What the resource made at its new endpoint survives the Delete that CloudFormation sends for the old one."""
    apply(whole)
    moved = Owner.of(STACK_ID, "RoleMapping", "vpc-builders.us-east-1.es.amazonaws.com")
    assert outcomes(apply(whole, owner=moved))["Role"] == {Outcome.CHANGED}, "its own, with another address on it"
    after = whole.state()
    remove(whole, owner=OWNER)
    assert whole.state() == after


def test_another_stack_is_refused(whole: FakeDomain) -> None:
    """Two stacks with the same names share a domain: the second one is told to choose others."""
    apply(whole)
    with pytest.raises(OwnershipError, match="not made by this stack"):
        apply(whole, owner=ANOTHER)


# ---- what the index needs ----


def test_plugins_that_are_not_installed_are_skipped_and_said_so(fake_domain: FakeDomain) -> None:
    """As on the OpenSearch of the local stack: found out by asking the domain."""
    changes = {change.kind: change for change in apply(fake_domain)}
    assert changes["RetentionPolicy"].outcome is changes["Dashboards"].outcome is Outcome.SKIPPED
    assert "no Index State Management" in changes["RetentionPolicy"].detail
    assert "no OpenSearch Dashboards" in changes["Dashboards"].detail
    assert changes["IndexTemplate"].outcome is Outcome.CREATED
    assert outcomes(remove(fake_domain))["Dashboards"] == {Outcome.SKIPPED}


def test_the_retention_policy_never_matches_an_index_that_is_written_to_for_ever(whole: FakeDomain) -> None:
    """Only names with a year and more behind the index's own, and of those in place only what rotation makes."""
    apply(whole)
    policy = whole.policies[INDEX]["policy"]
    assert [template["index_patterns"] for template in policy["ism_template"]] == [["iot-stream-20*-*"]]
    assert policy["states"][0]["transitions"] == [{"state_name": "delete", "conditions": {"min_index_age": "31d"}}]


@pytest.mark.parametrize("index", ["2", "2fa-audit", "2026", "2026-archive", "2026-11-backup", "2026-11-24-10-x"])
def test_an_index_that_rotation_did_not_make_is_never_handed_to_the_policy(whole: FakeDomain, index: str) -> None:
    """Somebody else's live index may well be called nearly so."""
    whole.indices = {f"{INDEX}-{index}": None, f"{INDEX}-2026-11-24": None, f"{INDEX}-2026-w47": None}
    apply(whole)
    assert whole.indices == {f"{INDEX}-{index}": None, f"{INDEX}-2026-11-24": INDEX, f"{INDEX}-2026-w47": INDEX}


def test_no_days_take_a_policy_that_was_taken_over_away(whole: FakeDomain) -> None:
    """0 keeps everything: a policy that this stack has filled with its own content must not go on deleting."""
    theirs = {"description": "ours", "states": [], "ism_template": []}
    whole.policies[INDEX] = {"_id": INDEX, "_version": 1, "_seq_no": 0, "_primary_term": 1, "policy": theirs}
    whole.indices = {f"{INDEX}-2026-11-22": None}
    apply(whole, replace(WANTED, take_over=True))
    apply(whole, replace(WANTED, retention_days=0))
    assert not whole.policies
    assert whole.indices == {f"{INDEX}-2026-11-22": None}


def test_existing_indices_follow_the_policy_and_others_keep_theirs(whole: FakeDomain) -> None:
    """An index keeps the version of the policy that it was given, so it is given the new one."""
    whole.indices = {"iot-stream-2026-11-22": None, "iot-stream-2026-11-23": "theirs", "iot-stream": None}
    apply(whole)
    assert whole.indices == {"iot-stream-2026-11-22": INDEX, "iot-stream-2026-11-23": "theirs", "iot-stream": None}
    whole.calls.clear()
    apply(whole, replace(WANTED, retention_days=7))
    told = [call.path for call in whole.calls if call.method == "POST" and "_ism" in call.path]
    assert told == [f"/_plugins/_ism/{verb}/iot-stream-2026-11-22" for verb in ("remove", "add")]
    assert "8d" in str(whole.copies["iot-stream-2026-11-22"]), "its own copy is the new one"
    apply(whole, replace(WANTED, retention_days=0))
    assert whole.indices == {"iot-stream-2026-11-22": None, "iot-stream-2026-11-23": "theirs", "iot-stream": None}
    assert not whole.policies


def test_a_policy_that_was_changed_since_it_was_read_is_read_again(whole: FakeDomain) -> None:
    """`if_seq_no` and `if_primary_term` make the write a 409."""
    apply(whole)

    def change() -> None:
        whole.policies[INDEX]["_seq_no"] += 1

    whole.meanwhile = {"PUT": change}
    apply(whole, replace(WANTED, retention_days=7))
    assert "8d" in str(whole.policies[INDEX])


def test_an_index_that_does_not_take_the_policy_is_a_failure_that_names_it(whole: FakeDomain) -> None:
    """The call returns 200 all the same."""
    whole.indices = {"iot-stream-2026-11-22": None}
    serve = whole._ism

    def ism(call: Any, verb: str, name: str = "") -> FakeResponse:
        if verb != "add":
            return serve(call, verb, name)
        failed = [{"index_name": name, "index_uuid": "u", "reason": "This index is blocked"}]
        return FakeResponse(200, {"updated_indices": 0, "failures": True, "failed_indices": failed})

    whole._ism = ism  # type: ignore[method-assign]
    with pytest.raises(RoleMapperError, match="ISM add failed for iot-stream-2026-11-22: This index is blocked"):
        apply(whole)


# ---- only looked at ----


def test_looking_changes_nothing_and_tells_what_apply_would_do(whole: FakeDomain) -> None:
    """On an empty domain everything differs, afterwards nothing, then only what somebody changed."""
    empty = whole.state()
    assert look(whole) == {kind: {Outcome.DIFFERS} for kind in (*KINDS, "Indices")}
    assert whole.state() == empty
    whole.indices = {"iot-stream-2026-11-22": None}
    apply(whole)
    assert look(whole) == {kind: {Outcome.UNCHANGED} for kind in (*KINDS, "Indices")}
    whole.roles[ROLE]["cluster_permissions"] = ["*"]
    before = whole.state()
    assert look(whole)["Role"] == {Outcome.DIFFERS}
    assert look(whole, replace(WANTED, retention_days=7))["RetentionPolicy"] == {Outcome.DIFFERS}
    assert whole.state() == before


# ---- alerts ----


def test_alerts_that_are_switched_off_leave_nothing_in_the_domain(whole: FakeDomain) -> None:
    """Role, mapping and template go; what the delivery stream needs stays."""
    off = replace(WANTED, alerts_role_arn="")
    apply(whole, off)
    without = whole.state()
    assert outcomes(update(whole, off, WANTED)) == {
        kind: {Outcome.CREATED if kind in ALERTS else Outcome.UNCHANGED} for kind in (*KINDS, "Indices")
    }
    assert whole.mappings[WANTED.alerts_index]["backend_roles"] == [ALERTS_ARN]
    changes = outcomes(update(whole, WANTED, off))
    assert {kind: changes[kind] for kind in ALERTS} == {kind: {Outcome.REMOVED} for kind in ALERTS}
    assert whole.state() == without


def test_the_role_of_alerts_reads_the_readings_and_writes_its_index(whole: FakeDomain) -> None:
    """Nothing else: no other index, no tenant, nothing of the cluster but what carries its own requests."""
    apply(whole)
    role = whole.roles[WANTED.alerts_index]
    readings, alerts = role["index_permissions"]
    assert (readings["index_patterns"], readings["allowed_actions"]) == (["iot-stream*"], ["indices:data/read/search"])
    assert alerts["index_patterns"] == ["device-alerts-iot-stream"]
    deletes = [action for action in alerts["allowed_actions"] if "delete" in action or action in {"*", "manage"}]
    assert deletes == ["indices:data/write/delete"], "documents, and not the index"
    assert role["cluster_permissions"] == ["indices:data/read/mget", "indices:data/write/bulk"]
