"""A second stack's life on the local AWS: shaped for production, refused, rolled back, deleted and deployed again."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from iot_stream.errors import StackError
from iot_stream.local.local_stack import LocalStack, Ports, deploy
from iot_stream.local.ministack import Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.paths import PROJECT

NAMES = dict.fromkeys(
    ("StreamName", "DeliveryStreamName", "EnrichmentFunctionName", "DomainName", "BackupBucketSuffix"), "second"
)
"""What docs/operations.md says a second stack in the same region needs names of its own for."""
# Here every domain is the run's one OpenSearch, so what is inside the domain needs names of its own as well.
INSIDE = dict.fromkeys(("MasterUserName", "OpenSearchRoleName", "IndexName"), "second")
NOT_HERE = {"GradualDeployment"}  # ministack has no CodeDeploy


@pytest.fixture
def second(sam_build: Path, opensearch: OpenSearch, ministack: Ministack, local_folder: Path) -> Iterator[LocalStack]:
    """A stack beside the run's other ones, without delivery; deleted in the end."""
    assert sam_build.exists()
    ports = Ports(opensearch=opensearch.port, aws=ministack.port)
    stack = LocalStack(local_folder, ports, opensearch.home, stack_name="second")
    yield stack
    _delete(stack)


def _delete(stack: LocalStack) -> None:
    client = stack.aws.client("cloudformation")
    client.delete_stack(StackName=stack.stack_name)
    waiter = client.get_waiter("stack_delete_complete")
    waiter.wait(StackName=stack.stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def test_a_stack_shaped_for_production_refuses_rolls_back_and_comes_again(second: LocalStack) -> None:
    """What can't work fails with its reason and leaves the earlier state; after its deletion every name is free."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    entries = config["prod"]["deploy"]["parameters"]["parameter_overrides"]
    shape = {name: value for name, value in (entry.split("=", 1) for entry in entries) if name not in NOT_HERE}
    parameters = NAMES | INSIDE | shape
    stack = deploy(second, parameters)

    domain = second.aws.client("opensearch").describe_domain(DomainName="second")["DomainStatus"]
    assert domain["ClusterConfig"]["InstanceCount"] == 3
    assert domain["ClusterConfig"]["DedicatedMasterEnabled"] is True
    alarms = second.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="second")["MetricAlarms"]
    thresholds = {alarm["MetricName"]: alarm["Threshold"] for alarm in alarms if alarm["Namespace"] == "AWS/ES"}
    assert thresholds["Nodes"] == 6
    assert thresholds["FreeStorageSpace"] == 25 * 1024

    with pytest.raises(StackError, match=r"DeploymentCheck: .*BackupMode can't be changed"):
        deploy(second, parameters | {"BackupMode": "AllDocuments"})
    with pytest.raises(StackError, match=r"DeploymentCheck: .*the enrichment function fails: .*Europe/Berln"):
        deploy(second, parameters | {"DeviceTimeZone": "Europe/Berln"})
    assert second.stack().parameters["DeviceTimeZone"] == "UTC", "rolled back"
    renames = {"DeviceTimeZone": "Europe/Berlin", "EnrichmentFunctionName": "renamed", "IndexName": "renamed"}
    deploy(second, parameters | renames)
    with second.opensearch.admin_session() as admin:
        role = admin.get(f"{second.opensearch.url}/_plugins/_security/api/roles/second").json()["second"]
    assert role["index_permissions"][0]["index_patterns"] == ["renamed*"], "narrowed once the delivery stream has it"
    [function] = [name for name in _functions(second) if name in {"second", "renamed"}]
    assert function == "renamed", "the old one went once the new one was in use"

    _delete(second)
    assert deploy(second, NAMES | INSIDE).outputs.keys() == stack.outputs.keys()


def _functions(stack: LocalStack) -> list[str]:
    return [each["FunctionName"] for each in stack.aws.client("lambda").list_functions()["Functions"]]
