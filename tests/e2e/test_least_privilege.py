"""Each permission of the deployed roles allows one call: without it that call is refused, and no other one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from iot_stream.local.local_stack import LocalStack
from iot_stream.local.ministack import ACCOUNT, Ministack
from tests.least_privilege import CALLS, FOLDER, Neighbours

PROBE = "least-privilege"
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}  # the last is SNS's, by botocore's model


@pytest.fixture(scope="module")
def called(local_stack: LocalStack) -> Iterator[Neighbours]:
    """What the run's stack made; objects that the calls put into its bucket are deleted in the end."""
    stack, aws = local_stack.stack(), local_stack.aws
    stream = aws.client("kinesis").describe_stream(StreamName=stack.output("StreamName"))["StreamDescription"]
    yield Neighbours(
        stream_arn=stream["StreamARN"],
        function_arn=stack.output("EnrichmentFunctionArn"),
        bucket=stack.output("BackupBucketName"),
        topic_arn=stack.output("AlarmTopicArn"),
        secret_arn=stack.output("MasterUserSecretArn"),
        root=aws.client,
    )
    s3, bucket = aws.client("s3"), stack.output("BackupBucketName")
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=FOLDER).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=entry["Key"])


@pytest.fixture(scope="module")
def probe(local_stack: LocalStack) -> Iterator[Callable[[str], Any]]:
    """Clients of a role that the tests give permissions to."""
    iam = local_stack.aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=PROBE, AssumeRolePolicyDocument=document)["Role"]
    sts = local_stack.aws.client("sts")
    given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="probe")["Credentials"]
    yield _clients(local_stack.aws, given)
    iam.delete_role_policy(RoleName=PROBE, PolicyName=PROBE)
    iam.delete_role(RoleName=PROBE)


def _clients(aws: Ministack, credentials: dict[str, str]) -> Callable[[str], Any]:
    session = boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=aws.region,
    )
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
    return lambda service: session.client(service, endpoint_url=aws.url, config=config)


def _statements(local_stack: LocalStack, logical_id: str) -> list[dict[str, Any]]:
    """Return every statement of a role of the stack, of its inline and its managed policies."""
    iam = local_stack.aws.client("iam")
    cloudformation = local_stack.aws.client("cloudformation")
    resource = cloudformation.describe_stack_resource(StackName=local_stack.stack_name, LogicalResourceId=logical_id)
    name = resource["StackResourceDetail"]["PhysicalResourceId"].rsplit("/", 1)[-1]
    documents = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    return [statement for document in documents for statement in document["Statement"]]


def _without(statements: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    """Return the statements without one action."""
    left = []
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        kept = [each for each in actions if each != action]
        left += [statement | {"Action": kept}] if kept else []
    return left


@pytest.mark.parametrize("role", [role for role in CALLS if CALLS[role]])
def test_without_a_permission_its_call_is_refused_and_no_other(
    local_stack: LocalStack, called: Neighbours, probe: Callable[[str], Any], role: str
) -> None:
    """With all of the role's statements every call works; without one action exactly one fails."""
    iam, statements = local_stack.aws.client("iam"), _statements(local_stack, role)

    def refused(given: list[dict[str, Any]]) -> set[str]:
        document = json.dumps({"Version": "2012-10-17", "Statement": given})
        iam.put_role_policy(RoleName=PROBE, PolicyName=PROBE, PolicyDocument=document)
        found = set()
        for action, call in CALLS[role].items():
            try:
                call(probe, called)
            except ClientError as error:
                if error.response["Error"]["Code"] not in REFUSED:
                    raise
                found.add(action)
        return found

    assert refused(statements) == set(), "the role may do what it has to"
    for action in CALLS[role]:
        assert refused(_without(statements, action)) == {action}
