"""The helpers of random values: faker.js' module `random`, with the weights that the Kinesis Data Generator added.

The rules are those of awslabs/amazon-kinesis-data-generator, web/js/faker.js. Two of its errors are fixed: weights of
less than a hundredth count, and numbers have the decimals of their precision (10.7, not 10.700000000000001).
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

from iot_stream.generator.template import javascript
from iot_stream.generator.template.column import Arguments, Builder, Column

__all__ = ["HELPERS", "bounds", "each", "first_numbers"]

_NUMBER: Final = 'a number, or {"min": …, "max": …, "precision": …} with min up to max and a precision above 0'
_LIST: Final = 'a list such as ["OK", "FAIL"], with at least one element'
_WEIGHTS: Final = (
    '{"weights": [0.3, 0.7], "data": ["cat", "dog"]} with a weight of 0 or more for each element, and one above 0'
)
_VERSION_4: Final = bytes(octet & 0x0F | 0x40 for octet in range(256))
_VARIANT: Final = bytes(octet & 0x3F | 0x80 for octet in range(256))
_ALPHANUMERIC: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def each(make: Callable[[], str]) -> Column:
    """Return a column whose values come one by one from `make`."""
    return lambda times: [make() for _ in times]


def _number_range(arguments: Arguments) -> tuple[int, int, float]:
    """Return the first and last multiple for a `random.number`, and its precision.

    As in faker.js, they are multiples of the precision, and the maximum is included unless it is negative.
    """
    given = arguments.one(_NUMBER, int, float, dict, default={})
    if not isinstance(given, dict):
        given = {"max": given}
    minimum, maximum, precision = (
        given.get(name, default) for name, default in (("min", 0), ("max", 99999), ("precision", 1))
    )
    if set(given) - {"min", "max", "precision"} or not all(map(_is_number, (minimum, maximum, precision))):
        arguments.refuse(_NUMBER)
    if not (precision > 0 and minimum <= maximum and max(abs(minimum), abs(maximum)) / precision < 2**53):
        arguments.refuse(_NUMBER)
    beyond = maximum + precision if maximum >= 0 else maximum
    first = math.floor(round(minimum / precision, 9))
    return first, max(first, math.ceil(round(beyond / precision, 9)) - 1), precision


def _number(arguments: Arguments) -> Column:
    first, last, precision = _number_range(arguments)
    choices, values, write = arguments.series.choices, range(first, last + 1), _writer(precision)
    return lambda times: [*map(write, choices(values, k=len(times)))]


def _writer(precision: float) -> Callable[[int], str]:
    """Return the function that writes a multiple of the precision."""
    if precision == 1:
        return str
    decimals = _decimals(precision)
    return lambda count: javascript.text(round(count * precision, decimals))


def first_numbers(arguments: Arguments, count: int) -> list[str]:
    """Return different numbers of a `random.number`, from the first on and beyond its maximum if necessary."""
    first, _, precision = _number_range(arguments)
    return [*map(_writer(precision), range(first, first + count))]


def bounds(arguments: Arguments) -> tuple[float, float, Callable[[float], str]] | None:
    """Return the minimum and maximum of a helper and how it writes a number, or None if it generates no numbers."""
    call = arguments.call
    if call.name == "random.number":
        first, last, precision = _number_range(arguments)
        write = _writer(precision)
        return first * precision, last * precision, lambda value: write(round(value / precision))
    data = call.arguments[0] if call.arguments else None
    if call.name == "random.weightedArrayElement" and isinstance(data, dict):
        data = data["data"]
    if not isinstance(data, list) or not all(map(_is_number, data)):
        return None
    decimals = max(map(_decimals, data))
    return min(data), max(data), lambda value: javascript.text(round(value, decimals))


def _decimals(number: float) -> int:
    """Return how many decimals a number has as it is written."""
    return next(count for count in range(400) if round(number, count) == number)


def _array_element(arguments: Arguments) -> Column:
    data = arguments.one(_LIST, list, default=["a", "b", "c"])
    if not data:
        arguments.refuse(_LIST)
    return _choice(arguments, data)


def _choice(arguments: Arguments, data: Sequence[Any], weights: Sequence[float] | None = None) -> Column:
    """Return a column of elements of `data`, weighted if `weights` are given."""
    texts = [javascript.text(value) for value in data]
    choices, totals = arguments.series.choices, [*accumulate(weights)] if weights else None
    return lambda times: choices(texts, cum_weights=totals, k=len(times))


def _weighted_array_element(arguments: Arguments) -> Column:
    given = arguments.one(_WEIGHTS, dict, default={"weights": [0.5, 0.5], "data": ["dog", "cat"]})
    weights, data = given.get("weights"), given.get("data")
    if not isinstance(weights, list) or not isinstance(data, list) or set(given) != {"weights", "data"}:
        arguments.refuse(_WEIGHTS)
    if len(weights) != len(data):
        arguments.refuse(f"{_WEIGHTS}, but there are {len(weights)} weights for {len(data)} elements")
    if not all(_is_number(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        arguments.refuse(_WEIGHTS)
    return _choice(arguments, data, weights)


def _object_element(arguments: Arguments) -> Column:
    takes = 'an object such as {"foo": "bar"}, and "key" for its keys'
    given, field = arguments.several(takes, (dict,), (str,))
    given = {"foo": "bar", "too": "car"} if given is None else given
    if not given:
        arguments.refuse(takes)
    return _choice(arguments, [*(given if field == "key" else given.values())])


def _uuid(arguments: Arguments) -> Column:
    arguments.none()
    randbytes = arguments.series.randbytes

    def column(times: Sequence[int]) -> list[str]:
        # All of them at once: each byte that holds the version, and each that holds the variant (RFC 9562).
        octets = bytearray(randbytes(16 * len(times)))
        octets[6::16] = octets[6::16].translate(_VERSION_4)
        octets[8::16] = octets[8::16].translate(_VARIANT)
        digits = octets.hex()
        return [
            f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
            for h in [digits[start : start + 32] for start in range(0, len(digits), 32)]
        ]

    return column


def _boolean(arguments: Arguments) -> Column:
    arguments.none()
    return _choice(arguments, [False, True])


def _alpha_numeric(arguments: Arguments) -> Column:
    arguments.none()
    return _choice(arguments, _ALPHANUMERIC)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


HELPERS: Final[dict[str, Builder]] = {
    "random.number": _number,
    "random.arrayElement": _array_element,
    "random.weightedArrayElement": _weighted_array_element,
    "random.objectElement": _object_element,
    "random.uuid": _uuid,
    "random.boolean": _boolean,
    "random.alphaNumeric": _alpha_numeric,
    "helpers.randomize": _array_element,
}
"""Builders by the name of the helper."""
