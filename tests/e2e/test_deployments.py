"""A second stack's life on the local AWS: shaped for production, refused, rolled back, deleted and deployed again."""

import json
import tomllib
from collections.abc import Callable, Iterator

import pytest
from botocore.config import Config

from iot_stream import domain_objects
from iot_stream.errors import StackError
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.ministack import ACCOUNT
from iot_stream.paths import PROJECT
from tests.beside import Beside
from tests.secrets import make_secret
from tests.template import load_template

NAMES = dict.fromkeys(
    ("StreamName", "DeliveryStreamName", "EnrichmentFunctionName", "DomainName", "BackupBucketSuffix"), "second"
)
"""What docs/operations.md says a second stack in the same region needs names of its own for."""
# Here every domain is the run's one OpenSearch, so what is inside the domain needs names of its own as well.
INSIDE = dict.fromkeys(("MasterUserName", "OpenSearchRoleName", "IndexName"), "second")
NOT_HERE = {"GradualDeployment"}  # ministack has no CodeDeploy

CHANGED = {
    "StreamName": "changed",
    "DeliveryStreamName": "changed",
    "EnrichmentFunctionName": "changed",
    "BackupBucketSuffix": "changed",
    "OpenSearchRoleName": "changed",
    "IndexName": "changed",
    "MasterUserName": "changed",
    "AdminRoleArn": "arn:aws:iam::000000000000:role/changed",
    "AlarmDelaySeconds": "900",
    "AlarmEmail": "ops@example.org",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:pager",
    "AutomaticSoftwareUpdates": "true",
    "AvailabilityZones": "3",
    "BackupBucketPolicy": "Strict",
    "BackupExpirationDays": "30",
    "BackupPrefix": "changed/",
    "BackupVersioning": "true",
    "ChangeOverSeconds": "1",
    "DedicatedMasterType": "m6g.large.search",
    "DedicatedMasters": "true",
    "DeliveryBufferIntervalInSeconds": "10",
    "DeliveryBufferSizeInMBs": "2",
    "DeliveryRetrySeconds": "60",
    "DeviceAlertsDays": "30",
    "DeviceAlertsSchedule": "rate(5 minutes)",
    "DeviceTimeZone": "Europe/Berlin",
    "DocumentIdFormat": "NO_DOCUMENT_ID",
    "DomainLogs": "All",
    "EngineVersion": "OpenSearch_3.3",
    "EnrichmentMemorySize": "512",
    "EnrichmentReservedConcurrency": "5",
    "IndexRotationPeriod": "OneDay",
    "InstanceCount": "3",
    "InstanceType": "m7g.large.search",
    "LogRetentionDays": "30",
    "MetricsNamespace": "Changed",
    "NumberOfReplicas": "2",
    "NumberOfShards": "2",
    "OffPeakStartHour": "3",
    "OpenSearchRoleIndexPattern": "changed-*",
    "OverwriteDashboards": "true",
    "PermissionsBoundaryArn": "arn:aws:iam::000000000000:policy/boundary",
    "RefreshInterval": "5s",
    "RepairSchedule": "rate(1 day)",
    "RetentionDays": "30",
    "ShardCount": "2",
    "SilenceAlarmSeconds": "900",
    "Standby": "true",
    "StreamRetentionHours": "48",
    "TakeOver": "true",
    "TransformBufferIntervalInSeconds": "10",
    "TransformBufferSizeInMBs": "1",
    "TransformRetries": "1",
    "VolumeIops": "4000",
    "VolumeSizeGiB": "20",
    "VolumeThroughput": "250",
}
"""Another value of every parameter that one update can change here."""
UNCHANGED = {
    "Architecture": "the packages are of this machine's processor",
    "BackupMode": "refused on a delivery stream that exists, as the test above shows",
    "CombinedAlarms": "ministack refuses metric math and composite alarms",
    "CustomerManagedKey": "refused on a domain that exists; prod's shape has it",
    "DeviceAlerts": "its schedule is changed here; test_role_mapper_provision.py takes its objects out of the domain",
    "DomainName": "here every domain is the run's one OpenSearch",
    "GradualDeployment": "ministack has no CodeDeploy",
    "MasterUserMode": "test_role_mapper_deployments.py deploys it",
    "RefusedReadingsPercent": "above 0 it needs metric math",
    "RetainData": "it is prod's, deployed and deleted above",
    "SampleReading": "it goes with functions/enrichment/readings.toml",
    "StreamWarmThroughputMiBps": "refused with shards",
    **dict.fromkeys(["DashboardsCidr", "SubnetIds", "VpcId"], "refused on a domain that exists"),
    **dict.fromkeys(
        ["SamlAdminGroup", "SamlEntityId", "SamlMetadataParameter", "SamlRolesKey"], "there is no identity provider"
    ),
}
"""Why the others keep theirs."""


@pytest.fixture
def stack_beside(beside: Callable[[str], Beside]) -> Iterator[Beside]:
    """The second stack; deleted in the end."""
    second = beside("second")
    yield second
    second.delete()


