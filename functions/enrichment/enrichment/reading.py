"""Device readings → documents, or everything that is wrong with them. Pure: no clock, environment, logger or AWS.

The description is compiled once into typed structs and one conversion for each column that needs one. Readings are
then handled a chunk at a time: decoded by msgspec, taken apart into columns, converted column by column, and put
together as documents. What the typed decoder refuses goes to `lenient`, alone.
"""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any, Final, cast

import msgspec

from enrichment import undescribed
from enrichment.compiled import Column, compile_document, compile_reading, conversion
from enrichment.description import Description, Unknown
from enrichment.lenient import LenientReader
from enrichment.reasons import Cause, ReadingError, Reason, UnusableError
from enrichment.timestamps import from_epochs
from enrichment.undescribed import Undescribed

__all__ = ["Enriched", "Enricher", "encode"]

_REFUSED: Final = (UnicodeDecodeError, msgspec.DecodeError, RecursionError)
_BAD: Final = object()

_encode_lines = msgspec.json.Encoder().encode_lines


class Enriched(msgspec.Struct):
    """What became of a chunk of readings."""

    documents: list[Any]
    """Of the readings that have one, in order; for `encode`."""
    timestamps: Sequence[str]
    """Device times of the documents."""
    causes: dict[int, tuple[Cause, ...]]
    """Everything that is wrong with the other readings, by position, in ascending order."""
    dropped: dict[str, int]
    """How many documents lack an undescribed field that their reading had, by its path."""


