"""All managed objects, applied in order and removed in reverse, on a domain in memory with recorded responses."""

import copy
import functools
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from role_mapper import files, provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import DeadlineExceededError, OwnershipError, ResponseError, RoleMapperError
from role_mapper.master_user import InternalUser
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.examples import examples, share_of
from tests.fake_domain import Call, FakeDomain, FakeResponse, error

pytestmark = pytest.mark.secrets

ALERTS_ARN = "arn:aws:iam::123456789012:role/iot-stream-DeviceAlertsRole"
WANTED = Properties.of(mapping_properties(IndexRotationPeriod="OneDay", RetentionDays="30", AlertsRoleArn=ALERTS_ARN))
OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
ANOTHER = Owner.of(STACK_ID.replace("iot-stream", "another"), "RoleMapping", DOMAIN_ENDPOINT)
ROLE, ARN, INDEX = WANTED.role_name, WANTED.delivery_role_arn, WANTED.index_name
OTHERS = {"backend_roles": ["arn:aws:iam::1:role/x"], "users": ["ann"], "hosts": ["*.example.org"]}


@pytest.fixture(autouse=True)
def _few_saved_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two saved objects stand for all of them: their own tests are in test_role_mapper_dashboards.py."""
    monkeypatch.setattr(files, "saved_objects", _two_saved_objects)


def _two_saved_objects(properties: Properties) -> list[dict[str, Any]]:
    name = properties.index_name
    pattern = {"type": "index-pattern", "id": name, "attributes": {"title": f"{name}*"}, "references": []}
    return [pattern, pattern | {"type": "dashboard", "attributes": {"title": "Live"}}]


@pytest.fixture
def whole(fake_domain: FakeDomain) -> FakeDomain:
    """A domain with every plugin."""
    fake_domain.installed = {"ism", "dashboards"}
    return fake_domain


def apply(domain: FakeDomain, wanted: Properties = WANTED, owner: Owner = OWNER, seconds: float = 60) -> list[Change]:
    """Apply the properties."""
    return provision.apply(domain.client(seconds), wanted, owner)


def remove(domain: FakeDomain, wanted: Properties = WANTED, owner: Owner = OWNER, seconds: float = 60) -> list[Change]:
    """Remove what the properties had added."""
    return provision.remove(domain.client(seconds), wanted, owner)


def update(domain: FakeDomain, before: Properties, now: Properties) -> list[Change]:
    """Do what an Update does, and narrow the role, as another resource does after the delivery stream's update."""
    client = domain.client()
    changes = provision.apply(client, now, OWNER, before) + provision.withdraw(client, before, now, OWNER)
    provision.narrow(client, now, OWNER)
    return changes


def outcomes(changes: list[Change]) -> dict[str, set[Outcome]]:
    """Return what became of each kind of object."""
    kinds: dict[str, set[Outcome]] = {}
    for change in changes:
        kinds.setdefault(change.kind, set()).add(change.outcome)
    return kinds


ALERTS = ("AlertsIndexTemplate", "AlertsRole", "AlertsRoleMapping")
KINDS = ("Role", "RoleMapping", "IndexTemplate", "RetentionPolicy", "Dashboards", *ALERTS)


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


ADMIN = "arn:aws:iam::123456789012:role/admin"


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


# ---- every response at every step ----

NETWORK = {
    "dns": requests.ConnectionError("name resolution"),
    "tls": requests.exceptions.SSLError("certificate"),
    "timeout": requests.Timeout("slow"),
    "connection": requests.ConnectionError("refused"),
}
RETRYABLE: dict[str, FakeResponse | Exception] = {
    str(status): error(status) for status in (401, 403, 409, 429, 500, 502, 503)
}
RETRYABLE |= NETWORK
# The role mapper's code tells these apart from all other statuses; those are alike to it, as network errors are.
SPECIAL = ("401", "403")
ALIKE = RETRYABLE.keys() - NETWORK.keys() - {*SPECIAL}
LASTING = {str(status): error(status) for status in (400, 405, 413)}
PATHS: dict[str, Callable[[FakeDomain], object]] = {"apply": apply, "remove": remove}


