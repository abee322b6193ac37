"""Readings that are JSON but not in canonical form, read field by field; the rules are those of docs/fields.md. Pure.

This is the whole contract in plain Python, and slow. `reading` comes here only with what its typed decoder
refused: either to find more forms than the canonical one (numeric strings, whole decimals, a duplicate key whose
last value is good), or to name every reason.
"""

import json
from datetime import tzinfo
from typing import Any, NoReturn

from enrichment import foreign
from enrichment.description import Description, Field
from enrichment.reasons import Cause, ReadingError, Reason, UnusableError
from enrichment.values import bounds, converter, derive, parse_decimal, parse_int

__all__ = ["LenientReader", "parse_object"]

_ABSENT = object()


class LenientReader:
    """Reads any bytes by a description."""

    def __init__(self, description: Description, zone: tzinfo) -> None:
        """Compile the description; `zone` is what a time without an offset means."""
        self._inputs = [(field, converter(field, zone)) for field in description.inputs]
        self._derived = [
            (field, field.derivation.source, derive(field.derivation, bounds(field)[1]))
            for field in description.fields
            if field.derivation is not None
        ]

    def read(self, raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the document's values by field name, and the parsed reading.

        Raises:
            ReadingError: with everything that is wrong, in the order of the fields.
        """
        reading = parse_object(raw)
        values: dict[str, Any] = {}
        causes: list[Cause] = []
        for field, convert in self._inputs:
            try:
                value = _find(reading, field)
                if value is not _ABSENT:
                    values[field.name] = convert(value)
            except UnusableError as error:
                causes.append(Cause(error.reason, field.source))
        for field, source, convert in self._derived:
            try:
                if source in values:
                    values[field.name] = convert(values[source])
            except UnusableError as error:
                causes.append(Cause(error.reason, field.source))
        if causes:
            lacks_fields = all(cause.reason is Reason.FIELD_MISSING for cause in causes)
            envelope = foreign.envelope_of(reading, lacks_fields=lacks_fields)
            raise ReadingError([Cause(envelope)] if envelope else causes)
        return values, reading


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a reading; decimals are Decimal, so that no digit is lost.

    Raises:
        ReadingError: the data is no JSON object in UTF-8; says what it is instead, where that is well known.
    """
    reason = foreign.encoding_of(raw)
    if reason:
        raise ReadingError([Cause(reason)])
    text = raw.decode()
    try:
        value = json.loads(text, parse_int=parse_int, parse_float=parse_decimal, parse_constant=_refuse_constant)
    except ValueError:
        several = foreign.is_several_values(text)
        raise ReadingError([Cause(Reason.SEVERAL_READINGS if several else Reason.NOT_JSON)]) from None
    except RecursionError:
        raise ReadingError([Cause(Reason.NESTED_TOO_DEEP)]) from None
    if not isinstance(value, dict):
        several = isinstance(value, list) and any(isinstance(each, dict) for each in value)
        raise ReadingError([Cause(Reason.SEVERAL_READINGS if several else Reason.NOT_AN_OBJECT)])
    return value


def _find(reading: dict[str, Any], field: Field) -> Any:
    """Return the value at a field's path, `_ABSENT` where an optional one is not there or null."""
    value: Any = reading
    for key in field.path:
        if value is None:
            break
        if not isinstance(value, dict):
            raise UnusableError(Reason.WRONG_TYPE)
        value = value.get(key, _ABSENT)
        if value is _ABSENT:
            break
    else:
        if value is not None or not field.optional:
            return value
    if not field.optional:
        raise UnusableError(Reason.FIELD_MISSING)
    return _ABSENT


def _refuse_constant(_name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON but which Python reads."""
    raise ValueError
