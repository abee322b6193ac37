"""Say which values a field takes. Pure."""

from typing import Final

from iot_stream.description import Field, TimeFormat, Type

__all__ = ["bounds_text", "number_text", "wanted"]

_MINUS: Final = "\u2212"
_LARGEST: Final = 10**15  # written with all its digits
_EPOCHS: Final = {
    TimeFormat.EPOCH_SECOND: "seconds",
    TimeFormat.EPOCH_MILLIS: "milliseconds",
    TimeFormat.EPOCH_MICROS: "microseconds",
    TimeFormat.EPOCH_NANOS: "nanoseconds",
}


def wanted(field: Field) -> str:
    """Return which values a field takes, as the object of a sentence."""
    match field.type:
        case Type.KEYWORD:
            return "text"
        case Type.LONG | Type.DOUBLE | Type.SCALED_FLOAT:
            kind = "a whole number" if field.type is Type.LONG else "a number"
            unit = f" in {field.unit}" if field.unit else ""
            return f"{kind}{unit}{bounds_text(field)}"
        case Type.BOOLEAN:
            return "true or false"
        case Type.DATE if field.format is TimeFormat.TEXT:
            return "a time as text"
        case Type.DATE:
            return f"a time as a number of {_EPOCHS[field.format]} since 1970-01-01 UTC"
        case Type.GEO_POINT:
            return "a point"
        case Type.IP:
            return "an IPv4 or IPv6 address"


def bounds_text(field: Field) -> str:
    """Return a number's bounds with a blank before them; empty where there are none."""
    low, high = field.minimum, field.maximum
    if low is not None:
        return f" from {number_text(low)} {'upward' if high is None else f'to {number_text(high)}'}"
    if high is not None:
        return f" up to {number_text(high)}"
    return f" from {_MINUS}2⁶³ to 2⁶³ {_MINUS} 1" if field.type is Type.LONG else ""


def number_text(value: float) -> str:
    """Return a number as people write it: with commas between thousands, and a real minus."""
    text = f"{int(value):,}" if float(value).is_integer() and abs(value) < _LARGEST else f"{value:,.15g}"
    return text.replace("-", _MINUS)
