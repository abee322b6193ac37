"""Enrichment by the three descriptions of the tests: the walkthrough's, cold stores', and a vendor's nested message."""

from datetime import UTC, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

from enrichment import firehose
from enrichment.description_file import parse
from enrichment.reading import Enricher
from tests.walkthrough import WALKTHROUGH_FILE

_FOLDER = Path(__file__).parent / "descriptions"
WALKTHROUGH = WALKTHROUGH_FILE.read_text(encoding="utf-8")
COLD_STORE = (_FOLDER / "cold-store.toml").read_text(encoding="utf-8")
VENDOR = (_FOLDER / "vendor.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def enricher(description: str = WALKTHROUGH, zone: tzinfo = UTC) -> Enricher:
    """Return the function's core for a description, as TOML."""
    return Enricher(parse(description), zone)


def enrich(raw: bytes, arrived_at: object = None, zone: tzinfo = UTC, description: str = WALKTHROUGH) -> Any:
    """Return the document of one reading."""
    return enricher(description, zone).enrich(raw, arrived_at)


def transform(
    event: Any, zone: tzinfo = UTC, limit: int = firehose.RESPONSE_LIMIT, description: str = WALKTHROUGH
) -> firehose.Batch:
    """Transform a Firehose event."""
    return firehose.transform(event, enricher(description, zone), limit)
