"""A deployment that can't work is refused with the reason, before the domain is made and data flows."""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from enrichment import handler as enrichment_handler
from enrichment.description_file import load
from enrichment.reading import Enricher
from iot_stream.delivery.core.naming import Rotation, index_name
from role_mapper import deployment_check
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline
from role_mapper.deployment_rules import WHOLE, problems, remembered
from role_mapper.errors import DeadlineExceededError, RoleMapperError
from tests.aws_clients import aws_client
from tests.template import load_template
from tests.walkthrough import PROJECT_FILE

TEMPLATE = load_template()
CHECK = TEMPLATE["Resources"]["DeploymentCheck"]["Properties"]
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:iot-enrichment:7"
NO_DIGITS = [("ShardCount", "1.5"), ("ShardCount", "2.0"), ("InstanceCount", "1.0"), ("VolumeSizeGiB", "1e2")]
Invoke = Callable[[dict[str, Any]], dict[str, Any]]
VPC = {"VpcId": "vpc-1", "SubnetIds": "subnet-1"}
STANDBY = {"InstanceCount": "6", "AvailabilityZones": "3", "Standby": "true", "InstanceType": "r7g.large.search"}


def parameters(**changed: str) -> dict[str, str]:
    """The parameters that the template hands over, with its defaults as CloudFormation writes them."""
    return {name: str(TEMPLATE["Parameters"][name]["Default"]) for name in CHECK["Parameters"]} | changed


def check(
    monkeypatch: pytest.MonkeyPatch, invoke: Invoke, physical_id: str = "", kind: str = "Create", **changed: str
) -> Response:
    """Send one request to the check; `invoke` is what Lambda does with the event (keys of botocore's response)."""
    client = aws_client("lambda")
    monkeypatch.setattr(deployment_check.boto3, "client", lambda *_args, **_settings: client)
    properties = {"EnrichmentFunction": FUNCTION, "Parameters": parameters(**changed)}
    event = {"RequestType": kind, "PhysicalResourceId": physical_id, "ResourceProperties": properties}
    monkeypatch.setattr(client, "invoke", lambda **call: _respond(client, invoke, call))
    return deployment_check.handle(Request.of(event), Deadline(5, wait=lambda _: None))


def _respond(client: Any, invoke: Invoke, call: dict[str, Any]) -> dict[str, Any]:
    """Put `invoke`'s response through botocore's own model, which refuses a shape that Lambda does not have."""
    assert call["FunctionName"] == FUNCTION
    with Stubber(client) as stubber:
        given_response = invoke(json.loads(call["Payload"]))
        if "code" in given_response:
            stubber.add_client_error("invoke", given_response["code"])
        else:
            stubber.add_response("invoke", given_response)
        return dict(type(client).invoke(client, **call))


def real_function(event: dict[str, Any]) -> dict[str, Any]:
    """The enrichment function itself."""
    shipped = Enricher(load(PROJECT_FILE), UTC)
    payload = json.dumps(enrichment_handler.respond(event, shipped)).encode()
    return {"StatusCode": 200, "Payload": io.BytesIO(payload)}


def failing(error_type: str, message: str) -> Invoke:
    """A function that fails, as AWS page "Lambda function errors" shows it."""
    payload = json.dumps({"errorMessage": message, "errorType": error_type, "stackTrace": []}).encode()
    return lambda _: {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(payload)}


