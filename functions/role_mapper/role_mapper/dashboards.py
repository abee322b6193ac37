"""OpenSearch Dashboards' saved objects on the domain, where it has Dashboards.

Contract: OpenSearch Dashboards' saved objects API (`_bulk_get`, `_import`), in the global tenant. The record of what
was shipped lies in the metadata of a component template that does nothing else.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import CallError, ResponseError, VerificationError
from role_mapper.master_user import InternalUser
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import DASHBOARDS, Change, Outcome
from role_mapper.saved_objects import (
    COPIED,
    SavedObject,
    body_of_import,
    decide,
    kept_copy,
    key_of,
    recorded,
    untouched,
)

__all__ = ["ensure_dashboards", "remove_dashboards"]

type Records = dict[str, dict[str, str]]

_OBJECTS = ("_dashboards", "api", "saved_objects")
_HEADERS = {"osd-xsrf": "true", "securitytenant": "global"}
_NO_LOGIN = {400, 401, 404}  # no form to log in with, or not for this user: each call signs in by itself


def ensure_dashboards(domain: Domain, properties: Properties, owner: Owner) -> list[Change]:
    """The saved objects are as shipped, but for those that people changed: they are kept, or copied first.

    Raises:
        OwnershipError: somebody else made a component template of the record's name and `take_over` is off.
        CallError: a call failed, an object was refused, or one does not read back.
    """
    name = properties.index_name
    if not _open(domain):
        return [_not_installed(name)]
    wanted = {key_of(each): each for each in files.saved_objects(properties)}
    records, description = _read_records(domain, name)
    ownership = Ownership.OWNED
    if records is not None:
        what = f"component template {name}-dashboards"
        ownership = owner.claim(what, description, take_over=properties.take_over)
    records = records or {}
    found = _find(domain, [*wanted, *records])
    changes = [
        Change(
            DASHBOARDS,
            key,
            *decide(each, found.get(key), records.get(key), overwrite=properties.overwrite_dashboards),
        )
        for key, each in wanted.items()
    ]
    written = [change.name for change in changes if change.outcome in {Outcome.CREATED, Outcome.CHANGED}]
    copies = [kept_copy(found[change.name]) for change in changes if change.detail == COPIED]
    # Tried again each by itself: decided anew, what Dashboards migrated would look like somebody's change.
    domain.deadline.retry(lambda: _import(domain, copies + [wanted[key] for key in written]))
    found |= domain.deadline.retry(lambda: _read_back(domain, written))
    kept = {change.name for change in changes if change.outcome is Outcome.KEPT}
    shipped = {key: recorded(wanted[key], found[key]) for key in wanted if key not in kept}
    records_now = {key: records[key] for key in kept if key in records} | shipped
    dropped = {key: records[key] for key in records if key not in wanted}
    signature = owner.sign("Saved objects as they were shipped.", ownership)
    # First with the dropped ones still in it: after a try that ends here it is known what was shipped and what is left.
    if (records_now | dropped, signature) != (records, description):
        domain.deadline.retry(lambda: _write_records(domain, name, signature, records_now | dropped))
    if dropped:
        changes += _take_away(domain, dropped, found)
        domain.deadline.retry(lambda: _write_records(domain, name, signature, records_now))
    return changes


def remove_dashboards(domain: Domain, name: str, owner: Owner) -> list[Change]:
    """The saved objects that were shipped are gone, but for those that people changed.

    Raises:
        CallError: a call failed.
    """
    if not _open(domain):
        return [_not_installed(name)]
    records, description = _read_records(domain, name)
    ownership = owner.ownership_here(description)
    if records is None or ownership is Ownership.FOREIGN:
        return []
    changes = _take_away(domain, records, _find(domain, list(records)))
    if ownership is Ownership.OWNED:
        domain.delete(_records_path(name))
    return changes


def _not_installed(name: str) -> Change:
    return Change(DASHBOARDS, name, Outcome.SKIPPED, "the domain has no OpenSearch Dashboards")


def _open(domain: Domain) -> bool:
    """Sign in to Dashboards; False where there is none."""
    if not domain.has(path("_dashboards", "api", "status")):
        return False
    _sign_in(domain)
    return True


def _sign_in(domain: Domain) -> None:
    if isinstance(domain.master_user, InternalUser):
        user, password = domain.master_user.credentials()
        body = {"username": user, "password": password}
        try:  # the connection keeps the cookie
            domain.call("POST", path("_dashboards", "auth", "login"), body, headers=_HEADERS)
        except ResponseError as refusal:
            if refusal.status not in _NO_LOGIN:
                raise


def _find(domain: Domain, keys: Iterable[str]) -> dict[str, SavedObject]:
    """Those of the objects that are there."""
    asked = [dict(zip(("type", "id"), key.split("/", 1), strict=True)) for key in keys]
    if not asked:
        return {}
    answer = domain.call("POST", path(*_OBJECTS, "_bulk_get"), asked, headers=_HEADERS)
    return {key_of(each): each for each in answer["saved_objects"] if "error" not in each}


def _import(domain: Domain, objects: list[SavedObject]) -> None:
    if not objects:
        return
    _sign_in(domain)  # each time: what is tried again may have been refused for want of it
    boundary = uuid.uuid4().hex
    answer = domain.call(
        "POST",
        path(*_OBJECTS, "_import"),
        body_of_import(objects, boundary),
        params={"overwrite": "true"},
        headers=_HEADERS | {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    if not answer.get("success"):  # the status is 200 all the same
        errors = [f"{key_of(each)}: {each['error'].get('type')}" for each in answer.get("errors", ())]
        raise CallError(f"the import of saved objects failed for {'; '.join(errors)}", retryable=False)


def _read_back(domain: Domain, keys: list[str]) -> dict[str, SavedObject]:
    found = _find(domain, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        raise VerificationError(f"saved objects do not read back: {', '.join(missing)}")
    return found


def _take_away(domain: Domain, records: Records, found: dict[str, SavedObject]) -> list[Change]:
    """Delete what is as it was shipped."""
    changes = []
    for key, record in records.items():
        each = found.get(key)
        if each is None:
            changes.append(Change(DASHBOARDS, key, Outcome.ABSENT))
        elif untouched(each, record):
            _delete(domain, key)
            changes.append(Change(DASHBOARDS, key, Outcome.REMOVED))
        else:
            changes.append(Change(DASHBOARDS, key, Outcome.KEPT, "changed in Dashboards"))
    return changes


def _delete(domain: Domain, key: str) -> None:
    domain.delete(path(*_OBJECTS, *key.split("/", 1)), headers=_HEADERS)


def _records_path(name: str) -> str:
    return path("_component_template", f"{name}-dashboards")


def _read_records(domain: Domain, name: str) -> tuple[Records | None, object]:
    """What was recorded when the objects were last shipped (None: there is no record), and whose record it is."""
    answer: Any = domain.find(_records_path(name))
    if not answer:
        return None, None
    meta = answer["component_templates"][0]["component_template"].get("_meta") or {}
    return meta.get("saved_objects") or {}, meta.get("description")


def _write_records(domain: Domain, name: str, signature: str, records: Records) -> None:
    meta = {"description": signature, "saved_objects": records}
    domain.call("PUT", _records_path(name), {"template": {}, "_meta": meta})
