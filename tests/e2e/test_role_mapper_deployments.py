"""The role mapper through real deployments: what the domain has after each, and after a failed one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from iot_stream import domain_objects
from iot_stream.errors import StackError
from iot_stream.local.local_stack import LocalStack
from iot_stream.stack import Stack
from role_mapper.objects.access_documents import addition, removal
from tests.beside import Beside
from tests.polling import until
from tests.secrets import make_secret

pytestmark = pytest.mark.secrets

NAMES = {
    "StreamName": "mapped-stream",
    "DeliveryStreamName": "mapped-delivery",
    "EnrichmentFunctionName": "mapped-enrichment",
    "DomainName": "mapped-domain",
    "BackupBucketSuffix": "mapped-backup",
    "MasterUserName": "mapped-master",
    "OpenSearchRoleName": "mapped-role",
    "IndexName": "mapped",
}
"""Names of a second stack beside that of the other end-to-end tests."""
_ALL_ACCESS = "/_plugins/_security/api/rolesmapping/all_access"


@pytest.fixture(scope="module")
def mapped(beside: Callable[[str], Beside]) -> Iterator[Beside]:
    """The stack; deleted in the end, if a test has not."""
    mapped = beside("mapped")
    yield mapped
    mapped.delete()


@pytest.fixture(scope="module")
def local_aws(mapped: Beside) -> LocalStack:
    """Its neighbours."""
    return mapped.local_stack


@pytest.fixture
def state(local_aws: LocalStack) -> Iterator[Callable[[], dict[str, Any]]]:
    """What the domain has of this module's names."""
    with local_aws.opensearch.admin_session() as admin:

        def read() -> dict[str, Any]:
            url = local_aws.opensearch.url
            found: dict[str, Any] = {}
            for kind in ("roles", "rolesmapping"):
                objects = admin.get(f"{url}/_plugins/_security/api/{kind}").json()
                found |= {f"{kind}/{name}": each for name, each in objects.items() if name.startswith("mapped")}
            templates = admin.get(f"{url}/_index_template/mapped*").json().get("index_templates", [])
            return found | {f"template/{each['name']}": each["index_template"] for each in templates}

        yield read


def _patterns(state: dict[str, Any], role: str) -> list[str]:
    patterns: list[str] = state[f"roles/{role}"]["index_permissions"][0]["index_patterns"]
    return patterns


def _settings(state: dict[str, Any], name: str) -> dict[str, str]:
    settings: dict[str, str] = state[f"template/{name}"]["template"]["settings"]["index"]
    return settings


def test_the_domain_follows_the_stack_through_its_life(
    mapped: Beside, local_aws: LocalStack, state: Callable[[], dict[str, Any]]
) -> None:
    """Create, update of each property, failed update with rollback, new files, by hand, delete."""
    stack = mapped.create(NAMES)
    created = state()
    assert set(created) == {"roles/mapped-role", "rolesmapping/mapped-role", "template/mapped"}
    assert created["rolesmapping/mapped-role"]["backend_roles"] == [stack.output("DeliveryRoleArn")]
    assert _patterns(created, "mapped-role") == ["mapped*"]

    index = {"IndexName": "mapped-days", "IndexRotationPeriod": "OneDay", "RetentionDays": "30"}
    shape = {"NumberOfShards": "2", "InstanceCount": "2", "NumberOfReplicas": "1", "RefreshInterval": "30s"}
    moved_to = {"OpenSearchRoleName": "mapped-renamed", "OpenSearchRoleIndexPattern": "mapped-*"} | index | shape
    stack = mapped.update(NAMES | moved_to | {"RepairSchedule": "rate(1 day)"})
    moved = state()
    assert set(moved) == {"roles/mapped-renamed", "rolesmapping/mapped-renamed", "template/mapped-days"}
    assert _patterns(moved, "mapped-renamed") == ["mapped-*"]
    assert _settings(moved, "mapped-days") == {
        "number_of_shards": "2",
        "number_of_replicas": "1",
        "refresh_interval": "30s",
    }

    _repair_as_scheduled(local_aws, stack, state)

    with pytest.raises(StackError, match=r"RoleMapping: .*role all_access is reserved: .*choose another RoleName"):
        mapped.update(NAMES | {"OpenSearchRoleName": "all_access", "IndexName": "mapped-failed"})
    assert state() == moved, "the rollback of a failed update leaves the previous state working"
    file = mapped.build / "RoleMapperFunction" / "opensearch" / "index-template.json"
    shipped = file.read_text(encoding="utf-8")
    try:
        file.write_text(json.dumps(json.loads(shipped) | {"version": 7}), encoding="utf-8")
        # Another master user comes with another password: the mapper signs in with both, or this would fail.
        stack = mapped.deploy(NAMES | moved_to | {"MasterUserName": "mapped-second"})
    finally:
        file.write_text(shipped, encoding="utf-8")
    assert state()["template/mapped-days"]["version"] == 7, "a changed file alone reaches the domain"

    secrets = local_aws.aws.client("secretsmanager")
    assert '"mapped-second"' in secrets.get_secret_value(SecretId=stack.output("MasterUserSecretArn"))["SecretString"]

    client = local_aws.aws.client("lambda")
    before = state()
    looked = domain_objects.invoke(client, stack, "show").lines
    assert looked["Role"] == "unchanged: mapped-renamed"
    assert looked["RetentionPolicy"].startswith("skipped: mapped-days (the domain has no Index State Management)")
    domain_objects.invoke(client, stack, "remove")
    assert state() == {}
    assert domain_objects.invoke(client, stack, "show").lines["RoleMapping"].startswith("differs: mapped-renamed")
    domain_objects.invoke(client, stack, "apply")
    assert state() == before

    secret = secrets.get_secret_value(SecretId=stack.output("MasterUserSecretArn"))
    make_secret(json.loads(secret["SecretString"])["password"])
    for line in _log_lines(local_aws):
        print(line)  # what the function has logged is searched for the secret, as everything printed is

    mapped.delete()
    assert state() == {}


