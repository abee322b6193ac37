"""Check a description; report every mistake with what to write instead. Pure."""

import re
from datetime import UTC
from typing import Any, Final

import msgspec

from enrichment.description import (
    INGESTED_AT,
    NAMES_OF_ALERTS,
    UNKNOWN_FIELDS,
    Derivation,
    Description,
    Field,
    Role,
    TimeFormat,
    Type,
    Unknown,
)
from enrichment.description_relations import NUMBERS, check_together
from enrichment.description_tables import LARGEST_NUMBER, Mistake, TableReader, listed
from enrichment.reasons import UnusableError
from enrichment.values import LARGEST_LONG, SMALLEST_LONG, converter, scaled_float_limit

__all__ = ["check"]

_MOST_FIELDS: Final = 500  # OpenSearch's index.mapping.total_fields.limit is 1,000
_MOST_DECIMALS: Final = 9
_MOST_ROUND: Final = 15  # a double has no more
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_ROLE_TYPES: Final = {
    Role.TIME: (Type.DATE,),
    Role.DEVICE: (Type.KEYWORD, Type.LONG),
    Role.MEASURE: (Type.LONG, Type.DOUBLE, Type.SCALED_FLOAT),
    Role.CATEGORY: (Type.KEYWORD, Type.BOOLEAN),
    Role.IDENTITY: (Type.KEYWORD, Type.LONG),
}
_KEYS_ABOVE_FIELDS: Final = ("title", "silent_after", "clock_ahead", "clock_behind", "unknown")
_TOP_KEYS: Final = (*_KEYS_ABOVE_FIELDS, "fields")
_FIELD_KEYS: Final = (
    "type", "path", "role", "label", "unit", "description", "optional", "min", "max", "alert_above", "alert_below",
    "alert_after", "alert_margin", "decimals", "format", "examples", "derived_from", "scale", "offset", "round",
)  # fmt: skip
_KEYS_OF_A_DERIVED: Final = ("scale", "offset", "round")
_KEYS_OF_AN_INPUT: Final = ("path", "optional", "min", "max", "format", "examples")


def check(table: dict[str, Any]) -> tuple[Description | None, list[Mistake]]:
    """Return the description in a parsed file and its mistakes; the description is None if there are any."""
    checker = _Checker()
    description = checker.description(table)
    return (None if checker.mistakes else description), checker.mistakes


