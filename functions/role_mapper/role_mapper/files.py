"""Fill in the files of `opensearch/` for one stack: template, policy, dashboards (pure but for reading).

The files hold what is the same for every stack; what depends on the stack's parameters is filled in here.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from role_mapper.properties import Properties

__all__ = ["index_template", "is_rotated", "retention_policy", "rotated_indices", "saved_objects"]

_FOLDER = Path(__file__).parent.parent / "opensearch"
# The index that the dashboards' files are written for.
_DASHBOARDS_INDEX = "iot-stream"
# A longer name is a more specific pattern: `iot-stream*` wins over another stack's `iot*`, and neither is refused for
# having the other's priority.
_LOWEST_PRIORITY = 200


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _priority(properties: Properties) -> int:
    return _LOWEST_PRIORITY + len(properties.index_name)


def index_template(properties: Properties, description: str) -> dict[str, Any]:
    """Return the composable index template: fields, shards, replicas and refresh of every new index of the stream."""
    document: dict[str, Any] = json.loads(_read("index-template.json"))
    document["index_patterns"] = [f"{properties.index_name}*"]
    document["priority"] = _priority(properties)
    document["_meta"] = {"description": description}
    document["template"]["settings"] = {
        "index": {
            "number_of_shards": str(properties.number_of_shards),
            "number_of_replicas": str(properties.number_of_replicas),
            "refresh_interval": properties.refresh_interval,
        }
    }
    return document


def retention_policy(properties: Properties, description: str) -> dict[str, Any]:
    """Return the policy of Index State Management that deletes an index once its last reading is `retention_days` old.

    It matches rotated indices only, never one that is written to without end.
    """
    document: dict[str, Any] = json.loads(_read("retention-policy.json"))
    policy = document["policy"]
    policy["description"] = description
    for state in policy["states"]:
        for transition in state["transitions"]:
            transition["conditions"] = {"min_index_age": _age(properties.retention_hours)}
    policy["ism_template"] = [
        {"index_patterns": [rotated_indices(properties.index_name)], "priority": _priority(properties)}
    ]
    return document


def _age(hours: int) -> str:
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


def rotated_indices(index_name: str) -> str:
    """Return the pattern of rotated indices: rotation appends `-`, a year of this century, and `-` with the rest."""
    return f"{index_name}-20*-*"


def is_rotated(index: str, index_name: str) -> bool:
    """Return whether `index` is one that rotation made of `index_name`: month, week, day or hour behind the year."""
    return re.fullmatch(re.escape(index_name) + r"-20\d\d-(w\d{1,2}|\d\d(-\d\d){0,2})", index) is not None


def saved_objects(properties: Properties) -> list[dict[str, Any]]:
    """Return the saved objects of OpenSearch Dashboards, for the stream's index: ids, titles of patterns, queries."""
    text = _read("dashboards/saved_objects.ndjson").replace(_DASHBOARDS_INDEX, properties.index_name)
    return [json.loads(line) for line in text.splitlines() if line.strip()]
