"""A description, compiled once: structs for msgspec, and conversions of columns of values. Pure."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import partial
from math import ceil, floor
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from enrichment.description import INGESTED_AT, UNKNOWN_FIELDS, Description, Field, TimeFormat, Type, Unknown
from enrichment.timestamps import from_devices
from enrichment.values import LARGEST_TEXT, LARGEST_WHOLE, PointKey, bounds, derive, geo_point, ip, time

__all__ = ["Column", "compile_document", "compile_reading", "conversion"]

_LARGEST_CHARACTER: Final = 4  # bytes of UTF-8

Column = Sequence[Any]
"""The values of one field, of many readings."""


def compile_reading(description: Description) -> tuple[type, type, Callable[[list[Any]], list[Column]]]:
    """Return two structs to decode a reading, and the function that splits such readings into columns.

    Both structs take a reading's canonical form; the first refuses undescribed fields. A derived field has its source's
    column.
    """
    tree: dict[str, Any] = {}
    for field in description.inputs:
        branch = tree
        for key in field.path[:-1]:
            branch = branch.setdefault(key, {})
        branch[field.path[-1]] = field
    paths: dict[tuple[str, ...], str] = {}
    _name_attributes(tree, (), (), paths)
    attributes = [paths[field.path] for field in description.fields]
    take_apart = _take_nested_apart(attributes) if any("." in each for each in attributes) else _take_apart(attributes)
    return _struct_of(tree, strict=True), _struct_of(tree, strict=False), take_apart


def _take_apart(attributes: list[str]) -> Callable[[list[Any]], list[Column]]:
    """Return the function for flat readings, whose structs msgspec splits itself."""
    positions = [int(name.removeprefix("f")) for name in attributes]

    def take_apart(readings: list[Any]) -> list[Column]:
        columns = [*zip(*map(astuple, readings), strict=True)] or [()] * len(positions)
        return [columns[position] for position in positions]

    return take_apart


def _take_nested_apart(attributes: list[str]) -> Callable[[list[Any]], list[Column]]:
    getters = {name: attrgetter(name) for name in attributes}

    def take_apart(readings: list[Any]) -> list[Column]:
        columns = {name: [*map(get, readings)] for name, get in getters.items()}
        return [columns[name] for name in attributes]

    return take_apart


def _name_attributes(
    tree: dict[str, Any], keys: tuple[str, ...], attributes: tuple[str, ...], paths: dict[tuple[str, ...], str]
) -> None:
    for number, (key, below) in enumerate(tree.items()):
        path, names = (*keys, key), (*attributes, f"f{number}")
        if isinstance(below, dict):
            _name_attributes(below, path, names, paths)
        else:
            paths[path] = ".".join(names)


def _struct_of(tree: dict[str, Any], *, strict: bool) -> type[msgspec.Struct]:
    """Return a struct for an object of a reading, with a struct for each object in it."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for number, below in enumerate(tree.values()):
        name = f"f{number}"
        if isinstance(below, dict):
            inner = _struct_of(below, strict=strict)
            optional = all(field.optional for field in _leaves(below))
            fields.append((name, inner, msgspec.field(default_factory=inner)) if optional else (name, inner))
        elif below.optional:
            fields.append((name, _canonical(below, strict=strict) | None, None))
        else:
            fields.append((name, _canonical(below, strict=strict)))
    return msgspec.defstruct(
        "Reading",
        fields,
        kw_only=True,
        rename={f"f{number}": key for number, key in enumerate(tree)},
        forbid_unknown_fields=strict,
        gc=False,
    )


def _leaves(tree: dict[str, Any]) -> list[Field]:
    return [field for below in tree.values() for field in (_leaves(below) if isinstance(below, dict) else [below])]


def _canonical(field: Field, *, strict: bool) -> Any:
    """Return the type of a field's canonical form for msgspec; types that msgspec lacks are checked by a conversion."""
    low, high = bounds(field)
    match field.type:
        case Type.LONG:
            return Annotated[int, Meta(ge=int(low), le=int(high))]
        case Type.DOUBLE | Type.SCALED_FLOAT:
            whole = Meta(ge=ceil(max(low, -LARGEST_WHOLE)), le=floor(min(high, LARGEST_WHOLE)))
            return Annotated[int, whole] | Annotated[float, Meta(ge=low, le=high)]
        case Type.BOOLEAN:
            return bool
        case Type.DATE:
            return str if field.format is TimeFormat.TEXT else int | float
        case Type.GEO_POINT:  # keys beside the degrees are undescribed fields
            return dict[PointKey, Any] | list[Any] | str if strict else Any
        case Type.KEYWORD:
            return Annotated[str, Meta(max_length=LARGEST_TEXT // _LARGEST_CHARACTER)]  # of a longer one, bytes count
        case Type.IP:
            return str


def compile_document(description: Description) -> type[msgspec.Struct]:
    """Return the struct of a document; fields that are None are omitted."""
    names = [*(field.name for field in description.fields), INGESTED_AT]
    if description.unknown is Unknown.KEEP:
        names.append(UNKNOWN_FIELDS)
    fields = [(f"f{number}", Any, None) for number in range(len(names))]
    rename = {f"f{number}": name for number, name in enumerate(names)}
    return msgspec.defstruct("Document", fields, rename=rename, omit_defaults=True, gc=False)


def conversion(field: Field, zone: tzinfo) -> Callable[[Column], Column] | None:
    """Return the function that converts a column of canonical values for the document, or None if none is needed."""
    if field.derivation is not None:
        return partial(_map, derive(field.derivation, bounds(field)[1]))
    match field.type:
        case Type.DOUBLE | Type.SCALED_FLOAT:
            return _whole_without_point_or_absent if field.optional else _whole_without_point
        case Type.DATE if field.format is TimeFormat.TEXT and not field.optional:
            return partial(from_devices, zone=zone)
        case Type.DATE:
            return partial(_map_present, partial(time, form=field.format, zone=zone))
        case Type.GEO_POINT:
            return partial(_map_present if field.optional else _map, geo_point)
        case Type.IP:
            return partial(_map_present if field.optional else _map, ip)
        case _:
            return None


def _map(convert: Callable[[Any], Any], column: Column) -> Column:
    return [*map(convert, column)]


def _map_present(convert: Callable[[Any], Any], column: Column) -> Column:
    return [None if value is None else convert(value) for value in column]


def _whole_without_point(column: Column) -> Column:
    """Return numbers as documents have them: 32 for 32.0, 0 for -0.0."""
    return [
        int(value) if value.is_integer() and -LARGEST_WHOLE <= value <= LARGEST_WHOLE else value for value in column
    ]


def _whole_without_point_or_absent(column: Column) -> Column:
    return [
        value if value is None or not value.is_integer() or not -LARGEST_WHOLE <= value <= LARGEST_WHOLE else int(value)
        for value in column
    ]
