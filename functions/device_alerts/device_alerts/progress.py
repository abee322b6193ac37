"""Determine how far delivery has come from the delivery stream's metrics.

Contract: Amazon Data Firehose, "Monitor Amazon Data Firehose with CloudWatch metrics":
`DeliveryToAmazonOpenSearchService.DataFreshness` is "the age (from getting into Firehose to now) of the oldest record
in Firehose. Any record older than this age has been delivered"; `KinesisMillisBehindLatest` is how far reading is
behind the stream. Their maxima are those of the slowest shard. `GetMetricStatistics` returns points in no particular
order; a point's time is the start of its period.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["CloudWatch", "Progress", "progress_of"]

_PERIOD: Final = 60
# Firehose publishes every five minutes, CloudWatch shows a point a minute or two later: the latest one may be so old.
_SHOWN_AFTER: Final = 900_000
_METRICS: Final = (("KinesisMillisBehindLatest", 1), ("DeliveryToAmazonOpenSearchService.DataFreshness", 1000))

type Points = Sequence[tuple[int, int]]
"""Times of a metric's points and its maxima, both in milliseconds."""


@dataclass(frozen=True)
class Progress:
    """The progress shown by the metrics; unknown for a delivery stream that has none yet.

    Attributes:
        through: everything that arrived before this time has been delivered; None if unknown.
        age: age of the oldest undelivered reading, in milliseconds.
        most: the largest such age in the window of metrics.
    """

    through: int | None = None
    age: int = 0
    most: int = 0


def progress_of(*metrics: Points) -> Progress:
    """Return the progress from the metrics of reading and of delivery.

    A record that was not delivered at a time had been read at most `DataFreshness` before, and had arrived at most
    `KinesisMillisBehindLatest` before that: while a backlog is in the buffers, reading is on time again. So the largest
    values of the whole window count.
    """
    told = [points for points in metrics if points]
    if not told:
        return Progress()
    latest = [max(points) for points in told]
    most = sum(max(value for _, value in points) for points in told)
    return Progress(min(at for at, _ in latest) - most, sum(value for _, value in latest), most)


class CloudWatch:
    """Asks CloudWatch; a call may raise as botocore does.

    Args:
        client: a CloudWatch client.
        delivery_stream: its name.
        buffers: milliseconds that the delivery stream may hold a record.
    """

    def __init__(self, client: Any, delivery_stream: str, buffers: int) -> None:
        self._client = client
        self._dimensions = [{"Name": "DeliveryStreamName", "Value": delivery_stream}]
        self._window = buffers + _SHOWN_AFTER

    def __call__(self, now: int) -> Progress:
        """Return how far delivery has come by now, epoch milliseconds."""
        return progress_of(*(self._points(name, scale, now) for name, scale in _METRICS))

    def _points(self, name: str, scale: int, now: int) -> Points:
        response: Mapping[str, Any] = self._client.get_metric_statistics(
            Namespace="AWS/Firehose",
            MetricName=name,
            Dimensions=self._dimensions,
            StartTime=datetime.fromtimestamp((now - self._window) / 1000, UTC),
            EndTime=datetime.fromtimestamp(now / 1000, UTC),
            Period=_PERIOD,
            Statistics=["Maximum"],
        )
        return [
            (round(point["Timestamp"].timestamp() * 1000), round(point["Maximum"] * scale))
            for point in response["Datapoints"]
        ]
