"""Build the rules of the alerts function from the description of a reading. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from iot_stream.description import INGESTED_AT, Description
from iot_stream.paths import PROJECT

__all__ = ["RULES", "alert_rules", "rules_json"]

RULES = PROJECT / "functions" / "device_alerts" / "rules.json"


def alert_rules(reading: Description) -> dict[str, Any]:
    """Return what `functions/device_alerts/rules.json` holds: what is watched, and which fields say it."""
    measures = [
        {
            "field": field.name,
            "label": field.label,
            "unit": field.unit,
            "optional": field.optional,
            "above": field.alert_above,
            "below": field.alert_below,
            "after": field.alert_after,
            "margin": field.alert_margin,
        }
        for field in reading.measures
    ]
    return {
        "title": reading.title,
        "device": reading.device.name,
        "device_label": reading.device.label,
        "time": reading.time.name,
        "arrival": INGESTED_AT,
        "silent_after": reading.silent_after,
        "clock_ahead": reading.clock_ahead,
        "clock_behind": reading.clock_behind,
        "measures": measures,
    }


def rules_json(document: Mapping[str, Any]) -> str:
    """Return a built document as a file's text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