def _steps() -> list[Any]:
    """Return every call of either direction, by its number and what it is."""
    steps = []
    for direction, do in PATHS.items():
        domain = FakeDomain(installed={"ism", "dashboards"})
        with pytest.MonkeyPatch.context() as patch:
            domain.install(patch)
            patch.setattr(files, "saved_objects", _two_saved_objects)
            if direction == "remove":
                apply(domain)
                domain.calls.clear()
            do(domain)
        for number, call in enumerate(domain.calls):
            last = call.path.rsplit("/", 2)
            steps.append(
                pytest.param(direction, number, id=f"{direction}-{number}-{call.method}-{last[-1] or last[-2]}")
            )
    return steps


def _prepared(domain: FakeDomain, direction: str) -> None:
    if direction == "remove":
        apply(domain)
        domain.calls.clear()


@pytest.mark.parametrize(("direction", "number"), _steps())
def test_a_retryable_error_changes_nothing_about_the_result(whole: FakeDomain, direction: str, number: int) -> None:
    """401, 403, 409, 429, 5xx, DNS, TLS and time-outs at any step: tried again, same state in the end."""
    _prepared(whole, direction)
    before = copy.deepcopy(whole)
    PATHS[direction](whole)
    expected = whole.state()
    for kind in (*SPECIAL, *share_of(sorted(ALIKE), number), *share_of(NETWORK, number)):
        _restart(whole, before)
        whole.faults = {number: RETRYABLE[kind]}
        PATHS[direction](whole)
        assert whole.state() == expected


@pytest.mark.parametrize(("direction", "number"), _steps())
def test_a_refusal_that_lasts_is_told_with_the_call_the_status_and_the_domains_words(
    whole: FakeDomain, direction: str, number: int
) -> None:
    """A 400 at any step is a failure at once, never a success and never tried again."""
    _prepared(whole, direction)
    before = copy.deepcopy(whole)
    for status, refusal in share_of(LASTING.items(), number):
        _restart(whole, before)
        whole.faults = {number: refusal}
        try:
            PATHS[direction](whole)
            told = ""
        except ResponseError as raised:
            told = str(raised)
        call = whole.calls[number]
        if call.path in TOLERANT:
            continue
        assert f"{call.method} {call.path} returned {status}: the domain's own words" in told
        assert call not in whole.calls[number + 1 :]


TOLERANT = {
    "/_dashboards/auth/login",  # a Dashboards without a form to log in with
    "/_dashboards/api/status",  # whatever responds here is a Dashboards
    "/_plugins/_ism/policies",  # the same
}


def _restart(domain: FakeDomain, before: FakeDomain) -> None:
    """Give the domain an earlier state again, with its place in front of the client kept."""
    vars(domain).update(copy.deepcopy(vars(before)))


@pytest.mark.parametrize("failure", RETRYABLE.values(), ids=RETRYABLE.keys())
def test_a_retryable_error_that_stays_ends_with_the_deadline(
    whole: FakeDomain, failure: FakeResponse | Exception
) -> None:
    """And says how long was tried, not that it worked."""
    whole.always = failure
    with pytest.raises(DeadlineExceededError, match=r"GET /_plugins/_security/api/roles/.* \(gave up after 60 s\)"):
        apply(whole)
    assert whole.state() == FakeDomain().state()


# ---- good manners ----


@pytest.mark.parametrize("flag", ["reserved", "static", "hidden"])
def test_protected_roles_and_mappings_are_refused_before_anything_is_written(whole: FakeDomain, flag: str) -> None:
    """The plugin would refuse too, but its words do not say what to do."""
    whole.roles[ROLE] = {"description": "", flag: True}
    with pytest.raises(OwnershipError, match=f"role {ROLE} is {flag}.*choose another RoleName"):
        apply(whole)
    whole.roles.clear()
    whole.mappings[ROLE] = {"backend_roles": [], flag: True}
    with pytest.raises(OwnershipError, match=f"the mapping of role {ROLE} is {flag}"):
        apply(whole)


