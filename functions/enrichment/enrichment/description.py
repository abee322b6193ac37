"""The description of a reading: what devices send and what OpenSearch gets. Pure.

The function compiles it once, at import (`compiled`); the dashboard, index template, docs and generator are built from
the same objects (docs/adr/0009). `description_file` makes them from `readings.toml`.
"""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = [
    "INGESTED_AT",
    "NAMES_OF_ALERTS",
    "UNKNOWN_FIELDS",
    "Derivation",
    "Description",
    "Field",
    "Role",
    "TimeFormat",
    "Type",
    "Unknown",
]

INGESTED_AT: Final = "ingested_at"
"""The date field that follows the described fields in each document: when AWS received the record."""
NAMES_OF_ALERTS: Final = frozenset({"alert", "fleet", "kind", "memory"})
"""Fields that alert documents define themselves, beside the described device and measures."""
UNKNOWN_FIELDS: Final = "unknown_fields"
"""The object that holds undescribed fields with `unknown = "keep"`; `enabled: false` in the index."""


class Type(StrEnum):
    """A field's type in the index, in OpenSearch's words."""

    KEYWORD = "keyword"
    LONG = "long"
    DOUBLE = "double"
    SCALED_FLOAT = "scaled_float"
    BOOLEAN = "boolean"
    DATE = "date"
    GEO_POINT = "geo_point"
    IP = "ip"


class Role(StrEnum):
    """What a field is for."""

    TIME = "time"
    DEVICE = "device"
    MEASURE = "measure"
    CATEGORY = "category"
    IDENTITY = "identity"


class TimeFormat(StrEnum):
    """How a device writes a date: text of docs/fields.md, or a number since 1970-01-01 UTC."""

    TEXT = "text"
    EPOCH_SECOND = "epoch_second"
    EPOCH_MILLIS = "epoch_millis"
    EPOCH_MICROS = "epoch_micros"
    EPOCH_NANOS = "epoch_nanos"


class Unknown(StrEnum):
    """What to do with fields that are not described."""

    DROP = "drop"
    KEEP = "keep"


class Derivation(msgspec.Struct, frozen=True):
    """How a derived field is computed: `source` times `scale`, plus `offset`, rounded."""

    source: str
    """Name of the field it is computed from, which is not a derived field itself."""
    scale: float = 1
    offset: float = 0
    round: int = 10
    """Decimals that the document keeps."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the document."""

    name: str
    """Its name in the document and the index: letters, digits and underscores."""
    type: Type
    path: tuple[str, ...]
    """Keys that lead to the value in the device's JSON; of a derived field, its source's."""
    role: Role | None = None
    label: str
    """The displayed name: `label` in the file, or the name with spaces for underscores."""
    unit: str | None = None
    description: str | None = None
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    alert_above: float | None = None
    alert_below: float | None = None
    alert_after: float = 60
    """Seconds that a value must be beyond a threshold before an alert opens, and within before it closes."""
    alert_margin: float = 0
    """How far within the threshold a value must be for the alert to close."""
    decimals: int | None = None
    """For a scaled_float: the index's scaling factor is 10 to this power."""
    format: TimeFormat = TimeFormat.TEXT
    examples: tuple[str | float | bool, ...] = ()
    """Values that devices send, used to generate readings: texts to choose from, or the range of a number."""
    derivation: Derivation | None = None

    @property
    def source(self) -> str:
        """The path as text, with its keys joined by dots."""
        return ".".join(self.path)


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What devices send and what OpenSearch gets. Roles and names are valid: `description_check` has checked them."""

    title: str
    silent_after: float
    """Seconds without a reading after which a device counts as silent."""
    clock_ahead: float = 300
    """Seconds that a device's clock may be ahead before it counts as wrong."""
    clock_behind: float = 604_800
    """Seconds that its latest reading may be old when it arrives before its clock counts as wrong."""
    unknown: Unknown
    fields: tuple[Field, ...]
    """In the order of the document; `ingested_at` follows."""

    @property
    def time(self) -> Field:
        """The field that says when the device took the reading."""
        return next(field for field in self.fields if field.role is Role.TIME)

    @property
    def device(self) -> Field:
        """The field that says which device took the reading."""
        return next(field for field in self.fields if field.role is Role.DEVICE)

    @property
    def identity(self) -> Field | None:
        """The field that identifies a reading uniquely, if there is one."""
        return next((field for field in self.fields if field.role is Role.IDENTITY), None)

    @property
    def measures(self) -> tuple[Field, ...]:
        """The fields with the role `measure`, in order."""
        return tuple(field for field in self.fields if field.role is Role.MEASURE)

    @property
    def categories(self) -> tuple[Field, ...]:
        """The fields with the role `category`, in order."""
        return tuple(field for field in self.fields if field.role is Role.CATEGORY)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that devices send: all but the derived ones."""
        return tuple(field for field in self.fields if field.derivation is None)
