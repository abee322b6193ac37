"""Compile a template once: one column of values for each helper, and one format string for a row."""

import datetime as dt
import difflib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from iot_stream.generator.template import basic, dates, drawn, faked
from iot_stream.generator.template.column import Arguments, Builder, Column
from iot_stream.generator.template.grammar import Call, TemplateError, parse

__all__ = ["HELPERS", "Template", "compile_template"]

HELPERS: Final[dict[str, Builder]] = basic.HELPERS | dates.HELPERS | drawn.HELPERS | faked.HELPERS
"""Every helper that a template can use."""


@dataclass(frozen=True)
class Template:
    """A compiled template.

    Attributes:
        row: the record's text, with `%s` for each helper's value.
        arguments: what each helper was made of, in the order of the text.
        columns: makes each helper's values.
    """

    row: str
    arguments: tuple[Arguments, ...]
    columns: tuple[Column, ...]

    def render(self, times: Sequence[int]) -> list[str]:
        """Return one record for each time (milliseconds since 1970-01-01 UTC), ending in a line break as KDG's do."""
        if not self.columns:
            return [self.row % ()] * len(times)
        return [*map(self.row.__mod__, zip(*[column(times) for column in self.columns], strict=True))]


def compile_template(text: str, file: str, *, seed: str, zone: dt.tzinfo) -> Template:
    """Compile a template of the Kinesis Data Generator.

    Args:
        text: the template.
        file: its name, for errors.
        seed: of its random values; equal seeds give equal records, apart from times.
        zone: what `date.now` means by local time.

    Raises:
        TemplateError: it can't be read, names an unknown helper, or gives one the wrong arguments.
    """
    row, every, columns = "", list[Arguments](), list[Column]()
    seen: Counter[str] = Counter()
    for part in parse(text, file):
        if isinstance(part, str):
            row += part.replace("%", "%%")
            continue
        seen[part.name] += 1
        series = random.Random(f"{seed} {part.name} {seen[part.name]}")
        arguments = Arguments(part, series, zone)
        row += "%s"
        every.append(arguments)
        columns.append(_builder(part)(arguments))
    return Template(f"{row}\n", tuple(every), tuple(columns))


def _builder(call: Call) -> Builder:
    try:
        return HELPERS[call.name]
    except KeyError:
        lower = {name.lower(): name for name in HELPERS}
        near = difflib.get_close_matches(call.name.lower(), lower, 1, 0.0)
        raise TemplateError(
            call.place, f"unknown helper {call.name}: did you mean {lower[near[0]]}? See docs/send.md for all helpers"
        ) from None
