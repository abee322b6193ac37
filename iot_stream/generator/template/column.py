"""Define the compiled form of a helper: a function that generates a value for each of many records."""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from iot_stream.generator.template.grammar import Call, TemplateError

__all__ = ["Arguments", "Builder", "Column"]

type Column = Callable[[Sequence[int]], list[str]]
"""Takes the time of each record in milliseconds since 1970-01-01 UTC, and returns its text for each of them."""

type Builder = Callable[[Arguments], Column]


@dataclass(frozen=True)
class Arguments:
    """The arguments of a helper, and what it draws its values from.

    Attributes:
        call: the helper's name, arguments and place.
        series: random numbers for this call only, so that adding a field does not change other fields.
        zone: the local time zone for `date.now`.
    """

    call: Call
    series: random.Random
    zone: dt.tzinfo

    def refuse(self, takes: str) -> NoReturn:
        """Raise an error that says which arguments the helper takes.

        Raises:
            TemplateError: always.
        """
        why = f" (these are not JSON: {self.call.not_json})" if self.call.not_json else ""
        raise TemplateError(self.call.place, f"{self.call.name} takes {takes}{why}")

    def none(self) -> None:
        """Check that there are no arguments."""
        if self.call.arguments:
            self.refuse("no arguments")

    def one(self, takes: str, *types: type, default: Any = None) -> Any:
        """Return the only argument, which must be of one of `types`, or `default` if there is none."""
        values = self.call.arguments
        if not values:
            return default
        if len(values) > 1 or not _is(values[0], types):
            self.refuse(takes)
        return values[0]

    def several(self, takes: str, *types: tuple[type, ...]) -> list[Any]:
        """Return the arguments, each checked against its types, and None for those that are left out.

        faker.js gets several arguments from a template as one string; here they are parsed as JSON values.
        """
        values = self.call.arguments
        if len(values) > len(types) or not all(map(_is, values, types)):
            self.refuse(takes)
        return [*values, *[None] * (len(types) - len(values))]


def _is(value: Any, types: tuple[type, ...]) -> bool:
    """Return whether a JSON value is of one of `types`; true and false are not numbers."""
    return isinstance(value, types) and (not isinstance(value, bool) or bool in types)
