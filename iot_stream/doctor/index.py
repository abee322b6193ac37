"""Judge the domain: its state, access, objects and the live index. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from iot_stream.doctor.finding import Finding, State
from iot_stream.domain_objects import deviation

__all__ = [
    "judge_access_policy",
    "judge_cluster",
    "judge_domain",
    "judge_index",
    "judge_nodes",
    "judge_objects",
    "judge_sign_in",
]

_STORAGE_PERCENT: Final = 75  # of DomainStorageAlarm: less than a quarter free
_HEAP_PERCENT: Final = 95  # of DomainMemoryAlarm
_BUSY_PERCENT: Final = 80  # of DomainProcessorAlarm
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_APPLY: Final = "iot-stream domain apply"
_LAYER_OF: Final = {
    "Role": "role and mapping",
    "RoleMapping": "role and mapping",
    "IndexTemplate": "live index",
    "WriteAlias": "live index",
    "RetentionPolicy": "retention",
    "Dashboards": "dashboards",
    "AlertsIndexTemplate": "device alerts",
    "AlertsRole": "device alerts",
    "AlertsRoleMapping": "device alerts",
}
"""The layer of each kind in the role mapper's report, except `Indices`, which `judge_index` checks itself."""
_SECTIONS: Final = {"role and mapping": "deliveryauthfailurealarm", "device alerts": "devicealertserrorsalarm"}
_DELIVERS: Final = {"Role", "RoleMapping"}
"""Without these nothing is delivered. Without the others, readings are delivered but not managed as configured."""


def judge_domain(status: Mapping[str, Any] | None, name: str) -> Iterator[Finding]:
    """Judge DomainStatus of DescribeDomain; None: there is no such domain."""
    describe = f"aws opensearch describe-domain --domain-name {name}"
    if status is None or status.get("Deleted"):
        cure = "sam deploy --parameter-overrides DomainName=… creates a new one; restore the indices from a snapshot"
        yield Finding("domain", State.REFUSES, f"domain {name} does not exist: it was deleted", cure, "removing-it")
    elif not (status.get("Endpoint") or status.get("Endpoints")):
        yield Finding(
            "domain", State.REFUSES, f"domain {name} has no endpoint yet", f"wait: {describe}", "deliveryfailurealarm"
        )
    elif status.get("UpgradeProcessing") or status.get("Processing"):
        what = "is being upgraded" if status.get("UpgradeProcessing") else "is being changed"
        yield Finding("domain", State.WARNING, f"domain {name} {what}", f"wait: {describe}", "deliveryfailurealarm")
    else:
        yield Finding("domain", State.OK, f"domain {name} is active: {status.get('EngineVersion', '')}")


def judge_sign_in(status: int, user: str) -> Iterator[Finding]:
    """Judge the HTTP status of `_plugins/_security/authinfo` for the master user of the stack's secret."""
    if status == _UNAUTHORIZED:
        cure = "set the same password in the domain and in the stack's secret: docs/operations.md, Security options"
        yield Finding(
            "sign-in", State.REFUSES, f"the domain rejects the password of {user} (401)", cure, "security-options"
        )
    elif status == _FORBIDDEN:
        text = f"the domain's access policy or the security plugin denies access to {user} (403)"
        yield Finding("sign-in", State.REFUSES, text, "see the access policy below", "deliveryauthfailurealarm")
    elif status >= 500:  # noqa: PLR2004 - HTTP's server errors
        yield Finding(
            "sign-in", State.REFUSES, f"the domain returns {status}", "wait, then check its alarms", "domainredalarm"
        )
    else:
        yield Finding("sign-in", State.OK, f"{user} can sign in")


def judge_access_policy(policy: str, role_arn: str, domain_arn: str) -> Iterator[Finding]:
    """Judge the domain's AccessPolicies for the delivery role: is it allowed to write, and not denied?

    A statement for the account applies to every principal in it ("Identity and Access Management in Amazon OpenSearch
    Service"). Conditions are not evaluated but reported.
    """
    layer, cure = "access policy", "restore it in the console, or change a parameter of the domain and run sam deploy"
    allowed = denied = conditional = False
    for statement in _statements(policy):
        if not (_covers_role(statement, role_arn) and _covers(statement, "Action", "es:ESHttpPut")):
            continue
        if not _covers(statement, "Resource", f"{domain_arn}/index/_doc"):
            continue
        conditional |= bool(statement.get("Condition"))
        allowed |= statement.get("Effect") == "Allow"
        denied |= statement.get("Effect") == "Deny" and not statement.get("Condition")
    if denied or not allowed:
        what = "denies" if denied else "does not allow"
        yield Finding(layer, State.REFUSES, f"it {what} {role_arn} es:ESHttp*", cure, "deliveryauthfailurealarm")
    elif conditional:
        text = "it allows the delivery role to write under conditions that were not evaluated"
        yield Finding(layer, State.WARNING, text, "", "deliveryauthfailurealarm")
    else:
        yield Finding(layer, State.OK, "it allows the delivery role to write")


def judge_objects(lines: Mapping[str, str], layer: str) -> Iterator[Finding]:
    """Judge one layer's objects by the role mapper's `show`, which returns one line for each kind of object."""
    for kind, line in lines.items():
        if _LAYER_OF.get(kind) != layer:
            continue
        section = _SECTIONS.get(layer, "")
        bad = State.REFUSES if kind in _DELIVERS else State.WARNING
        wrong = deviation(kind, line)
        if wrong == "differs":
            yield Finding(layer, bad, f"{kind} {line}", _APPLY, section)
        elif wrong == "kept":
            cure = "sam deploy --parameter-overrides TakeOver=true, or another name"
            yield Finding(layer, bad, f"{kind} {line}", cure, section)
        else:
            yield Finding(layer, State.OK, f"{kind} {line}")


