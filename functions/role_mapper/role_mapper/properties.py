"""Parse the custom resource's properties: strings in, one frozen object out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from role_mapper.errors import PropertiesError

__all__ = ["Properties"]

NO_ROTATION = "NoRotation"
_ROTATION_HOURS = {NO_ROTATION: 0, "OneHour": 1, "OneDay": 24, "OneWeek": 7 * 24, "OneMonth": 31 * 24}
_ROTATIONS = tuple(_ROTATION_HOURS)
_INDICES_IN_A_RETENTION = 30
_DIGITS = 9
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Properties:
    """What the domain should be prepared for.

    CloudFormation hands every scalar over as a string (AWS page "Custom resource request objects").

    Attributes:
        domain_endpoint: `host[:port]` of the domain, without a scheme; what is called is the one in `Settings`.
        role_name: the OpenSearch role to make.
        index_pattern: the indices that the role may write to.
        delivery_role_arn: the IAM role that is mapped to it.
        alerts_role_arn: the IAM role of the alerts function; empty without one.
        index_name: the delivery stream's index, before rotation appends a time.
        index_rotation_period: as in Firehose's OpenSearch destination.
        retention_days: how long every reading is kept at least, in days; 0 keeps them all.
        number_of_shards: primary shards of a new index.
        number_of_replicas: copies of each of them.
        refresh_interval: how soon written documents are found, as OpenSearch writes times (`1s`).
        admin_role_arn: an IAM role that administers the domain; empty for none.
        take_over: use a role, template or policy of that name that somebody else made.
        overwrite_dashboards: replace saved objects that people changed (after a copy of them is made).
    """

    domain_endpoint: str
    delivery_role_arn: str
    index_name: str
    alerts_role_arn: str = ""
    role_name: str = "kinesis-firehose"
    index_pattern: str = ""
    index_rotation_period: str = NO_ROTATION
    retention_days: int = 0
    number_of_shards: int = 1
    number_of_replicas: int = 1
    refresh_interval: str = "1s"
    admin_role_arn: str = ""
    take_over: bool = False
    overwrite_dashboards: bool = False

    @classmethod
    def of(cls, properties: Mapping[str, object]) -> "Properties":
        """Return the properties of a request; keys that this function does not know are ignored.

        Raises:
            PropertiesError: one is missing, of the wrong kind or out of range; names it.
        """
        given = _Reader(properties)
        index_name = given.text("IndexName")
        return cls(
            domain_endpoint=given.text("DomainEndpoint"),
            role_name=given.text("RoleName", cls.role_name),
            index_pattern=given.text("IndexPattern", f"{index_name}*"),
            delivery_role_arn=given.text("DeliveryRoleArn"),
            alerts_role_arn=given.text("AlertsRoleArn", cls.alerts_role_arn),
            index_name=index_name,
            index_rotation_period=given.choice("IndexRotationPeriod", _ROTATIONS, cls.index_rotation_period),
            retention_days=given.number("RetentionDays", cls.retention_days, least=0),
            number_of_shards=given.number("NumberOfShards", cls.number_of_shards, least=1),
            number_of_replicas=given.number("NumberOfReplicas", cls.number_of_replicas, least=0),
            refresh_interval=given.text("RefreshInterval", cls.refresh_interval),
            admin_role_arn=given.text("AdminRoleArn", cls.admin_role_arn),
            take_over=given.truth("TakeOver", default=cls.take_over),
            overwrite_dashboards=given.truth("OverwriteDashboards", default=cls.overwrite_dashboards),
        )

    @property
    def alerts_index(self) -> str:
        """The index that the alerts function writes, and its OpenSearch role's name."""
        return f"device-alerts-{self.index_name}"

    @property
    def rotates(self) -> bool:
        """Whether Firehose starts a new index from time to time."""
        return self.index_rotation_period != NO_ROTATION

    @property
    def rolls_over(self) -> bool:
        """Whether the domain starts a new index from time to time, behind an alias, so that old ones can be deleted."""
        return bool(self.retention_days) and not self.rotates

    @property
    def rollover_days(self) -> int:
        """How long the domain writes to one index at most: a thirtieth of the retention, at least a day."""
        return max(1, math.ceil(self.retention_days / _INDICES_IN_A_RETENTION))

    @property
    def rotation_hours(self) -> int:
        """The longest time that one index is written to."""
        return self.rollover_days * 24 if self.rolls_over else _ROTATION_HOURS[self.index_rotation_period]

    @property
    def retention_hours(self) -> int:
        """The age of an index at which every reading in it is at least `retention_days` old.

        Index State Management counts from the creation of an index, and its last reading comes a whole period later.
        """
        return self.retention_days * 24 + self.rotation_hours


@dataclass(frozen=True)
class _Reader:
    properties: Mapping[str, object]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.properties.get(key, "")
        if not isinstance(value, str):
            raise PropertiesError(f"{key} must be a string, not {type(value).__name__}")
        value = value.strip()
        if not value and default is None:
            raise PropertiesError(f"{key} is missing: set it in the custom resource's properties")
        return value or default or ""

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise PropertiesError(f"{key} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def number(self, key: str, default: int, *, least: int) -> int:
        value = self.text(key, str(default))
        if not (value.isascii() and value.isdecimal() and len(value) <= _DIGITS and int(value) >= least):
            raise PropertiesError(f"{key} must be a whole number from {least} up, not {value!r}")
        return int(value)

    def truth(self, key: str, *, default: bool) -> bool:
        return _BOOLEANS[self.choice(key, tuple(_BOOLEANS), str(default).lower())]
