"""The parameters with which each environment deploys the template, and with which each condition is both ways."""

import tomllib
from collections.abc import Mapping

from iot_stream.paths import PROJECT
from tests.alarms import is_true
from tests.template import load_template

__all__ = ["ENVIRONMENTS", "conditions"]

DEFAULTS = {name: str(each["Default"]) for name, each in load_template()["Parameters"].items()}


def _environment(name: str) -> dict[str, str]:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    return dict(entry.split("=", 1) for entry in config[name]["deploy"]["parameters"]["parameter_overrides"])


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "default": {},
    "prod": _environment("prod"),
    "local": _environment("local"),
    "everything else": {
        "AlarmEmail": "ops@example.org",
        "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:pager",
        "BackupExpirationDays": "90",
        "DashboardsCidr": "10.0.0.0/16",
        "DeviceAlerts": "false",
        "DomainLogs": "Application",
        "EnrichmentReservedConcurrency": "20",
        "MasterUserMode": "IamRole",
        "OpenSearchRoleIndexPattern": "*",
        "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
        "RepairSchedule": "rate(1 day)",
        "SamlAdminGroup": "admins",
        "SamlEntityId": "https://idp.example.org",
        "SamlMetadataParameter": "/iot-stream/saml:1",
        "ShardCount": "4",
        "SubnetIds": "subnet-0123456789abcdef0",
        "VolumeIops": "4000",
        "VolumeThroughput": "250",
        "VpcId": "vpc-0123456789abcdef0",
    },
    "warm": {"StreamWarmThroughputMiBps": "20", "MasterUserMode": "IamRole"},
}


def conditions(environment: Mapping[str, str]) -> dict[str, bool]:
    """Return whether each condition of the template is true in an environment."""
    return {name: is_true(name, DEFAULTS | environment) for name in load_template()["Conditions"]}
