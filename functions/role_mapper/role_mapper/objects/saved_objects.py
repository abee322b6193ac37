"""Decide which saved objects of OpenSearch Dashboards to ship, and which ones people have changed (pure).

A saved object does not say who wrote it last, and Dashboards migrates what it imports. So a record is kept of what each
object looked like just after it was shipped; one that looks different now was changed by a person.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from role_mapper.report import Outcome

__all__ = [
    "COPIED",
    "SavedObject",
    "body_of_import",
    "decide",
    "fingerprint",
    "kept_copy",
    "key_of",
    "recorded",
    "untouched",
]

type SavedObject = Mapping[str, Any]
type Record = Mapping[str, str]

COPIED = "changed in Dashboards; a copy of it was kept"
_KEPT = "changed in Dashboards; OverwriteDashboards=true replaces it and keeps a copy"
# Dashboards' own cache of an index pattern's fields, which it refreshes by itself.
_CACHES = {"fields"}
_DIGITS = 16


def key_of(each: SavedObject) -> str:
    """Return what identifies an object: `type/id`."""
    return f"{each['type']}/{each['id']}"


def fingerprint(each: SavedObject) -> str:
    """Return a hash that is the same for two objects that look and behave the same."""
    attributes = {key: value for key, value in each["attributes"].items() if key not in _CACHES}
    references = sorted(json.dumps(reference, sort_keys=True) for reference in each.get("references") or ())
    content = json.dumps([attributes, references], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]


def recorded(shipped: SavedObject, found: SavedObject) -> dict[str, str]:
    """Return the record of an object: its hash as it was shipped, and as it read back then."""
    return {"shipped": fingerprint(shipped), "stored": fingerprint(found)}


def untouched(found: SavedObject, record: Record | None) -> bool:
    """Return whether the object is as it read back after it was last shipped."""
    return record is not None and fingerprint(found) == record["stored"]


def decide(
    wanted: SavedObject, found: SavedObject | None, record: Record | None, *, overwrite: bool
) -> tuple[Outcome, str]:
    """Return what to do with one object, and why if that is not obvious.

    Args:
        wanted: as this version of the function ships it.
        found: as it is on the domain.
        record: what was recorded when it was last shipped.
        overwrite: replace what people changed, after a copy.
    """
    if found is None:
        return Outcome.CREATED, ""
    if fingerprint(found) == fingerprint(wanted):
        return Outcome.UNCHANGED, ""
    if record is not None and untouched(found, record):
        same = record["shipped"] == fingerprint(wanted)
        return (Outcome.UNCHANGED if same else Outcome.CHANGED), ""
    return (Outcome.CHANGED, COPIED) if overwrite else (Outcome.KEPT, _KEPT)


def kept_copy(found: SavedObject) -> dict[str, Any]:
    """Return a copy of the object with its own id and title; the same change gives the same copy."""
    attributes = {**found["attributes"], "title": f"{found['attributes'].get('title', '')} (kept copy)"}
    copy = {key: found[key] for key in ("type", "references", "migrationVersion") if key in found}
    return copy | {"id": f"{found['id']}-kept-{fingerprint(found)}", "attributes": attributes}


def body_of_import(objects: Iterable[SavedObject], boundary: str) -> str:
    """Return the multipart form that carries the objects as one file, as the import API wants it."""
    lines = "\n".join(json.dumps(each) for each in objects)
    return (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="saved_objects.ndjson"\r\n'
        "Content-Type: application/ndjson\r\n\r\n"
        f"{lines}\n\r\n"
        f"--{boundary}--\r\n"
    )
