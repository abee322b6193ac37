"""What an operator can set: the function's environment, read once, refused with words when wrong."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Self

import msgspec

__all__ = ["Settings", "SettingsError"]


class SettingsError(ValueError):
    """A variable of the environment has a value that can't be used; says which, and what would do."""


class Settings(msgspec.Struct, frozen=True):
    """The function's settings."""

    device_time_zone: tzinfo = UTC
    """What a device time without an offset means: DEVICE_TIME_ZONE, an IANA name."""
    metrics_namespace: str = "IotStream"
    """CloudWatch namespace of the metrics: METRICS_NAMESPACE."""
    function_name: str = "iot-enrichment"
    """Dimension FunctionName of the metrics: AWS_LAMBDA_FUNCTION_NAME, which Lambda sets."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings; what is absent or empty has its default.

        Raises:
            SettingsError: the time zone is not known.
        """
        return cls(
            device_time_zone=_zone(environment.get("DEVICE_TIME_ZONE") or "UTC"),
            metrics_namespace=environment.get("METRICS_NAMESPACE") or "IotStream",
            function_name=environment.get("AWS_LAMBDA_FUNCTION_NAME") or "iot-enrichment",
        )


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no table
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - most stacks never need it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"DEVICE_TIME_ZONE is {name!r}, which is no IANA time zone: give a name such as UTC or Europe/Berlin"
            " (parameter DeviceTimeZone of the template)."
        ) from None
