"""What the tests of all managed objects share: what is wanted, and what each request does to a domain."""

import copy
from collections.abc import Callable
from typing import Any

from role_mapper import provision
from role_mapper.domain import Domain
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import FakeDomain

ALERTS_ARN = "arn:aws:iam::123456789012:role/iot-stream-DeviceAlertsRole"
WANTED = Properties.of(mapping_properties(IndexRotationPeriod="OneDay", RetentionDays="30", AlertsRoleArn=ALERTS_ARN))
OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
ANOTHER = Owner.of(STACK_ID.replace("iot-stream", "another"), "RoleMapping", DOMAIN_ENDPOINT)
ROLE, ARN, INDEX = WANTED.role_name, WANTED.delivery_role_arn, WANTED.index_name
OTHERS = {"backend_roles": ["arn:aws:iam::1:role/x"], "users": ["ann"], "hosts": ["*.example.org"]}
ADMIN = "arn:aws:iam::123456789012:role/admin"
ALERTS = ("AlertsIndexTemplate", "AlertsRole", "AlertsRoleMapping")
KINDS = ("Role", "RoleMapping", "IndexTemplate", "RetentionPolicy", "Dashboards", *ALERTS)


def two_saved_objects(properties: Properties) -> list[dict[str, Any]]:
    """Return two that stand for all of them: their own tests are in test_role_mapper_dashboards.py."""
    name = properties.index_name
    pattern = {"type": "index-pattern", "id": name, "attributes": {"title": f"{name}*"}, "references": []}
    return [pattern, pattern | {"type": "dashboard", "attributes": {"title": "Live"}}]


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


def look(domain: FakeDomain, wanted: Properties = WANTED) -> dict[str, set[Outcome]]:
    """Look at the domain."""
    client = domain.client()
    client = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    return outcomes(provision.preview(client, wanted, OWNER))


def restart(domain: FakeDomain, before: FakeDomain) -> None:
    """Give the domain an earlier state again, with its place in front of the client kept."""
    vars(domain).update(copy.deepcopy(vars(before)))


PATHS: dict[str, Callable[[FakeDomain], object]] = {"apply": apply, "remove": remove}
