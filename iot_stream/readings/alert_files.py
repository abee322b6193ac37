"""Build what alerts need of the description of a reading: the function's rules, and the mapping of its index. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from iot_stream.dashboards.index_template import DATE, field_mapping
from iot_stream.description import INGESTED_AT, Description
from iot_stream.errors import SetupError
from iot_stream.paths import PROJECT

__all__ = ["ALERTS_TEMPLATE", "RULES", "alert_rules", "alerts_template", "rules_json"]

RULES = PROJECT / "functions" / "device_alerts" / "rules.json"
ALERTS_TEMPLATE = PROJECT / "functions" / "role_mapper" / "opensearch" / "alerts-template.json"

# The fields of its own that the function's documents have (functions/device_alerts/device_alerts/documents.py).
_OWN = {
    "kind": {"type": "keyword"},
    "alert": {
        "properties": {
            "rule": {"type": "keyword"},
            "measure": {"type": "keyword"},
            "state": {"type": "keyword"},
            "severity": {"type": "byte"},
            "text": {"type": "text"},
            "since": DATE,
            "value": {"type": "double"},
            "opened_at": DATE,
            "closed_at": DATE,
            "opened_run": {"type": "long"},
            "closed_run": {"type": "long"},
        }
    },
    "fleet": {
        "properties": {
            "last_seen": DATE,
            "state": {"type": "keyword"},
            "severity": {"type": "byte"},
            "alerts": {"type": "keyword"},
        }
    },
    "memory": {"type": "object", "enabled": False},
}


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


def alerts_template(reading: Description) -> dict[str, Any]:
    """Return the index template of the alerts index, for the described device and measures.

    Raises:
        SetupError: a field has a name that the function's documents use for something else.
    """
    fields = (reading.device, *reading.measures)
    for field in fields:
        if field.name in _OWN:
            raise SetupError(f"functions/enrichment/readings.toml, field {field.name}: alerts use this name themselves")
    properties = {**_OWN, **{field.name: field_mapping(field) for field in fields}}
    settings = {"index": {"number_of_shards": "1", "auto_expand_replicas": "0-1"}}
    return {"template": {"settings": settings, "mappings": {"dynamic": False, "properties": properties}}}


def rules_json(document: Mapping[str, Any]) -> str:
    """Return a built document as a file's text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
