"""Endless series of records, generated from templates (the same seed gives the same values) or recorded."""

import itertools
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from iot_stream.generator.faults import Disturbance
from iot_stream.generator.template.compiled import Template

__all__ = ["Reading", "Readings", "Recorded", "Series"]


class Reading(NamedTuple):
    """One record: its partition key, which is random as the Kinesis Data Generator's is, and its bytes."""

    key: str
    data: bytes


class Series(Protocol):
    """A source of records."""

    def take(self, times: Sequence[int]) -> list[Reading]:
        """Return one record for each time, in milliseconds since 1970-01-01 UTC."""
        ...


class Recorded:
    """Recorded readings, unchanged; after the last one, the first one follows again."""

    def __init__(self, records: Sequence[bytes], seed: int) -> None:
        """Create a series of at least one record; the seed determines the partition keys."""
        self._records = itertools.cycle(records)
        self._keys = random.Random(f"{seed} key")

    def take(self, times: Sequence[int]) -> list[Reading]:
        """Return the next records, one for each time, without changing the times in them."""
        return [
            Reading(self._keys.randbytes(4).hex(), record) for record in itertools.islice(self._records, len(times))
        ]


class Readings:
    """Records of one template, or of several by weight."""

    def __init__(self, templates: Sequence[tuple[Template, float]], disturbance: Disturbance, seed: int) -> None:
        """Create a series.

        Args:
            templates: each with its weight, above 0.
            disturbance: what goes wrong with some of the records.
            seed: of what is random beside the templates' own values.
        """
        self._disturbance = disturbance
        self._templates = [template for template, _ in templates]
        self._weights = [*accumulate(weight for _, weight in templates)]
        self._keys = random.Random(f"{seed} key")
        self._choices = random.Random(f"{seed} template")

    def take(self, times: Sequence[int]) -> list[Reading]:
        """Return one record for each time, in milliseconds since 1970-01-01 UTC.

        Half a surrogate pair, which JSON can write and UTF-8 can't, becomes "?".
        """
        digits = self._keys.randbytes(4 * len(times)).hex()
        keys = [digits[start : start + 8] for start in range(0, len(digits), 8)]
        texts = self._texts(self._disturbance.delayed(times))
        return [*map(Reading, keys, self._disturbance.disturbed([text.encode(errors="replace") for text in texts]))]

    def _texts(self, times: Sequence[int]) -> Sequence[str]:
        if len(self._templates) == 1:
            return self._templates[0].render(times)
        numbers = self._choices.choices(range(len(self._templates)), cum_weights=self._weights, k=len(times))
        texts = [""] * len(times)
        for number, template in enumerate(self._templates):
            rows = [row for row, chosen in enumerate(numbers) if chosen == number]
            for row, text in zip(rows, template.render([times[row] for row in rows]), strict=True):
                texts[row] = text
        return texts
