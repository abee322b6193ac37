"""Builders of the events that AWS sends, one for each shape; every test gets its events here or from events/."""

import json
from base64 import b64encode
from itertools import count
from typing import Any

ARRIVED_AT = 1_795_342_530_456
"""Epoch milliseconds of 2026-11-22T10:15:30.456Z, when the records of builders arrive."""


# ---- Firehose → enrichment -------------------------------------------------------------------------------------


def device_reading(**changes: Any) -> dict[str, Any]:
    """Return a reading as a device sends it, with fields changed, or left out where the change is `...`."""
    reading = {
        "uuid": "3f0c6f0e-8a3b-4a57-9a53-0d5f4f1f6a11",
        "device_ts": "2026-11-22 10:15:30.123",
        "device_id": 17,
        "device_temp": 32,
        "track_id": 4,
        "activity_type": "Walking",
    } | changes
    return {field: value for field, value in reading.items() if value is not ...}


def firehose_record(
    data: bytes | str | dict[str, Any], record_id: str = "record-0", arrived_at: int | None = ARRIVED_AT, **more: Any
) -> dict[str, Any]:
    """Return a record of a Firehose event.

    Args:
        data: the record's bytes or text, or an object to become JSON.
        record_id: opaque to the function.
        arrived_at: epoch milliseconds at the top level; None leaves the key out.
        more: further keys, such as `kinesisRecordMetadata` (see `kinesis_metadata`).
    """
    if isinstance(data, dict):
        data = json.dumps(data)
    raw = data.encode() if isinstance(data, str) else data
    record = {"recordId": record_id, "data": b64encode(raw).decode()}
    arrival = {} if arrived_at is None else {"approximateArrivalTimestamp": arrived_at}
    return record | arrival | more


def kinesis_metadata(arrived_at: int = ARRIVED_AT, sequence: int = 0) -> dict[str, Any]:
    """Return what Firehose adds to a record that it read from a Kinesis stream."""
    return {
        "sequenceNumber": str(49_656_983_286_741_100_000_000_000_000_000_000_000_000_000_000_000_000_000 + sequence),
        "subsequenceNumber": 0,
        "partitionKey": "3f0c6f0e-8a3b-4a57-9a53-0d5f4f1f6a11",
        "shardId": "shardId-000000000000",
        "approximateArrivalTimestamp": arrived_at,
    }


def firehose_event(*records: dict[str, Any] | bytes | str) -> dict[str, Any]:
    """Return a Firehose event; data becomes a record first, with ids `record-0`, `record-1` and so on."""
    numbers = count()
    return {
        "invocationId": "7a4e8c57-52b5-4c3c-9a6a-6d3e0a6f5d35",
        "deliveryStreamArn": "arn:aws:firehose:us-east-1:123456789012:deliverystream/kinesis-Opensearch",
        "region": "us-east-1",
        "records": [
            record
            if isinstance(record, dict) and "recordId" in record
            else firehose_record(record, f"record-{next(numbers)}")
            for record in records
        ],
    }


# ---- CloudFormation → role mapper --------------------------------------------------------------------------------

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/iot-stream/c4c2d9d0-7c2b-11f0-9d5e-0affd4f1a2b3"
DOMAIN_ENDPOINT = "search-builders.us-east-1.es.amazonaws.com"
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:MasterUserSecret-AbCdEf"
FUNCTION_ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "DOMAIN_ENDPOINT": DOMAIN_ENDPOINT,
    "MASTER_USER_MODE": "InternalUser",
    "MASTER_USER_SECRET_ARN": SECRET_ARN,
    "ROLE_NAME": "kinesis-firehose",
    "INDEX_NAME": "iot-stream",
    "INDEX_PATTERN": "iot-stream*",
    "DELIVERY_ROLE_ARN": "arn:aws:iam::123456789012:role/iot-stream-DeliveryRole",
    "ALERTS_ROLE_ARN": "",
    "ADMIN_ROLE_ARN": "",
    "TAKE_OVER": "false",
    "STACK_ID": STACK_ID,
    "URL_SUFFIX": "amazonaws.com",
}
"""The role mapper's environment, as the template and Lambda set it."""


def mapping_properties(**changes: str) -> dict[str, str]:
    """Return the properties of the template's custom resource, as the strings that CloudFormation makes of them."""
    return {
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:role-mapper:live",
        "ServiceTimeout": "660",
        "CodeVersion": "arn:aws:lambda:us-east-1:123456789012:function:role-mapper:1",
        "DomainEndpoint": DOMAIN_ENDPOINT,
        "RoleName": "kinesis-firehose",
        "IndexPattern": "iot-stream*",
        "DeliveryRoleArn": "arn:aws:iam::123456789012:role/iot-stream-DeliveryRole",
        "AlertsRoleArn": "",
        "IndexName": "iot-stream",
        "IndexRotationPeriod": "NoRotation",
        "RetentionDays": "0",
        "NumberOfShards": "1",
        "NumberOfReplicas": "0",
        "RefreshInterval": "1s",
        "AdminRoleArn": "",
        "TakeOver": "false",
        "OverwriteDashboards": "false",
    } | changes


def custom_resource_event(kind: str, properties: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a request of CloudFormation: `Create`, `Update` or `Delete`, with keys of the event changed."""
    return {
        "RequestType": kind,
        "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com/answer?X-Amz-Signature=abc",
        "StackId": STACK_ID,
        "RequestId": "a2f2a6a1-6f0b-4a0c-8f3e-7b1f0f1d2c3b",
        "ResourceType": "Custom::OpenSearchRoleMapping",
        "LogicalResourceId": "RoleMapping",
        "ResourceProperties": mapping_properties() if properties is None else properties,
    } | changes