class _Checker(TableReader):
    """Build the description and collect its mistakes; replace wrong values so that checking can continue."""

    def description(self, table: dict[str, Any]) -> Description:
        self.known(table, _TOP_KEYS, ())
        title = self.text(table, "title", ()) or "Devices, live"
        silent_after = self.number(table, "silent_after", ())
        if silent_after is not None and silent_after <= 0:
            self.wrong(("silent_after",), "must be above 0: write seconds, such as 180")
        clock_ahead = self.not_negative(table, "clock_ahead", (), "seconds, such as 300")
        clock_behind = self.not_negative(table, "clock_behind", (), "seconds, such as 604800")
        unknown = self.word(table, "unknown", (), Unknown) or Unknown.DROP
        fields = self._fields(table.get("fields"))
        by_name = {field.name: field for field in fields}
        check_together(self, by_name)
        complete = tuple(_with_source(field, by_name) for field in fields)
        return Description(
            title=title,
            silent_after=silent_after or 180,
            clock_ahead=300 if clock_ahead is None else clock_ahead,
            clock_behind=604_800 if clock_behind is None else clock_behind,
            unknown=unknown,
            fields=complete,
        )

    # ---- fields ------------------------------------------------------------------------------------------------

    def _fields(self, table: object) -> list[Field]:
        if not isinstance(table, dict) or not table:
            self.wrong(("fields",), "no fields: write a table [fields.NAME] with a type for each field of the document")
            return []
        if len(table) > _MOST_FIELDS:
            self.wrong(("fields",), f"{len(table)} fields are too many: describe at most {_MOST_FIELDS}")
        return [field for name, entry in table.items() if (field := self._field(name, entry)) is not None]

    def _field(self, name: str, entry: object) -> Field | None:
        at = ("fields", name)
        if not isinstance(entry, dict) and name in _KEYS_ABOVE_FIELDS:
            self.wrong(at, f"{name} belongs above the first [fields.…]: move it there")
            return None
        if not isinstance(entry, dict):
            self.wrong(at, f'not a table: write [fields.{name}] and its keys below, at least type = "keyword"')
            return None
        if not _NAME.fullmatch(name):
            self.wrong(at, "not a usable name: write a letter, then letters, digits and underscores (100 at most)")
        if name in (INGESTED_AT, UNKNOWN_FIELDS):
            self.wrong(at, f"the function itself writes {name}: use another name")
        misplaced = [key for key in entry if key in _KEYS_ABOVE_FIELDS]
        for key in misplaced:
            self.wrong((*at, key), f"{key} belongs above the first [fields.…]: move it there")
        self.known({key: value for key, value in entry.items() if key not in misplaced}, _FIELD_KEYS, at)
        if "type" not in entry:
            self.wrong(at, f"no type: write one of {listed(Type)}")
        kind = self.word(entry, "type", at, Type)
        field = Field(
            name=name,
            type=kind or Type.KEYWORD,
            path=self._path(entry, name),
            role=self.word(entry, "role", at, Role),
            label=self.text(entry, "label", at) or name.replace("_", " "),
            unit=self.text(entry, "unit", at),
            description=self.text(entry, "description", at),
            optional=self.flag(entry, "optional", at),
            minimum=self.number(entry, "min", at),
            maximum=self.number(entry, "max", at),
            alert_above=self.number(entry, "alert_above", at),
            alert_below=self.number(entry, "alert_below", at),
            alert_after=60 if (after := self.not_negative(entry, "alert_after", at, "seconds")) is None else after,
            alert_margin=self.not_negative(entry, "alert_margin", at, "in the measure's unit") or 0,
            decimals=self.whole(entry, "decimals", at, 0, _MOST_DECIMALS),
            format=self.word(entry, "format", at, TimeFormat) or TimeFormat.TEXT,
            examples=tuple(entry["examples"]) if isinstance(entry.get("examples"), list) else (),
            derivation=self._derivation(entry, at),
        )
        if kind is not None:  # else each of these would only repeat that the type is wrong
            self._type_keys(field, entry)
            if field.role in (Role.DEVICE, Role.MEASURE) and name in NAMES_OF_ALERTS:
                remedy = "" if "path" in entry or field.derivation else f', and path = "{name}" below it'
                self.wrong(at, f"alerts use the name {name} themselves: use another name{remedy}")
            self._bounds(field)
            self._examples(field, entry)
        return field

    def _path(self, entry: dict[str, Any], name: str) -> tuple[str, ...]:
        at = ("fields", name, "path")
        path = entry.get("path", [name])
        keys = path.split(".") if isinstance(path, str) else path
        if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key for key in keys):
            self.wrong(at, 'not a path: write keys joined by dots, such as "payload.temperature", or a list of keys')
            return (name,)
        if any(character in '"\\' or character < " " for key in keys for character in key):
            self.wrong(at, "a key can't hold quotes, backslashes or control characters: rename it on the device")
        if isinstance(path, str) and any(key.isdigit() or "[" in key for key in keys):
            self.wrong(at, "a path can't go through a list: have the device send an object, or one reading per record")
        return tuple(keys)

    def _derivation(self, entry: dict[str, Any], at: tuple[str, ...]) -> Derivation | None:
        if "derived_from" not in entry:
            for key in _KEYS_OF_A_DERIVED:
                if key in entry:
                    self.wrong((*at, key), 'only a derived field can have it: add derived_from = "FIELD", or remove it')
            return None
        for key in _KEYS_OF_AN_INPUT:
            if key in entry:
                self.wrong((*at, key), "a derived field can't have it: remove it, or write it in the source field")
        scale = self.number(entry, "scale", at)
        if scale == 0:
            self.wrong(
                (*at, "scale"),
                "a factor of 0 makes all values equal: write another one, or remove it (the default is 1)",
            )
        rounding = self.whole(entry, "round", at, 0, _MOST_ROUND)
        return Derivation(
            source=self.text(entry, "derived_from", at) or "",
            scale=1 if scale is None else scale,
            offset=self.number(entry, "offset", at) or 0,
            round=10 if rounding is None else rounding,
        )

    def _type_keys(self, field: Field, entry: dict[str, Any]) -> None:
        """Check the keys that only some types or roles have."""
        at = ("fields", field.name)
        if field.type is Type.SCALED_FLOAT and "decimals" not in entry:
            self.wrong(at, "a scaled_float needs decimals: write decimals = 2 to index hundredths")
        if field.type is not Type.SCALED_FLOAT and "decimals" in entry:
            self.wrong((*at, "decimals"), 'only a scaled_float can have it: write type = "scaled_float", or remove it')
        if field.type is not Type.DATE and "format" in entry:
            self.wrong((*at, "format"), 'only a date can have it: write type = "date", or remove it')
        for key in ("min", "max"):
            if field.type not in NUMBERS and key in entry:
                self.wrong((*at, key), "only long, double and scaled_float can have bounds: remove it")
        for key in ("alert_above", "alert_below"):
            if field.role is not Role.MEASURE and key in entry and (field.role is not None or "role" not in entry):
                self.wrong((*at, key), 'only a measure can have thresholds: write role = "measure", or remove it')
        for key in ("alert_after", "alert_margin"):
            if key in entry and "alert_above" not in entry and "alert_below" not in entry:
                self.wrong((*at, key), "the field has no threshold: add alert_above or alert_below, or remove it")
        if field.derivation is not None and field.type not in (Type.DOUBLE, Type.SCALED_FLOAT):
            self.wrong((*at, "type"), "a derived field must be a double or a scaled_float: write one of these types")
        if field.role is not None and field.type not in _ROLE_TYPES[field.role]:
            types = listed(_ROLE_TYPES[field.role])
            self.wrong((*at, "role"), f"a field with the role {field.role} can't be {field.type}: write type {types}")
        if field.role in (Role.TIME, Role.DEVICE) and field.optional:
            self.wrong((*at, "optional"), f"the {field.role} of a reading can't be optional: remove it")

    def _bounds(self, field: Field) -> None:
        at = ("fields", field.name)
        low, high = field.minimum, field.maximum
        if low is not None and high is not None and low >= high:
            remedy = "write a greater max" if low == high else "swap them"
            self.wrong((*at, "min"), f"min {low} is not below max {high}: {remedy}")
        if field.alert_below is not None and field.alert_above is not None and field.alert_below >= field.alert_above:
            remedy = "write a greater alert_above" if field.alert_below == field.alert_above else "swap them"
            self.wrong(
                (*at, "alert_below"),
                f"alert_below {field.alert_below} is not below alert_above {field.alert_above}: {remedy}",
            )
        if field.alert_below is not None and field.alert_above is not None:
            room = field.alert_above - field.alert_below
            if field.alert_below < field.alert_above and 2 * field.alert_margin > room:
                self.wrong(
                    (*at, "alert_margin"),
                    f"no value can be that far within both thresholds: write at most {room / 2:g}",
                )
        for key, bound in (("min", low), ("max", high)):
            if bound is None:
                continue
            if field.type is Type.LONG and not (bound == int(bound) and SMALLEST_LONG <= bound <= LARGEST_LONG):
                self.wrong((*at, key), "the bound of a long must be a whole number of 64 bits: write one")
            limit = scaled_float_limit(field.decimals or 0)
            if field.type is Type.SCALED_FLOAT and abs(bound) > limit:
                self.wrong(
                    (*at, key), f"a scaled_float with these decimals is limited to ±{limit:g}: write a smaller bound"
                )
        for key, threshold in (("alert_above", field.alert_above), ("alert_below", field.alert_below)):
            outside = threshold is not None and (
                (low is not None and threshold < low) or (high is not None and threshold > high)
            )
            if outside:
                self.wrong(
                    (*at, key), f"{threshold} is outside min and max, so no reading can reach it: write one within them"
                )

    def _examples(self, field: Field, entry: dict[str, Any]) -> None:
        at = ("fields", field.name, "examples")
        if "examples" in entry and not field.examples:
            self.wrong(at, "not a list of values: write some that devices send, such as [1.5, 20], or remove it")
        low = -LARGEST_NUMBER if field.minimum is None else field.minimum
        high = LARGEST_NUMBER if field.maximum is None else field.maximum
        for value in field.examples:
            if field.type in NUMBERS:
                whole = field.type is not Type.LONG or isinstance(value, int)
                good = False
                if isinstance(value, int | float) and not isinstance(value, bool):
                    good = whole and -LARGEST_NUMBER <= value <= LARGEST_NUMBER
                    if good and low <= high and not low <= value <= high:
                        self.wrong(at, f"{value!r} is outside min and max: write one within them")
                        continue
            elif field.type is Type.GEO_POINT and not isinstance(value, str):
                self.wrong(at, f'{value!r} is not text: write points as "52.1,4.3", latitude first')
                continue
            else:
                good = isinstance(value, bool if field.type is Type.BOOLEAN else str)
            if not good:
                self.wrong(at, f"{value!r} is not a valid {field.type}: write one that devices send, or remove it")
            elif field.type is not Type.DATE:
                self._converted(field, value)

    def _converted(self, field: Field, value: str | float) -> None:
        """Check that the function accepts an example, because `iot-stream send` generates readings from it."""
        try:
            converter(field, UTC)(value)
        except UnusableError as error:
            self.wrong(
                ("fields", field.name, "examples"),
                f"{value!r} would fail as {error.reason}: write a {field.type} that devices send, or remove it",
            )


def _with_source(field: Field, fields: dict[str, Field]) -> Field:
    """Return the field; a derived one gets the path of its source, and is optional if its source is."""
    source = fields.get(field.derivation.source) if field.derivation else None
    return msgspec.structs.replace(field, path=source.path, optional=source.optional) if source else field
