"""Where templates come from: files, the one that ships, or the description of a reading."""

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from iot_stream.description import Description, Enricher, ReadingError
from iot_stream.errors import IotStreamError
from iot_stream.generator.derived import template_of
from iot_stream.generator.series import Readings
from iot_stream.generator.template.compiled import compile_template

__all__ = ["open_readings"]

_WALKTHROUGH = Path(__file__).parent / "templates" / "walkthrough.template"


def open_readings(
    files: Sequence[tuple[Path, float]], description: Description, *, seed: int, zone: dt.tzinfo
) -> Readings:
    """Return the records of templates.

    Args:
        files: templates with their weights; none for the default.
        description: what the default has to fit.
        seed: of random values.
        zone: what `date.now` means by local time: the one in which the stack reads times without an offset.

    Raises:
        IotStreamError: a file can't be read.
        TemplateError: a template can't be used.
    """
    given = [(_read(path), str(path), weight) for path, weight in files] or [(*_default(description, zone), 1.0)]
    return Readings(
        [
            (compile_template(text, file, seed=f"{seed} {number}", zone=zone), weight)
            for number, (text, file, weight) in enumerate(given)
        ],
        seed,
    )


def _default(description: Description, zone: dt.tzinfo) -> tuple[str, str]:
    """Return text and name of the walkthrough's template, or of a derived one where other readings are described."""
    text = _read(_WALKTHROUGH)
    (trial,) = compile_template(text, _WALKTHROUGH.name, seed="trial", zone=zone).render([0])
    if {field.path for field in description.inputs} == {(key,) for key in json.loads(trial)}:
        with suppress(ReadingError):
            Enricher(description, zone).enrich(trial.encode())
            return text, _WALKTHROUGH.name
    return template_of(description), "the derived template"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise IotStreamError(f"template {path} can't be read as UTF-8 text: {error}") from None
