"""Settings: every one is parsed, in both spellings, and an unsupported one is named."""

from typing import Any

import pytest

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.naming import Rotation
from iot_stream.delivery.core.settings import Function, LogTarget, Settings, parse_settings
from iot_stream.delivery.errors import SettingsError

ROLE = "arn:aws:iam::123456789012:role/delivery"
MB = 1024 * 1024


def destination(**changes: Any) -> dict[str, Any]:
    """Return an OpenSearch destination as AWS describes it, with only what is required."""
    return {
        "RoleARN": ROLE,
        "DomainARN": "arn:aws:es:eu-west-1:123456789012:domain/builders",
        "IndexName": "iot-stream",
        "S3DestinationDescription": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket"},
    } | changes


def described(
    key: str = "AmazonopensearchserviceDestinationDescription", settings: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return a response of DescribeDeliveryStream."""
    return {
        "DeliveryStreamDescription": {
            "DeliveryStreamName": "d",
            "DeliveryStreamARN": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/d",
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "VersionId": "3",
            "CreateTimestamp": 1700000000.5,
            "Source": {
                "KinesisStreamSourceDescription": {
                    "KinesisStreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
                    "RoleARN": ROLE,
                    "DeliveryStartTimestamp": 1700000001.25,
                }
            },
            "Destinations": [{"DestinationId": "destinationId-1", key: settings or destination()}],
        }
        | changes
    }


def read(**changes: Any) -> Settings:
    """Return the settings of a destination with these changes."""
    return parse_settings(described(settings=destination(**changes)))


def lambda_processor(**parameters: str) -> dict[str, Any]:
    """Return a ProcessingConfiguration with one Lambda processor."""
    values = {"LambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:f:live"} | parameters
    listed = [{"ParameterName": name, "ParameterValue": value} for name, value in values.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": listed}]}


def test_defaults_are_awss() -> None:
    """The API's defaults apply when nothing is set: buffers, retries, rotation, backup, ids."""
    settings = read()
    assert (settings.region, settings.account, settings.version) == ("eu-west-1", "123456789012", "3")
    assert (settings.created, settings.start) == (1700000000.5, 1700000001.25)
    assert settings.bounds == Bounds(5 * MB, 300_000)
    assert settings.retry_duration == 300_000
    assert settings.rotation is Rotation.DAY
    assert settings.with_ids
    assert settings.function is None
    assert settings.log is None
    assert settings.bucket.bounds == Bounds(5 * MB, 300_000)
    assert (settings.bucket.name, settings.bucket.all_documents, settings.bucket.extension) == ("bucket", False, "")


def test_every_setting_is_read() -> None:
    """Every setting of the API for this destination that the worker supports, none with its default value."""
    log = {"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"}
    settings = read(
        IndexRotationPeriod="OneHour",
        BufferingHints={"SizeInMBs": 7, "IntervalInSeconds": 0},
        RetryOptions={"DurationInSeconds": 0},
        DocumentIdOptions={"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"},
        CloudWatchLoggingOptions=log,
        S3BackupMode="AllDocuments",
        ProcessingConfiguration=lambda_processor(
            NumberOfRetries="0", BufferSizeInMBs="0.2", BufferIntervalInSeconds="0", RoleArn="arn:other"
        ),
        S3DestinationDescription={
            "RoleARN": "arn:backup",
            "BucketARN": "arn:aws:s3:::bucket",
            "Prefix": "p/",
            "ErrorOutputPrefix": "e/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
            "CompressionFormat": "GZIP",
            "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:key"}},
            "CloudWatchLoggingOptions": log | {"LogStreamName": "b"},
        },
    )
    assert settings.rotation is Rotation.HOUR
    assert (settings.bounds, settings.retry_duration, settings.with_ids) == (Bounds(7 * MB, 0), 0, False)
    assert settings.log == LogTarget("g", "s")
    assert settings.function == Function(
        "arn:aws:lambda:eu-west-1:123456789012:function:f:live", "arn:other", 0, Bounds(int(0.2 * MB), 0)
    )
    bucket = settings.bucket
    assert (bucket.role_arn, bucket.prefix, bucket.error_prefix) == ("arn:backup", "p/", "e/")
    assert (bucket.bounds, bucket.extension, bucket.kms_key) == (Bounds(MB, 60_000), ".gz", "arn:key")
    assert bucket.all_documents
    assert bucket.log == LogTarget("g", "b")


