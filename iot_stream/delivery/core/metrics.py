"""The metrics of a delivery stream, gathered between two PutMetricData calls.

Names, units and cases: "Monitor Amazon Data Firehose with CloudWatch metrics", namespace AWS/Firehose, "Delivery to
OpenSearch Service", "Data ingestion through Kinesis Data Streams" and "Data Transformation CloudWatch Metrics".
`BackupToS3.*` is not listed for this destination.
"""

from typing import Final, NamedTuple

__all__ = ["BACKUP", "INDEX", "Metrics", "Statistic"]

INDEX: Final = "DeliveryToAmazonOpenSearchService"
BACKUP: Final = "DeliveryToS3"


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
