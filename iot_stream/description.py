"""What the command shares with the enrichment function: its description of a reading, and its rules (docs/adr/0009).

The function is deployed without this package, so this module imports from the function's folder, which it puts on the
path. It is the only module that does; all others import these names from here.
"""

import sys
from typing import Final

from iot_stream.paths import PROJECT

FOLDER: Final = PROJECT / "functions" / "enrichment"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))

from enrichment.description import (  # noqa: E402 - the path comes first
    INGESTED_AT,
    NAMES_OF_ALERTS,
    UNKNOWN_FIELDS,
    Derivation,
    Description,
    Field,
    Role,
    TimeFormat,
    Type,
    Unknown,
)
from enrichment.description_file import FILE, DescriptionError, load, parse  # noqa: E402 - the same
from enrichment.lenient import parse_object  # noqa: E402 - the same
from enrichment.reading import Enricher, encode  # noqa: E402 - the same
from enrichment.reasons import ADVICE, Cause, ReadingError, UnusableError  # noqa: E402 - the same
from enrichment.timestamps import from_device  # noqa: E402 - the same
from enrichment.values import LARGEST_LONG, SMALLEST_LONG, scaled_float_limit  # noqa: E402 - the same

__all__ = [
    "ADVICE",
    "FILE",
    "INGESTED_AT",
    "LARGEST_LONG",
    "NAMES_OF_ALERTS",
    "SMALLEST_LONG",
    "UNKNOWN_FIELDS",
    "Cause",
    "Derivation",
    "Description",
    "DescriptionError",
    "Enricher",
    "Field",
    "ReadingError",
    "Role",
    "TimeFormat",
    "Type",
    "Unknown",
    "UnusableError",
    "encode",
    "from_device",
    "load",
    "parse",
    "parse_object",
    "scaled_float_limit",
]