class Enricher:
    """Makes documents of readings, by one description."""

    def __init__(self, description: Description, zone: tzinfo) -> None:
        """Compile a description.

        Args:
            description: what devices send, and what OpenSearch gets.
            zone: what a device time without an offset means.
        """
        self._names = [field.name for field in description.fields]
        self._time = self._names.index(description.time.name)
        self._keep = description.unknown is Unknown.KEEP
        strict, tolerant, self._take_apart = compile_reading(description)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(strict).decode
        self._decode_tolerant: Callable[[str], Any] = msgspec.json.Decoder(tolerant).decode
        self._conversions = [
            (position, convert)
            for position, field in enumerate(description.fields)
            if (convert := conversion(field, zone)) is not None
        ]
        self._document = compile_document(description)
        self._lenient = LenientReader(description, zone)
        self._undescribed = Undescribed(description)

    def enrich(self, raw: bytes, arrived_at: object = None) -> Any:
        """Return the document of one reading.

        Args:
            raw: the record's data, whatever it may be.
            arrived_at: `approximateArrivalTimestamp` in epoch milliseconds; anything else leaves `ingested_at` out.

        Raises:
            ReadingError: the reading can't become a document; says everything that is wrong, without quoting it.
        """
        enriched = self.enrich_all([raw], [arrived_at])
        if enriched.causes:
            raise ReadingError(enriched.causes[0])
        return enriched.documents[0]

    def enrich_all(self, data: Sequence[bytes | None], arrivals: list[object]) -> Enriched:
        """Return the documents of many readings, and why the others have none.

        Args:
            data: each record's data, None where it is not base64.
            arrivals: as `enrich` has it, of each record.
        """
        try:
            columns = self._take_apart([*map(self._decode, cast("Sequence[bytes]", data))])
            for position, convert in self._conversions:
                columns[position] = convert(columns[position])
        except (*_REFUSED, UnusableError, TypeError):  # the last for None
            return self._enrich_unusual(data, arrivals)
        documents = [*map(self._document, *columns, from_epochs(arrivals))]
        return Enriched(documents, columns[self._time], {}, {})

    def _enrich_unusual(self, data: Sequence[bytes | None], arrivals: list[object]) -> Enriched:
        """Do what `enrich_all` does where at least one reading is not in canonical form, or can't be converted."""
        unknown: dict[int, Any] = {}
        good, readings, rest = self._decode_each(data, unknown)
        columns = self._take_apart(readings)
        bad: set[int] = set()
        for position, convert in self._conversions:
            try:
                columns[position] = convert(columns[position])
            except UnusableError:  # one value is enough: find out which, and go on with the others
                columns[position] = [_attempt(convert, value) for value in columns[position]]
                bad.update(row for row, value in enumerate(columns[position]) if value is _BAD)
        causes: dict[int, tuple[Cause, ...]] = {}
        if rest or bad:
            lenient = sorted([*rest, *(good[row] for row in bad)])
            rows = {index: row for row, index in enumerate(good) if row not in bad}
            late = self._read_leniently(data, lenient, unknown, causes)
            good = sorted([*rows, *late])
            columns = [
                [column[rows[index]] if index in rows else late[index][position] for index in good]
                for position, column in enumerate(columns)
            ]
        timestamps = columns[self._time]
        columns.append(from_epochs([arrivals[index] for index in good]))
        if self._keep:
            columns.append([unknown.get(index) for index in good])
        dropped = (
            {} if self._keep or not unknown else undescribed.count(unknown[index] for index in good if index in unknown)
        )
        return Enriched([*map(self._document, *columns)], timestamps, causes, dropped)

    def _decode_each(
        self, data: Sequence[bytes | None], unknown: dict[int, Any]
    ) -> tuple[list[int], list[Any], list[int]]:
        """Return positions and structs of the readings in canonical form, and the positions of the rest."""
        good, readings, rest = [], [], []
        for index, raw in enumerate(data):
            reading = None if raw is None else self._decode_one(raw, index, unknown)
            if reading is None:
                rest.append(index)
            else:
                good.append(index)
                readings.append(reading)
        return good, readings, rest

    def _decode_one(self, raw: bytes, index: int, unknown: dict[int, Any]) -> Any:
        """Return the struct of a reading in canonical form, which may have undescribed fields; None of any other."""
        if unknown:  # once one reading has more than is described, the next ones will
            return self._decode_with_unknown(raw, index, unknown)
        try:
            return self._decode(raw)
        except _REFUSED:
            return self._decode_with_unknown(raw, index, unknown)

    def _decode_with_unknown(self, raw: bytes, index: int, unknown: dict[int, Any]) -> Any:
        try:
            text = raw.decode()
            reading = self._decode_tolerant(text)
            self._note(index, text, msgspec.json.decode(text), unknown)
        except _REFUSED:
            return None
        return reading

    def _note(self, index: int, text: str, reading: dict[str, Any], unknown: dict[int, Any]) -> None:
        """Note which fields of a reading are not described; with `unknown = "keep"`, what they hold."""
        found = self._undescribed.find(reading)
        if found:
            unknown[index] = undescribed.to_json(text, found) if self._keep else found

    def _read_leniently(
        self,
        data: Sequence[bytes | None],
        indices: list[int],
        unknown: dict[int, Any],
        causes: dict[int, tuple[Cause, ...]],
    ) -> dict[int, list[Any]]:
        """Return the documents' values of readings that the typed decoder refused, and add the causes of the others."""
        found: dict[int, list[Any]] = {}
        for index in indices:
            raw = data[index]
            if raw is None:
                causes[index] = (Cause(Reason.NOT_BASE64),)
                continue
            try:
                values, reading = self._lenient.read(raw)
                self._note(index, raw.decode(), reading, unknown)
            except ReadingError as error:
                causes[index] = error.causes
                continue
            except (msgspec.DecodeError, RecursionError):  # what is to be kept can't be written, and must not be lost
                causes[index] = (Cause(Reason.LONE_SURROGATE),)
                continue
            found[index] = [values.get(name) for name in self._names]
        return found


def encode(documents: list[Any]) -> list[bytes]:
    """Return each document as a newline-terminated line of UTF-8 JSON, as Firehose wants it for OpenSearch."""
    return _encode_lines(documents).splitlines(keepends=True)  # JSON escapes line ends, so these are the only ones


def _attempt(convert: Callable[[Column], Column], value: Any) -> Any:
    try:
        return convert([value])[0]
    except UnusableError:
        return _BAD
