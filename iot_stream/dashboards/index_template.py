"""Build the index template and the index pattern's fields from the description of a reading. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from iot_stream.description import INGESTED_AT, UNKNOWN_FIELDS, Description, Field, Type, Unknown
from iot_stream.paths import PROJECT

__all__ = ["DATE", "INDEX_TEMPLATE", "field_mapping", "index_template", "pattern_fields", "to_json"]

INDEX_TEMPLATE = PROJECT / "functions" / "role_mapper" / "opensearch" / "index-template.json"

DATE = {"type": "date", "format": "strict_date_optional_time"}
# OpenSearch's types → those of OpenSearch Dashboards (its `kbn_field_types`).
_KINDS = {
    "keyword": "string",
    "byte": "number",
    "long": "number",
    "double": "number",
    "scaled_float": "number",
    "boolean": "boolean",
    "date": "date",
    "geo_point": "geo_point",
    "ip": "ip",
}
# Fields of every document, as OpenSearch Dashboards stores them after a refresh of the field list.
_META = {"_id": "string", "_index": "string", "_score": "number", "_source": "_source", "_type": "string"}
_UNSEARCHED = {"_score", "_source", "_type"}
_UNTYPED = {"_score", "_type"}


def index_template(description: Description) -> dict[str, Any]:
    """Return the index template ("Create index template", OpenSearch documentation) for the described documents.

    `dynamic: false`: a field that is not described is kept in the source and not indexed.
    """
    properties = {field.name: field_mapping(field) for field in description.fields}
    if INGESTED_AT not in properties:
        properties[INGESTED_AT] = dict(DATE)
    if description.unknown is Unknown.KEEP:
        properties[UNKNOWN_FIELDS] = {"type": "object", "enabled": False}
    return {"template": {"mappings": {"dynamic": False, "properties": properties}}}


def pattern_fields(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the `fields` of an index pattern, as OpenSearch Dashboards itself stores them after a field refresh.

    Without them a dashboard opened before the first document stays broken until it is loaded again.
    """
    mappings = template["template"]["mappings"]["properties"]
    types = {name: kind for name, kind in _leaves(mappings) if kind in _KINDS}
    fields = [
        _pattern_field(name, kind, name, searched=name not in _UNSEARCHED, stored=False) for name, kind in _META.items()
    ]
    fields += [_pattern_field(name, _KINDS[kind], kind, searched=True, stored=True) for name, kind in types.items()]
    return sorted(fields, key=lambda field: str(field["name"]))


def _leaves(properties: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and type of every field, objects' members by their paths."""
    for name, mapping in properties.items():
        if "properties" in mapping:
            yield from _leaves(mapping["properties"], f"{within}{name}.")
        else:
            yield f"{within}{name}", mapping["type"]


def to_json(template: Mapping[str, Any]) -> str:
    """Return the index template as the file's text: one field a line."""
    mappings = template["template"]["mappings"]
    lines = [f"        {json.dumps(name)}: {_compact(mapping)}" for name, mapping in mappings["properties"].items()]
    return (
        '{\n  "template": {\n    "mappings": {\n      "dynamic": false,\n      "properties": {\n'
        + ",\n".join(lines)
        + "\n      }\n    }\n  }\n}\n"
    )


def field_mapping(field: Field) -> dict[str, Any]:
    """Return the mapping of one described field."""
    if field.type is Type.DATE:
        return dict(DATE)
    if field.type is Type.SCALED_FLOAT:
        return {"type": field.type.value, "scaling_factor": 10 ** (field.decimals or 0)}
    return {"type": field.type.value}


def _pattern_field(name: str, kind: str, type_: str, *, searched: bool, stored: bool) -> dict[str, Any]:
    return {
        "count": 0,
        "name": name,
        "type": kind,
        **({} if name in _UNTYPED else {"esTypes": [type_]}),
        "scripted": False,
        "searchable": searched,
        "aggregatable": searched,
        "readFromDocValues": stored,
    }


def _compact(mapping: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in mapping.items()) + " }"
