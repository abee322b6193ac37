"""Compare an index with what the stream needs, as documents (pure).

OpenSearch adds a field to an existing index, but it changes no field's type or format ("Create or update mappings":
illegal_argument_exception, "cannot be changed from type").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Difference", "difference", "different_settings", "is_mapping", "matches", "takes_fields", "trouble"]

type Document = Mapping[str, Any]

_CLOSED = "index.verified_before_close"
_BLOCKS = ("write", "read_only", "read_only_allow_delete")
_FIELD_BLOCKS = ("read_only", "read_only_allow_delete", "metadata")


@dataclass(frozen=True)
class Difference:
    """How a mapping differs from the desired one.

    Attributes:
        update: the body of a `PUT INDEX/_mapping` that adds what is missing; empty if nothing is.
        missing: the paths of the fields that it adds, and `dynamic` where that has another value.
        conflicts: a phrase for each field that is there as something else.
    """

    update: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def is_mapping(found: object) -> bool:
    """Return whether this has the shape of a mapping: below `properties`, at every level, an object for each field."""
    if not isinstance(found, Mapping):
        return False
    properties = found.get("properties", {})
    return isinstance(properties, Mapping) and all(map(is_mapping, properties.values()))


def difference(found: Document, wanted: Document) -> Difference:
    """Return how the mapping of an index or a template differs from the desired one.

    Fields that are not wanted are no difference: an older version of the stream wanted them, or somebody else does.

    Args:
        found: `mappings`, as OpenSearch returns them: `dynamic` as text, numbers maybe as fractions.
        wanted: `mappings`, as the stream's index template has them.
    """
    missing: list[str] = []
    conflicts: list[str] = []
    properties = _compare(found.get("properties") or {}, wanted.get("properties") or {}, "", missing, conflicts)
    update: dict[str, Any] = {"properties": properties} if properties else {}
    if "dynamic" in wanted and _text(found.get("dynamic", True)) != _text(wanted["dynamic"]):
        update["dynamic"] = wanted["dynamic"]
        missing.append(f"dynamic {_text(wanted['dynamic'])}")
    return Difference(update, tuple(missing), tuple(conflicts))


def _compare(
    found: Document, wanted: Document, prefix: str, missing: list[str], conflicts: list[str]
) -> dict[str, Any]:
    """Return the properties that are missing; add what they and the conflicts are called to the two lists."""
    lacking: dict[str, Any] = {}
    for name, want in wanted.items():
        have, where = found.get(name), prefix + name
        if have is None:
            lacking[name] = want
            missing.append(where)
        elif "properties" in want and "properties" in have:
            inner = _compare(have["properties"], want["properties"], f"{where}.", missing, conflicts)
            if inner:
                lacking[name] = {"properties": inner}
        elif any(_value(have, key) != _value(want, key) for key in want):
            conflicts.append(f"{where} is {_described(have, want)}, not {_described(want, have)}")
    return lacking


def _value(mapping: Document, key: str) -> Any:
    value = mapping.get(key, "object" if key == "type" else None)
    return _text(value) if isinstance(value, bool) else value


def _text(value: object) -> str:
    return str(value).lower()


def _described(mapping: Document, other: Document) -> str:
    """Return the type, with its parameters if the other field has the same type."""
    kind = str(_value(mapping, "type"))
    if kind != _value(other, "type"):
        return kind
    keys = sorted((mapping.keys() | other.keys()) - {"type", "properties"})
    return " ".join([kind, *(f"{key} {mapping[key]}" for key in keys if key in mapping)])


def different_settings(found: Document, wanted: Document) -> list[str]:
    """Return a phrase for each index setting that differs; both are nested, as in templates.

    Args:
        found: the `settings` of a simulated index.
        wanted: the `settings` of the stream's index template.
    """
    have = dict(_flat(found))
    return [
        f"{name} is {have.get(name, 'the default')}, not {value}"
        for name, value in _flat(wanted)
        if have.get(name) != value
    ]


def _flat(settings: Document, prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in settings.items():
        flat += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(prefix + key, str(value))]
    return flat


def trouble(settings: Document) -> str:
    """Return why an index accepts no documents: `closed`, or its block; empty if it accepts them.

    Args:
        settings: flat, as `GET INDEX?flat_settings=true` has them.
    """
    if _text(settings.get(_CLOSED)) == "true":
        return "closed"
    return next((f"blocked by index.blocks.{kind}" for kind in _BLOCKS if _blocked(settings, kind)), "")


def takes_fields(settings: Document) -> bool:
    """Return whether fields can be added to an index; closed and write-blocked indices allow it."""
    return not any(_blocked(settings, kind) for kind in _FIELD_BLOCKS)


def _blocked(settings: Document, kind: str) -> bool:
    return _text(settings.get(f"index.blocks.{kind}")) == "true"


def matches(pattern: str, index: str) -> bool:
    """Return whether an index pattern, which knows only `*`, matches the name of an index."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), index) is not None
