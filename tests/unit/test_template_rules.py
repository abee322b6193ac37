"""The template's Rules refuse what contradicts itself, and nothing else, as CloudFormation evaluates them."""

import pytest

from tests.template import load_template, refusing_rules

STANDBY = {"Standby": "true", "AvailabilityZones": "3", "DedicatedMasters": "true", "NumberOfReplicas": "2"}
SAML = {"SamlEntityId": "id", "SamlMetadataParameter": "/saml:1", "SamlAdminGroup": "admins"}


REFUSED = [
    ("OneNodeHoldsNoReplicas", {"NumberOfReplicas": "1"}),
    ("TwoNodesHoldOneReplica", {"InstanceCount": "2", "NumberOfReplicas": "2"}),
    ("ThreeNodesHoldTwoReplicas", {"InstanceCount": "3", "NumberOfReplicas": "3"}),
    ("StandbyNeedsZonesMastersAndCopies", STANDBY | {"InstanceCount": "6", "AvailabilityZones": "2"}),
    ("StandbyNeedsZonesMastersAndCopies", STANDBY | {"InstanceCount": "6", "DedicatedMasters": "false"}),
    ("StandbyNeedsZonesMastersAndCopies", STANDBY | {"InstanceCount": "6", "NumberOfReplicas": "1"}),
    ("ZonesNeedNodes", {"AvailabilityZones": "2"}),
    ("SubnetsNeedAVpc", {"SubnetIds": "subnet-1"}),
    ("SubnetsNeedAVpc", {"DashboardsCidr": "10.0.0.0/16"}),
    ("SamlNeedsMetadata", SAML | {"SamlMetadataParameter": ""}),
    ("SamlNeedsMetadata", SAML | {"SamlAdminGroup": ""}),
    ("WarmThroughputNeedsOnDemand", {"StreamWarmThroughputMiBps": "10", "ShardCount": "1"}),
    ("ShareOfRefusalsNeedsCombinedAlarms", {"CombinedAlarms": "false"}),
]


@pytest.mark.parametrize(("rule", "changed"), REFUSED)
def test_a_contradiction_is_refused_by_its_rule(rule: str, changed: dict[str, str]) -> None:
    """By this one and no other."""
    assert refusing_rules(changed) == {rule}


def test_every_rule_was_seen_to_refuse() -> None:
    """None is left that could be one that never does."""
    assert {rule for rule, _ in REFUSED} == load_template()["Rules"].keys()


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"InstanceCount": "2", "NumberOfReplicas": "1", "AvailabilityZones": "2"},
        {"InstanceCount": "3", "NumberOfReplicas": "2"},
        STANDBY | {"InstanceCount": "3"},
        {"VpcId": "vpc-1", "SubnetIds": "subnet-1", "DashboardsCidr": "10.0.0.0/16"},
        SAML,
        {"StreamWarmThroughputMiBps": "10"},
        {"CombinedAlarms": "false", "RefusedReadingsPercent": "0"},
    ],
)
def test_what_fits_together_is_let_through(changed: dict[str, str]) -> None:
    """By every rule."""
    assert refusing_rules(changed) == set()
