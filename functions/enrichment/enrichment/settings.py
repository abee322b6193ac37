"""The function's settings, read once from its environment variables."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Self

import msgspec

__all__ = ["Settings", "SettingsError"]


class SettingsError(ValueError):
    """An environment variable has an invalid value; says which, and what is valid."""


class Settings(msgspec.Struct, frozen=True):
    """The function's settings."""

    device_time_zone: tzinfo = UTC
    """What a device time without an offset means: DEVICE_TIME_ZONE, an IANA name."""
    metrics_namespace: str = "IotStream"
    """CloudWatch namespace of the metrics: METRICS_NAMESPACE."""
    function_name: str = "iot-enrichment"
    """Dimension FunctionName of the metrics: AWS_LAMBDA_FUNCTION_NAME, which Lambda sets."""
    function_version: str = ""
    """Dimension FunctionVersion: AWS_LAMBDA_FUNCTION_VERSION, which Lambda sets; empty unless METRICS_BY_VERSION."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings; a variable that is absent or empty takes its default.

        Raises:
            SettingsError: the time zone is unknown.
        """
        by_version = environment.get("METRICS_BY_VERSION") == "true"
        return cls(
            device_time_zone=_zone(environment.get("DEVICE_TIME_ZONE") or "UTC"),
            metrics_namespace=environment.get("METRICS_NAMESPACE") or "IotStream",
            function_name=environment.get("AWS_LAMBDA_FUNCTION_NAME") or "iot-enrichment",
            function_version=environment.get("AWS_LAMBDA_FUNCTION_VERSION", "") if by_version else "",
        )


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no time zone data
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - only stacks with another zone need it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"DEVICE_TIME_ZONE is {name!r}, which is not an IANA time zone: use a name such as UTC or Europe/Berlin"
            " (parameter DeviceTimeZone of the template)."
        ) from None
