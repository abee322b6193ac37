"""The metrics of a delivery stream, collected between two PutMetricData calls.

Names, units and cases: "Monitor Amazon Data Firehose with CloudWatch metrics", namespace AWS/Firehose, tables "Delivery
to OpenSearch Service", "Data ingestion through Kinesis Data Streams" and "Data Transformation CloudWatch Metrics".
`BackupToS3.*` is not listed for this destination.
"""

from typing import Final, NamedTuple

__all__ = ["BACKUP", "INDEX", "Metrics", "Statistic"]

INDEX: Final = "DeliveryToAmazonOpenSearchService"
BACKUP: Final = "DeliveryToS3"


class Statistic(NamedTuple):
    """The values of one metric since the last `drain`, as CloudWatch's StatisticSet."""

    unit: str
    sample_count: int
    sum: float
    minimum: float
    maximum: float


class Metrics:
    """Aggregates values by metric name."""

    def __init__(self) -> None:
        self._statistics: dict[str, Statistic] = {}

    def add(self, name: str, value: float, unit: str = "Count") -> None:
        """Add one value of a metric."""
        known = self._statistics.get(name)
        self._statistics[name] = (
            Statistic(unit, 1, value, value, value)
            if known is None
            else Statistic(
                unit,
                known.sample_count + 1,
                known.sum + value,
                min(known.minimum, value),
                max(known.maximum, value),
            )
        )

    def drain(self) -> dict[str, Statistic]:
        """Return what was added since the last call, by metric name."""
        statistics, self._statistics = self._statistics, {}
        return statistics
