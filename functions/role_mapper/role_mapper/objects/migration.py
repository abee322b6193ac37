"""Replace an index that has the name of the write alias by that alias, and keep all its readings.

Contract: OpenSearch documentation, "Clone index" (the copy shares the files of the original, whose writes are blocked
meanwhile) and "Alias", whose actions `remove_index` and `add` are applied together or not at all: at no moment is
there neither index nor alias, where the next bulk request would make an index.
"""

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import CallError, EffectError, RoleMapperError, UnexpectedResponseError, VerificationError
from role_mapper.objects import stream_indices
from role_mapper.objects.index_documents import trouble
from role_mapper.objects.managed import Document
from role_mapper.report import WRITE_ALIAS, Change, Outcome

__all__ = ["migrate"]

_CLONE_OF = "index.resize.source.uuid"
_UUID = "index.uuid"
_WRITE_BLOCK = "index.blocks.write"
_KEPT = ("index.number_of_replicas", "index.refresh_interval")
_SHARE = 0.7


def migrate(domain: Domain, index_name: str) -> list[Change]:
    """Replace the index by an alias of its name that leads to a copy of it.

    Documents that arrive in these seconds are refused with 403, which Firehose retries. If it fails, the index takes
    documents again, and nothing else has changed.

    Raises:
        EffectError: the index is closed, or blocked by something else.
        RoleMapperError: it could not be done in time, or a call failed.
    """
    retry = domain.deadline.part(domain.deadline.remaining * _SHARE).retry  # the rest is for taking it back
    indices = retry(lambda: stream_indices.read(domain, index_name))
    if index_name not in indices:
        behind = [name for name, each in indices.items() if index_name in each["aliases"]]
        why = f"an alias already, for {', '.join(behind)}" if behind else "there is no index of that name"
        return [Change(WRITE_ALIAS, index_name, Outcome.UNCHANGED, why)]
    source = indices[index_name]
    hindrance = trouble(source["settings"])
    if hindrance and hindrance != f"blocked by {_WRITE_BLOCK}":  # that one an earlier try may have left
        raise EffectError(f"index {index_name} is {hindrance}: open or unblock it, then try again")
    for name, each in indices.items():
        if _is_copy(name, each, index_name, source):  # of an earlier try: it lacks what was written since
            retry(lambda stale=name: domain.delete(path(stale)))  # type: ignore[misc]
    numbers = [int(name.rpartition("-")[2]) for name in indices if files.is_rolled(name, index_name)]
    target = files.rolled_index(index_name, max(numbers, default=0) + 1)
    try:
        retry(lambda: _blocked(domain, index_name))
        retry(lambda: _copied(domain, index_name, target))
        retry(lambda: _switched(domain, index_name, target, source))
    except RoleMapperError:
        _unblock(domain, index_name)
        raise
    return [Change(WRITE_ALIAS, index_name, Outcome.CREATED, f"its readings are in {target}, its write index")]


def _is_copy(name: str, index: Document, index_name: str, source: Document) -> bool:
    """Return whether an index is a copy of the source that nobody uses."""
    return (
        files.is_rolled(name, index_name)
        and index["settings"].get(_CLONE_OF) == source["settings"].get(_UUID) is not None
        and not index["aliases"]
    )


def _blocked(domain: Domain, index_name: str) -> None:
    """Block writes to the index, so that the copy will be complete."""
    domain.call("PUT", path(index_name, "_block", "write"))
    found = stream_indices.read(domain, index_name).get(index_name)
    if found is None or found["settings"].get(_WRITE_BLOCK) != "true":
        raise VerificationError(f"the writes of {index_name} are not blocked")


def _copied(domain: Domain, index_name: str, target: str) -> None:
    """Make the copy, and check that every document is in it."""
    indices = stream_indices.read(domain, index_name)
    if target not in indices:
        settings = indices[index_name]["settings"]  # a clone takes its mapping and shards from the original, not these
        kept = {name: settings[name] for name in _KEPT if name in settings}
        domain.call("POST", path(index_name, "_clone", target), {"settings": {_WRITE_BLOCK: None} | kept})
    before, after = _count(domain, index_name), _count(domain, target)
    if before != after:
        raise VerificationError(f"{target} has {after} of the {before} documents of {index_name}")


def _count(domain: Domain, index: str) -> int:
    """Return the number of documents in an index.

    Raises:
        CallError: not all of its shards have responded.
    """
    domain.call("POST", path(index, "_refresh"))
    where = path(index, "_count")
    body = domain.expect_object(f"GET {where}", domain.call("GET", where))
    shards, count = body.get("_shards"), body.get("count")
    if not isinstance(shards, dict) or not isinstance(count, int):
        raise UnexpectedResponseError(f"GET {where}", "a JSON object without a count")
    if shards.get("successful") != shards.get("total"):
        raise CallError(
            f"GET {where} counts {shards.get('successful')} of {shards.get('total')} shards", retryable=True
        )
    return count


def _switched(domain: Domain, index_name: str, target: str, source: Document) -> None:
    """Replace the index by the alias, keep its other aliases, and check the result."""
    indices = stream_indices.read(domain, index_name)
    if index_name in indices:
        others = [{"add": {"index": target, "alias": alias} | told} for alias, told in source["aliases"].items()]
        rolled = [name for name in indices if files.is_rolled(name, index_name)]
        behind = [{"add": {"index": name, "alias": index_name, "is_write_index": name == target}} for name in rolled]
        actions = [{"remove_index": {"index": index_name}}, *behind, *others]
        domain.call("POST", path("_aliases"), {"actions": actions})
        indices = stream_indices.read(domain, index_name)
    told = indices.get(target, {}).get("aliases", {}).get(index_name, {})
    if index_name in indices or told.get("is_write_index") is not True:
        raise VerificationError(f"alias {index_name} does not read back")


def _unblock(domain: Domain, index_name: str) -> None:
    """Allow writes to the index again, if it still exists."""

    def unblock() -> None:
        if index_name in stream_indices.read(domain, index_name):
            domain.call("PUT", path(index_name, "_settings"), {_WRITE_BLOCK: None})

    domain.deadline.retry(unblock)