def test_the_built_sample_becomes_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults, the real function responds as Firehose requires, whatever its description."""
    response = check(monkeypatch, real_function)
    assert response.status == "SUCCESS"
    assert response.physical_id == (
        "deployment-check:BackupMode=FailedDocumentsOnly:CustomerManagedKey=false:DeliveryStreamName=kinesis-Opensearch"
        ":DomainName=builders:ShardCount=0:StreamName=iot-data-stream-2:SubnetIds=:VpcId="
    )
    assert response.data == {"Nodes": "1", "DeliveryPeriods": "2", "LowStorageMiB": "2560", "EnrichmentVersion": "7"}
    larger = check(monkeypatch, real_function, InstanceCount="3", DedicatedMasters="true", VolumeSizeGiB="90")
    assert larger.data is not None
    assert larger.data["Nodes"] == "6", "three masters"
    assert larger.data["LowStorageMiB"] == "23040", "a quarter of 90 GiB"


def test_a_functions_own_words_are_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown time zone or a package of another architecture stops the deployment."""
    words = "DEVICE_TIME_ZONE is 'Europe/Berln', which is no IANA time zone"
    with pytest.raises(RoleMapperError, match=f"the enrichment function fails: SettingsError: {words}"):
        check(monkeypatch, failing("SettingsError", words))


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"recordId": "sample", "result": "Dropped", "data": "e30="}],
        [{"recordId": "sample", "result": "ProcessingFailed", "data": "e30="}],
        [{"recordId": "other", "result": "Ok", "data": "e30="}],
        [{"recordId": "sample", "result": "Ok", "data": base64.b64encode(b"1").decode()}],
        [{"recordId": "sample", "result": "Ok", "data": "%"}],
        [{"recordId": "sample", "result": "Ok", "data": "e30="}] * 2,
    ],
)
def test_only_the_samples_document_will_do(monkeypatch: pytest.MonkeyPatch, records: list[dict[str, str]]) -> None:
    """Anything else would fail every record."""
    payload = json.dumps({"records": records}).encode()
    with pytest.raises(RoleMapperError, match="can't transform SampleReading"):
        check(monkeypatch, lambda _: {"StatusCode": 200, "Payload": io.BytesIO(payload)})


