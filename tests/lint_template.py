"""Lint the template in five regions, as each environment deploys it and with each condition both ways.

`make check` runs it. Without parameters cfn-lint takes the defaults, and what is under a condition that they don't meet
is checked less strictly.
"""

import sys

from cfnlint.api import lint
from cfnlint.config import ManualArgs

from iot_stream.paths import PROJECT
from tests.environments import ENVIRONMENTS

REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1", "eu-north-1"]


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
