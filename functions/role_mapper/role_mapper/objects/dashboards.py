"""OpenSearch Dashboards' saved objects, where the domain has Dashboards.

Contract: OpenSearch Dashboards' saved objects API (`_bulk_get`, `_import`), in the global tenant. A record of what was
shipped is kept in the metadata of a component template that does nothing else.
"""

import uuid
from collections.abc import Iterable
from typing import override

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import CallError, ResponseError, UnexpectedResponseError, VerificationError
from role_mapper.master_user import InternalUser
from role_mapper.objects.index_template import Template
from role_mapper.objects.managed import Document
from role_mapper.objects.saved_objects import (
    COPIED,
    SavedObject,
    body_of_import,
    decide,
    kept_copy,
    key_of,
    recorded,
    untouched,
)
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import DASHBOARDS, Change, Outcome

__all__ = ["Dashboards"]

type Records = dict[str, dict[str, str]]

_OBJECTS = ("_dashboards", "api", "saved_objects")
_HEADERS = {"osd-xsrf": "true", "securitytenant": "global"}
_NO_LOGIN = {400, 401, 404}  # no log-in form, or not for this user: each call signs in by itself
_NOT_FOUND = 404
_GLOBAL = {"", "global", "global_tenant"}
_PRIVATE = "__user__"


class _Record(Template):
    """The component template that records each saved object as it was last shipped."""

    kind = DASHBOARDS

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        name = f"{properties.index_name}-dashboards"
        super().__init__(domain, owner, name, "component_template", adopt=properties.take_over)
        self.records: Records = {}

    @override
    def desired(self, ownership: Ownership) -> Document:
        description = self.owner.sign("Saved objects as they were shipped.", ownership)
        return {"template": {}, "_meta": {"description": description, "saved_objects": self.records}}

    @override
    def same(self, found: Document, desired: Document) -> bool:
        return bool(found.get("_meta") == desired["_meta"])


