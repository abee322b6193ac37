"""Lint the template in five regions, as each environment deploys it and with each condition both ways.

`make check` runs it. Without parameters cfn-lint takes the defaults, and what is under a condition that they don't meet
is checked less strictly.
"""

import sys
import tomllib
from collections.abc import Mapping

from cfnlint.api import lint
from cfnlint.config import ManualArgs

from iot_stream.paths import PROJECT
from tests.alarms import is_true
from tests.template import load_template

__all__ = ["ENVIRONMENTS", "REGIONS", "conditions"]

REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1", "eu-north-1"]
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


def main() -> int:
    """Print what cfn-lint finds; return 1 if it found anything."""
    template = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    found = []
    for name, environment in ENVIRONMENTS.items():
        found += [
            f"{name}: {match}" for match in lint(template, config=ManualArgs(regions=REGIONS, parameters=[environment]))
        ]
    print("\n".join(found) or f"cfn-lint: {len(ENVIRONMENTS)} environments in {len(REGIONS)} regions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
