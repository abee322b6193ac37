"""Roles and mappings as documents: what is granted, and merges that leave everybody else alone."""

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from role_mapper.objects import access_documents as mapping

ARN = "arn:aws:iam::123456789012:role/delivery"
others = st.lists(st.sampled_from(["ann", "bob", "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/y"]), unique=True)
mappings = st.fixed_dictionaries(
    {"backend_roles": others, "users": others, "hosts": others, "and_backend_roles": others}
)


def stored(document: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping as the plugin stores it: without empty lists."""
    return {key: value for key, value in document.items() if value}


def read(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored mapping as the plugin shows it: with empty lists."""
    return {"backend_roles": [], "users": [], "hosts": [], "and_backend_roles": []} | document


def patched(document: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mapping after the plugin applied a patch to it."""
    return read(jsonpatch.apply_patch(stored(document), patch)) if patch else document


@given(mappings)
def test_adding_twice_is_adding_once(before: dict[str, Any]) -> None:
    """The second addition is no patch at all."""
    once = patched(before, mapping.addition(before, ARN))
    assert ARN in once["backend_roles"]
    assert mapping.addition(once, ARN) == []


@given(mappings)
def test_adding_and_removing_restores_what_was_there(before: dict[str, Any]) -> None:
    """Apply, then remove: everybody is mapped as before, in the same order."""
    added = patched(before, mapping.addition(before, ARN))
    assert patched(added, mapping.removal(added, ARN)) == before


@given(mappings, others)
def test_an_addition_commutes_with_what_others_append(before: dict[str, Any], later: list[str]) -> None:
    """Whoever writes first, both are mapped in the end: a patch is applied to what is there at that moment."""
    newcomers = [name for name in later if name not in before["backend_roles"]]
    patch = mapping.addition(before, ARN)
    meanwhile = {**before, "backend_roles": before["backend_roles"] + newcomers}
    if not before["backend_roles"] and newcomers:
        return  # the first member of all is written as a list: the race that only reading back can see
    after = patched(meanwhile, patch)
    assert sorted(after["backend_roles"]) == sorted([*meanwhile["backend_roles"], ARN])


@given(mappings, others, st.integers(0, 4))
def test_a_removal_survives_what_others_append(before: dict[str, Any], later: list[str], place: int) -> None:
    """Positions before the end do not move when somebody appends."""
    members = before["backend_roles"]
    before = {**before, "backend_roles": [*members[:place], ARN, *members[place:]]}
    newcomers = [name for name in later if name not in members]
    after = patched({**before, "backend_roles": before["backend_roles"] + newcomers}, mapping.removal(before, ARN))
    assert after["backend_roles"] == members + newcomers


@given(mappings, st.integers(0, 4), st.data())
def test_a_removal_from_a_list_that_became_shorter_is_refused(
    before: dict[str, Any], place: int, data: st.DataObject
) -> None:
    """Otherwise it would remove somebody else, whose position is ours by now."""
    members = before["backend_roles"]
    before = {**before, "backend_roles": [*members[:place], ARN, *members[place:]]}
    gone = data.draw(st.sampled_from(before["backend_roles"]))
    left = [member for member in before["backend_roles"] if member != gone]
    with pytest.raises((jsonpatch.JsonPatchException, jsonpatch.JsonPointerException)):
        patched({**before, "backend_roles": left}, mapping.removal(before, ARN))


def test_an_arn_that_is_mapped_twice_is_removed_twice() -> None:
    """Nothing keeps others from adding what is there already."""
    before = read({"backend_roles": [ARN, "x", ARN]})
    assert patched(before, mapping.removal(before, ARN))["backend_roles"] == ["x"]


def test_the_role_grants_what_aws_asks_for_and_nothing_else() -> None:
    """AWS page "Controlling access with Amazon Data Firehose", fine-grained access control."""
    assert mapping.role(["iot-stream*"], "why") == {
        "description": "why",
        "cluster_permissions": ["cluster_composite_ops", "cluster_monitor"],
        "index_permissions": [
            {"index_patterns": ["iot-stream*"], "allowed_actions": ["create_index", "crud", "manage"]}
        ],
        "tenant_permissions": [],
    }


WANTED = mapping.role(["iot-stream*"], "why")
GRANT = WANTED["index_permissions"][0]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param({"reserved": False, "hidden": False, "static": False}, id="flags that the plugin adds"),
        pytest.param({"cluster_permissions": ["cluster_monitor", "cluster_composite_ops"]}, id="another order"),
        pytest.param({"index_permissions": [GRANT | {"fls": [], "masked_fields": []}]}, id="empty restrictions"),
    ],
)
def test_a_role_that_reads_back_in_other_words_is_the_same(found: dict[str, Any]) -> None:
    """The plugin adds flags and empty lists, and keeps no order."""
    assert mapping.same_role(WANTED | found, WANTED)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param({"description": "other"}, id="description"),
        pytest.param({"cluster_permissions": ["*"]}, id="cluster permissions"),
        pytest.param({"index_permissions": []}, id="no index"),
        pytest.param({"index_permissions": [GRANT, GRANT | {"index_patterns": ["*"]}]}, id="one more index"),
        pytest.param({"index_permissions": [GRANT | {"dls": '{"match_none":{}}'}]}, id="documents hidden"),
        pytest.param({"index_permissions": [GRANT | {"fls": ["~uuid"]}]}, id="fields hidden"),
        pytest.param({"tenant_permissions": [{"tenant_patterns": ["*"]}]}, id="tenants"),
    ],
)
def test_a_role_that_grants_something_else_is_another_one(found: dict[str, Any]) -> None:
    """Every difference that matters is written anew."""
    assert not mapping.same_role(WANTED | found, WANTED)


@pytest.mark.parametrize("kind", ["backend_roles", "and_backend_roles", "users", "hosts"])
def test_a_mapping_is_empty_only_when_nobody_of_any_kind_is_left(kind: str) -> None:
    """A host or a user that somebody mapped is somebody."""
    assert mapping.is_empty(read({}))
    assert not mapping.is_empty(read({kind: ["x"]}))
    assert mapping.is_empty(read({kind: ["x"]}), but=["x"]) == (kind == "backend_roles")


@pytest.mark.parametrize("flag", ["reserved", "hidden", "static"])
def test_protected_objects_are_recognised(flag: str) -> None:
    """They are refused before anything is written."""
    assert mapping.protection({flag: True}) == flag
    assert mapping.protection({flag: False}) == ""
