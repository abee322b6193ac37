"""Read the indices of a stream: names, aliases, mappings and settings."""

from typing import Any

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import UnexpectedResponseError, VerificationError
from role_mapper.objects.index_documents import is_mapping
from role_mapper.objects.managed import Document

__all__ = ["are_managed", "read"]

_PARTS = ("aliases", "mappings", "settings")
_EXISTING = {
    "allow_no_indices": "true",
    "expand_wildcards": "open,closed",
    "flat_settings": "true",
    "ignore_unavailable": "true",
}


def are_managed(domain: Domain) -> bool:
    """Return whether the domain has Index State Management."""
    return domain.has(path("_plugins", "_ism", "policies"))


def read(domain: Domain, index_name: str) -> dict[str, Document]:
    """Return the indices of the stream, open and closed, each as "Get index" describes it, with flat settings.

    They are those of its name, those that rotation or rollover made, and those behind an alias of its name.

    Two calls must agree on them: one that tells of none proves nothing by itself.

    Raises:
        CallError: they can't be read now.
    """
    listed = _listed(domain, index_name)
    where = path(files.existing_indices(index_name))
    body = domain.expect_object(f"GET {where}", domain.call("GET", where, params=_EXISTING))
    if not all(
        isinstance(each, dict)
        and all(isinstance(each.get(part), dict) for part in _PARTS)
        and all(isinstance(alias, dict) for alias in each["aliases"].values())
        and is_mapping(each["mappings"])
        for each in body.values()
    ):
        raise UnexpectedResponseError(f"GET {where}", "a JSON object that describes no indices")
    expected = {name for name in listed if files.is_of_stream(name, index_name)}
    if not expected <= body.keys() <= listed:
        raise VerificationError(f"GET {where} returns other indices than GET /_cat/indices")
    return {
        name: each
        for name, each in sorted(body.items())
        if files.is_of_stream(name, index_name) or index_name in each["aliases"]
    }


def _listed(domain: Domain, index_name: str) -> set[str]:
    where = path("_cat", "indices", f"{index_name}*")
    body: Any = domain.call("GET", where, params={"format": "json", "h": "index"})
    if not isinstance(body, list) or not all(isinstance(each, dict) and "index" in each for each in body):
        raise UnexpectedResponseError(f"GET {where}", "no list of indices")
    return {str(each["index"]) for each in body}