@pytest.fixture
def second(stack_beside: Beside) -> LocalStack:
    """Its neighbours, logs and name."""
    return stack_beside.local_stack


def test_a_stack_shaped_for_production_refuses_rolls_back_and_comes_again(
    stack_beside: Beside, second: LocalStack
) -> None:
    """What can't work fails with its reason and leaves the earlier state; after its deletion every name is free."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    entries = config["prod"]["deploy"]["parameters"]["parameter_overrides"]
    shape = {name: value for name, value in (entry.split("=", 1) for entry in entries) if name not in NOT_HERE}
    parameters = NAMES | INSIDE | shape
    stack = stack_beside.create(parameters)

    domain = second.aws.client("opensearch").describe_domain(DomainName="second")["DomainStatus"]
    assert domain["ClusterConfig"]["InstanceCount"] == 3
    assert domain["ClusterConfig"]["DedicatedMasterEnabled"] is True
    alarms = second.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="second")["MetricAlarms"]
    thresholds = {alarm["MetricName"]: alarm["Threshold"] for alarm in alarms if alarm["Namespace"] == "AWS/ES"}
    assert thresholds["Nodes"] == 6
    assert thresholds["FreeStorageSpace"] == 25 * 1024

    _rotate_the_password(second)

    with pytest.raises(StackError, match=r"DeploymentCheck: .*BackupMode can't be changed"):
        stack_beside.update(parameters | {"BackupMode": "AllDocuments"})
    moved = _events(second, "EnrichmentFunctionAliaslive")
    with pytest.raises(StackError, match=r"DeploymentCheck: .*the enrichment function fails: .*Europe/Berln"):
        stack_beside.update(parameters | {"DeviceTimeZone": "Europe/Berln"})
    assert second.stack().parameters["DeviceTimeZone"] == "UTC", "rolled back"
    assert _events(second, "EnrichmentFunctionAliaslive") == moved, "no batch met the version that was refused"
    renames = {"DeviceTimeZone": "Europe/Berlin", "EnrichmentFunctionName": "renamed", "IndexName": "renamed"}
    stack_beside.update(parameters | renames)
    with second.opensearch.admin_session() as admin:
        role = admin.get(f"{second.opensearch.url}/_plugins/_security/api/roles/second").json()["second"]
    assert role["index_permissions"][0]["index_patterns"] == ["renamed*"], "narrowed once the delivery stream has it"
    [function] = [name for name in _functions(second) if name in {"second", "renamed"}]
    assert function == "renamed", "the old one went once the new one was in use"

    stack_beside.delete()
    _delete_what_was_retained(second)
    assert stack_beside.create(NAMES | INSIDE).outputs.keys() == stack.outputs.keys()
    _update_every_parameter(stack_beside, second)


def _delete_what_was_retained(second: LocalStack) -> None:
    """See that `RetainData=true` left stream, bucket and domain, and delete them as docs/operations.md has it."""
    bucket = f"{ACCOUNT}-second"
    second.aws.client("kinesis").delete_stream(StreamName="second")
    s3 = second.aws.client("s3")
    for version in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=bucket)
    second.aws.client("opensearch").delete_domain(DomainName="second")


def _rotate_the_password(second: LocalStack) -> None:
    """Another password in the domain and in the secret, as docs/operations.md has it: the role mapper goes on working.

    Delivery signs in as an IAM role and never had it.
    """
    stack, secrets = second.stack(), second.aws.client("secretsmanager")
    secret_id = stack.output("MasterUserSecretArn")
    secret = json.loads(secrets.get_secret_value(SecretId=secret_id)["SecretString"])
    changed = secret | {"password": make_secret("Rotated-0-" + secrets.get_random_password()["RandomPassword"][:12])}
    with second.opensearch.admin_session() as admin:  # what UpdateDomainConfig does on AWS
        user = f"{second.opensearch.url}/_plugins/_security/api/internalusers/{secret['username']}"
        admin.patch(user, json=[{"op": "add", "path": "/password", "value": changed["password"]}]).raise_for_status()
    secrets.put_secret_value(SecretId=secret_id, SecretString=json.dumps(changed))
    shown = domain_objects.invoke(second.aws.client("lambda"), stack, "show").lines
    assert shown["Role"] == "unchanged: second"


def _update_every_parameter(stack_beside: Beside, second: LocalStack) -> None:
    """Change them all at once, and see it where each one goes."""
    assert CHANGED.keys() | UNCHANGED.keys() == load_template()["Parameters"].keys()
    topic = second.aws.client("sns").create_topic(Name="pager")["TopicArn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}  # ministack enforces boundaries, as AWS does
    boundary = second.aws.client("iam").create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    )
    changed = CHANGED | {"AlarmTopicArn": topic, "PermissionsBoundaryArn": boundary["Policy"]["Arn"]}
    stack = stack_beside.update(NAMES | changed)
    assert {name: stack.parameters[name] for name in changed} == changed

    stream = second.aws.client("kinesis").describe_stream_summary(StreamName="changed")["StreamDescriptionSummary"]
    assert stream["RetentionPeriodHours"] == 48
    function = second.aws.client("lambda").get_function_configuration(FunctionName="changed:live")
    assert function["MemorySize"] == 512
    assert function["Environment"]["Variables"] == {
        "DEVICE_TIME_ZONE": "Europe/Berlin",
        "METRICS_NAMESPACE": "Changed",
        "METRICS_BY_VERSION": "false",
    }, "the alias has the version with the new settings"
    text = _described_delivery_stream(second, "changed")
    for setting in ("'changed/'", "'OneDay'", "'DurationInSeconds': 60", "'NO_DOCUMENT_ID'", "function:changed:live"):
        assert setting in text or setting.replace("60", "'60'") in text, setting
    domain = second.aws.client("opensearch").describe_domain(DomainName="second")["DomainStatus"]
    assert domain["ClusterConfig"]["InstanceType"] == "m7g.large.search"
    assert domain["EBSOptions"]["VolumeSize"] == 20
    rules = {
        each["Name"].split("-")[1]: each.get("ScheduleExpression")
        for each in second.aws.client("events").list_rules()["Rules"]
        if each["Name"].startswith("second")
    }
    assert "rate(1 day)" in rules.values(), "RepairSchedule"
    assert "rate(5 minutes)" in rules.values(), "DeviceAlertsSchedule"
    alarms = second.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="second")["MetricAlarms"]
    assert {alarm["AlarmActions"][0] for alarm in alarms} == {topic}
    thresholds = {alarm["MetricName"]: alarm["Threshold"] for alarm in alarms}
    assert thresholds["DeliveryToAmazonOpenSearchService.DataFreshness"] == 900
    with second.opensearch.admin_session() as admin:
        api = f"{second.opensearch.url}/_plugins/_security/api"
        role = admin.get(f"{api}/roles/changed").json()["changed"]
        administrators = admin.get(f"{api}/rolesmapping/all_access").json()["all_access"]["backend_roles"]
        template = admin.get(f"{second.opensearch.url}/_index_template/changed").json()["index_templates"][0]
    assert role["index_permissions"][0]["index_patterns"] == ["changed-*"]
    assert CHANGED["AdminRoleArn"] in administrators
    assert template["index_template"]["template"]["settings"]["index"]["number_of_shards"] == "2"


def _events(stack: LocalStack, resource: str) -> list[str]:
    pages = (
        stack.aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack.stack_name)
    )
    events = [event for page in pages for event in page["StackEvents"] if event["LogicalResourceId"] == resource]
    return [event["ResourceStatus"] for event in events]


def _functions(stack: LocalStack) -> list[str]:
    return [each["FunctionName"] for each in stack.aws.client("lambda").list_functions()["Functions"]]


def _described_delivery_stream(stack: LocalStack, name: str) -> str:
    """Return the raw description: ministack calls the destination otherwise than AWS, and boto3 drops it."""
    bodies: list[bytes] = []
    client = stack.aws.client("firehose", Config())  # not the shared one: it keeps the handler
    client.meta.events.register(
        "before-parse.firehose.DescribeDeliveryStream",
        lambda response_dict, **_: bodies.append(response_dict["body"]),
    )
    client.describe_delivery_stream(DeliveryStreamName=name)
    return str(json.loads(bodies[0]))


def test_everything_in_a_vpc(stack_beside: Beside, second: LocalStack) -> None:
    """Domain and delivery are in the same subnets, in groups that fit together (ministack drops a function's VPC)."""
    ec2 = second.aws.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
    names = dict.fromkeys(NAMES | INSIDE, "private")  # "second" is taken by what a rename has left behind
    network = {"VpcId": vpc, "SubnetIds": subnet, "DashboardsCidr": "10.0.0.0/16"}
    stack_beside.create(names | network)

    domain = second.aws.client("opensearch").describe_domain(DomainName="private")["DomainStatus"]
    assert domain["VPCOptions"]["SubnetIds"] == [subnet]
    [domain_group] = domain["VPCOptions"]["SecurityGroupIds"]
    client_group = second.aws.client("cloudformation").describe_stack_resource(
        StackName="second", LogicalResourceId="ClientSecurityGroup"
    )["StackResourceDetail"]["PhysicalResourceId"]
    assert client_group in _described_delivery_stream(second, "private")
    [group] = ec2.describe_security_groups(GroupIds=[domain_group])["SecurityGroups"]
    rules = group["IpPermissions"]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {(443, 443)}
    assert [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]] == [client_group]
    assert [each["CidrIp"] for rule in rules for each in rule["IpRanges"]] == ["10.0.0.0/16"]
    with pytest.raises(
        StackError, match=r"VpcId can't be changed from vpc-\w+ to vpc-0123456789abcdef0 on an existing domain"
    ):
        stack_beside.update(names | network | {"VpcId": "vpc-0123456789abcdef0"})
