"""Settings of a delivery stream for unit tests: no buffering and nothing optional, unless a test sets it."""

from typing import Any

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.naming import Rotation
from iot_stream.delivery.core.settings import Bucket, Settings

__all__ = ["MB", "make_settings"]

MB = 1024 * 1024


def make_settings(**changes: Any) -> Settings:
    """Return settings that send documents unchanged to `index` and failures to `backup/`, without buffering."""
    values: dict[str, Any] = {
        "name": "d",
        "arn": "arn:aws:firehose:eu-west-1:000000000000:deliverystream/d",
        "version": "1",
        "status": "ACTIVE",
        "created": 1.0,
        "start": 1.0,
        "source_arn": "arn:stream",
        "source_role_arn": "role",
        "role_arn": "role",
        "domain_arn": "arn:domain",
        "endpoint": None,
        "index": "index",
        "rotation": Rotation.NONE,
        "bounds": Bounds(MB, 0),
        "retry_duration": 10_000,
        "with_ids": True,
        "function": None,
        "bucket": Bucket("bucket", "role", "backup/", "", Bounds(MB, 0), "UNCOMPRESSED", "", None, False, None),
        "log": None,
    }
    return Settings(**(values | changes))
