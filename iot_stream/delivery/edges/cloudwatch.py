"""What operators see: AWS/Firehose metrics in CloudWatch, and entries in the delivery stream's error log.

Both use the environment's credentials. AWS publishes the metrics itself, so the delivery role has no permission to;
and ministack checks logs:PutLogEvents against the log group, where AWS and the role's policy use its log streams.
"""

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from iot_stream.delivery.core.commands import ErrorLogEntry
from iot_stream.delivery.core.metrics import Statistic
from iot_stream.delivery.core.settings import LogTarget, Settings
from iot_stream.delivery.edges.aws import AWS_ERRORS, AwsClients, error_code

__all__ = ["CloudWatch", "log_fields"]

_log = logging.getLogger(__name__)

# The worker's last put comes when it was told to stop: that may not take minutes.
_READ_TIMEOUT: Final = 5.0


def log_fields(entry: ErrorLogEntry, settings: Settings, destination: str) -> dict[str, Any]:
    """Return an error log entry with AWS's fields ("Monitor Amazon Data Firehose Using CloudWatch Logs")."""
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
    """Puts metrics and log entries; when that fails, delivery continues."""

    def __init__(self, clients: AwsClients) -> None:
        self._metrics: Any = clients.client("cloudwatch", read_timeout=_READ_TIMEOUT)
        self._logs: Any = clients.client("logs", read_timeout=_READ_TIMEOUT)

    def put_metrics(self, name: str, statistics: dict[str, Statistic], now: int) -> bool:
        """Put the metrics of the delivery stream `name`, collected until `now` (epoch ms); return whether it worked."""
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "DeliveryStreamName", "Value": name}],
                "Timestamp": datetime.fromtimestamp(now / 1000, UTC),
                "Unit": statistic.unit,
                "StatisticValues": {
                    "SampleCount": statistic.sample_count,
                    "Sum": statistic.sum,
                    "Minimum": statistic.minimum,
                    "Maximum": statistic.maximum,
                },
            }
            for metric, statistic in statistics.items()
        ]
        try:
            self._metrics.put_metric_data(Namespace="AWS/Firehose", MetricData=data)
        except AWS_ERRORS as error:
            _log.warning("PutMetricData failed (%s)", error_code(error))
            return False
        return True

    def put_log_entries(self, target: LogTarget, entries: list[dict[str, Any]], now: int) -> None:
        """Put error log entries, all with the time `now` (epoch ms)."""
        events = [{"timestamp": now, "message": msgspec.json.encode(entry).decode()} for entry in entries]
        try:
            self._logs.put_log_events(logGroupName=target.group, logStreamName=target.stream, logEvents=events)
        except AWS_ERRORS as error:
            _log.warning("PutLogEvents to %s failed (%s)", target.group, error_code(error))
