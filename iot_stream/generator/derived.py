"""Write the generator's template for a description, in the Kinesis Data Generator's language. Pure.

Texts are one of the field's examples, numbers lie between the least and the greatest of examples and thresholds, times
are now. Every optional field is there.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from iot_stream.description import Description, Field, Role, TimeFormat, Type
from iot_stream.generator.template.compiled import compile_template

__all__ = ["sample_of", "template_of"]

_SAMPLED_AT: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_DEVICES: Final = 20
_NUMBERS: Final = 100  # that many different ones, where nothing is known of a number
_GOOD: Final = 10  # one reading in so many crosses a threshold
_LARGEST: Final = 2.0**52
_DIGITS: Final = 15  # of a double
_FINEST: Final = 1e-6  # precision
_TIMES: Final = {  # moment.js: x are milliseconds, X seconds
    TimeFormat.TEXT: '"{{date.utc("YYYY-MM-DDTHH:mm:ss.SSS")}}Z"',
    TimeFormat.EPOCH_SECOND: '{{date.now("X")}}',
    TimeFormat.EPOCH_MILLIS: '{{date.now("x")}}',
    TimeFormat.EPOCH_MICROS: '{{date.now("x")}}000',
    TimeFormat.EPOCH_NANOS: '{{date.now("x")}}000000',
}


def template_of(description: Description) -> str:
    """Return the template: a JSON object with a helper of the Kinesis Data Generator for each value."""
    tree: dict[str, Any] = {}
    for field in description.inputs:
        branch = tree
        for key in field.path[:-1]:
            branch = branch.setdefault(key, {})
        branch[field.path[-1]] = _value(field)
    return _object(tree, "") + "\n"


def sample_of(description: Description) -> str:
    """Return one reading of the template as one line of JSON, always the same, for the deployment check."""
    template = compile_template(template_of(description), "the derived template", seed="sample", zone=dt.UTC)
    (record,) = template.render([_SAMPLED_AT])
    return json.dumps(json.loads(record), ensure_ascii=False)


def _object(tree: dict[str, Any], indent: str) -> str:
    inner = indent + "  "
    members = [
        f"{inner}{_key(key)}: {_object(value, inner) if isinstance(value, dict) else value}"
        for key, value in tree.items()
    ]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _key(key: str) -> str:
    return _without_braces(json.dumps(key, ensure_ascii=False))


def _without_braces(text: str) -> str:
    """Return JSON whose strings have no braces, because two of them begin or end a helper."""
    return text.replace("{", "\\u007b").replace("}", "\\u007d")


def _value(field: Field) -> str:
    """Return a field's value in the template: JSON with helpers in it."""
    match field.type:
        case Type.DATE:
            return _TIMES[field.format]
        case Type.BOOLEAN:
            return _one_of(field.examples, quoted=False) if field.examples else "{{random.boolean}}"
        case Type.GEO_POINT:
            if field.examples:
                return _one_of(field.examples)
            return f'{{"lat": {_number(45, 55, 0.0001)}, "lon": {_number(0, 15, 0.0001)}}}'
        case Type.IP:
            return _one_of(field.examples) if field.examples else '"192.0.2.{{random.number({"min": 1, "max": 254})}}"'
        case Type.KEYWORD:
            return _text(field)
        case _:
            return _number_of(field)


def _text(field: Field) -> str:
    if field.role is Role.DEVICE:
        return _one_of(_devices(field))
    if field.examples:
        return _one_of(field.examples)
    if field.role is Role.IDENTITY:
        return '"{{random.uuid}}"'
    return _one_of([f"{field.name}-{number}" for number in (1, 2, 3)])


def _devices(field: Field) -> Sequence[Any]:
    """Return the device names of a fleet: the examples, or names that continue the only example."""
    if len(field.examples) > 1:
        return field.examples
    example = str(field.examples[0]) if field.examples else f"{field.name}-01"
    stem, digits = re.fullmatch(r"(.*?)(\d*)", example, re.DOTALL | re.ASCII).groups()  # type: ignore[union-attr]
    return [f"{stem}{int(digits or 1) + number:0{len(digits) or 2}}" for number in range(_DEVICES)]


def _one_of(values: Sequence[Any], *, quoted: bool = True) -> str:
    """Return a helper that chooses; texts are escaped twice, because they are inside a string in the JSON."""
    if not quoted:
        return f"{{{{random.arrayElement({json.dumps(values)})}}}}"
    escaped = [json.dumps(value, ensure_ascii=False)[1:-1] for value in values]
    return f'"{{{{random.arrayElement({_without_braces(json.dumps(escaped, ensure_ascii=False))})}}}}"'


def _number(low: float, high: float, precision: float) -> str:
    arguments = {"min": low, "max": high} | ({"precision": precision} if precision != 1 else {})
    return f"{{{{random.number({json.dumps(arguments)})}}}}"


def _number_of(field: Field) -> str:
    """Return a helper for multiples of a power of ten between bounds, or for a single number if there are none."""
    low, high = _bounds(field)
    least, greatest = _stretch(field, low, high)
    least, greatest = max(low, least), min(high, greatest)
    precision = 1.0 if field.type is Type.LONG else _precision(field, least, greatest)
    decimals = max(0, -math.floor(math.log10(precision)))
    first, last = math.ceil(least / precision), math.floor(greatest / precision)
    if (
        round((first - 1) * precision, decimals) >= least
    ):  # 0.7 / 0.1 is a little less than 7, and 1.1 / 0.1 more than 11
        first -= 1
    if round((last + 1) * precision, decimals) <= greatest:
        last += 1
    if first > last:
        return json.dumps(next((value for value in (*field.examples, field.minimum, field.maximum) if value), 0))
    if precision >= 1:
        return _number(int(first * precision), int(last * precision), int(precision))
    return _number(round(first * precision, decimals), round(last * precision, decimals), round(precision, decimals))


def _stretch(field: Field, low: float, high: float) -> tuple[float, float]:
    """Return the range of typical numbers: from the least to the greatest example, and a little beyond thresholds."""
    examples = [float(value) for value in field.examples]
    thresholds = [
        (value, side) for value, side in ((field.alert_below, -1), (field.alert_above, 1)) if value is not None
    ]
    if not examples and not thresholds:
        return _anything(low, high)
    known = examples + [value for value, _ in thresholds]
    if len(known) == 1:  # a threshold alone has most readings on its good side
        known += [value - side * _GOOD * (abs(value) / _GOOD or 1) for value, side in thresholds]
    least, greatest = min(known), max(known)
    margin = (greatest - least) / _GOOD or abs(least) / _GOOD or 1
    inner = examples if len(examples) > 1 else []
    return (least if least in inner else least - margin), (greatest if greatest in inner else greatest + margin)


def _anything(low: float, high: float) -> tuple[float, float]:
    """Return a stretch of a hundred within bounds, from zero on if possible."""
    start = min(max(0.0, low), max(low, high - _NUMBERS))
    return start, start + _NUMBERS


def _bounds(field: Field) -> tuple[float, float]:
    return (
        -_LARGEST if field.minimum is None else max(-_LARGEST, field.minimum),
        _LARGEST if field.maximum is None else min(_LARGEST, field.maximum),
    )


def _precision(field: Field, least: float, greatest: float) -> float:
    """Return a power of ten: a scaled_float's decimals, or hundredths; less fine where numbers are large."""
    decimals = 2 if field.decimals is None else field.decimals
    largest = max(abs(least), abs(greatest), 1)
    return max(10.0**-decimals, _FINEST, 10.0 ** (math.ceil(math.log10(largest)) - _DIGITS))