class Dashboards:
    """All saved objects of the stream: index pattern, panels, dashboard."""

    kind = DASHBOARDS

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        self.name = properties.index_name
        self._domain = domain
        self._owner = owner
        self._properties = properties
        self._record = _Record(domain, owner, properties)
        self._tenant = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells them from another stream's."""
        return (self.kind, self.name)

    def ensure(self) -> list[Change]:
        """Import the saved objects; keep those that people changed, or copy them first.

        Raises:
            OwnershipError: someone else made a component template of the record's name and `take_over` is off.
            CallError: a call failed, an object was refused, or one does not read back.
        """
        if not self._open():
            return [self._skipped()]
        elsewhere = [] if self._tenant in _GLOBAL else [self._elsewhere()]
        wanted = {key_of(each): each for each in files.saved_objects(self._properties)}
        record = self._record.find()
        if record is not None:
            self._record.claim(record)
        records = _records(record)
        found = self._find([*wanted, *records])
        overwrite = self._properties.overwrite_dashboards
        changes = [
            Change(DASHBOARDS, key, *decide(each, found.get(key), records.get(key), overwrite=overwrite))
            for key, each in wanted.items()
        ]
        written = [change.name for change in changes if change.outcome in {Outcome.CREATED, Outcome.CHANGED}]
        copies = [kept_copy(found[change.name]) for change in changes if change.detail == COPIED]
        retry = self._domain.deadline.retry
        # Only the import is retried: a new decision would take what Dashboards migrated for somebody's change.
        retry(lambda: self._import(copies + [wanted[key] for key in written]))
        found |= retry(lambda: self._read_back(written))
        kept = {change.name for change in changes if change.outcome is Outcome.KEPT}
        shipped = {key: recorded(wanted[key], found[key]) for key in wanted if key not in kept}
        records_now = {key: records[key] for key in kept if key in records} | shipped
        dropped = {key: records[key] for key in records if key not in wanted}
        # First with the dropped ones still in it, so that a try that ends here leaves a record of everything shipped.
        self._write_record(records_now | dropped)
        if dropped:
            changes += self._take_away(dropped, found)
            self._write_record(records_now)
        return changes + elsewhere

    def remove(self) -> list[Change]:
        """Delete the imported saved objects, except those that people changed.

        Raises:
            CallError: a call failed, or one of them reads back.
        """
        if not self._open():
            return [self._skipped()]
        record = self._record.find()
        if record is None or self._owner.ownership_here(self._record.description(record)) is Ownership.FOREIGN:
            return []
        records = _records(record)
        changes = self._take_away(records, self._find(records))
        self._record.remove()
        return changes

    def _skipped(self) -> Change:
        return Change(DASHBOARDS, self.name, Outcome.SKIPPED, "the domain has no OpenSearch Dashboards")

    def _elsewhere(self) -> Change:
        where = (
            "the master user's private tenant, where other users can't see them"
            if self._tenant == _PRIVATE
            else self._tenant
        )
        detail = (
            f"they are in {where}, because Dashboards' global tenant is disabled "
            "(opensearch_security.multitenancy.tenants.enable_global)"
        )
        return Change(DASHBOARDS, "tenant", Outcome.DIFFERS, detail)

    def _open(self) -> bool:
        """Sign in to Dashboards; return whether the domain has it."""
        if not self._domain.has(path("_dashboards", "api", "status")):
            return False
        self._sign_in()
        return True

    def _sign_in(self) -> None:
        master_user = self._domain.master_user
        if isinstance(master_user, InternalUser):
            user, password = master_user.credentials()
            body = {"username": user, "password": password}
            try:  # the session keeps the cookie
                told = self._domain.call("POST", path("_dashboards", "auth", "login"), body, headers=_HEADERS)
                # Its Security plugin says which tenant it took (server/auth/types/basic/routes.ts, `selectedTenants`):
                # where the global one is disabled, not the one that the header asks for.
                tenant = told.get("selectedTenants") if isinstance(told, dict) else None
                self._tenant = tenant if isinstance(tenant, str) else ""
            except ResponseError as error:
                if error.status not in _NO_LOGIN:
                    raise

    def _find(self, keys: Iterable[str]) -> dict[str, SavedObject]:
        """Return those of the objects that exist, by key."""
        asked = {key: dict(zip(("type", "id"), key.split("/", 1), strict=True)) for key in keys}
        if not asked:
            return {}
        where = path(*_OBJECTS, "_bulk_get")
        body = self._domain.call("POST", where, list(asked.values()), headers=_HEADERS)
        told = body.get("saved_objects") if isinstance(body, dict) else None
        if not isinstance(told, list):
            raise UnexpectedResponseError(f"POST {where}", "no list of saved objects")
        found: dict[str, SavedObject] = {}
        for each in told:
            if not isinstance(each, dict) or not {"type", "id"} <= each.keys() or asked.pop(key_of(each), None) is None:
                raise UnexpectedResponseError(f"POST {where}", "an object that was not asked for")
            error = each.get("error")
            if isinstance(each.get("attributes"), dict) and not error:
                found[key_of(each)] = each
            elif not isinstance(error, dict) or error.get("statusCode") != _NOT_FOUND:
                raise UnexpectedResponseError(f"POST {where}", f"{key_of(each)} can't be read")
        if asked:
            raise UnexpectedResponseError(f"POST {where}", f"nothing is said of {', '.join(asked)}")
        return found

    def _import(self, objects: list[SavedObject]) -> None:
        if not objects:
            return
        self._sign_in()  # before each try: the last one may have been refused because there was no session
        boundary = uuid.uuid4().hex
        where = path(*_OBJECTS, "_import")
        body = self._domain.call(
            "POST",
            where,
            body_of_import(objects, boundary),
            params={"overwrite": "true"},
            headers=_HEADERS | {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        if not isinstance(body, dict) or not isinstance(body.get("success"), bool):
            raise UnexpectedResponseError(f"POST {where}", "it does not say whether the import succeeded")
        if not body["success"]:  # the status is 200 all the same
            errors = [f"{key_of(each)}: {each['error'].get('type')}" for each in body.get("errors", ())]
            raise CallError(f"the import of saved objects failed for {'; '.join(errors)}", retryable=False)

    def _read_back(self, keys: list[str]) -> dict[str, SavedObject]:
        found = self._find(keys)
        missing = [key for key in keys if key not in found]
        if missing:
            raise VerificationError(f"saved objects do not read back: {', '.join(missing)}")
        return found

    def _take_away(self, records: Records, found: dict[str, SavedObject]) -> list[Change]:
        """Delete the unchanged objects, and check that they no longer exist."""
        changes, deleted = [], []
        for key, record in records.items():
            each = found.get(key)
            if each is None:
                changes.append(Change(DASHBOARDS, key, Outcome.ABSENT))
            elif untouched(each, record):
                self._domain.delete(path(*_OBJECTS, *key.split("/", 1)), headers=_HEADERS)
                deleted.append(key)
                changes.append(Change(DASHBOARDS, key, Outcome.REMOVED))
            else:
                changes.append(Change(DASHBOARDS, key, Outcome.KEPT, "changed in Dashboards"))
        left = self._find(deleted)
        if left:
            raise VerificationError(f"saved objects are still there after they were deleted: {', '.join(left)}")
        return changes

    def _write_record(self, records: Records) -> None:
        self._record.records = records
        self._domain.deadline.retry(self._record.ensure)


def _records(record: Document | None) -> Records:
    """Return the records of the last shipped objects."""
    records: Records = ((record or {}).get("_meta") or {}).get("saved_objects") or {}
    return records
