"""What operators see: AWS/Firehose metrics in CloudWatch, error entries in the delivery stream's log group.

Both are put with the environment's credentials. AWS publishes the metrics itself, so that the delivery role has no
right to; and ministack asks for logs:PutLogEvents on the log group, where AWS and roles have it on its log streams.
"""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from iot_stream.delivery.core.commands import ErrorLogEntry
from iot_stream.delivery.core.metrics import Statistic
from iot_stream.delivery.core.settings import LogTarget, Settings
from iot_stream.delivery.edges.aws import AWS_ERRORS, Access, code_of

__all__ = ["CloudWatch", "log_entry"]

_log = logging.getLogger(__name__)


def log_entry(entry: ErrorLogEntry, settings: Settings, destination: str) -> dict[str, Any]:
    """An error entry with AWS's fields ("Monitor Amazon Data Firehose Using CloudWatch Logs")."""
    fields: dict[str, Any] = {
        "deliveryStreamARN": settings.arn,
        "destination": f"arn:aws:s3:::{settings.bucket.name}" if entry.of_bucket else destination,
        "deliveryStreamVersionId": int(settings.version),
        "message": entry.message,
        "errorCode": entry.code,
    }
    if entry.of_function and settings.function:
        fields["processor"] = settings.function.arn
    return fields


class CloudWatch:
    """Puts metrics and log entries; when that fails, delivery goes on."""

    def __init__(self, access: Access) -> None:
        self._metrics: Any = access.client("cloudwatch")
        self._logs: Any = access.client("logs")

    def publish(self, name: str, statistics: dict[str, Statistic], now: int) -> None:
        """Put the metrics of the delivery stream `name`, gathered until `now` (epoch ms)."""
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "DeliveryStreamName", "Value": name}],
                "Timestamp": datetime.fromtimestamp(now / 1000, UTC),
                "Unit": statistic.unit,
                "StatisticValues": {
                    "SampleCount": statistic.samples,
                    "Sum": statistic.total,
                    "Minimum": statistic.least,
                    "Maximum": statistic.most,
                },
            }
            for metric, statistic in statistics.items()
        ]
        try:
            self._metrics.put_metric_data(Namespace="AWS/Firehose", MetricData=data)
        except AWS_ERRORS as error:
            _log.warning("PutMetricData failed (%s)", code_of(error))

    def log(self, target: LogTarget, entries: list[dict[str, Any]], now: int) -> None:
        """Put error entries, all of the time `now` (epoch ms)."""
        events = [{"timestamp": now, "message": msgspec.json.encode(entry).decode()} for entry in entries]
        try:
            self._logs.put_log_events(logGroupName=target.group, logStreamName=target.stream, logEvents=events)
        except AWS_ERRORS as error:
            _log.warning("PutLogEvents to %s failed (%s)", target.group, code_of(error))
