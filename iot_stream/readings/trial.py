"""Try readings with the description: what the function returns for each, without a stack."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from iot_stream.description import ADVICE, Cause, Description, Enricher, encode

__all__ = ["Trial", "try_readings"]


@dataclass(frozen=True)
class Trial:
    """What the function makes of a reading.

    Attributes:
        document: one line of JSON, None where the reading fails.
        causes: everything that is wrong with it, empty where it has a document.
        dropped: fields that the document lacks because they are not described.
    """

    document: bytes | None
    causes: tuple[Cause, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def advice(self) -> list[str]:
        """Return what to do about each cause, in their order."""
        return [ADVICE[cause.reason] for cause in self.causes]


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
    trials = []
    for raw in readings:
        enriched = enricher.enrich_all([raw], [arrived_at])
        line = encode(enriched.documents)[0] if enriched.documents else None
        trials.append(Trial(line, enriched.causes.get(0, ()), tuple(enriched.dropped)))
    return trials