def test_ministacks_spelling_is_read_alike() -> None:
    """Its key for the destination, S3Configuration as given, numbers and booleans as CloudFormation's strings."""
    bucket = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", "BufferingHints": {"IntervalInSeconds": "60"}}
    given = destination(S3Configuration=bucket, BufferingHints={"SizeInMBs": "1", "IntervalInSeconds": "0"})
    del given["S3DestinationDescription"]
    given["ProcessingConfiguration"] = lambda_processor() | {"Enabled": "true"}
    settings = parse_settings(described("AmazonOpenSearchDestinationDescription", given))
    assert settings.bounds == Bounds(MB, 0)
    assert settings.bucket.bounds == Bounds(5 * MB, 60_000)
    assert settings.function is not None
    assert settings.function.bounds == Bounds(MB, 60_000)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"TypeName": "_doc"}, "TypeName"),
        ({"VpcConfigurationDescription": {"VpcId": "vpc-1"}}, "VpcConfigurationDescription"),
        ({"IndexRotationPeriod": "OneYear"}, "IndexRotationPeriod"),
        ({"IndexName": "x" * 81}, "IndexName"),
        ({"S3BackupMode": "Sometimes"}, "S3BackupMode"),
        ({"BufferingHints": {"SizeInMBs": 0}}, "SizeInMBs"),
        ({"BufferingHints": {"IntervalInSeconds": 901}}, "IntervalInSeconds"),
        ({"RetryOptions": {"DurationInSeconds": 7201}}, "DurationInSeconds"),
        ({"DocumentIdOptions": {"DefaultDocumentIdFormat": "MINE"}}, "DefaultDocumentIdFormat"),
        ({"ProcessingConfiguration": lambda_processor(BufferSizeInMBs="3.5")}, "BufferSizeInMBs"),
        ({"ProcessingConfiguration": lambda_processor(NumberOfRetries="many")}, "NumberOfRetries"),
        ({"ProcessingConfiguration": lambda_processor(JsonParsingEngine="JQ-1.6")}, "JsonParsingEngine"),
        (
            {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Decompression"}]}},
            "Decompression",
        ),
        ({"ProcessingConfiguration": {"Enabled": True, "Processors": []}}, "Processors"),
        ({"S3DestinationDescription": {"BucketARN": "arn:aws:s3:::b", "CompressionFormat": "Snappy"}}, "Snappy"),
        ({"S3DestinationDescription": {"BucketARN": "arn:aws:s3:::b", "FileExtension": ".x"}}, "FileExtension"),
        (
            {"S3DestinationDescription": {"BucketARN": "arn:aws:s3:::b", "Prefix": "!{timestamp:yy}"}},
            "ErrorOutputPrefix",
        ),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, Any], named: str) -> None:
    """An unsupported setting is an error at startup that names it; it is never ignored silently."""
    with pytest.raises(SettingsError, match=named):
        read(**changes)


def test_other_sources_and_destinations_are_named() -> None:
    """Direct PUT and other destinations are not supported."""
    with pytest.raises(SettingsError, match="DirectPut"):
        parse_settings(described(DeliveryStreamType="DirectPut"))
    with pytest.raises(SettingsError, match="SplunkDestinationDescription"):
        parse_settings(described("SplunkDestinationDescription", {"HECEndpoint": "x"}))
    incomplete = destination()
    del incomplete["RoleARN"]
    with pytest.raises(SettingsError, match="RoleARN"):
        parse_settings(described(settings=incomplete))


def test_a_disabled_function_is_none() -> None:
    """Processing that is disabled stays disabled, whatever processors are configured."""
    assert read(ProcessingConfiguration=lambda_processor() | {"Enabled": False}).function is None
