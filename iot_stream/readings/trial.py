"""Try readings with the description: what the function returns for each, without a stack."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from iot_stream.description import ADVICE, Cause, Description, Enricher, Field, encode
from iot_stream.readings.wanted import bounds_text, wanted

__all__ = ["Trial", "try_readings"]


@dataclass(frozen=True)
class Trial:
    """What the function makes of a reading.

    Attributes:
        document: one line of JSON, None where the reading fails.
        causes: everything that is wrong with it, empty where it has a document.
        dropped: fields that the document lacks because they are not described.
        advice: what to do about each cause, in their order.
    """

    document: bytes | None
    causes: tuple[Cause, ...] = ()
    dropped: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def try_readings(
    readings: Iterable[bytes], description: Description, zone: tzinfo, arrived_at: int | None
) -> list[Trial]:
    """Return what the function makes of each reading, by the very code that is deployed.

    Args:
        readings: the data of each record.
        description: what devices send.
        zone: what a time without an offset means (parameter `DeviceTimeZone`).
        arrived_at: when the stream took the records, in epoch milliseconds: their documents' `ingested_at`.
    """
    enricher = Enricher(description, zone)
    fields = {field.source: field for field in description.inputs}
    trials = []
    for raw in readings:
        enriched = enricher.enrich_all([raw], [arrived_at])
        line = encode(enriched.documents)[0] if enriched.documents else None
        causes = enriched.causes.get(0, ())
        advice = tuple(_advice(cause, fields.get(cause.field or "")) for cause in causes)
        trials.append(Trial(line, causes, tuple(enriched.dropped), advice))
    return trials


def _advice(cause: Cause, field: Field | None) -> str:
    """Return what to do, with what the description says of the field where the function's own advice can't know it."""
    if field is not None and cause.reason == "wrong_type":
        return f"send {wanted(field)}, or change the field's type in readings.toml"
    if field is not None and cause.reason == "number_out_of_range":
        return f"check the device, or change min and max in readings.toml:{bounds_text(field) or ' those of the type'}"
    return ADVICE[cause.reason]
