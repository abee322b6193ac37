"""Ownership: whose an object is, told from its description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from role_mapper.errors import OwnershipError
from role_mapper.ownership import Owner, Ownership
from tests.builders import DOMAIN_ENDPOINT, STACK_ID

OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
REDEPLOYED = Owner.of(STACK_ID.replace("c4c2d9d0", "00000000"), "RoleMapping", DOMAIN_ENDPOINT)
MOVED = Owner.of(STACK_ID, "RoleMapping", "elsewhere:9200")
OTHERS = [
    Owner.of(STACK_ID.replace("us-east-1", "eu-west-1"), "RoleMapping", DOMAIN_ENDPOINT),
    Owner.of(STACK_ID.replace("123456789012", "210987654321"), "RoleMapping", DOMAIN_ENDPOINT),
    Owner.of(STACK_ID.replace("/iot-stream/", "/iot-stream-2/"), "RoleMapping", DOMAIN_ENDPOINT),
    Owner.of(STACK_ID, "AnotherMapping", DOMAIN_ENDPOINT),
]


def test_the_description_names_the_stack() -> None:
    """A person who finds the role sees where it comes from."""
    assert OWNER.sign("Writes.") == (
        f"Writes. Made by arn:aws:cloudformation:us-east-1:123456789012:stack/iot-stream/RoleMapping@{DOMAIN_ENDPOINT}"
    )


@pytest.mark.parametrize("ownership", [Ownership.OWNED, Ownership.ADOPTED])
def test_its_own_objects_are_recognised(ownership: Ownership) -> None:
    """With how it came by them; also after the stack was removed and deployed again under the same name."""
    description = OWNER.sign("Writes.", ownership)
    assert OWNER.ownership(description) is ownership
    assert REDEPLOYED.ownership_here(description) is ownership


@pytest.mark.parametrize("other", OTHERS, ids=["region", "account", "stack", "resource"])
def test_others_objects_are_foreign(other: Owner) -> None:
    """Another region, account, stack or resource is somebody else."""
    assert OWNER.ownership(other.sign("Writes.")) is Ownership.FOREIGN


@pytest.mark.parametrize("description", [None, "", 7, "by hand", "Made by", OWNER.name, f"Made by {OWNER.name} Bob"])
def test_what_is_not_signed_is_foreign(description: object) -> None:
    """Including a description that a person wrote something behind."""
    assert OWNER.ownership(description) is Ownership.FOREIGN


def test_an_object_made_at_another_endpoint_may_be_used_but_not_removed() -> None:
    """The Delete for the old endpoint comes after the Update that made the new one."""
    assert MOVED.ownership(OWNER.sign("Writes.")) is Ownership.OWNED
    assert MOVED.ownership_here(OWNER.sign("Writes.")) is Ownership.FOREIGN


def test_a_claim_says_what_to_do() -> None:
    """Refused, unless it is ours or we were told to."""
    with pytest.raises(OwnershipError, match=r"role x exists .* choose another name, or set TakeOver=true"):
        OWNER.claim("role x", "by hand", take_over=False)
    assert OWNER.claim("role x", "by hand", take_over=True) is Ownership.ADOPTED
    assert OWNER.claim("role x", OWNER.sign("x"), take_over=True) is Ownership.OWNED


@given(st.text(max_size=3000), st.text(max_size=3000), st.text(max_size=3000))
def test_a_name_is_a_valid_physical_id_and_is_found_again(stack: str, logical: str, endpoint: str) -> None:
    """1 to 1,024 bytes, whatever a malformed event says."""
    owner = Owner.of(stack, logical, endpoint)
    assert 1 <= len(owner.name.encode("utf-8", "replace")) <= 1024
    assert owner.ownership_here(owner.sign("Writes.")) is Ownership.OWNED
