"""Check the effect on the stream's indices, both the next one and the existing ones.

An index template shapes new indices only, and only if no other template wins. So both are asked for ("Simulate index
template" and "Get index", OpenSearch documentation); fields that existing indices lack are added to them.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import batched
from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import EffectError, ReadOnlyError, ResponseError, UnexpectedResponseError, VerificationError
from role_mapper.objects import stream_indices
from role_mapper.objects.index_documents import (
    Difference,
    difference,
    different_settings,
    is_mapping,
    matches,
    takes_fields,
    trouble,
)
from role_mapper.objects.index_template import IndexTemplate
from role_mapper.objects.managed import Document
from role_mapper.properties import Properties
from role_mapper.report import INDICES, Change, Outcome

__all__ = ["Indices"]

_TEMPLATES = path("_index_template")
_INDICES_PER_CALL = 20  # their names are in the URL, which OpenSearch takes up to 4 kB
_WAY_OUT = "docs/domain.md#existing-indices"


@dataclass(frozen=True)
class _Index:
    """One index of the stream.

    Attributes:
        name: its name.
        trouble: why it takes no documents, empty if it does.
        difference: how its mapping differs from the wanted one.
        known: the conflicts that there were with the template before this request.
        takes_fields: whether what it lacks can be added.
        alias: what the alias that is called as the stream's index says of it; None if it is not behind that.
    """

    name: str
    trouble: str
    difference: Difference
    known: frozenset[str]
    takes_fields: bool
    alias: Document | None

    @property
    def is_write_index(self) -> bool:
        """Whether the alias writes to it."""
        return self.alias is not None and self.alias.get("is_write_index") is True


class Indices:
    """The indices of the stream, the next one included. Nobody owns them and none is ever removed.

    Args:
        domain: where they are.
        properties: the desired properties.
        template: the stream's index template, with its state before this request. Problems that already existed then
            are reported but are not a failure; otherwise a rollback would fail too and leave the stack stuck.
    """

    kind = INDICES

    def __init__(self, domain: Domain, properties: Properties, template: IndexTemplate | None = None) -> None:
        self.name = properties.index_name
        self._index_template = template
        self._domain = domain
        self._properties = properties
        self._template: Document = files.index_template(properties, "")["template"]

    def ensure(self) -> list[Change]:
        """Check the mapping of the next index, and add missing fields to existing indices.

        Raises:
            EffectError: another template wins over the stream's, or the one index that is written to has a field as
                something else, and that is new with this request. All that can be added was added.
            CallError: a call failed, or a field does not read back.
        """
        indices = self._existing()
        problem, remark = self._next(indices)
        lacking = [index for index in indices if index.difference.update and index.takes_fields]
        stuck = [index for index in indices if index.difference.update and not index.takes_fields]
        others = [_lacking(stuck, "can't be added to"), *_troubles(indices), *_conflicts(indices), remark]
        try:
            self._add(lacking)
            rolled = "" if problem else self._roll_over(indices)
        except ReadOnlyError as call:
            raise ReadOnlyError(_joined([str(call), problem, _lacking(lacking, "missing in"), *others])) from None
        said = _joined([_lacking(lacking, "added to"), rolled, *others])
        live = [index for index in indices if index.difference.conflicts and self._is_live(index)]
        if not problem and not live:
            return [Change(self.kind, self.name, Outcome.CHANGED if lacking or rolled else Outcome.UNCHANGED, said)]
        if self._before() is None or any(set(index.difference.conflicts) - index.known for index in live):
            raise EffectError(_joined([problem, said]))
        return [Change(self.kind, self.name, Outcome.DIFFERS, _joined([problem, said]))]

    def _next(self, indices: list[_Index]) -> tuple[str, str]:
        """Return the problems of the next index, and a remark on what could not be checked."""
        name = files.next_index(self._properties, dt.datetime.now(dt.UTC))
        if name == self.name and any(index.alias is not None for index in indices):
            name = files.rolled_index(self.name, 1)  # no index can have the alias's name: its simulation is refused
        where = path("_index_template", "_simulate_index", name)
        try:
            body = self._domain.expect_object(f"POST {where}", self._domain.call("POST", where))
        except ResponseError as error:
            if error.not_offered:
                return "", "what a new index gets is not checked, because the domain does not offer _simulate_index"
            raise
        simulated = body.get("template", None if body else {})  # none shapes the index: an empty object
        if not isinstance(simulated, dict):
            raise UnexpectedResponseError(f"POST {where}", "a JSON object without a template")
        mappings, settings = (simulated.get(part) or {} for part in ("mappings", "settings"))
        if not is_mapping(mappings) or not isinstance(settings, dict):
            raise UnexpectedResponseError(f"POST {where}", "a template that is none")
        found = difference(mappings, self._template["mappings"])
        wrong = [f"{each} is missing" for each in found.missing] + list(found.conflicts)
        wrong += different_settings(settings, self._template["settings"])
        if not wrong:
            return "", ""
        return (
            f"a new index {name} would not match index template {self.name} ({', '.join(wrong)}), because "
            f"{self._cause(name, shaped=bool(body))}"
        ), ""

    def _cause(self, name: str, *, shaped: bool) -> str:
        """Return why another template, or none, applies to an index of that name, and what to do about it.

        Raises:
            UnexpectedResponseError: no template was told to shape it, but there is one that does.
        """
        body = self._domain.expect_object(f"GET {_TEMPLATES}", self._domain.call("GET", _TEMPLATES))
        ours = files.priority(self._properties)
        told = body.get("index_templates")
        if not isinstance(told, list) or not all(
            isinstance(each, dict) and "name" in each and isinstance(each.get("index_template"), dict) for each in told
        ):
            raise UnexpectedResponseError(f"GET {_TEMPLATES}", "a JSON object without a list of templates")
        matching = {
            each["name"]: each["index_template"].get("priority") or 0
            for each in told
            if any(matches(pattern, name) for pattern in each["index_template"].get("index_patterns") or ())
        }
        if matching and not shaped:
            where = path("_index_template", "_simulate_index", name)
            raise UnexpectedResponseError(f"POST {where}", f"no template, although {', '.join(matching)} shapes it")
        if self.name not in {each["name"] for each in told}:
            return "it is missing"
        winners = [
            f"{other} (priority {priority})"
            for other, priority in matching.items()
            if other != self.name and priority > ours
        ]
        if not winners:
            return "the template itself differs"
        return (
            f"index template {', '.join(winners)} overrides it (priority {ours}): give the other template a lower "
            "priority or other patterns, or choose another IndexName"
        )

    def _existing(self) -> list[_Index]:
        wanted = self._template["mappings"]
        before = ((self._before() or {}).get("template") or {}).get("mappings") or {}
        return [
            _Index(
                name,
                trouble(each["settings"]),
                difference(each["mappings"], wanted),
                frozenset(difference(each["mappings"], before).conflicts),
                takes_fields(each["settings"]),
                each["aliases"].get(self.name),
            )
            for name, each in stream_indices.read(self._domain, self.name).items()
        ]

    def _before(self) -> Document | None:
        return self._index_template.before if self._index_template else None

    def _is_live(self, index: _Index) -> bool:
        """Return whether the index is written to indefinitely, so that no newer index replaces it."""
        return not self._properties.rotates and index.name == self.name

    def _roll_over(self, indices: list[_Index]) -> str:
        """Roll over to a new index if the write index has a field with a conflicting type."""
        wrong = [index for index in indices if index.is_write_index and index.difference.conflicts]
        if self._properties.rotates or not wrong:
            return ""
        where = path(self.name, "_rollover")
        new = self._domain.expect_object(f"POST {where}", self._domain.call("POST", where)).get("new_index")
        now = {index.name: index for index in self._existing() if index.is_write_index}
        if new not in now or now[new].difference.conflicts:
            raise VerificationError(f"{self.name} still writes to {', '.join(now)} after POST {where}")
        return f"rolled over to {new}"

    def _add(self, lacking: list[_Index]) -> None:
        """Add missing fields to indices, in one call for all indices that lack the same fields."""
        alike: list[tuple[dict[str, Any], list[str]]] = []
        for index in lacking:
            update = index.difference.update
            names = next((names for body, names in alike if body == update), None)
            if names is None:
                alike.append((update, [index.name]))
            else:
                names.append(index.name)
        for body, names in alike:
            for some in batched(names, _INDICES_PER_CALL, strict=False):
                self._put(path(",".join(some), "_mapping"), body)
        if lacking:
            written = {index.name for index in lacking}
            left = [each.name for each in self._existing() if each.name in written and each.difference.update]
            if left:
                raise VerificationError(f"these indices still lack the added fields: {', '.join(left)}")

    def _put(self, where: str, body: Document) -> None:
        try:
            self._domain.call("PUT", where, body)
        except ResponseError as error:
            if error.absent:  # retention deleted one of them at the same moment
                raise VerificationError(f"{error}; it was deleted at the same time") from None
            raise


def _joined(phrases: Iterable[str]) -> str:
    return "; ".join(filter(None, phrases))


def _lacking(indices: list[_Index], verb: str) -> str:
    fields = sorted({name for index in indices for name in index.difference.missing})
    return f"{', '.join(fields)} {verb} {_names(indices)}" if fields else ""


def _troubles(indices: Iterable[_Index]) -> list[str]:
    """Return a phrase for each reason why indices accept no documents, with their names."""
    by_trouble: dict[str, list[_Index]] = {}
    for index in indices:
        if index.trouble:
            by_trouble.setdefault(index.trouble, []).append(index)
    return [f"{why}, so documents are rejected: {_names(having)}" for why, having in by_trouble.items()]


def _conflicts(indices: Iterable[_Index]) -> list[str]:
    """Return a phrase for each set of conflicts, with the indices that have it."""
    by_conflict: dict[tuple[str, ...], list[_Index]] = {}
    for index in indices:
        if index.difference.conflicts:
            by_conflict.setdefault(index.difference.conflicts, []).append(index)
    return [
        f"in {_names(having)} {', '.join(conflicts)}, which can't be changed in an existing index: see {_WAY_OUT}"
        for conflicts, having in by_conflict.items()
    ]


def _names(indices: list[_Index]) -> str:
    first, *others = sorted((index.name for index in indices), reverse=True)
    return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join([first, *others])
