"""Tests are about the walkthrough's readings, whatever description the project has; those of another one pass it.

What only the deployed whole can show is left out where the project has another description, for it sends the
walkthrough's readings.
"""

from pathlib import Path
from typing import Final

from enrichment import description_file
from enrichment.description_file import load

__all__ = ["PROJECT_FILE", "WALKTHROUGH_FILE", "is_shipped", "load_walkthrough_by_default"]

PROJECT_FILE: Final = description_file.FILE
"""The project's description."""
WALKTHROUGH_FILE: Final = Path(__file__).with_name("descriptions") / "walkthrough.toml"
"""The tests' copy of the walkthrough's."""


def is_shipped() -> bool:
    """Whether the project's description has the walkthrough's fields."""
    shipped, known = (
        [(field.name, field.path, field.type) for field in load(file).fields]
        for file in (PROJECT_FILE, WALKTHROUGH_FILE)
    )
    return shipped == known


def load_walkthrough_by_default() -> None:
    """Have `load()` return the walkthrough's description in this process, and the role mapper its index template.

    To be called before other modules are imported.
    """
    description_file.FILE = WALKTHROUGH_FILE  # type: ignore[misc]
    from iot_stream.dashboards.index_template import index_template, to_json  # noqa: PLC0415 - after load() has changed
    from role_mapper import files  # noqa: PLC0415 - the same

    shipped = files._read
    built = to_json(index_template(load()))
    files._read = lambda name: built if name == "index-template.json" else shipped(name)
