"""Hold the panels, with the description of this clone, against Vega-Lite's schema. `make check` runs it."""

import sys

from iot_stream.dashboards.definition import DASHBOARDS, load
from tests.vega_lite import mistake_in


def main() -> int:
    """Print what is wrong with each template; return 1 if anything is."""
    dashboard = load()
    found = {panel.kind: mistake for panel in dashboard.panels if (mistake := mistake_in(panel))}
    for kind, mistake in found.items():
        print(f"{DASHBOARDS / 'panels' / kind}.json: {mistake}")
    print(f"vega-lite: {len(dashboard.panels)} panels")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
