"""Guess the role and the unit of a field from its name in a device's JSON. Pure."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = [
    "DEVICE",
    "IDENTITY",
    "NO_CATEGORY",
    "NO_MEASURE",
    "PLACE",
    "TIME",
    "label_of",
    "length_of",
    "rank",
    "unit_of",
    "words",
]

# Best first: a field whose last words are earlier in the list is the better guess.
TIME: Final = (
    "device ts", "device time", "measured at", "measured", "observed", "taken at", "sampled at", "timestamp", "ts",
    "at", "time", "datetime", "date time", "event time", "observed at", "received at", "created at", "date", "when",
    "epoch",
)  # fmt: skip
DEVICE: Final = (
    "device id", "deviceid", "dev eui", "deveui", "device", "sensor id", "sensor", "thing", "thing name", "node id",
    "node", "machine id", "machine", "meter id", "meter", "asset id", "asset", "vehicle id", "vehicle", "vin",
    "unit id", "station id", "station", "imei", "serial", "serial number", "mac", "gateway id", "client id", "name",
    "id",
)  # fmt: skip
IDENTITY: Final = (
    "uuid", "guid", "message id", "msg id", "messageid", "reading id", "event id", "record id", "ulid", "meta id",
)  # fmt: skip
PLACE: Final = frozenset({"location", "position", "geo", "gps", "coordinates", "coords", "point", "place"})
NO_MEASURE: Final = frozenset({
    "id", "count", "counter", "seq", "sequence", "port", "version", "index", "number", "no", "lat", "lon", "lng",
    "latitude", "longitude", "channel", "frequency", "bandwidth", "factor", "fcnt", "airtime", "track", "code", "bytes",
})  # fmt: skip
NO_CATEGORY: Final = frozenset({
    "id", "address", "eui", "mac", "serial", "version", "firmware", "raw", "payload", "token", "note", "message",
    "name", "description", "comment", "key", "url", "fw",
})  # fmt: skip
_UNITS: Final = {
    "fahrenheit": "°F", "celsius": "°C", "temperature": "°C", "temp": "°C", "humidity": "%", "percent": "%", "pct": "%",
    "mv": "mV", "voltage": "V", "volts": "V", "pressure": "hPa", "hpa": "hPa", "kpa": "kPa", "co2": "ppm", "ppm": "ppm",
    "rssi": "dBm", "snr": "dB", "light": "lx", "lux": "lx", "mm": "mm", "cm": "cm", "kmh": "km/h", "kwh": "kWh",
    "kw": "kW", "watts": "W", "ma": "mA", "amps": "A", "kg": "kg", "db": "dB", "rpm": "rpm", "hz": "Hz", "bar": "bar",
    "lpm": "l/min", "ms": "ms",
}  # fmt: skip
_LAST_TWO: Final = {"mm s": "mm/s", "m s": "m/s", "km h": "km/h", "l min": "l/min", "kg h": "kg/h"}
_LAST_LETTERS: Final = {"c": "°C", "f": "°F", "v": "V", "w": "W", "a": "A", "m": "m"}
_SAY_NOTHING: Final = frozenset({"value", "val", "unit", "units"})
_QUANTITIES: Final = frozenset({
    "temperature", "temp", "humidity", "voltage", "pressure", "co2", "rssi", "snr", "light",
})  # fmt: skip
"""Words of `_UNITS` that say what is measured: a label keeps them."""
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(key: str) -> list[str]:
    """Return the words of a key, in lower case: `battery_mV`, `batteryMV` and `battery-mv` have the same."""
    return [
        word.lower()
        for part in re.split(r"[^A-Za-z0-9]+", re.sub(r"(?i)co2|pm25|pm10", lambda m: f"_{m[0].lower()}_", key))
        for word in (["co2"] if part.lower() == "co2" else _WORD.findall(part))
    ]


def rank(path: Sequence[str], best_first: Sequence[str]) -> int | None:
    """Return how good a path's last words fit a list, 0 for best; None where they don't fit."""
    said = path[: len(path) + 1 - length_of(path)]
    spoken = f" {' '.join(word for key in said for word in words(key))}"
    return next((number for number, name in enumerate(best_first) if spoken.endswith(f" {name}")), None)


def length_of(path: Sequence[str]) -> int:
    """Return how many of a path's last keys it takes to say what a field is: two for `flow.value`."""
    return 1 + (len(path) > 1 and path[-1].lower() in _SAY_NOTHING)


def unit_of(path: Sequence[str]) -> str | None:
    """Return the unit that a path's last key speaks of, or the one above a key such as `value`."""
    key = path[-length_of(path)]
    spoken = words(key)
    if not spoken:
        return None
    whole = re.split(r"[^A-Za-z0-9]+", key)[-1].lower()  # mV is one word here
    if whole in _UNITS:
        return _UNITS[whole]
    if " ".join(spoken[-2:]) in _LAST_TWO:
        return _LAST_TWO[" ".join(spoken[-2:])]
    if len(spoken) > 1 and spoken[-1] in _LAST_LETTERS:
        return _LAST_LETTERS[spoken[-1]]
    return next((_UNITS[word] for word in reversed(spoken) if word in _UNITS), None)


def label_of(name: str) -> str | None:
    """Return a field's name without the unit that it ends in; None where nothing else is left, or it has none."""
    spoken = name.split("_")
    if " ".join(spoken[-2:]) in _LAST_TWO:
        return " ".join(spoken[:-2]) or None
    is_unit = spoken[-1] in {*_UNITS, *_LAST_LETTERS} - _QUANTITIES
    return " ".join(spoken[:-1]) or None if is_unit else None
