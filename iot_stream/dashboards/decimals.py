"""Choose the displayed decimals of a measure from its description. Pure."""

import math
from typing import Final

from iot_stream.description import Field, Type

__all__ = ["decimals_of", "number_format"]

_DIGITS: Final = 3  # significant ones, of the largest number that is usual
_MOST: Final = 6
_THOUSAND: Final = 1000


def decimals_of(measure: Field) -> int:
    """Return the decimals of averages and extremes: three significant digits, limited to what the index keeps.

    Usual are examples and thresholds, else the bounds. Where none is known: the index's decimals (at most 3), or 2.
    """
    largest = _largest(measure)
    if largest:
        wanted = min(max(_DIGITS - math.ceil(math.log10(largest)), 0), _MOST)
    else:
        wanted = 2 if measure.decimals is None else min(measure.decimals, _DIGITS)
    if measure.type is Type.LONG:
        return min(wanted, 1)  # an average has one
    return wanted if measure.decimals is None else min(wanted, max(measure.decimals, 1))


def number_format(measure: Field) -> str:
    """Return the d3 format, with thousands separators if usual numbers need them."""
    commas = "," if _largest(measure) >= _THOUSAND else ""
    return f"{commas}.{decimals_of(measure)}f"


def _largest(measure: Field) -> float:
    """Return the largest usual number without its sign; 0 where nothing is known."""
    examples = [value for value in measure.examples if not isinstance(value, str)]
    usual = [value for value in (*examples, measure.alert_above, measure.alert_below) if value is not None]
    bounds = [value for value in (measure.minimum, measure.maximum) if value is not None]
    return max(map(abs, usual or bounds), default=0)
