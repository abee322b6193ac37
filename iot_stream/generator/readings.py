"""Seeded device readings of the walkthrough's shape and weights (its Kinesis Data Generator template)."""

import datetime as dt
import json
import random
import uuid
from dataclasses import dataclass

__all__ = ["Reading", "Readings"]

_TEMPERATURES = (32, 34, 28, 40)
_TEMPERATURE_WEIGHTS = (0.3, 0.3, 0.2, 0.2)
_ACTIVITIES = ("Running", "Working", "Walking", "Traveling", "Sitting")
_ACTIVITY_WEIGHTS = (0.1, 0.2, 0.2, 0.3, 0.2)
_DEVICES = 51  # ids 0 to 50
_TRACKS = 31  # ids 0 to 30


@dataclass(frozen=True)
class Reading:
    """One reading: its uuid, which is also its partition key, and its JSON as a device writes it."""

    uuid: str
    data: bytes


class Readings:
    """An endless series of readings: the same seed gives the same series, apart from the time of each reading.

    Uuids are drawn from a random series of their own, so that a new field does not change those of later readings.
    """

    def __init__(self, seed: int) -> None:
        self._uuids = random.Random(f"uuid {seed}")
        self._values = random.Random(f"values {seed}")

    def next(self, now: dt.datetime) -> Reading:
        """Return the next reading, taken at `now` (an aware time; written in UTC with milliseconds)."""
        identity = self._uuid()
        temperature = self._values.choices(_TEMPERATURES, _TEMPERATURE_WEIGHTS)[0]
        activity = self._values.choices(_ACTIVITIES, _ACTIVITY_WEIGHTS)[0]
        reading = {
            "uuid": identity,
            "device_ts": now.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "device_id": self._values.randrange(_DEVICES),
            "device_temp": temperature,
            "track_id": self._values.randrange(_TRACKS),
            "activity_type": activity,
        }
        return Reading(identity, json.dumps(reading).encode())

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._uuids.getrandbits(128), version=4))