def test_a_sample_that_the_function_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real function refuses a reading of another kind."""
    with pytest.raises(RoleMapperError, match="a reading that your devices send"):
        check(monkeypatch, real_function, SampleReading='{"temperature": 1}')


def test_a_role_that_is_not_effective_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """IAM is eventually consistent; what does not pass is told in the end."""
    codes = iter(["AccessDeniedException", "ResourceConflictException"])

    def young(event: dict[str, Any]) -> dict[str, Any]:
        code = next(codes, None)
        return {"code": code} if code else real_function(event)

    assert check(monkeypatch, young).status == "SUCCESS"
    with pytest.raises(RoleMapperError, match="can't be invoked: ResourceNotFoundException"):
        check(monkeypatch, lambda _: {"code": "ResourceNotFoundException"})
    monkeypatch.setattr(Deadline, "remaining", 0.0)
    with pytest.raises(DeadlineExceededError, match="can't be invoked: AccessDeniedException"):
        check(monkeypatch, lambda _: {"code": "AccessDeniedException"})


def test_a_delete_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the function has to be there."""
    assert check(monkeypatch, failing("X", "gone"), "deployment-check", "Delete").status == "SUCCESS"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        *(({name: text}, f"{name}={text} must be a whole number") for name, text in NO_DIGITS),
        ({"AlarmDelaySeconds": "43201"}, "use 43200 or less, or increase StreamRetentionHours"),
        (
            {"InstanceCount": "11"},
            "InstanceCount=11 is too many: a domain can have at most 10 nodes of type t3.small.search",
        ),
        ({"InstanceType": "m7g.large.search", "InstanceCount": "401"}, "at most 400 nodes of type m7g.large.search"),
        ({"InstanceType": "or1.large.search", "InstanceCount": "401", "VolumeSizeGiB": "20"}, "at most 400 nodes of"),
        (
            {"InstanceType": "or1.large.search"},
            "VolumeSizeGiB=10 is too small: the minimum for or1.large.search is 20 GiB",
        ),
        ({"AlarmDelaySeconds": "120"}, "AlarmDelaySeconds=120 would raise an alarm permanently"),
        ({"InstanceCount": "4", "NumberOfReplicas": "4"}, "NumberOfReplicas=4 needs 5 nodes, but InstanceCount is 4"),
        ({"VolumeSizeGiB": "101"}, "VolumeSizeGiB=101 is too large: the maximum for t3.small.search is 100 GiB"),
        ({"InstanceType": "m6g.large.search", "VolumeSizeGiB": "1025"}, "the maximum for m6g.large.search is 1024 GiB"),
        ({"InstanceType": "c6g.large.search", "VolumeSizeGiB": "257"}, "the maximum for c6g.large.search is 256 GiB"),
        ({"VolumeIops": "2999"}, "VolumeIops=2999 is below the baseline of gp3 volumes: use 0, or 3000 or more"),
        ({"VolumeThroughput": "100"}, "VolumeThroughput=100 is below the baseline of gp3 volumes"),
        (
            {"InstanceCount": "11", "DedicatedMasters": "true", "DedicatedMasterType": "t3.medium.search"}
            | {"InstanceType": "m7g.large.search"},
            "can manage at most 10 data nodes",
        ),
        ({"InstanceCount": "4", "AvailabilityZones": "3"}, "InstanceCount=4 must be a multiple of AvailabilityZones=3"),
        (
            STANDBY | {"NumberOfReplicas": "2", "InstanceType": "t3.small.search"},
            "Standby is not available for t3.small.search",
        ),
        (STANDBY | {"NumberOfReplicas": "3"}, "NumberOfReplicas=3 makes 4 copies"),
        ({"DeliveryBufferSizeInMBs": "10"}, "makes requests that are too large for t3.small.search: use 9 or less"),
        ({"DeliveryBufferSizeInMBs": "10", "InstanceType": "m6g.large.search"}, "m6g.large.search: use 9 or less"),
        ({"OpenSearchRoleIndexPattern": "iot-stream-*"}, "does not cover the index iot-stream "),
        ({"VpcId": "vpc-1", "SubnetIds": ""}, "must contain one subnet per zone"),
        ({"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}, "one subnet per zone (AvailabilityZones=1)"),
        (
            {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-1", "InstanceCount": "2", "AvailabilityZones": "2"},
            "must contain one subnet per zone",
        ),
        ({"SamlEntityId": "https://idp.example.org"}, "deploy without it first"),
        (
            {"OpenSearchRoleIndexPattern": "iot-stream-2026*", "IndexRotationPeriod": "OneDay"},
            "does not cover the index",
        ),
        (
            {"OpenSearchRoleIndexPattern": "iot-stream", "RetentionDays": "7"},
            "does not cover the index iot-stream-000001",
        ),
    ],
)
def test_a_contradiction_is_refused(changed: dict[str, str], words: str) -> None:
    """In one sentence that says what to do."""
    [problem] = problems(parameters(**changed), {})
    assert words in problem


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"TransformBufferSizeInMBs": "0.2"},
        {"AlarmDelaySeconds": "121"},
        {"AlarmDelaySeconds": "43200"},
        {"AlarmDelaySeconds": "86400", "StreamRetentionHours": "48"},
        {"InstanceType": "m7g.large.search", "InstanceCount": "400"},
        {"InstanceType": "or2.xlarge.search", "InstanceCount": "1002", "VolumeSizeGiB": "20"},
        {"InstanceType": "m7g.large.search", "VolumeSizeGiB": "500"},
        {"InstanceType": "t3.medium.search", "VolumeSizeGiB": "200"},
        {"VolumeIops": "3000", "VolumeThroughput": "125"},
        {"InstanceType": "r6g.12xlarge.search", "VolumeSizeGiB": "24576"},
        {"InstanceCount": "10", "DedicatedMasters": "true", "DedicatedMasterType": "t3.medium.search"},
        STANDBY | {"NumberOfReplicas": "2"},
        STANDBY | {"NumberOfReplicas": "5"},
        {"DeliveryBufferSizeInMBs": "90", "InstanceType": "r6g.large.search"},
        {"DeliveryBufferSizeInMBs": "90", "InstanceType": "m6g.xlarge.search"},
        {"OpenSearchRoleIndexPattern": "*"},
        {"OpenSearchRoleIndexPattern": "iot-stream-*", "IndexRotationPeriod": "OneDay"},
        {"VpcId": "vpc-1", "SubnetIds": "subnet-1"},
    ],
)
def test_what_works_is_let_through(changed: dict[str, str]) -> None:
    """At the very limits too."""
    assert list(problems(parameters(**changed), {})) == []