def judge_cluster(health: Mapping[str, Any], wanted_nodes: int | None) -> Iterator[Finding]:
    """Judge `GET _cluster/health`; `wanted_nodes` is InstanceCount, None where it does not say (one machine)."""
    layer, status = "cluster", health["status"]
    nodes, missing = health["number_of_data_nodes"], health.get("unassigned_shards", 0)
    if status == "red":
        text = f"the cluster is red: {missing} shards are unassigned"
        yield Finding(layer, State.REFUSES, text, "GET _cluster/allocation/explain, in Dev Tools", "domainredalarm")
    elif status == "yellow":
        text = f"the cluster is yellow: {missing} shards are unassigned"
        yield Finding(
            layer,
            State.WARNING,
            text,
            "GET _cat/shards?h=index,shard,prirep,state,unassigned.reason",
            "domainyellowalarm",
        )
    else:
        yield Finding(layer, State.OK, f"the cluster is green; data nodes: {nodes}")
    if wanted_nodes is not None and nodes < wanted_nodes:
        text = f"only {nodes} of {wanted_nodes} data nodes are in the cluster"
        yield Finding(layer, State.WARNING, text, "GET _cat/nodes", "domainnodesalarm")


def judge_nodes(nodes: Sequence[Mapping[str, Any]], pools: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge `_cat/nodes` (name, heap.percent, cpu, disk.used_percent) and `_cat/thread_pool/write` (rejected)."""
    limits = (
        (
            "disk.used_percent",
            _STORAGE_PERCENT,
            "its storage is {} % full",
            "increase VolumeSizeGiB or reduce RetentionDays (see iot-stream plan)",
            "domainstoragealarm",
        ),
        (
            "heap.percent",
            _HEAP_PERCENT,
            "its Java heap is {} % full",
            "use a larger InstanceType or fewer shards",
            "domainmemoryalarm",
        ),
        (
            "cpu",
            _BUSY_PERCENT,
            "its CPU usage is {} %",
            "use a longer RefreshInterval or a larger InstanceType",
            "domainprocessoralarm",
        ),
    )
    for node in nodes:
        for name, limit, text, cure, section in limits:
            value = float(node.get(name) or 0)
            if value >= limit:
                yield Finding(
                    "cluster", State.WARNING, f"node {node['name']}: {text.format(f'{value:.0f}')}", cure, section
                )
    rejected = sum(int(pool.get("rejected") or 0) for pool in pools)
    if rejected:
        text = f"the write thread pools have rejected {rejected} requests since the nodes started"
        yield Finding("cluster", State.WARNING, text, "GET _cat/thread_pool/write?v", "domainwriterejectionalarm")


def judge_index(
    mappings: Mapping[str, Any], blocks: Mapping[str, str], wanted: Mapping[str, str], name: str
) -> Iterator[Finding]:
    """Judge the live index.

    Args:
        mappings: `GET NAME*/_mapping`.
        blocks: `GET NAME*/_settings/index.blocks.*` and the cluster's, by index; `_cluster` for the latter.
        wanted: the type of each field of the index template that follows from the description.
        name: the index that is written to, or the pattern of the rotated ones, of which the newest is.
    """
    layer = "live index"
    for index, block in blocks.items():
        text = f"writes to {'the whole cluster' if index == '_cluster' else index} are blocked: {block}"
        path = "_cluster/settings" if index == "_cluster" else f"{index}/_settings"
        cure = f"free some storage, then PUT {path} with the block set to null"
        yield Finding(layer, State.REFUSES, text, cure, "domainwritesblockedalarm")
    if not mappings:
        yield Finding(layer, State.OK, f"no index {name} yet: the first document creates it")
        return
    newest = max(mappings)
    have = mappings[newest].get("mappings", {}).get("properties", {})
    types = {field: each.get("type", "object") for field, each in have.items()}
    wrong = [
        f"{field} is {types[field]}, not {want}" for field, want in wanted.items() if types.get(field, want) != want
    ]
    absent = [field for field in wanted if field not in types]
    if wrong:
        text = f"index {newest} differs from readings.toml: {', '.join(wrong)}"
        cure = f"POST _reindex into another index, DELETE {newest}, and reindex back; or deploy with another IndexName"
        yield Finding(layer, State.REFUSES, text, cure, "deliveryrejectedalarm")
    elif absent:
        text = f"index {newest} does not index {', '.join(absent)}: it is older than the description"
        cure = f"PUT {newest}/_mapping with these fields, or wait for the next rotation"
        yield Finding(layer, State.WARNING, text, cure)
    else:
        yield Finding(layer, State.OK, f"index {newest} has the {len(wanted)} fields of the documents")


def _statements(policy: str) -> list[Mapping[str, Any]]:
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return []
    statements = statements if isinstance(statements, list) else [statements]
    return [each for each in statements if isinstance(each, dict)]


def _covers_role(statement: Mapping[str, Any], role_arn: str) -> bool:
    principal = statement.get("Principal", {})
    named = _list(principal.get("AWS", []) if isinstance(principal, dict) else principal)
    account = role_arn.split(":")[4] if role_arn.count(":") > 4 else ""  # noqa: PLR2004 - arn:aws:iam::ACCOUNT:…
    return any(each in {"*", role_arn, account} or each.endswith(f":{account}:root") for each in named)


def _covers(statement: Mapping[str, Any], element: str, value: str) -> bool:
    patterns = _list(statement.get(element, []))
    return any(fnmatchcase(value.lower(), str(pattern).lower()) for pattern in patterns)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
