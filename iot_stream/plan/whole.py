"""Round up quantities of things that can't be divided: shards, nodes, units of billing."""

import math
from typing import Final

__all__ = ["whole"]

_ROUNDING_ERROR: Final = 1e-9


def whole(quantity: float) -> int:
    """Return the smallest whole number that is not less than `quantity`.

    Floating-point errors (625,000.0000000001 records per second) do not add another shard.
    """
    return math.ceil(quantity * (1 - _ROUNDING_ERROR))
