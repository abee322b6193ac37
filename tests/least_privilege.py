"""Every permission of the template's roles: the API call that it allows, or AWS's page that asks for it.

`tests/e2e/test_least_privilege.py` takes each permission with a call away, and sees that call refused and no other one.
The test makes the call, not the pipeline's step: it shows what a permission allows, not that the step needs it.
The rest can't be shown here: ministack does not look at it, or the service itself makes the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

__all__ = ["CALLS", "DOCUMENTED", "FOLDER", "ON_RESOURCES", "Neighbours"]

FOLDER = "least-privilege/"
"""Of the objects that the calls leave in the bucket."""

_FIREHOSE = "Controlling access with Amazon Data Firehose"


@dataclass(frozen=True)
class Neighbours:
    """What a stack made, by the names that its policies use; `root` returns clients that may do everything."""

    stream_arn: str
    function_arn: str
    bucket: str
    secret_arn: str
    topic_arn: str
    root: Callable[[str], Any]


type Call = Callable[[Callable[[str], Any], Neighbours], object]
"""Makes one call with clients of a role; raises ClientError where the role may not."""


def _iterator(neighbours: Neighbours, client: Any) -> dict[str, Any]:
    shard = neighbours.root("kinesis").list_shards(StreamARN=neighbours.stream_arn)["Shards"][0]["ShardId"]
    iterator: dict[str, Any] = client.get_shard_iterator(
        StreamARN=neighbours.stream_arn, ShardId=shard, ShardIteratorType="LATEST"
    )
    return iterator


def _get_records(client: Callable[[str], Any], at: Neighbours) -> object:
    iterator = _iterator(at, at.root("kinesis"))["ShardIterator"]
    return client("kinesis").get_records(ShardIterator=iterator, StreamARN=at.stream_arn)


def _put_object(client: Callable[[str], Any], at: Neighbours) -> object:
    return client("s3").put_object(Bucket=at.bucket, Key=f"{FOLDER}{uuid4()}", Body=b"x")


def _get_object(client: Callable[[str], Any], at: Neighbours) -> object:
    key = f"{FOLDER}{uuid4()}"
    at.root("s3").put_object(Bucket=at.bucket, Key=key, Body=b"x")
    return client("s3").get_object(Bucket=at.bucket, Key=key)


def _abort(client: Callable[[str], Any], at: Neighbours) -> object:
    upload = {"Bucket": at.bucket, "Key": f"{FOLDER}{uuid4()}"}
    started = at.root("s3").create_multipart_upload(**upload)
    return client("s3").abort_multipart_upload(**upload, UploadId=started["UploadId"])


_INVOKE: Call = lambda client, at: client("lambda").invoke(  # noqa: E731 - one of many
    FunctionName=f"{at.function_arn}:live", Payload=b'{"records": []}'
)

CALLS: Mapping[str, Mapping[str, Call]] = {
    "DeliveryRole": {
        "kinesis:DescribeStream": lambda client, at: client("kinesis").describe_stream(StreamARN=at.stream_arn),
        "kinesis:ListShards": lambda client, at: client("kinesis").list_shards(StreamARN=at.stream_arn),
        "kinesis:GetShardIterator": lambda client, at: _iterator(at, client("kinesis")),
        "kinesis:GetRecords": _get_records,
        "lambda:InvokeFunction": _INVOKE,
        "lambda:GetFunctionConfiguration": lambda client, at: client("lambda").get_function_configuration(
            FunctionName=at.function_arn
        ),
        "s3:PutObject": _put_object,
        "s3:GetObject": _get_object,
        "s3:AbortMultipartUpload": _abort,
        "s3:ListBucket": lambda client, at: client("s3").list_objects_v2(Bucket=at.bucket),
        "s3:GetBucketLocation": lambda client, at: client("s3").get_bucket_location(Bucket=at.bucket),
        "s3:ListBucketMultipartUploads": lambda client, at: client("s3").list_multipart_uploads(Bucket=at.bucket),
    },
    "DeploymentCheckRole": {"lambda:InvokeFunction": _INVOKE},
    "RoleMapperRole": {
        "secretsmanager:GetSecretValue": lambda client, at: client("secretsmanager").get_secret_value(
            SecretId=at.secret_arn
        )
    },
    "EnrichmentRole": {},
    "EnrichmentDeploymentRole": {},
    "DeviceAlertsRole": {
        "sns:Publish": lambda client, at: client("sns").publish(TopicArn=at.topic_arn, Message="least privilege"),
        "cloudwatch:GetMetricStatistics": lambda client, _at: client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Firehose",
            MetricName="KinesisMillisBehindLatest",
            StartTime="2026-01-01",
            EndTime="2026-01-02",
            Period=86_400,
            Statistics=["Maximum"],
        ),
    },
}
"""By role and action."""

_LOGS = dict.fromkeys(
    ["logs:CreateLogStream", "logs:PutLogEvents"], "Lambda: Defining permissions with an execution role"
)
_INTERFACES = dict.fromkeys(
    [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ],
    "Lambda: Giving Lambda functions access to resources in an Amazon VPC",
)
DOCUMENTED: Mapping[str, Mapping[str, str]] = {
    "DeliveryRole": dict.fromkeys(
        [
            # ministack denies them wrongly (PutLogEvents, DescribeDomain) or never asks
            "logs:PutLogEvents",
            "es:DescribeDomain",
            "es:DescribeDomains",
            "es:DescribeDomainConfig",
            "es:ESHttpGet",
            "es:ESHttpPost",
            "es:ESHttpPut",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcs",
        ],
        _FIREHOSE,
    ),
    "DeploymentCheckRole": _LOGS,
    "EnrichmentRole": _LOGS | _INTERFACES,
    "EnrichmentDeploymentRole": dict.fromkeys(  # ministack has no CodeDeploy
        [
            "cloudwatch:DescribeAlarms",
            "lambda:GetAlias",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:UpdateAlias",
        ],
        "AWS managed policies: AWSCodeDeployRoleForLambdaLimited",
    ),
    "DeviceAlertsRole": _LOGS
    | _INTERFACES
    | dict.fromkeys(
        ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"],
        "Identity and Access Management in Amazon OpenSearch Service",
    )
    | dict.fromkeys(["kms:Decrypt", "kms:GenerateDataKey"], "Amazon SNS: Key management"),
    "RoleMapperRole": _LOGS
    | _INTERFACES
    | {
        "es:ESHttp*": "OpenSearch Service: Fine-grained access control (an IAM role as master user)",
        "kms:Decrypt": "Secrets Manager: Secret encryption and decryption",
    },
}
"""AWS's page for what `CALLS` can't show, by role and action."""

_EVENTS = "Using resource-based policies for Amazon EventBridge"
_TRUST = "Lambda: Defining permissions with an execution role"
ON_RESOURCES: Mapping[tuple[str, str], str] = {
    ("AlarmTopicPolicy", "Alarms"): "Amazon SNS: Example cases for access control (CloudWatch alarms)",
    ("AlarmTopicPolicy", "FailureObjects"): f"{_EVENTS} (Amazon SNS permissions)",
    ("BackupBucketAccess", "NoOtherAccounts"): "AWS global condition context keys (aws:PrincipalIsAWSService)",
    ("BackupBucketAccess", "NoPlainHttp"): "Security best practices for Amazon S3 (encryption of data in transit)",
    ("DeliveryRole", "firehose.amazonaws.com"): _FIREHOSE,
    ("DeploymentCheckRole", "lambda.amazonaws.com"): _TRUST,
    ("DeviceAlertsPermission", "events.amazonaws.com"): f"{_EVENTS} (AWS Lambda permissions)",
    ("DeviceAlertsRole", "lambda.amazonaws.com"): _TRUST,
    ("Domain", "AWS"): "Fine-grained access control in Amazon OpenSearch Service",
    ("DomainLogPolicy", "es.amazonaws.com"): "Monitoring OpenSearch logs with Amazon CloudWatch Logs",
    ("EnrichmentDeploymentRole", "codedeploy.amazonaws.com"): "CodeDeploy: Create a service role",
    ("EnrichmentRole", "lambda.amazonaws.com"): _TRUST,
    ("Key", "Account"): "AWS KMS: Default key policy",
    ("Key", "AlarmTopic"): "Amazon SNS: Key management (event sources from AWS services and encrypted topics)",
    ("Key", "Logs"): "Encrypt log data in CloudWatch Logs using AWS Key Management Service",
    ("RepairPermission", "events.amazonaws.com"): f"{_EVENTS} (AWS Lambda permissions)",
    ("RoleMapperRole", "lambda.amazonaws.com"): _TRUST,
}
"""AWS's page for each statement of a policy on a resource, by its Sid or the service that it names.

None of these is taken away by a test: ministack evaluates topic policies alone, and the service makes the call.
"""
