"""Whole numbers of things that can't be divided: shards, nodes, units of billing."""

import math
from typing import Final

__all__ = ["whole"]

_ROUNDING_ERROR: Final = 1e-9


def whole(quantity: float) -> int:
    """Return the least whole number that holds `quantity`.

    What floating-point arithmetic alone adds (625,000.0000000001 records a second) does not buy another shard.
    """
    return math.ceil(quantity * (1 - _ROUNDING_ERROR))
