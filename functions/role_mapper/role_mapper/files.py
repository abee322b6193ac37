"""Fill in the files of `opensearch/` for one stack: template, policy, dashboards (pure but for reading).

The files hold what is the same for every stack; what depends on the stack's parameters is filled in here.
"""

import datetime as dt
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from role_mapper.properties import Properties

__all__ = [
    "alerts_template",
    "existing_indices",
    "index_template",
    "is_of_stream",
    "is_retained",
    "is_rolled",
    "is_rotated",
    "next_index",
    "parted_indices",
    "priority",
    "retention_policy",
    "rolled_index",
    "sample_reading",
    "saved_objects",
]

_FOLDER = Path(__file__).parent.parent / "opensearch"
# The index that the dashboards' files are written for.
_DASHBOARDS_INDEX = "iot-stream"
# A longer name is a more specific pattern: `iot-stream*` wins over another stack's `iot*`, and neither is refused for
# having the other's priority.
_LOWEST_PRIORITY = 200


# strftime's week begins on Sunday, as Firehose's; which of them is the first makes no difference to a template.
_ROTATED = {
    "NoRotation": "",
    "OneHour": "-%Y-%m-%d-%H",
    "OneDay": "-%Y-%m-%d",
    "OneWeek": "-%Y-w%U",
    "OneMonth": "-%Y-%m",
}


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def sample_reading() -> str:
    """Return a reading as `iot-stream readings build` made it from the description."""
    return (_FOLDER.parent / "sample-reading.json").read_text(encoding="utf-8").strip()


def priority(properties: Properties) -> int:
    """Return the priority of the stream's index template and of its retention policy's pattern."""
    return _LOWEST_PRIORITY + len(properties.index_name)


def index_template(properties: Properties, description: str, rollover_alias: str = "") -> dict[str, Any]:
    """Return the composable index template: fields, shards, replicas and refresh of every new index of the stream.

    Args:
        properties: what is filled in.
        description: the text that says whose it is.
        rollover_alias: the alias that Index State Management rolls over; empty where it does not.
    """
    document: dict[str, Any] = json.loads(_read("index-template.json"))
    document["index_patterns"] = [f"{properties.index_name}*"]
    document["priority"] = priority(properties)
    document["_meta"] = {"description": description}
    document["template"]["settings"] = {
        "index": {
            "number_of_shards": str(properties.number_of_shards),
            "number_of_replicas": str(properties.number_of_replicas),
            "refresh_interval": properties.refresh_interval,
        }
        | ({"plugins": {"index_state_management": {"rollover_alias": rollover_alias}}} if rollover_alias else {})
    }
    return document


def alerts_template(properties: Properties, description: str) -> dict[str, Any]:
    """Return the index template of the alerts index, which is one and does not rotate."""
    document: dict[str, Any] = json.loads(_read("alerts-template.json"))
    document["index_patterns"] = [properties.alerts_index]
    document["priority"] = _LOWEST_PRIORITY + len(properties.alerts_index)
    document["_meta"] = {"description": description}
    return document


def retention_policy(properties: Properties, description: str) -> dict[str, Any]:
    """Return the policy of Index State Management that deletes an index once its last reading is `retention_days` old.

    It matches only indices that are written to for some time: those that Firehose's rotation makes, or those that
    rollover makes behind an alias.
    """
    if properties.rolls_over:
        name, pattern = "rollover-policy.json", rolled_indices(properties.index_name)
        conditions = {"min_rollover_age": _age(properties.retention_days * 24)}
    else:
        name, pattern = "retention-policy.json", rotated_indices(properties.index_name)
        conditions = {"min_index_age": _age(properties.retention_hours)}
    document: dict[str, Any] = json.loads(_read(name))
    policy = document["policy"]
    policy["description"] = description
    for state in policy["states"]:
        for action in (each["rollover"] for each in state["actions"] if "rollover" in each):
            action["min_index_age"] = _age(properties.rotation_hours)
        for transition in state["transitions"]:
            transition["conditions"] = conditions
    policy["ism_template"] = [{"index_patterns": [pattern], "priority": priority(properties)}]
    return document


def _age(hours: int) -> str:
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


def rotated_indices(index_name: str) -> str:
    """Return the pattern of rotated indices: rotation appends `-`, a year of this century, and `-` with the rest."""
    return f"{index_name}-20*-*"


def is_rotated(index: str, index_name: str) -> bool:
    """Return whether `index` is one that rotation made of `index_name`: month, week, day or hour behind the year."""
    return re.fullmatch(re.escape(index_name) + r"-20\d\d-(w\d{1,2}|\d\d(-\d\d){0,2})", index) is not None


def rolled_indices(index_name: str) -> str:
    """Return the pattern of the indices that rollover makes: it appends `-` and a number of six digits."""
    return f"{index_name}-0*"


def rolled_index(index_name: str, number: int) -> str:
    """Return the name of one of them; rollover itself counts on from the number of the last one."""
    return f"{index_name}-{number:06}"


def is_rolled(index: str, index_name: str) -> bool:
    """Return whether `index` is one that rollover made behind the alias `index_name`."""
    return re.fullmatch(re.escape(index_name) + r"-0\d{5}", index) is not None


def is_retained(index: str, properties: Properties) -> bool:
    """Return whether the retention policy deletes `index` one day: rotation made it, or rollover does."""
    of_policy = is_rolled if properties.rolls_over else is_rotated
    return of_policy(index, properties.index_name)


def is_of_stream(index: str, index_name: str) -> bool:
    """Return whether `index` is one that the delivery stream of `index_name` writes to, or wrote to."""
    return index == index_name or is_rotated(index, index_name) or is_rolled(index, index_name)


def existing_indices(index_name: str) -> str:
    """Return the expression that finds the indices of a stream, among others (see `is_of_stream`)."""
    return f"{index_name},{parted_indices(index_name)}"


def parted_indices(index_name: str) -> str:
    """Return the expression that finds those of them that rotation or rollover made."""
    return f"{rotated_indices(index_name)},{rolled_indices(index_name)}"


def next_index(properties: Properties, now: dt.datetime) -> str:
    """Return the name of an index that the delivery stream makes now ("Configure index rotation", Firehose)."""
    if properties.rolls_over:
        return rolled_index(properties.index_name, 1)
    return properties.index_name + now.strftime(_ROTATED[properties.index_rotation_period])


def saved_objects(properties: Properties) -> list[dict[str, Any]]:
    """Return the saved objects of OpenSearch Dashboards, with the stream's index in ids, pattern titles and queries."""
    text = _read("dashboards/saved_objects.ndjson").replace(_DASHBOARDS_INDEX, properties.index_name)
    return [json.loads(line) for line in text.splitlines() if line.strip()]