FOREIGN: dict[str, Callable[[FakeDomain], object]] = {
    "role": lambda domain: domain.roles.setdefault(ROLE, {"description": "by hand", "cluster_permissions": ["*"]}),
    "index template": lambda domain: domain.index_templates.setdefault(INDEX, {"index_patterns": ["x"]}),
    "retention policy": lambda domain: domain.policies.setdefault(
        INDEX, {"_seq_no": 7, "_primary_term": 1, "policy": {"description": "by hand"}}
    ),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_somebody_else_made_is_taken_over_only_on_request_and_never_deleted(
    whole: FakeDomain, make: Callable[[FakeDomain], object]
) -> None:
    """Refused by default; with TakeOver used, and left behind when the stack goes."""
    make(whole)
    before = whole.state()
    with pytest.raises(OwnershipError, match=r"was not made by this stack.*TakeOver=true"):
        apply(whole)
    partial = whole.state()
    remove(whole)
    assert {part: whole.state()[part] for part in before} == before, "the rollback of the refused Create"
    assert partial["mappings"] == before["mappings"] or not before["roles"]

    apply(whole, replace(WANTED, take_over=True))
    assert apply(whole, replace(WANTED, take_over=True))
    remove(whole)
    left = whole.state()
    assert [len(left[part]) for part in before] == [len(before[part]) for part in before]
    assert not left["mappings"]


def test_a_foreign_role_that_has_our_arn_in_its_mapping_keeps_it(whole: FakeDomain) -> None:
    """Somebody mapped it by hand: the rollback of our refused Create must not lock the delivery stream out."""
    whole.roles[ROLE] = {"description": "by hand", "cluster_permissions": ["*"]}
    whole.mappings[ROLE] = {"backend_roles": [ARN], "users": [], "hosts": []}
    before = whole.state()
    with pytest.raises(OwnershipError):
        apply(whole)
    remove(whole)
    assert whole.state() == before


def test_others_in_the_mapping_survive_every_operation(whole: FakeDomain) -> None:
    """Backend roles, users and hosts: on apply, on apply again and on remove; the role stays, for they use it."""
    apply(whole)
    whole.mappings[ROLE] |= OTHERS | {"backend_roles": [ARN, *OTHERS["backend_roles"]]}
    apply(whole)
    assert whole.mappings[ROLE]["backend_roles"] == [ARN, *OTHERS["backend_roles"]]
    changes = remove(whole)
    assert {kind: whole.mappings[ROLE][kind] for kind in OTHERS} == OTHERS
    assert Change("Role", ROLE, Outcome.KEPT, "others are mapped to it") in changes
    assert outcomes(apply(whole))["Role"] == {Outcome.UNCHANGED}, "deployed again, it knows its own role"


def test_a_conflict_is_merged_with_what_the_other_one_wrote(whole: FakeDomain) -> None:
    """409: read again, merge again; both are mapped."""
    apply(whole)
    members = whole.mappings[ROLE]["backend_roles"]
    members[:] = ["first"]

    def write_first() -> FakeResponse:
        members.append("second")
        return error(409)

    whole.meanwhile = {"PATCH": write_first}
    apply(whole)
    assert whole.mappings[ROLE]["backend_roles"] == ["first", "second", ARN]


def _lose(what: dict[str, Any]) -> Callable[[], None]:
    def lose() -> None:
        what.pop(ROLE, None)

    return lose


@pytest.mark.parametrize("lost", ["roles", "mappings"])
def test_what_somebody_deletes_at_the_same_moment_is_made_again(whole: FakeDomain, lost: str) -> None:
    """The refusal of our write, which the deletion explains, is a reason to read again, not to fail."""
    apply(whole)
    expected = whole.state()
    whole.mappings[ROLE]["backend_roles"] = ["x"]
    whole.meanwhile = {"PATCH": _lose(getattr(whole, lost))}
    apply(whole)
    assert whole.state() | {"mappings": {}} == expected | {"mappings": {}}
    assert ARN in whole.mappings[ROLE]["backend_roles"]


def test_an_entry_that_reads_back_missing_is_written_again(whole: FakeDomain) -> None:
    """Somebody replaced the mapping just after it was written: no success before it is there."""
    apply(whole)
    whole.mappings[ROLE]["backend_roles"] = ["x"]
    replace_mapping = {"reserved": False, "backend_roles": ["y"], "users": [], "hosts": []}
    reads = 0
    serve = whole._mapping

    def mapping(call: Any, name: str) -> FakeResponse:
        nonlocal reads
        reads += call.method == "GET"
        if reads == 2 and ARN in whole.mappings[ROLE]["backend_roles"]:
            whole.mappings[ROLE] = copy.deepcopy(replace_mapping)
        return serve(call, name)

    whole._mapping = mapping  # type: ignore[method-assign]
    apply(whole)
    assert whole.mappings[ROLE]["backend_roles"] == ["y", ARN]


def test_a_mapping_that_became_shorter_while_ours_is_removed_loses_nobody_else(whole: FakeDomain) -> None:
    """The patch by position is refused (400), read again and made anew."""
    apply(whole)
    members = whole.mappings[ROLE]["backend_roles"]
    members[:] = ["a", "b", ARN, "c"]
    whole.meanwhile = {"PATCH": lambda: members.remove("a")}
    remove(whole)
    assert whole.mappings[ROLE]["backend_roles"] == ["b", "c"]


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


def look(domain: FakeDomain, wanted: Properties = WANTED) -> dict[str, set[Outcome]]:
    """Look at the domain."""
    client = domain.client()
    client = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    return outcomes(provision.preview(client, wanted, OWNER))


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


def test_looking_shows_what_is_somebody_elses(whole: FakeDomain) -> None:
    """Instead of failing at the first one."""
    FOREIGN["role"](whole)
    assert look(whole)["Role"] == {Outcome.KEPT}
    assert look(whole)["IndexTemplate"] == {Outcome.DIFFERS}


# ---- a domain that is gone ----


def _unknown_name() -> requests.ConnectionError:
    failure = requests.ConnectionError("no such host")
    failure.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return failure


def test_a_domain_whose_name_dns_does_not_know_no_longer_exists(fake_domain: FakeDomain) -> None:
    """After half a minute of asking: a young domain's name may not be there yet."""
    fake_domain.always = _unknown_name()
    client = fake_domain.client(seconds=600)
    assert not provision.exists(client)
    assert client.deadline.remaining == pytest.approx(570, abs=1)


@pytest.mark.parametrize("failure", RETRYABLE.values(), ids=RETRYABLE.keys())
def test_any_other_error_does_not_prove_that_a_domain_is_gone(
    fake_domain: FakeDomain, failure: FakeResponse | Exception
) -> None:
    """Its removal is then tried, and fails if that does."""
    fake_domain.always = failure
    assert provision.exists(fake_domain.client())


def test_a_domain_is_looked_for_without_its_secret(fake_domain: FakeDomain) -> None:
    """Who deleted the domain by hand may have deleted the secret as well."""

    def gone() -> str:
        raise AssertionError("nobody asks for the secret")

    client = Domain(fake_domain.host, InternalUser(gone), Deadline(60))
    assert provision.exists(client)


def test_who_is_mapped_while_the_entry_is_taken_out_stays(fake_domain: FakeDomain) -> None:
    """The mapping is looked at again before it is deleted."""
    apply(fake_domain)
    fake_domain.meanwhile["PATCH"] = lambda: fake_domain.mappings[ROLE].update(users=["alice"])
    provision.remove(fake_domain.client(), WANTED, OWNER)
    assert fake_domain.mappings[ROLE]["users"] == ["alice"]
    assert ARN not in fake_domain.mappings[ROLE]["backend_roles"]
    assert ROLE in fake_domain.roles


def test_a_name_that_appears_meanwhile_is_a_domain(fake_domain: FakeDomain) -> None:
    """DNS had not heard of it yet."""
    fake_domain.faults = dict.fromkeys(range(4), _unknown_name())
    assert provision.exists(fake_domain.client())


def test_each_call_ends_before_the_time_does(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call may outlive the guard: its time-out is what is left, 15 s at most."""
    timeouts: list[float] = []
    serve = requests.adapters.HTTPAdapter.send

    def send(*args: Any, timeout: float, **more: Any) -> requests.Response:
        timeouts.append(timeout)
        return serve(*args, timeout=timeout, **more)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    for seconds in (600, 7):
        fake_domain.client(seconds).call("GET", "/")
    assert timeouts == [15, 7]


def test_no_call_is_made_when_the_time_is_up(fake_domain: FakeDomain) -> None:
    """The guard has responded by then."""
    client = fake_domain.client()
    client.deadline.end()
    with pytest.raises(RoleMapperError, match="no time was left for PUT /_index_template/x"):
        client.call("PUT", "/_index_template/x", {})
    assert not fake_domain.calls


# ---- whose it is, at every object ----


def test_a_mapping_that_this_owner_did_not_make_is_never_deleted(whole: FakeDomain) -> None:
    """Only our entry goes, even when nobody is left in it: somebody made it, and may map people to it again."""
    apply(whole)
    for description in ("by hand", ANOTHER.sign("Makes it."), OWNER.sign("Makes it.", Ownership.ADOPTED), None):
        whole.mappings[ROLE] = {"description": description, "backend_roles": [ARN], "users": [], "hosts": []}
        remove(whole)
        assert ROLE in whole.mappings, description
        assert whole.mappings[ROLE]["backend_roles"] == []
        apply(whole)


@pytest.mark.parametrize(
    "path", ["roles/", "rolesmapping/", "_index_template/", "policies/", "dashboard/", "-dashboards"]
)
def test_a_deletion_that_returns_200_and_did_nothing_is_a_failure(whole: FakeDomain, path: str) -> None:
    """Every object is read back after it was deleted."""
    apply(whole)
    serve = whole._serve

    def serve_but(call: Call) -> FakeResponse:
        if call.method == "DELETE" and path in call.path:
            return FakeResponse(200, {"error": {"type": "nothing", "reason": "was done"}, "status": 200})
        return serve(call)

    whole._serve = serve_but  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceededError, match="still there after"):
        remove(whole)


# ---- odd responses ----

ODD: dict[str, FakeResponse] = {
    "404 in HTML": FakeResponse(404, "<html>not found</html>", "text/html"),
    "404 without a body": FakeResponse(404, "", "text/plain"),
    "404 of something else": FakeResponse(404, {"message": "no Route matched"}),
    "404 as a list": FakeResponse(404, []),
    "404 of a gateway": FakeResponse(404, {"statusCode": 404, "error": "Not Found", "message": "Route not found"}),
    "200 as text": FakeResponse(200, "OK", "text/plain"),
    "200 in HTML": FakeResponse(200, "<html>hello</html>", "text/html"),
    "200 {}": FakeResponse(200, {}),
    "200 []": FakeResponse(200, []),
    "200 null": FakeResponse(200, None),
    "200 of another object": FakeResponse(200, {"another": {"description": "x"}}),
    "200 with an error in it": FakeResponse(200, {"error": {"type": "x", "reason": "y"}, "status": 500}),
    "503 as a list": FakeResponse(503, ["busy"]),
    "503 as a number": FakeResponse(503, 7),
    "503 as null": FakeResponse(503, None),
    "502 in HTML": FakeResponse(502, "<html>bad gateway</html>", "text/html"),
}
_OTHER_WRITER = {"reserved": False, "hidden": False, "description": "theirs", "users": ["ann"], "hosts": []}


ROLLING = replace(WANTED, index_rotation_period="NoRotation")
REQUESTS: dict[str, Callable[[FakeDomain], object]] = {
    "create with rotation": apply,
    "create with an administrator": lambda domain: apply(domain, replace(WANTED, admin_role_arn=ADMIN)),
    "create with rollover": lambda domain: apply(domain, ROLLING),
    "update from rotation to rollover": lambda domain: update(domain, WANTED, ROLLING),
    "update to another role": lambda domain: update(domain, WANTED, replace(WANTED, role_name="other-role")),
    "delete": remove,
    "show": lambda domain: look(domain, ROLLING),
}


@functools.cache
def _shared_with_others(request: str) -> tuple[FakeDomain, dict[str, Any], object]:
    """Return a domain that others use too, and its state and what is told after `request` without any fault."""
    domain = FakeDomain(installed={"ism", "dashboards"}, indices={"iot-stream-2026-11-22": None})
    with pytest.MonkeyPatch.context() as patch:
        domain.install(patch)
        patch.setattr(files, "saved_objects", _two_saved_objects)
        apply(domain)
        domain.mappings[ROLE] |= {"users": ["ann"], "backend_roles": ["arn:aws:iam::1:role/x", ARN]}
        domain.roles["all_access"] = {"static": True, "reserved": True, "cluster_permissions": ["*"]}
        domain.mappings["all_access"] = OTHERS | {"reserved": False, "description": "theirs"}
        if request != "delete":
            domain.mappings[ROLE]["backend_roles"] = ["arn:aws:iam::1:role/x"]
            domain.index_templates.clear()
            domain.policies.clear()
            domain.fields = {"iot-stream-2026-11-22": {"dynamic": "false", "properties": {"theirs": {"type": "ip"}}}}
        domain.calls.clear()
        before = copy.deepcopy(domain)
        told = REQUESTS[request](domain)
    return before, domain.state(), told


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request=st.sampled_from(sorted(REQUESTS)),
    number=st.integers(0, 70),
    length=st.integers(1, 3),
    odd=st.sampled_from(sorted(ODD)),
)
def test_an_odd_response_at_any_step_leads_to_the_same_state_and_costs_nobody_anything(
    whole: FakeDomain, request: str, number: int, length: int, odd: str
) -> None:
    """It is retried: nothing is concluded from it, least of all that an object does not exist."""
    before, expected, told = _shared_with_others(request)
    _restart(whole, before)
    whole.faults = dict.fromkeys(range(number, number + length), ODD[odd])
    again = REQUESTS[request](whole)
    assert whole.state() == expected
    assert whole.mappings[ROLE]["users"] == ["ann"]
    assert "arn:aws:iam::1:role/x" in whole.mappings[ROLE]["backend_roles"]
    if request == "show":
        assert again == told


@pytest.mark.parametrize("grants", [None, "*", [7]])
def test_a_role_of_the_wrong_shape_is_asked_for_again(whole: FakeDomain, grants: object) -> None:
    """An update looks at its patterns first."""
    apply(whole)
    role = whole.roles[ROLE]
    whole.calls.clear()
    whole.faults = dict.fromkeys(range(2), FakeResponse(200, {ROLE: role | {"index_permissions": grants}}))
    update(whole, WANTED, WANTED)
    assert whole.roles[ROLE] == role


NOT_FOUND = {
    "security": {"status": "NOT_FOUND", "message": "rolesmapping 'x' not found."},
    "dashboards": {"statusCode": 404, "error": "Not Found", "message": "Not Found"},
    "core": {"error": {"type": "index_not_found_exception", "reason": "no such index [x]"}, "status": 404},
}
SERVED_BY = {
    "/_plugins/_security/api/rolesmapping/x": "security",
    "/_dashboards/api/saved_objects/dashboard/x": "dashboards",
    "/_index_template/x": "core",
    "/_plugins/_ism/policies/x": "core",
}


@pytest.mark.parametrize("whose", NOT_FOUND)
@pytest.mark.parametrize("path", SERVED_BY)
def test_only_what_serves_a_path_says_that_there_is_nothing(path: str, whose: str) -> None:
    """A gateway's 404 looks like that of Dashboards: at a role mapping it is no reason to replace that."""
    response = ResponseError(f"GET {path}", 404, "", NOT_FOUND[whose])
    assert response.absent is (SERVED_BY[path] == whose)
    assert response.retryable is not response.absent


def test_dashboards_has_no_absence_for_an_import() -> None:
    """Nor for the lookup of many: the 404 is a gateway's, and the call is made again."""
    response = ResponseError("POST /_dashboards/api/saved_objects/_import", 404, "", NOT_FOUND["dashboards"])
    assert (response.absent, response.retryable) == (False, True)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_response_that_stays_is_never_a_success(whole: FakeDomain, odd: FakeResponse) -> None:
    """Neither of Create, nor of a removal; and no object of anybody is changed by it."""
    whole.mappings[ROLE] = dict(_OTHER_WRITER)
    whole.always = odd
    before = whole.state()
    for do in PATHS.values():
        with pytest.raises(DeadlineExceededError):
            do(whole)
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
    assert not [action for action in alerts["allowed_actions"] if "delete" in action or action in {"*", "manage"}]
    assert role["cluster_permissions"] == ["indices:data/read/mget", "indices:data/write/bulk"]
