"""Maintain the write alias for rollover: it has the name of the stream's index and points to the write index.

Contract: OpenSearch documentation, "Roll over index" and ISM's action "rollover"; the plugin 3.4.0.0 itself was seen to
roll over so, under a delivery role. Firehose writes to an alias as to an index, with the action `index`; a data stream
takes only `create`.
"""

from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import EffectError, ReadOnlyError, ResponseError, VerificationError
from role_mapper.objects import stream_indices
from role_mapper.objects.index_documents import trouble
from role_mapper.objects.managed import Document
from role_mapper.properties import Properties
from role_mapper.report import WRITE_ALIAS, Change, Outcome

__all__ = ["WriteAlias"]

_SETTING = "index.plugins.index_state_management.rollover_alias"
_BAD_REQUEST = 400


class WriteAlias:
    """The write alias of a stream that rolls over. It is never removed: readings are found and written through it."""

    kind = WRITE_ALIAS

    def __init__(self, domain: Domain, properties: Properties) -> None:
        self.name = properties.index_name
        self._domain = domain
        self._properties = properties

    def ensure(self) -> list[Change]:
        """Create the alias with its first index, or repair it; do nothing if the stream needs none.

        Raises:
            EffectError: an index has the alias's name, and there never was an alias.
            CallError: a call failed, or the alias does not read back.
        """
        if self._properties.rotates:
            return []
        indices = stream_indices.read(self._domain, self.name)
        rolled = _behind(indices, self.name)
        if not self._properties.rolls_over and not any(self.name in each["aliases"] for each in rolled.values()):
            return []
        if self.name in indices:
            told = (
                f"{self.name} is an index, but retention without rotation needs an alias of that name: run "
                "`iot-stream domain migrate`, which keeps its readings (docs/domain.md#retention-without-rotation)"
            )
            if rolled:  # the alias was there and is lost: not caused by this request, and a rollback can't fix it
                return [Change(self.kind, self.name, Outcome.DIFFERS, told)]
            raise EffectError(told)
        problems = self._problems(rolled)
        if not problems:
            return [Change(self.kind, self.name, Outcome.UNCHANGED, f"writes to {_writers(rolled, self.name)[0]}")]
        try:
            self._repair(rolled)
        except ReadOnlyError as call:
            raise ReadOnlyError("; ".join([str(call), *problems])) from None
        except ResponseError as error:
            if error.status == _BAD_REQUEST and stream_indices.read(self._domain, self.name).keys() != indices.keys():
                raise VerificationError(f"{error}; an index was created at the same time") from None
            raise
        found = stream_indices.read(self._domain, self.name)
        rolled_now = _behind(found, self.name)
        left = self._problems(rolled_now)
        if left or self.name in found:
            raise VerificationError(f"alias {self.name} does not read back as it was written: {'; '.join(left)}")
        outcome = Outcome.CHANGED if rolled else Outcome.CREATED
        return [Change(self.kind, self.name, outcome, f"writes to {_writers(rolled_now, self.name)[0]}")]

    def _problems(self, rolled: dict[str, Document]) -> list[str]:
        """Return what is wrong with the alias over these indices."""
        if not rolled:
            return [f"alias {self.name} and its first index are missing"]
        writers = _writers(rolled, self.name)
        outside = [name for name, each in rolled.items() if self.name not in each["aliases"]]
        problems = []
        if len(writers) != 1:
            problems.append(f"alias {self.name} has {len(writers)} write indices, not one")
        if outside:
            problems.append(f"alias {self.name} lacks these indices: {', '.join(outside)}")
        if self._unset(rolled):
            problems.append(f"never rolled over, because they lack {_SETTING}: {', '.join(self._unset(rolled))}")
        return problems

    def _unset(self, rolled: dict[str, Document]) -> list[str]:
        """Return the indices that Index State Management would not roll over, except closed and blocked ones."""
        if not self._properties.rolls_over or not stream_indices.are_managed(self._domain):
            return []
        return [
            name
            for name, each in rolled.items()
            if each["settings"].get(_SETTING) != self.name and not trouble(each["settings"])
        ]

    def _repair(self, rolled: dict[str, Document]) -> None:
        if not rolled:
            first = files.rolled_index(self.name, 1)
            self._domain.call("PUT", path(first), {"aliases": {self.name: {"is_write_index": True}}})
            return
        for name in self._unset(rolled):
            self._domain.call("PUT", path(name, "_settings"), {_SETTING: self.name})
        writers = _writers(rolled, self.name)
        writer = writers[0] if len(writers) == 1 else max(rolled)
        actions = [_add(name, self.name, is_write_index=name == writer) for name in rolled]
        self._domain.call("POST", path("_aliases"), {"actions": actions})


def _behind(indices: dict[str, Document], alias: str) -> dict[str, Document]:
    """Return the indices that are, or belong, behind the alias."""
    return {name: each for name, each in indices.items() if files.is_rolled(name, alias) or alias in each["aliases"]}


def _writers(rolled: dict[str, Document], alias: str) -> list[str]:
    """Return the indices that the alias says are written to."""
    return [name for name, each in rolled.items() if each["aliases"].get(alias, {}).get("is_write_index") is True]


def _add(index: str, alias: str, *, is_write_index: bool) -> dict[str, Any]:
    return {"add": {"index": index, "alias": alias, "is_write_index": is_write_index}}
