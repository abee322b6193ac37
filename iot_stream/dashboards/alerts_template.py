"""Build the index template of the alerts index from the description of a reading. Pure."""

from typing import Any

from iot_stream.dashboards.index_template import DATE, field_mapping
from iot_stream.description import Description
from iot_stream.paths import PROJECT

__all__ = ["ALERTS_TEMPLATE", "alerts_template"]

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
            "text": {"type": "keyword", "ignore_above": 1024},
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


def alerts_template(reading: Description) -> dict[str, Any]:
    """Return the index template of the alerts index, for the described device and measures.

    None of them has the name of a field below: a description with one is refused (NAMES_OF_ALERTS).
    """
    fields = (reading.device, *reading.measures)
    properties = {**_OWN, **{field.name: field_mapping(field) for field in fields}}
    # A copy on each of up to three nodes: with Standby a domain refuses copies that are no multiple of its three zones
    # (OpenSearch, AwarenessReplicaBalance.validateReplicas).
    settings = {"index": {"number_of_shards": "1", "auto_expand_replicas": "0-2"}}
    return {"template": {"settings": settings, "mappings": {"dynamic": False, "properties": properties}}}