@given(st.sampled_from(Rotation), st.integers(0, 32_503_680_000_000 - 1))
def test_the_default_pattern_covers_every_index_that_comes(rotation: Rotation, arrived: int) -> None:
    """Names as the delivery worker makes them: the pattern that covers the first and last covers those between."""
    assert list(problems(parameters(IndexRotationPeriod=rotation, OpenSearchRoleIndexPattern="iot-stream*"), {})) == []
    assert index_name("iot-stream", rotation, arrived).startswith("iot-stream")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"BackupMode": "AllDocuments"}, "BackupMode can't be changed"),
        ({"CustomerManagedKey": "true"}, "CustomerManagedKey can't be changed to true"),
        ({"StreamName": "other"}, "StreamName can't be changed to other alone"),
        ({"ShardCount": "9"}, "deploy ShardCount=8 first"),
        ({"ShardCount": "1"}, "deploy ShardCount=2 first"),
        (VPC | {"DeliveryStreamName": "second"}, "VpcId can't be changed from none to vpc-1 on an existing domain"),
        (VPC | {"DomainName": "second"}, "VpcId can't be changed on an existing delivery stream"),
    ],
)
def test_an_update_that_aws_refuses_is_refused_at_once(changed: dict[str, str], words: str) -> None:
    """With the way to do it."""
    before = remembered(parameters(ShardCount="4"))
    [problem] = problems(parameters(ShardCount="4") | changed, before)
    assert words in problem


@pytest.mark.parametrize(
    "changed",
    [
        {"ShardCount": "8"},
        {"ShardCount": "2"},
        {"ShardCount": "0"},
        {"BackupMode": "AllDocuments", "DeliveryStreamName": "second"},
        {"CustomerManagedKey": "true", "DomainName": "second"},
        VPC | {"DomainName": "second", "DeliveryStreamName": "second"},
        {"StreamName": "other", "DeliveryStreamName": "second", "ShardCount": "100"},
    ],
)
def test_an_update_that_works_is_let_through(changed: dict[str, str]) -> None:
    """And back again, as a rollback does it."""
    one = parameters(ShardCount="4")
    other = one | changed
    assert list(problems(other, remembered(one))) == []
    assert list(problems(one, remembered(other))) == []


def test_other_subnets_need_another_delivery_stream() -> None:
    """The domain takes them, the delivery stream does not."""
    moved = parameters(**VPC | {"SubnetIds": "subnet-2"})
    [problem] = problems(moved, remembered(parameters(**VPC)))
    assert "SubnetIds can't be changed on an existing delivery stream" in problem
    assert not list(problems(moved | {"DeliveryStreamName": "second"}, remembered(parameters(**VPC))))


def test_single_sign_on_comes_after_the_domain() -> None:
    """AWS: "You can only enable SAML authentication … on existing domains" (developer guide, saml.md)."""
    saml = parameters(SamlEntityId="https://idp.example.org")
    assert not list(problems(saml, remembered(parameters())))
    [problem] = problems(saml | {"DomainName": "second"}, remembered(saml))
    assert "deploy without it first" in problem


def test_the_rollback_of_a_refused_update_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation sends the earlier properties again, and the physical id of the last success."""
    created = check(monkeypatch, real_function)
    with pytest.raises(RoleMapperError, match="BackupMode"):
        check(monkeypatch, real_function, created.physical_id, "Update", BackupMode="AllDocuments")
    again = check(monkeypatch, real_function, created.physical_id, "Update")
    assert again.physical_id == created.physical_id


def test_nothing_that_holds_data_is_touched_before_the_check() -> None:
    """The domain and the stream wait for it, and so does everything that needs them."""
    resources = TEMPLATE["Resources"]
    assert resources["Domain"]["DependsOn"] == "DeploymentCheck"
    assert resources["Stream"]["DependsOn"] == "DeploymentCheck"
    assert CHECK["EnrichmentFunction"] == {"Ref": "EnrichmentFunction.Version"}
    assert CHECK["ServiceTimeout"] > resources["DeploymentCheckFunction"]["Properties"]["Timeout"]
    assert set(CHECK["Parameters"]) <= set(TEMPLATE["Parameters"])
    whole = {
        name
        for name, each in TEMPLATE["Parameters"].items()
        if each["Type"] == "Number" and "AllowedValues" not in each
    }
    assert whole - set(CHECK["Parameters"]) == {"TransformBufferSizeInMBs", "RefusedReadingsPercent"}
    assert whole - {"TransformBufferSizeInMBs", "RefusedReadingsPercent"} | {"AvailabilityZones"} == set(WHOLE)
