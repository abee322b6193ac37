"""Read a stream's indices in Index State Management (ISM): the policy of each, and its copy of the policy.

Contract: OpenSearch documentation, "ISM API", and the plugin 3.4.0.0 itself (tests/fixtures/index-management.json).
"""

from dataclasses import dataclass
from itertools import batched

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import CallError, ResponseError, UnexpectedResponseError, VerificationError
from role_mapper.objects.managed import Document
from role_mapper.redaction import explanation

__all__ = ["ManagedIndex", "read", "tell"]

_ISM = ("_plugins", "_ism")
_POLICY_OF_INDEX = "index.plugins.index_state_management.policy_id"
_INDICES_PER_CALL = 20  # their names are in the URL, which OpenSearch takes up to 4 kB
_CLOSED = "This index is closed"
_HAS_NONE = "This index does not have a policy to remove"


@dataclass(frozen=True)
class ManagedIndex:
    """One index of the stream.

    Attributes:
        policy: the policy that it follows, if any.
        copy: its own copy of that policy.
        failure: what the plugin says of a step that has failed; empty if none has.
    """

    policy: str | None
    copy: Document | None
    failure: str


def read(domain: Domain, index_name: str) -> dict[str, ManagedIndex]:
    """Return the indices that rotation or rollover made, by name."""
    where = path(*_ISM, "explain", files.parted_indices(index_name))
    try:
        response = domain.call("GET", where, params={"show_policy": "true"})
    except ResponseError as error:
        if error.nothing_matches:
            return {}
        raise
    body = domain.expect_object(f"GET {where}", response)
    told = {name: each for name, each in body.items() if name != "total_managed_indices"}
    if "total_managed_indices" not in body or not all(
        isinstance(each, dict)
        and _POLICY_OF_INDEX in each
        and all(isinstance(each.get(part) or {}, dict) for part in ("action", "retry_info", "info", "policy"))
        for each in told.values()
    ):
        raise UnexpectedResponseError(f"GET {where}", "a JSON object that explains no indices")
    return {
        name: ManagedIndex(each[_POLICY_OF_INDEX], each.get("policy"), _failure(each)) for name, each in told.items()
    }


def tell(domain: Domain, verb: str, indices: list[str], body: dict[str, str] | None = None) -> set[str]:
    """Attach indices to a policy or detach them; return the closed ones, which ISM does not change.

    Args:
        domain: where they are.
        verb: `add` or `remove`.
        indices: their names.
        body: which policy, where they are put on one.
    """
    closed: set[str] = set()
    for some in batched(indices, _INDICES_PER_CALL, strict=False):
        where = path(*_ISM, verb, ",".join(some))
        try:
            response = domain.expect_object(f"POST {where}", domain.call("POST", where, body))
        except ResponseError as error:
            if error.absent:  # one of them is gone by now: then the whole call is refused
                raise VerificationError(f"{error}; it was deleted at the same time") from None
            raise
        told = response.get("failed_indices")
        if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
            raise UnexpectedResponseError(f"POST {where}", "a JSON object without failed_indices")
        failed = {each.get("index_name"): each.get("reason") for each in told}
        closed |= {name for name, reason in failed.items() if reason == _CLOSED}
        others = [f"{name}: {why}" for name, why in failed.items() if why not in {_CLOSED, _HAS_NONE}]
        if others:  # one that another request put on a policy: it passes
            raise CallError(f"ISM {verb} failed for {'; '.join(others)}", retryable=True)
    return closed


def _failure(explained: Document) -> str:
    """Return the plugin's message about a failed step of the policy for an index; empty if none failed."""
    failed = any((explained.get(part) or {}).get("failed") is True for part in ("action", "retry_info"))
    return explanation((explained.get("info") or {}).get("message")) if failed else ""
