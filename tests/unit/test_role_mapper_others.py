"""What is somebody else's in the domain survives everything that the role mapper does."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from role_mapper.errors import DeadlineExceededError, OwnershipError
from role_mapper.ownership import Ownership
from role_mapper.report import Change, Outcome
from tests.fake_domain import Call, FakeDomain, FakeResponse, error
from tests.provisioning import ANOTHER, ARN, INDEX, OTHERS, OWNER, ROLE, WANTED, apply, look, outcomes, remove

pytestmark = [pytest.mark.secrets, pytest.mark.usefixtures("few_saved_objects")]


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


def test_looking_shows_what_is_somebody_elses(whole: FakeDomain) -> None:
    """Instead of failing at the first one."""
    FOREIGN["role"](whole)
    assert look(whole)["Role"] == {Outcome.KEPT}
    assert look(whole)["IndexTemplate"] == {Outcome.DIFFERS}