def _repair_as_scheduled(local_aws: LocalStack, stack: Stack, state: Callable[[], dict[str, Any]]) -> None:
    """Have the rule's target do what the schedule has it do, with the input that CloudFormation made for it."""
    events = local_aws.aws.client("events")
    rules = [each for each in events.list_rules()["Rules"] if each["Name"].startswith("mapped-")]
    [rule] = [each for each in rules if each.get("ScheduleExpression") == "rate(1 day)"]
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    before = state()
    domain_objects.invoke(local_aws.aws.client("lambda"), stack, "remove")
    assert state() == {}
    response = local_aws.aws.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"].encode())
    assert json.load(response["Payload"])["Status"] == "SUCCESS"
    assert state() == before


def _migrated(mapped: Beside, stack: Stack) -> None:
    """Take a live index through an update that fails, its rollback, a migration and retention without rotation."""
    local_aws, file = mapped.local_stack, mapped.build / "RoleMapperFunction" / "opensearch" / "index-template.json"
    retained = NAMES | {"MasterUserMode": "IamRole", "RetentionDays": "30"}
    client, url, shipped = local_aws.aws.client("lambda"), local_aws.opensearch.url, file.read_text("utf-8")
    with local_aws.opensearch.admin_session() as admin:
        admin.put(f"{url}/mapped/_doc/1?refresh=true", json={"device_id": 1}).raise_for_status()
        template = json.loads(shipped)
        template["template"]["mappings"]["properties"] |= {"added": {"type": "ip"}, "device_id": {"type": "keyword"}}
        try:
            file.write_text(json.dumps(template), encoding="utf-8")
            with pytest.raises(
                StackError, match=r"RoleMapping: .*device_id is long, not keyword, which can't be changed"
            ):
                mapped.deploy(NAMES | {"MasterUserMode": "IamRole"})
        finally:
            file.write_text(shipped, encoding="utf-8")
        fields = admin.get(f"{url}/mapped").json()["mapped"]["mappings"]["properties"]
        assert (fields["added"], fields["device_id"]) == ({"type": "ip"}, {"type": "long"}), "an addition stays"
        assert domain_objects.invoke(client, stack, "show").lines["Indices"] == "unchanged: mapped", "rolled back"

        with pytest.raises(StackError, match=r"RoleMapping: .*mapped is an index, .*iot-stream domain migrate"):
            mapped.update(retained)
        migrated = domain_objects.invoke(client, stack, "migrate").lines["WriteAlias"]
        assert migrated == "created: mapped (its readings are in mapped-000001, its write index)"
        stack = mapped.update(retained)
        lines = domain_objects.invoke(client, stack, "show").lines
        assert lines["WriteAlias"] == "unchanged: mapped (writes to mapped-000001)"
        assert admin.get(f"{url}/mapped/_count").json()["count"] == 1
        admin.delete(f"{url}/mapped-000001").raise_for_status()


def test_an_iam_role_is_the_master_user(
    mapped: Beside, local_aws: LocalStack, state: Callable[[], dict[str, Any]]
) -> None:
    """MasterUserMode=IamRole: no secret, no password; the function signs in with its own role, until the delete."""
    stack = mapped.create(NAMES | {"MasterUserMode": "IamRole"})
    assert "MasterUserSecretArn" not in stack.outputs
    created = state()
    assert set(created) == {"roles/mapped-role", "rolesmapping/mapped-role", "template/mapped"}
    client = local_aws.aws.client("lambda")
    domain_objects.invoke(client, stack, "remove")
    assert state() == {}
    assert domain_objects.invoke(client, stack, "show").lines["Role"].startswith("differs: mapped-role")
    domain_objects.invoke(client, stack, "apply")
    assert state() == created
    # Without its mapping to all_access the role is nobody: it was no name and password that let it in.
    [master] = [role for role in _administrators(local_aws)["backend_roles"] if "mapped-RoleMapperRole" in role]
    until(lambda: _patched(local_aws, removal, master))
    with pytest.raises(domain_objects.InvocationError, match="403"):
        domain_objects.invoke(client, stack, "show")
    until(lambda: _patched(local_aws, addition, master))
    _migrated(mapped, stack)
    mapped.delete()
    assert state() == {}


def _administrators(local_aws: LocalStack) -> dict[str, Any]:
    with local_aws.opensearch.admin_session() as admin:
        mapping: dict[str, Any] = admin.get(f"{local_aws.opensearch.url}{_ALL_ACCESS}").json()["all_access"]
        return mapping


def _patched(local_aws: LocalStack, change: Callable[[dict[str, Any], str], Any], role: str) -> bool:
    """Return whether the patch was taken; other stacks change the mapping too, and a conflict (409) changes nothing."""
    operations = change(_administrators(local_aws), role)
    with local_aws.opensearch.admin_session() as admin:
        return admin.patch(f"{local_aws.opensearch.url}{_ALL_ACCESS}", json=operations).ok


def _log_lines(local_aws: LocalStack) -> list[str]:
    logs = local_aws.aws.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    lines: list[str] = []
    for group in (name for name in groups if "mapped" in name and "RoleMapper" in name):
        lines += [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert any('"status": "SUCCESS"' in line for line in lines), f"no log of the role mapper in {groups}"
    return lines
