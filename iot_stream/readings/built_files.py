"""The files that are built from the description: templates, saved objects, rules of alerts, docs/readings.md."""

from pathlib import Path
from typing import Final

from iot_stream.dashboards.alerts_template import ALERTS_TEMPLATE, alerts_template
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.devices import build_devices
from iot_stream.dashboards.index_template import INDEX_TEMPLATE, index_template, to_json
from iot_stream.dashboards.saved_objects import FILE, build, to_ndjson
from iot_stream.description import Description
from iot_stream.errors import SetupError
from iot_stream.generator.derived import sample_of
from iot_stream.paths import PROJECT
from iot_stream.readings.alert_files import RULES, alert_rules, rules_json
from iot_stream.readings.reading_page import DOCUMENT, page

__all__ = ["built_files", "check", "outdated", "write"]


SAMPLE: Final = PROJECT / "functions" / "role_mapper" / "sample-reading.json"
"""What a deployment is tried with, unless the parameter SampleReading says another reading."""


def built_files(reading: Description) -> dict[Path, str]:
    """Return the content that each built file should have.

    Raises:
        SetupError: a template of the dashboard can't be read.
    """
    dashboard = load(reading=reading)
    return {
        INDEX_TEMPLATE: to_json(index_template(reading)),
        RULES: rules_json(alert_rules(reading)),
        ALERTS_TEMPLATE: rules_json(alerts_template(reading)),
        SAMPLE: f"{sample_of(reading)}\n",
        FILE: to_ndjson([*build(dashboard), *build_devices(dashboard)]),
        DOCUMENT: page(reading),
    }


def outdated(reading: Description) -> list[Path]:
    """Return the built files that are missing or don't follow from the description."""
    return [
        path
        for path, content in built_files(reading).items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def check(reading: Description) -> None:
    """Check that the built files follow from the description.

    Raises:
        SetupError: some don't; names them and the command that builds them.
    """
    paths = outdated(reading)
    if paths:
        names = ", ".join(str(path.relative_to(PROJECT)) for path in paths)
        raise SetupError(f"not up to date with readings.toml: {names}. Run `iot-stream readings build`")


def write(reading: Description) -> list[Path]:
    """Write the built files that are out of date, and return them."""
    contents = built_files(reading)
    paths = outdated(reading)
    for path in paths:
        path.write_text(contents[path], encoding="utf-8")
    return paths
