"""Write guesses as a description: TOML with a comment for each guess. Pure."""

import json
from collections.abc import Iterator
from typing import Any, Final

from iot_stream.description import Role
from iot_stream.readings.guess import Guess, Guesses

__all__ = ["draft", "header_of"]

_KEYS: Final = ("path", "type", "decimals", "format", "role", "label", "unit", "optional", "examples")
_WIDTH: Final = 40  # where comments begin, unless a line is longer
_SILENT_AFTER: Final = 600


def draft(guesses: Guesses, header: str) -> str:
    """Return a description as text.

    Args:
        guesses: what was guessed.
        header: comment lines that explain the keys.
    """
    lines = [header.rstrip("\n"), ""] if header else []
    lines += [
        _commented('title = "Devices, live"', "of the dashboard"),
        _commented(
            f"silent_after = {_SILENT_AFTER}", "guess: seconds without a reading, after which a device is silent"
        ),
        _commented('unknown = "drop"', 'or "keep"'),
    ]
    for guess in guesses.fields:
        lines += ["", f"[fields.{guess.name}]", *_field(guess)]
    if guesses.left_out:
        lines += ["", "# Not described, because nothing could be guessed:"]
        lines += [f"#   {json.dumps(path)}: {reason}" for path, reason in guesses.left_out.items()]
    return "\n".join(lines) + "\n"


def header_of(description: str) -> str:
    """Return the comment lines that a description begins with."""
    lines = description.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(f"{line}\n" for line in lines[:end])


def _field(guess: Guess) -> Iterator[str]:
    values: dict[str, Any] = {
        "path": None if guess.path == (guess.name,) else _path(guess.path),
        "type": guess.type.value,
        "decimals": guess.decimals,
        "format": guess.format and guess.format.value,
        "role": guess.role and guess.role.value,
        "label": guess.label,
        "unit": guess.unit,
        "optional": guess.optional or None,
        "examples": guess.examples or None,
    }
    reasons = {"unit": "by its name", "label": "the name without the unit"} | guess.why
    for key in _KEYS:
        if values[key] is not None:
            reason = reasons.get(key)
            yield _commented(f"{key} = {_toml(values[key])}", reason and f"guess: {reason}")
    if guess.role is Role.MEASURE:
        yield "# min, max: bounds; alert_above, alert_below: thresholds"


def _path(path: tuple[str, ...]) -> str | list[str]:
    plain = all("." not in key and "[" not in key and not key.isdigit() for key in path)
    return ".".join(path) if plain else [*path]


def _toml(value: Any) -> str:
    """Return a value in TOML, whose strings, numbers and booleans are JSON's, but for the character U+007F."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _commented(line: str, comment: str | None) -> str:
    return f"{line:{_WIDTH}}# {comment}" if comment else line
