"""The function's settings, from the environment that template.yaml gives it (pure)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Settings", "SettingsError"]

_ENDPOINT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")


class SettingsError(ValueError):
    """An environment variable is missing or malformed; says which, and what is valid."""


@dataclass(frozen=True)
class Settings:
    """The function's settings.

    Attributes:
        domain_endpoint: `host[:port]` of the domain: DOMAIN_ENDPOINT.
        index_name: the stream's index, before rotation: INDEX_NAME.
        alerts_index: where alerts are written: ALERTS_INDEX.
        topic_arn: the topic to publish to (TOPIC_ARN).
        delivery_stream: whose metrics say how far delivery has come: DELIVERY_STREAM.
        grace_seconds: TRANSFORM_BUFFER_SECONDS and DELIVERY_BUFFER_SECONDS together.
        late_after_seconds: age of the latest arrival at which the pipeline is late: LATE_AFTER_SECONDS.
        keep_days: days to keep closed alerts and devices without readings; 0 for no limit (KEEP_DAYS).
    """

    domain_endpoint: str
    index_name: str
    alerts_index: str
    topic_arn: str
    delivery_stream: str
    grace_seconds: int
    late_after_seconds: int
    keep_days: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings.

        Raises:
            SettingsError: a variable is missing or malformed; names it.
        """
        endpoint = _text(environment, "DOMAIN_ENDPOINT")
        if not _ENDPOINT.fullmatch(endpoint):
            raise SettingsError(
                f"DOMAIN_ENDPOINT is {endpoint!r}: set it to the domain's host[:port], without https:// or a path"
            )
        return cls(
            domain_endpoint=endpoint,
            index_name=_text(environment, "INDEX_NAME"),
            alerts_index=_text(environment, "ALERTS_INDEX"),
            topic_arn=_text(environment, "TOPIC_ARN"),
            delivery_stream=_text(environment, "DELIVERY_STREAM"),
            grace_seconds=sum(
                _number(environment, name) for name in ("TRANSFORM_BUFFER_SECONDS", "DELIVERY_BUFFER_SECONDS")
            ),
            late_after_seconds=_number(environment, "LATE_AFTER_SECONDS"),
            keep_days=_number(environment, "KEEP_DAYS", "days"),
        )


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is missing: deploy the template, which sets it")
    return value


def _number(environment: Mapping[str, str], name: str, unit: str = "seconds") -> int:
    value = environment.get(name, "")
    if not (value.isascii() and value.isdecimal()):
        raise SettingsError(f"{name} is {value!r}: set it to a whole number of {unit}")
    return int(value)
