"""`iot-stream domain show`: every broken state of a domain has a line of its own that names it."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from iot_stream import domain_objects
from iot_stream.cli import cli, options
from iot_stream.stack import Stack
from role_mapper import files, handler, master_user, provision
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.builders import DOMAIN_ENDPOINT, FUNCTION_ENVIRONMENT, STACK_ID, mapping_properties
from tests.fake_domain import FakeDomain
from tests.lambda_context import LambdaContext

pytestmark = pytest.mark.secrets

OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
NAME, FIRST, SECOND, DAY = "iot-stream", "iot-stream-000001", "iot-stream-000002", "iot-stream-2026-11-22"
ROLE, ARN = mapping_properties()["RoleName"], mapping_properties()["DeliveryRoleArn"]
ROTATING = {"IndexRotationPeriod": "OneDay", "RetentionDays": "7"}
ROLLING = {"IndexRotationPeriod": "NoRotation", "RetentionDays": "7"}
FOREVER = {"IndexRotationPeriod": "NoRotation", "RetentionDays": "0"}


class Lambda:
    """Lambda's Invoke: it runs the real function, against the domain in memory."""

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  # boto3's names
        """Invoke it."""
        assert FunctionName.startswith("arn:")
        document = handler.lambda_handler(json.loads(Payload), LambdaContext(120))
        return {"Payload": io.BytesIO(json.dumps(document).encode())}


