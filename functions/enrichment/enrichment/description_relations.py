"""Check rules that involve several fields of a description: roles, paths and derivations. Pure."""

from typing import Final

from enrichment.description import Field, Role, Type
from enrichment.description_tables import TableReader

__all__ = ["NUMBERS", "check_together"]

NUMBERS: Final = frozenset({Type.LONG, Type.DOUBLE, Type.SCALED_FLOAT})


def check_together(reader: TableReader, fields: dict[str, Field]) -> None:
    """Collect the mistakes that involve several fields."""
    _roles(reader, [*fields.values()])
    _paths(reader, [*fields.values()])
    _derivations(reader, fields)


def _roles(reader: TableReader, fields: list[Field]) -> None:
    for role, wanted in ((Role.TIME, "exactly one"), (Role.DEVICE, "exactly one"), (Role.IDENTITY, "at most one")):
        names = [field.name for field in fields if field.role is role]
        for name in names[1:]:
            reader.wrong(
                ("fields", name, "role"),
                f"{names[0]} already has the role {role}, which {wanted} field can have: remove one",
            )
        if not names and fields and role is not Role.IDENTITY:
            reader.wrong(("fields",), f'no field has the role {role}: add role = "{role}" to one')


def _paths(reader: TableReader, fields: list[Field]) -> None:
    taken: dict[tuple[str, ...], str] = {}
    inputs = [field for field in fields if field.derivation is None]
    for field in inputs:
        if field.path in taken:
            other = taken[field.path]
            reader.wrong(
                ("fields", field.name, "path"),
                f'{other} already has the path {field.source}: write another, or derived_from = "{other}"',
            )
        taken.setdefault(field.path, field.name)
    for field in inputs:
        for length in range(1, len(field.path)):
            other = taken.get(field.path[:length], "")
            if other:
                reader.wrong(
                    ("fields", field.name, "path"),
                    f"{field.source} goes through {'.'.join(field.path[:length])}, which {other} reads as a value:"
                    " change the path of one of them",
                )


def _derivations(reader: TableReader, fields: dict[str, Field]) -> None:
    for field in fields.values():
        if field.derivation is None:
            continue
        at = ("fields", field.name, "derived_from")
        source = fields.get(field.derivation.source)
        if source is None:
            reader.wrong(at, f"no field is named {field.derivation.source!r}: write the name of a field in this file")
        elif source is field:
            reader.wrong(at, "a field can't be derived from itself: write the name of a field that devices send")
        elif source.derivation is not None:
            origin = fields.get(source.derivation.source)
            remedy = origin.name if origin and origin.derivation is None else "a field that devices send"
            reader.wrong(at, f"{source.name} is derived itself: derive from {remedy}")
        elif source.type not in NUMBERS:
            reader.wrong(at, f"{source.name} is a {source.type}: derive from a long, double or scaled_float")
