"""The races of ADR 5: each closed, or shown to be as small as the security plugin's API allows.

The plugin knows no condition: a patch with `test` is refused ("Unsupported patch operation: test. Supported are:
replace,remove,add", version 3.4.0.0, see tests/integration/test_role_mapper_access.py), and its 409 protects only the
read and write inside one call. So a look at the mapping is always the call directly before its change.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from role_mapper import provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import Call, Clock, FakeDomain, FakeResponse, error

pytestmark = pytest.mark.secrets

WANTED = Properties.of(mapping_properties())
OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
ROLE, ARN, OTHER = WANTED.role_name, WANTED.delivery_role_arn, "arn:aws:iam::123456789012:role/other"
MAPPING = f"/_plugins/_security/api/rolesmapping/{ROLE}"


def waiting(domain: FakeDomain, meanwhile: Callable[[], None]) -> Domain:
    """Return a client; the first time that it waits, somebody else does something."""
    client, clock, actions = domain.client(), Clock(), iter([meanwhile])

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        next(actions, lambda: None)()

    client.deadline = Deadline(60, clock=clock, wait=wait)
    return client


def changes_of_the_mapping(domain: FakeDomain) -> list[tuple[Call, Call]]:
    """Return each change of the mapping with the call before it."""
    pairs = zip(domain.calls, domain.calls[1:], strict=False)
    return [(before, call) for before, call in pairs if call.path == MAPPING and call.method != "GET"]


@pytest.mark.parametrize("users", [None, ["ann"]], ids=["no mapping", "no backend role in it"])
def test_two_mappers_that_saw_no_entry_are_both_mapped(fake_domain: FakeDomain, users: list[str] | None) -> None:
    """The later one's first entry replaces the earlier one's, which looks again after a moment and adds itself."""
    if users:
        fake_domain.mappings[ROLE] = {"reserved": False, "users": users, "backend_roles": [], "hosts": []}

    def replace() -> None:
        assert fake_domain.mappings[ROLE]["backend_roles"] == [ARN]
        fake_domain.mappings[ROLE]["backend_roles"] = [OTHER]

    provision.apply(waiting(fake_domain, replace), WANTED, OWNER)
    assert fake_domain.mappings[ROLE]["backend_roles"] == [OTHER, ARN]
    assert fake_domain.mappings[ROLE]["users"] == (users or [])


def test_every_change_of_a_mapping_follows_directly_upon_a_look_at_it(fake_domain: FakeDomain) -> None:
    """Between the two is no other call, so what somebody wrote before the look is never lost."""
    provision.apply(fake_domain.client(), WANTED, OWNER)
    fake_domain.mappings[ROLE]["backend_roles"] = [OTHER]
    provision.apply(fake_domain.client(), WANTED, OWNER)
    fake_domain.mappings[ROLE] |= {"backend_roles": [], "users": ["ann"]}
    provision.apply(fake_domain.client(), WANTED, OWNER)
    fake_domain.mappings[ROLE]["users"] = []
    provision.remove(fake_domain.client(), WANTED, OWNER)
    changes = changes_of_the_mapping(fake_domain)
    assert [call.method for _, call in changes] == ["PUT", "PATCH", "PATCH", "PATCH", "DELETE"]
    assert {(before.method, before.path) for before, _ in changes} == {("GET", MAPPING)}


def test_a_list_replaced_by_one_of_the_same_length_costs_one_entry_at_most(fake_domain: FakeDomain) -> None:
    """In the moment between look and patch, which goes by position: our entry goes all the same."""
    provision.apply(fake_domain.client(), WANTED, OWNER)
    members = fake_domain.mappings[ROLE]["backend_roles"]
    members[:] = ["a", ARN, "b"]

    def shift() -> None:
        members[:] = [ARN, "b", "c"]

    fake_domain.meanwhile = {"PATCH": shift}
    provision.remove(fake_domain.client(), WANTED, OWNER)
    assert fake_domain.mappings[ROLE]["backend_roles"] == ["c"]


@pytest.mark.parametrize("who", [{"users": ["ann"]}, {"backend_roles": [OTHER]}, {"hosts": ["h"]}], ids=str)
@pytest.mark.parametrize("trouble", [None, error(503), FakeResponse(200, {})], ids=["smoothly", "503", "{}"])
def test_who_is_mapped_between_the_last_look_and_the_deletion_stays_mapped(
    fake_domain: FakeDomain, who: dict[str, Any], trouble: FakeResponse | None
) -> None:
    """Without its role nobody can be mapped any more, so the role goes first, and comes back if somebody was."""
    provision.apply(fake_domain.client(), WANTED, OWNER)
    before = copy.deepcopy(fake_domain.roles[ROLE])
    troubles = iter([trouble] if trouble else [])

    def add() -> None:
        fake_domain.mappings[ROLE] |= who

    serve = fake_domain._role

    def role(call: Call, name: str) -> FakeResponse:
        if call.method == "PUT" and (odd := next(troubles, None)):
            return odd
        return serve(call, name)

    fake_domain._role = role  # type: ignore[method-assign]
    deletions = iter([add])

    def delete(call: Call, name: str) -> FakeResponse:
        if call.method == "DELETE":
            next(deletions, lambda: None)()
        return role(call, name)

    fake_domain._role = delete  # type: ignore[method-assign]
    changes = {change.kind: change for change in provision.remove(fake_domain.client(), WANTED, OWNER)}
    assert (changes["Role"].outcome, changes["Role"].detail) == (Outcome.KEPT, "others are mapped to it")
    [(kind, names)] = who.items()
    assert fake_domain.mappings[ROLE][kind] == names
    assert fake_domain.roles[ROLE] == before


def test_a_mapping_on_a_role_that_stays_is_looked_at_just_before_its_deletion(fake_domain: FakeDomain) -> None:
    """Its role was taken over, so it can't go first: the moment between look and DELETE remains."""
    fake_domain.roles[ROLE] = {"description": "by hand", "cluster_permissions": []}
    properties = Properties.of(mapping_properties(TakeOver="true"))
    provision.apply(fake_domain.client(), properties, OWNER)
    fake_domain.calls.clear()
    provision.remove(fake_domain.client(), properties, OWNER)
    *_, (before, deletion) = changes_of_the_mapping(fake_domain)
    assert (before.method, before.path, deletion.method) == ("GET", MAPPING, "DELETE")
    assert ROLE in fake_domain.roles