@pytest.fixture
def domain(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """A domain with every plugin; the function's secret can be read."""
    fake_domain.installed = {"ism", "dashboards"}
    secret = json.dumps({"username": "admin", "password": fake_domain.users["admin"]})
    monkeypatch.setattr(master_user, "_read_secret", lambda *_: secret)
    for name, value in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return fake_domain


def show(monkeypatch: pytest.MonkeyPatch, properties: dict[str, str], *, code: int = 0) -> str:
    """Run `iot-stream domain show` as a person does, which exits with a code; what it prints."""
    given = mapping_properties(**properties)
    parameters = {parameter: given[name] for name, parameter in domain_objects._FROM_PARAMETERS.items()}
    outputs = {"RoleMapperFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:role-mapper"}
    outputs |= {name: given[name] for name in ("DomainEndpoint", "DeliveryRoleArn")}
    stack = Stack("iot-stream", STACK_ID, outputs, parameters)
    target = type("Target", (), {"stack": stack, "client": lambda *_: Lambda()})()
    monkeypatch.setattr(options, "resolve_target", lambda *_, **__: target)
    result = CliRunner().invoke(cli, ["domain", "show"])
    assert result.exit_code == code, result.output
    return result.output


def _rolled(domain: FakeDomain) -> None:
    domain._make(SECOND)
    domain.aliases |= {FIRST: {NAME: {"is_write_index": False}}, SECOND: {NAME: {"is_write_index": True}}}


def _lacks(domain: FakeDomain, index: str, *fields: str) -> None:
    mapping = files.index_template(Properties.of(mapping_properties()), "")["template"]["mappings"]
    kept = {key: each for key, each in mapping["properties"].items() if key not in fields}
    domain.indices.setdefault(index, NAME)
    domain.fields[index] = mapping | {"properties": kept}


def _retyped(domain: FakeDomain, index: str) -> None:
    _lacks(domain, index)
    domain.fields[index]["properties"]["device_id"] = {"type": "text"}


def _stale_copy(domain: FakeDomain) -> None:
    domain._make(DAY)
    domain.copies[DAY]["states"][0]["transitions"][0]["conditions"]["min_index_age"] = "1d"


def _failing(domain: FakeDomain) -> None:
    """Do as the plugin does when a rollover has failed for good: explain says so (its fields as captured)."""
    serve = domain._explain

    def explain(call: Any, name: str) -> Any:
        response = serve(call, name)
        response.body[FIRST] |= {
            "action": {"name": "rollover", "failed": True},
            "retry_info": {"failed": True, "consumed_retries": 3},
            "info": {"message": "Missing rollover_alias index setting [index=iot-stream-000001]"},
        }
        return response

    domain._explain = explain  # type: ignore[method-assign]


type Break = Callable[[FakeDomain], object]

STATES: dict[str, tuple[dict[str, str], Break, str, str]] = {
    "no role": (FOREVER, lambda d: d.roles.clear(), "Role", "it is missing"),
    "role grants more": (
        FOREVER, lambda d: d.roles[ROLE].update(cluster_permissions=["*"]), "Role", "it differs in cluster_permissions",
    ),
    "role hides documents": (
        FOREVER,
        lambda d: d.roles[ROLE]["index_permissions"][0].update(dls="{}"),
        "Role", "it differs in index_permissions",
    ),
    "somebody else's role": (
        FOREVER, lambda d: d.roles[ROLE].update(description="by hand"), "Role", "was not made by this stack",
    ),
    "protected role": (FOREVER, lambda d: d.roles[ROLE].update(reserved=True), "Role", "is reserved"),
    "no mapping": (FOREVER, lambda d: d.mappings.clear(), "RoleMapping", "it is missing"),
    "not mapped": (
        FOREVER, lambda d: d.mappings[ROLE].update(backend_roles=["other"]), "RoleMapping", f"{ARN} is not mapped",
    ),
    "no template": (FOREVER, lambda d: d.index_templates.clear(), "IndexTemplate", "it is missing"),
    "template of other shards": (
        FOREVER,
        lambda d: d.index_templates[NAME]["template"]["settings"]["index"].update(number_of_shards="9"),
        "IndexTemplate", "it differs in template",
    ),
    "template that nothing uses": (
        FOREVER,
        lambda d: d.index_templates.update(logs={"index_patterns": ["*"], "priority": 999}),
        "Indices", "index template logs (priority 999) overrides it (priority 210)",
    ),
    "live index without a field": (
        FOREVER, lambda d: _lacks(d, NAME, "uuid"), "Indices", "uuid missing in iot-stream",
    ),
    "live index with another type": (
        FOREVER, lambda d: _retyped(d, NAME), "Indices", "device_id is text, not long",
    ),
    "closed index": (
        ROTATING,
        lambda d: (d._make(DAY), d.closed.add(DAY)),
        "Indices", f"closed, so documents are rejected: {DAY}",
    ),
    "blocked index": (
        FOREVER,
        lambda d: (_lacks(d, NAME), d.blocks.update({NAME: "read_only_allow_delete"})),
        "Indices", "blocked by index.blocks.read_only_allow_delete",
    ),
    "no policy": (ROTATING, lambda d: d.policies.clear(), "RetentionPolicy", "it is missing"),
    "policy of another age": (
        ROTATING,
        lambda d: d.policies[NAME]["policy"]["states"][0]["transitions"][0]["conditions"].update(min_index_age="1d"),
        "RetentionPolicy", "it exists, but differs",
    ),
    "index with an old copy of the policy": (ROTATING, _stale_copy, "RetentionPolicy", f"_ism/remove/{DAY}"),
    "index that follows no policy": (
        ROTATING, lambda d: d.indices.update({DAY: None}), "RetentionPolicy", f"POST /_plugins/_ism/add/{DAY}",
    ),
    "policy that stays where nothing is to be deleted": (
        FOREVER,
        lambda d: provision.apply(d.client(), Properties.of(mapping_properties(**ROLLING)), OWNER),
        "RetentionPolicy", "POST /_plugins/_ism/remove/iot-stream-000001",
    ),
    "more shards than the nodes hold": (
        ROTATING | {"NumberOfShards": "500"}, lambda _: None, "RetentionPolicy", "data nodes hold at most 1000",
    ),
    "rollover that fails": (ROLLING, _failing, "RetentionPolicy", f"failed for {FIRST}: Missing rollover_alias"),
    "no alias": (
        ROLLING, lambda d: d.aliases.clear(), "WriteAlias", f"alias {NAME} lacks these indices: {FIRST}",
    ),
    "alias and no index": (
        ROLLING, lambda d: d._forget(FIRST), "WriteAlias", "alias iot-stream and its first index are missing",
    ),
    "alias without a write index": (
        ROLLING,
        lambda d: (_rolled(d), d.aliases[SECOND][NAME].update(is_write_index=False)),
        "WriteAlias", "has 0 write indices",
    ),
    "index in the alias's place": (
        ROLLING, lambda d: (d.aliases.clear(), d._make(NAME)), "WriteAlias", "iot-stream is an index",
    ),
    "no dashboards": (
        FOREVER, lambda d: d.saved_objects.clear(), "Dashboards", "POST /_dashboards/api/saved_objects/_import",
    ),
    "a dashboard that people changed": (
        FOREVER,
        lambda d: next(iter(d.saved_objects.values()))["attributes"].update(title="Mine"),
        "Dashboards", "changed in Dashboards",
    ),
}  # fmt: skip


NOTED = {
    "changed in Dashboards",
    *(STATES[name][3] for name in ("closed index", "blocked index", "rollover that fails")),
}
"""What is said of an object that is as the stack wants it: a person did it, and `apply` leaves it alone."""


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_a_broken_state_is_named(
    domain: FakeDomain,
    monkeypatch: pytest.MonkeyPatch,
    state: tuple[dict[str, str], Break, str, str],
) -> None:
    """On the line of its kind and by the exit code; before it was broken no line differs; looking changes nothing."""
    properties, broken, kind, words = state
    healthy = properties | {"NumberOfShards": "1"}
    provision.apply(domain.client(), Properties.of(mapping_properties(**healthy)), OWNER)
    before = show(monkeypatch, healthy)
    assert words not in before
    assert not {"differs", "kept", "left behind"} & set(before.replace(":", "").split())
    broken(domain)
    as_broken = domain.state()
    lines = show(monkeypatch, properties, code=0 if words in NOTED else 1).splitlines()
    assert [line for line in lines if line.split()[0] == kind and words in line], lines
    assert domain.state() == as_broken
