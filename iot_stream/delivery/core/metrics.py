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
        self._merge(name, Statistic(unit, 1, value, value, value))

    def restore(self, statistics: dict[str, Statistic]) -> None:
        """Add again what `drain` returned and CloudWatch did not accept; there is one statistic for each name still."""
        for name, statistic in statistics.items():
            self._merge(name, statistic)

    def _merge(self, name: str, new: Statistic) -> None:
        known = self._statistics.get(name)
        self._statistics[name] = (
            new
            if known is None
            else Statistic(
                new.unit,
                known.sample_count + new.sample_count,
                known.sum + new.sum,
                min(known.minimum, new.minimum),
                max(known.maximum, new.maximum),
            )
        )

    def drain(self) -> dict[str, Statistic]:
        """Return what was added since the last call, by metric name."""
        statistics, self._statistics = self._statistics, {}
        return statistics
