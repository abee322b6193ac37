"""The metrics of a delivery stream, gathered between two PutMetricData calls.

Names and units: "Monitor Amazon Data Firehose Using CloudWatch metrics", namespace AWS/Firehose.
"""

from typing import Final, NamedTuple

__all__ = ["INDEX", "Metrics", "Statistic"]

INDEX: Final = "DeliveryToAmazonOpenSearchService"


class Statistic(NamedTuple):
    """Values of one metric since the last drain, as CloudWatch takes them."""

    unit: str
    samples: int
    total: float
    least: float
    most: float


class Metrics:
    """Adds up values by metric name."""

    def __init__(self) -> None:
        self._statistics: dict[str, Statistic] = {}

    def add(self, name: str, value: float, unit: str = "Count") -> None:
        """Count one value of a metric."""
        known = self._statistics.get(name)
        self._statistics[name] = (
            Statistic(unit, 1, value, value, value)
            if known is None
            else Statistic(
                unit, known.samples + 1, known.total + value, min(known.least, value), max(known.most, value)
            )
        )

    def drain(self) -> dict[str, Statistic]:
        """What was added since the last call, by metric name."""
        statistics, self._statistics = self._statistics, {}
        return statistics
