"""The doctor names what is broken, over responses that have the shapes of botocore's models.

The causes are those of docs/operations.md: each alarm's section is a check, and what can be seen without an alarm is one
too. `tests/e2e/test_doctor.py` breaks what can be broken on the local stack.
"""

# ruff: noqa: E501 - a table of causes has one cause a line
import base64
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import requests
from botocore.exceptions import NoRegionError
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from enrichment import firehose
from enrichment.metrics import describe_batch
from enrichment.settings import Settings
from iot_stream.alarms import MISSING, stack_alarms
from iot_stream.cli import cli
from iot_stream.dashboards.index_template import index_template
from iot_stream.description import Enricher, TimeFormat, load, parse
from iot_stream.doctor import domain_facts
from iot_stream.doctor.aws_facts import FUNCTION_ERRORS
from iot_stream.doctor.case import Case
from iot_stream.doctor.finding import RESTORING, Finding, State, first_refusal
from iot_stream.doctor.index import judge_objects
from iot_stream.doctor.marked import MARK, mark_value, marked_reading
from iot_stream.doctor.place import Place
from iot_stream.doctor.walk import LAYERS, Doctor
from iot_stream.doctor.watch import FAILED_RECORDS
from iot_stream.generator.derived import sample_of
from iot_stream.generator.ledger import Ledger
from iot_stream.paths import PROJECT
from role_mapper import report
from tests.enrichers import WALKTHROUGH
from tests.modelled_aws import ModelledAws, Refusal
from tests.template import load_template

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/iot-stream-DeliveryRole"
DOMAIN_ARN = f"arn:aws:es:us-east-1:{ACCOUNT}:domain/builders"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"
STACK_ID = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/iot-stream/guid"
NOW = datetime.now(UTC)
RUNBOOK = (PROJECT / "docs" / "operations.md").read_text("utf-8")
SECTIONS = re.findall(r"^### (\w+Alarm)$", RUNBOOK, re.MULTILINE)
POLICIES = ("IngestPolicy", "TransformPolicy", "IndexPolicy", "BackupPolicy")

OUTPUTS = {
    "DomainEndpoint": "search-builders.us-east-1.es.amazonaws.com",
    "MasterUserSecretArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:master",
    "StreamName": "iot-data-stream-2",
    "DeliveryStreamName": "kinesis-Opensearch",
    "DeliveryRoleArn": ROLE,
    "IndexName": "iot-stream",
    "BackupBucketName": f"{ACCOUNT}-builders-analytics",
    "BackupPrefix": "opensearch_backup/",
    "AlarmTopicArn": TOPIC,
    "EnrichmentFunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:iot-enrichment",
    "EnrichmentLogGroupName": "enrichment-log",
    "DeliveryLogGroupName": "delivery-log",
    "RoleMapperFunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:role-mapper",
}
SHOWN = {
    "Role": "unchanged: kinesis-firehose",
    "RoleMapping": "unchanged: kinesis-firehose",
    "IndexTemplate": "unchanged: iot-stream",
    "RetentionPolicy": "absent: iot-stream",
    "Dashboards": "unchanged: iot-stream-live",
}


def alarm_name(logical: str) -> str:
    """The physical name that CloudFormation gives."""
    return f"iot-stream-{logical}-ABC"


def alarm(logical: str, state: str = "OK", **more: Any) -> dict[str, Any]:
    """An alarm of DescribeAlarms."""
    description = load_template()["Resources"][logical]["Properties"]["AlarmDescription"]
    return {
        "AlarmName": alarm_name(logical),
        "AlarmDescription": description,
        "StateValue": state,
        "StateReason": "Threshold Crossed",
        "StateUpdatedTimestamp": NOW,
        "ActionsEnabled": True,
        "AlarmActions": [TOPIC],
    } | more


def described(*changed: Mapping[str, Any], gone: str = "") -> Any:
    """DescribeAlarms of a stack whose alarms are quiet, but for those changed and the one gone."""
    by_name = {each["AlarmName"]: each for each in map(alarm, SECTIONS)} | {each["AlarmName"]: each for each in changed}

    def respond(params: Mapping[str, Any]) -> dict[str, Any]:
        found = [by_name[name] for name in params["AlarmNames"] if name != alarm_name(gone)]
        assert "CompositeAlarm" in params["AlarmTypes"]
        composite = [each for each in found if "DataLoss" in each["AlarmName"]]
        return {"MetricAlarms": [each for each in found if each not in composite], "CompositeAlarms": composite}

    return respond


def invoked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Lambda's Invoke: the role mapper's report, or the function's own rules."""
    event = json.loads(params["Payload"])
    if "records" not in event:
        return {
            "StatusCode": 200,
            "Payload": io.BytesIO(json.dumps({"Status": "SUCCESS", "Reason": "", "Data": SHOWN}).encode()),
        }
    assert params["FunctionName"].endswith(":iot-enrichment:live")
    [record] = event["records"]
    document = ENRICHER.enrich(base64.b64decode(record["data"]))
    assert document
    result = {"recordId": record["recordId"], "result": "Ok", "data": record["data"]}
    return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps({"records": [result]}).encode())}


def parameters(**changed: str) -> list[dict[str, str]]:
    """The stack's parameters: the template's defaults, but for those changed."""
    defaults = {name: str(each["Default"]) for name, each in load_template()["Parameters"].items()}
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in (defaults | changed).items()]


def described_stack(
    status: str = "UPDATE_COMPLETE", outputs: Mapping[str, str] = OUTPUTS, **changed: str
) -> dict[str, Any]:
    """DescribeStacks."""
    stack = {
        "StackName": "iot-stream",
        "StackId": STACK_ID,
        "StackStatus": status,
        "CreationTime": NOW,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": parameters(**changed),
    }
    return {"Stacks": [stack]}


def policy(effect: str = "Allow", principal: Any = "*", action: str = "es:ESHttp*", **more: Any) -> str:
    """A domain's access policy as the template writes it."""
    statement = {
        "Effect": effect,
        "Principal": {"AWS": principal},
        "Action": action,
        "Resource": f"{DOMAIN_ARN}/*",
    } | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def stream_summary(status: str = "ACTIVE") -> dict[str, Any]:
    """DescribeStreamSummary."""
    return {
        "StreamDescriptionSummary": {
            "StreamName": "iot-data-stream-2",
            "StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/iot-data-stream-2",
            "StreamStatus": status,
            "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": NOW,
            "EnhancedMonitoring": [],
            "OpenShardCount": 4,
        }
    }


def delivery_stream(status: str = "ACTIVE", stream: str = "iot-data-stream-2", **more: Any) -> dict[str, Any]:
    """DescribeDeliveryStream."""
    return {
        "DeliveryStreamDescription": {
            "DeliveryStreamName": "kinesis-Opensearch",
            "DeliveryStreamARN": f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/kinesis-Opensearch",
            "DeliveryStreamStatus": status,
            "DeliveryStreamType": "KinesisStreamAsSource",
            "VersionId": "1",
            "Destinations": [],
            "HasMoreDestinations": False,
            "Source": {
                "KinesisStreamSourceDescription": {
                    "KinesisStreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{stream}"
                }
            },
        }
        | more
    }


def domain_status(**more: Any) -> dict[str, Any]:
    """DescribeDomain."""
    return {
        "DomainStatus": {
            "DomainId": f"{ACCOUNT}/builders",
            "DomainName": "builders",
            "ARN": DOMAIN_ARN,
            "Endpoint": OUTPUTS["DomainEndpoint"],
            "EngineVersion": "OpenSearch_3.1",
            "AccessPolicies": policy(),
            "Processing": False,
            "UpgradeProcessing": False,
            "ClusterConfig": {},
        }
        | more
    }


def metrics(**values: float) -> Any:
    """GetMetricStatistics, with one data point of the metrics named; the dots of a name are underscores."""
    named = {name.replace("_", "."): value for name, value in values.items()}

    def respond(params: Mapping[str, Any]) -> dict[str, Any]:
        statistic = params["Statistics"][0]
        if params["MetricName"] not in named:
            return {"Label": params["MetricName"], "Datapoints": []}
        point = {"Timestamp": NOW, statistic: named[params["MetricName"]], "Unit": "None"}
        return {"Label": params["MetricName"], "Datapoints": [point]}

    return respond


def logged(group: str, *messages: str) -> Any:
    """FilterLogEvents, with these messages in one group."""

    def respond(params: Mapping[str, Any]) -> dict[str, Any]:
        lines = messages if params["logGroupName"] == group else ()
        return {"events": [{"timestamp": n, "message": text, "logStreamName": "x"} for n, text in enumerate(lines)]}

    return respond


def without_log(group: str) -> Any:
    """FilterLogEvents, where one group was deleted."""
    return lambda params: Refusal("ResourceNotFoundException") if params["logGroupName"] == group else {"events": []}


def topic_attributes(services: list[str]) -> dict[str, Any]:
    """GetTopicAttributes."""
    statements = [{"Effect": "Allow", "Principal": {"Service": each}, "Action": "sns:Publish"} for each in services]
    return {"Attributes": {"Policy": json.dumps({"Statement": statements})}}


RESOURCES = [
    *(("AWS::CloudWatch::CompositeAlarm" if each == "DataLossAlarm" else "AWS::CloudWatch::Alarm", each, alarm_name(each)) for each in SECTIONS),
    *(("AWS::IAM::ManagedPolicy", each, f"arn:aws:iam::{ACCOUNT}:policy/{each}") for each in POLICIES),
    ("AWS::KMS::Key", "Key", "key-1"),
    ("AWS::Events::Rule", "DeviceAlertsRule", "rule"),
    ("AWS::Lambda::Function", "DeviceAlertsFunction", "device-alerts"),
]  # fmt: skip
ENRICHER = Enricher(load(), ZoneInfo("UTC"))
TEMPLATE = index_template(load())["template"]["mappings"]["properties"]
GOOD: dict[str, Any] = {
    "sts.GetCallerIdentity": {"UserId": "x", "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"},
    "cloudformation.DescribeStacks": described_stack(),
    "cloudformation.ListStackResources": {
        "StackResourceSummaries": [
            {"ResourceType": kind, "LogicalResourceId": logical, "PhysicalResourceId": physical, "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
            for kind, logical, physical in RESOURCES
        ]
    },
    "kinesis.DescribeStreamSummary": stream_summary(),
    "cloudwatch.GetMetricStatistics": metrics(CPUCreditBalance=100),
    "cloudwatch.DescribeAlarms": described(),
    "iam.ListAttachedRolePolicies": {
        "AttachedPolicies": [{"PolicyName": each, "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/{each}"} for each in POLICIES],
        "IsTruncated": False,
    },
    "s3.HeadBucket": {},
    "s3.ListObjectsV2": {"KeyCount": 0},
    "firehose.DescribeDeliveryStream": delivery_stream(),
    "logs.FilterLogEvents": logged(""),
    "lambda.GetFunctionConfiguration": {"FunctionName": "iot-enrichment", "State": "Active"},
    "lambda.GetFunctionConcurrency": {},
    "lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
    "lambda.Invoke": invoked,
    "events.DescribeRule": {"Name": "rule", "State": "ENABLED"},
    "opensearch.DescribeDomain": domain_status(),
    "secretsmanager.GetSecretValue": {"SecretString": json.dumps({"username": "admin", "password": "x"})},
    "sns.GetTopicAttributes": topic_attributes(["cloudwatch.amazonaws.com", "events.amazonaws.com"]),
    "sns.ListSubscriptionsByTopic": {"Subscriptions": [{"SubscriptionArn": f"{TOPIC}:1", "Protocol": "email", "Endpoint": "x"}]},
    "kms.DescribeKey": {"KeyMetadata": {"KeyId": "key-1", "KeyState": "Enabled"}},
}  # fmt: skip


class Search:
    """OpenSearch's responses (`_cat` with format=json, `_cluster/health`), as 3.4 gave them on one machine."""

    def __init__(self) -> None:
        self.mappings: dict[str, Any] = {"iot-stream": {"mappings": {"properties": TEMPLATE}}}
        self.health_ = {"status": "green", "number_of_data_nodes": 1, "unassigned_shards": 0}
        self.nodes_ = [{"name": "n", "heap.percent": "50", "cpu": "3", "disk.used_percent": "20.10"}]
        self.pools = [{"node_name": "n", "rejected": "0"}]
        self.settings: dict[str, Any] = {"iot-stream": {"settings": {}}}
        self.whole: dict[str, Any] = {"persistent": {}, "transient": {}}
        self.hits = 1
        self.cat = self.cluster = self.indices = self

    def nodes(self, **_: Any) -> Any:
        """`_cat/nodes`."""
        return self.nodes_

    def thread_pool(self, **_: Any) -> Any:
        """`_cat/thread_pool/write`."""
        return self.pools

    def health(self) -> Any:
        """`_cluster/health`."""
        return self.health_

    def get_mapping(self, **_: Any) -> Any:
        """`NAME/_mapping`."""
        return self.mappings

    def get_settings(self, index: str = "", **_: Any) -> Any:
        """`NAME/_settings`, or `_cluster/settings`."""
        return self.settings if index else self.whole

    def search(self, **_: Any) -> Any:
        """`NAME/_search`."""
        return {"hits": {"total": {"value": self.hits}}}


@pytest.fixture
def search() -> Search:
    """A domain that is well."""
    return Search()


@pytest.fixture
def aws() -> ModelledAws:
    """A stack on AWS that is well."""
    return ModelledAws(GOOD)


@pytest.fixture
def place(aws: ModelledAws, search: Search, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where both are."""
    monkeypatch.setattr(domain_facts, "reach", lambda *_: "")
    monkeypatch.setattr(domain_facts, "sign_in", lambda *_: 200)
    monkeypatch.setattr(domain_facts, "_RED_SECONDS", 0)
    return Place("iot-stream", aws.client, administrator=lambda: search)  # type: ignore[arg-type,return-value]


def examine(place: Place) -> list[Finding]:
    """Examine without sending."""
    return Doctor(place, send=False).walk()


def test_a_good_stack_has_no_refusal_and_no_warning(place: Place) -> None:
    """And every layer says something, in the order of the way."""
    found = examine(place)
    assert [each for each in found if each.state not in {State.OK, State.SKIPPED}] == []
    layers = list(dict.fromkeys(each.layer for each in found))
    assert layers == [layer for layer in LAYERS if layer not in {"local parts", "key"}]


CAUSES: list[tuple[str, str, Any, str, State, str, str]] = [
    # name, operation, response, layer, state, words, section of docs/operations.md
    ("the credentials", "sts.GetCallerIdentity", Refusal("ExpiredToken", "expired"), "credentials", State.REFUSES, "ExpiredToken", ""),
    ("no stack", "cloudformation.DescribeStacks", Refusal("ValidationError", "Stack with id iot-stream does not exist"), "stack", State.REFUSES, "no stack", ""),
    ("an old stack", "cloudformation.DescribeStacks", described_stack(outputs={"StreamName": "x"}), "stack", State.REFUSES, "BackupPrefix", ""),
    *((f"a stack in {status}", "cloudformation.DescribeStacks", described_stack(status), "stack", State.REFUSES, status, "stuck-stacks")
      for status in ("UPDATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED")),
    ("a rolled back update", "cloudformation.DescribeStacks", described_stack("UPDATE_ROLLBACK_COMPLETE"), "stack", State.WARNING, "last update failed", "stuck-stacks"),
    ("a deleted stream", "kinesis.DescribeStreamSummary", Refusal("ResourceNotFoundException"), "stream", State.REFUSES, "was deleted", ""),
    ("a stream going", "kinesis.DescribeStreamSummary", stream_summary("DELETING"), "stream", State.REFUSES, "DELETING", ""),
    ("few shards", "cloudwatch.GetMetricStatistics", metrics(WriteProvisionedThroughputExceeded=7), "stream", State.WARNING, "throttled 7 records", "producersthrottledalarm"),
    ("no role", "iam.ListAttachedRolePolicies", Refusal("NoSuchEntity"), "delivery role", State.REFUSES, "does not exist", RESTORING),
    ("no policies", "iam.ListAttachedRolePolicies", {"AttachedPolicies": [], "IsTruncated": False}, "delivery role", State.REFUSES, "IngestPolicy is not attached", "nothingreadalarm"),
    ("no bucket", "s3.HeadBucket", Refusal("404"), "backup bucket", State.REFUSES, "was deleted", "backupfailurealarm"),
    ("no delivery stream", "firehose.DescribeDeliveryStream", Refusal("ResourceNotFoundException"), "delivery stream", State.REFUSES, "was deleted", "nothingreadalarm"),
    ("a failed delivery stream", "firehose.DescribeDeliveryStream", delivery_stream("CREATING_FAILED", FailureDescription={"Type": "UNKNOWN_ERROR", "Details": "why"}), "delivery stream", State.REFUSES, "CREATING_FAILED: why", "nothingreadalarm"),
    ("another source", "firehose.DescribeDeliveryStream", delivery_stream(stream="another"), "delivery stream", State.REFUSES, "not iot-data-stream-2", "changing-names-and-settings"),
    ("reading behind", "cloudwatch.GetMetricStatistics", metrics(KinesisMillisBehindLatest=600_001), "delivery stream", State.WARNING, "behind the newest", "readdelayalarm"),
    ("delivering behind", "cloudwatch.GetMetricStatistics", metrics(DeliveryToAmazonOpenSearchService_DataFreshness=601), "delivery stream", State.WARNING, "601 s old", "deliverydelayalarm"),
    *((code, "logs.FilterLogEvents", logged("delivery-log", "old", json.dumps({"errorCode": code, "errorMessage": "m"})), "delivery stream", State.WARNING, f"most recently {code}", section)
      for code, section in {
          "Lambda.InvokeAccessDenied": "processingfailurealarm",
          "Lambda.ProcessingFailedStatus": "transformfailurealarm",
          "S3.NoSuchBucket": "backupfailurealarm",
          "OS.BulkWritePermissionDenied": "deliveryauthfailurealarm",
          "OS.ServiceException": "deliveryerrorsalarm",
      }.items()),
    ("no log of deliveries", "logs.FilterLogEvents", without_log("delivery-log"), "delivery stream", State.WARNING, "delivery-log does not exist", "deliveryerrorsalarm"),
    ("no log of the function", "logs.FilterLogEvents", without_log("enrichment-log"), "function", State.WARNING, "enrichment-log does not exist", "functionerrorsalarm"),
    ("no function", "lambda.GetFunctionConfiguration", Refusal("ResourceNotFoundException"), "function", State.REFUSES, "was deleted", "processingfailurealarm"),
    ("a failed function", "lambda.GetFunctionConfiguration", {"State": "Failed", "StateReason": "why"}, "function", State.REFUSES, "Failed: why", "processingfailurealarm"),
    ("a silenced function", "lambda.GetFunctionConfiguration", {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}}, "function", State.WARNING, "log level is WARN", "transformfailurealarm"),
    ("no concurrency", "lambda.GetFunctionConcurrency", {"ReservedConcurrentExecutions": 0}, "function", State.REFUSES, "concurrency is 0", "functionthrottlesalarm"),
    ("a new account", "lambda.GetAccountSettings", {"AccountLimit": {"ConcurrentExecutions": 10}}, "function", State.WARNING, "10 concurrent executions", "quotas"),
    ("a throttled function", "cloudwatch.GetMetricStatistics", metrics(Throttles=3), "function", State.WARNING, "throttled 3 invocations", "functionthrottlesalarm"),
    ("a slow function", "cloudwatch.GetMetricStatistics", metrics(Duration=48_001), "function", State.WARNING, "48,001 of 60,000 ms", "functiondurationalarm"),
    ("errors of the function", "logs.FilterLogEvents", logged("enrichment-log", '{"level": "ERROR", "message": "oh"}'), "function", State.WARNING, "most recently oh", "functionerrorsalarm"),
    ("no domain", "opensearch.DescribeDomain", Refusal("ResourceNotFoundException"), "domain", State.REFUSES, "was deleted", "removing-it"),
    ("a new domain", "opensearch.DescribeDomain", domain_status(Endpoint=""), "domain", State.REFUSES, "no endpoint yet", "deliveryfailurealarm"),
    ("a changing domain", "opensearch.DescribeDomain", domain_status(Processing=True), "domain", State.WARNING, "is being changed", "deliveryfailurealarm"),
    ("an upgrade", "opensearch.DescribeDomain", domain_status(UpgradeProcessing=True), "domain", State.WARNING, "is being upgraded", "deliveryfailurealarm"),
    ("no credits", "cloudwatch.GetMetricStatistics", metrics(CPUCreditBalance=0.5), "domain", State.WARNING, "CPU credits left", "domaincreditalarm"),
    ("a deny", "opensearch.DescribeDomain", domain_status(AccessPolicies=policy("Deny")), "access policy", State.REFUSES, "denies", "deliveryauthfailurealarm"),
    ("another principal", "opensearch.DescribeDomain", domain_status(AccessPolicies=policy(principal="arn:aws:iam::1:root")), "access policy", State.REFUSES, "does not allow", "deliveryauthfailurealarm"),
    ("another action", "opensearch.DescribeDomain", domain_status(AccessPolicies=policy(action="es:ESHttpGet")), "access policy", State.REFUSES, "does not allow", "deliveryauthfailurealarm"),
    ("no policy", "opensearch.DescribeDomain", domain_status(AccessPolicies=""), "access policy", State.REFUSES, "does not allow", "deliveryauthfailurealarm"),
    ("a condition", "opensearch.DescribeDomain", domain_status(AccessPolicies=policy(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), "access policy", State.WARNING, "under conditions", "deliveryauthfailurealarm"),
    ("no rule of alerts", "events.DescribeRule", Refusal("ResourceNotFoundException"), "device alerts", State.WARNING, "was deleted", RESTORING),
    ("a disabled rule", "events.DescribeRule", {"Name": "rule", "State": "DISABLED"}, "device alerts", State.WARNING, "is disabled", "devicealertsmissedalarm"),
    ("failing alerts", "cloudwatch.GetMetricStatistics", metrics(Errors=2), "device alerts", State.WARNING, "failed 2 times", "devicealertserrorsalarm"),
    ("no topic", "sns.GetTopicAttributes", Refusal("NotFound"), "alarms", State.WARNING, "does not exist", "notifications"),
    ("a closed topic", "sns.GetTopicAttributes", topic_attributes(["cloudwatch.amazonaws.com"]), "alarms", State.WARNING, "events.amazonaws.com", "failuremessagealarm"),
    ("nobody", "sns.ListSubscriptionsByTopic", {"Subscriptions": []}, "alarms", State.WARNING, "nobody is notified", "notifications"),
    ("an unread mail", "sns.ListSubscriptionsByTopic", {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}, "alarms", State.WARNING, "is not confirmed yet", "notifications"),
    ("silent alarms", "cloudwatch.DescribeAlarms", described(alarm("DomainRedAlarm", ActionsEnabled=False)), "alarms", State.WARNING, "notifies nobody", "domainredalarm"),
    ("a deleted alarm", "cloudwatch.DescribeAlarms", described(gone="DomainRedAlarm"), "alarms", State.WARNING, "was deleted", RESTORING),
    ("failures", "s3.ListObjectsV2", {"Contents": [{"Key": "opensearch_backup/processing-failed/2026/11/26/10/x", "Size": 1, "LastModified": NOW}]}, "failures", State.WARNING, "1 processing", "failureobjectalarm"),
    *((f"{section} is raised", "cloudwatch.DescribeAlarms", described(alarm(section, "ALARM")), "alarms", State.WARNING if section in FAILED_RECORDS else State.REFUSES, f"{section} is raised", section.lower())
      for section in SECTIONS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "response", "layer", "state", "words", "section"), [each[1:] for each in CAUSES], ids=[each[0] for each in CAUSES]
)  # fmt: skip
def test_a_cause_is_named_with_its_cure_and_runbook(
    aws: ModelledAws, place: Place, *, operation: str, response: Any, layer: str, state: State, words: str, section: str
) -> None:
    """It is the first to refuse, or a warning; what depends on it is left out, not guessed."""
    aws.responses[operation] = response
    found = examine(place)
    named = next(each for each in found if each.state is state)
    assert (named.layer, named.section) == (layer, section)
    assert words in named.what
    assert named.cure or state is State.WARNING
    if state is State.REFUSES:
        assert first_refusal(found) is named
    else:
        assert first_refusal(found) is None


# As Lambda's runtime writes an uncaught exception in JSON (aws-lambda-python-runtime-interface-client, `log_error`; its
# issue 202 is why 4.0.4 renamed `log_level`), and the Telemetry API's event schema of a report and its statuses.
_CRASH = {
    "errorMessage": "broken on purpose",
    "errorType": "ValueError",
    "requestId": "1",
    "stackTrace": [],
    "location": "",
}


def _report(**record: str) -> str:
    made = {"requestId": "1", "metrics": {}} | record
    return json.dumps({"time": "2026-11-28T10:00:00.000Z", "type": "platform.report", "record": made})


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (json.dumps({"timestamp": "x", "log_level": "ERROR"} | _CRASH), "broken on purpose"),
        (json.dumps({"timestamp": "x", "level": "ERROR"} | _CRASH), "broken on purpose"),
        (json.dumps({"level": "ERROR"} | _CRASH | {"errorMessage": "", "errorType": "MemoryError"}), "MemoryError"),
        (_report(status="timeout"), "timeout"),
        (_report(status="failure"), "failure"),
        (_report(status="error", errorType="Runtime.OutOfMemory"), "Runtime.OutOfMemory"),
        ("ValueError: broken on purpose", "ValueError: broken on purpose"),  # the local AWS
    ],
)  # fmt: skip
def test_errors_of_the_function_are_told_from_what_it_logs_of_readings(
    aws: ModelledAws, place: Place, message: str, shown: str
) -> None:
    """A device's field called ERROR, which the function drops and counts, is not an error of the function."""
    batch = firehose.transform(
        json.loads((PROJECT / "events" / "firehose-one-reading.json").read_text("utf-8")), ENRICHER
    )
    batch.dropped.update({"ERROR": 1, "errors": 2, "ValueError": 1})
    good = describe_batch(batch, 0, 1, Settings.from_environment({}))
    lines = (good, "START RequestId: 1 Version: 7", "REPORT RequestId: 1", json.dumps("ERROR"))
    aws.responses["logs.FilterLogEvents"] = logged("enrichment-log", *lines)
    assert not [each for each in examine(place) if "last 15 minutes" in each.what]
    aws.responses["logs.FilterLogEvents"] = logged("enrichment-log", *lines, message, good, _report(status="success"))
    (found,) = [each for each in examine(place) if "last 15 minutes" in each.what]
    assert (found.layer, found.section) == ("function", "functionerrorsalarm")
    assert found.what == f"errors in the last 15 minutes: 1, most recently {shown}"


def test_an_invocation_that_failed_is_one_error(aws: ModelledAws, place: Place) -> None:
    """The runtime says why, and the platform that it failed; the reason is shown."""
    lines = (json.dumps({"level": "ERROR"} | _CRASH), _report(status="error"), _report(status="timeout", requestId="2"))
    aws.responses["logs.FilterLogEvents"] = logged("enrichment-log", *lines[:2])
    (found,) = [each for each in examine(place) if "last 15 minutes" in each.what]
    assert found.what == "errors in the last 15 minutes: 1, most recently broken on purpose"
    aws.responses["logs.FilterLogEvents"] = logged("enrichment-log", *lines)
    (found,) = [each for each in examine(place) if "last 15 minutes" in each.what]
    assert found.what == "errors in the last 15 minutes: 2, most recently timeout"


def test_errors_behind_an_empty_page_are_found(aws: ModelledAws, place: Place) -> None:
    """FilterLogEvents' reference: "can return empty results while there are more log events available"."""

    def respond(params: Mapping[str, Any]) -> dict[str, Any]:
        whole = logged("enrichment-log", json.dumps({"level": "ERROR", "message": "oh"}))(params)
        return whole if "nextToken" in params else {"events": [], "nextToken": "more"}

    aws.responses["logs.FilterLogEvents"] = respond
    assert "most recently oh" in next(
        each.what for each in examine(place) if each.layer == "function" and each.state is State.WARNING
    )


def test_the_runbook_filters_the_log_as_doctor_does(aws: ModelledAws, place: Place) -> None:
    """Words alone would find device fields of that name."""
    examine(place)
    patterns = {
        call["logGroupName"]: call["filterPattern"] for name, call in aws.calls if name == "logs.FilterLogEvents"
    }
    assert patterns == {"delivery-log": "", "enrichment-log": FUNCTION_ERRORS}
    assert f"--filter '{FUNCTION_ERRORS}'" in RUNBOOK


@pytest.mark.parametrize(
    ("state", "cure"), [("Pending", "lambda wait published-version-active"), ("Failed", "sam deploy")]
)
def test_a_version_that_is_being_made_needs_only_time(aws: ModelledAws, place: Place, state: str, cure: str) -> None:
    """State of GetFunctionConfiguration; the waiter is botocore's PublishedVersionActive, which asks the same call."""
    aws.responses["lambda.GetFunctionConfiguration"] = {"State": state, "StateReason": "why"}
    refusal = first_refusal(examine(place))
    assert refusal is not None
    assert refusal.layer == "function"
    assert cure in refusal.cure


def test_every_link_to_a_runbook_leads_somewhere() -> None:
    """Each section that the doctor's code names is a heading of docs/operations.md."""
    headings = re.findall(r"^#+ (.+)$", (PROJECT / "docs" / "operations.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-")) for heading in headings}
    assert {each[6] for each in CAUSES} - {""} <= anchors
    code = "".join(path.read_text("utf-8") for path in (PROJECT / "iot_stream" / "doctor").glob("*.py"))
    assert set(re.findall(r'"(\w+alarm)"', code)) <= anchors


@pytest.mark.parametrize(
    ("line", "layer", "state", "cure"),
    [
        ({"Role": "differs: r (apply begins with PUT)"}, "role and mapping", State.REFUSES, "domain apply"),
        ({"RoleMapping": "differs: r (apply begins with PUT)"}, "role and mapping", State.REFUSES, "domain apply"),
        ({"Role": "kept: r (somebody else's)"}, "role and mapping", State.REFUSES, "TakeOver=true"),
        ({"IndexTemplate": "differs: i (x)"}, "live index", State.WARNING, "domain apply"),
        ({"RetentionPolicy": "unchanged: i; differs: j (x)"}, "retention", State.WARNING, "domain apply"),
        ({"Dashboards": "differs: d (x)"}, "dashboards", State.WARNING, "domain apply"),
        ({"WriteAlias": "differs: i (x)"}, "live index", State.WARNING, "domain apply"),
        ({"AlertsIndexTemplate": "differs: a (x)"}, "device alerts", State.WARNING, "domain apply"),
        ({"AlertsRole": "differs: a (x)"}, "device alerts", State.WARNING, "domain apply"),
        ({"AlertsRoleMapping": "differs: a (x)"}, "device alerts", State.WARNING, "domain apply"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_domain_s_objects_are_judged_by_the_role_mapper_s_words(
    place: Place, *, line: dict[str, str], layer: str, state: State, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Without role and mapping nothing is delivered; without the others it is, unshaped or unseen."""
    for kind, text in line.items():
        monkeypatch.setitem(SHOWN, kind, text)
    named = next(each for each in examine(place) if each.state is state)
    assert (named.layer, named.state) == (layer, state)
    assert cure in named.cure


def test_every_kind_in_the_role_mapper_s_report_has_its_layer() -> None:
    """Or else a lost one would not be seen. `Indices` is judged by the index's own mapping."""
    kinds = {value for name, value in vars(report).items() if name.isupper() and isinstance(value, str)}
    for kind in kinds - {report.INDICES}:
        layers = [layer for layer in LAYERS if list(judge_objects({kind: "differs: x (y)"}, layer))]
        assert len(layers) == 1, kind


def test_dashboards_that_people_changed_are_no_fault(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept on purpose."""
    monkeypatch.setitem(SHOWN, "Dashboards", "kept: iot-stream-live (changed by somebody)")
    assert first_refusal(examine(place)) is None


def test_a_role_mapper_that_fails_is_the_refusing_layer(aws: ModelledAws, place: Place) -> None:
    """With its own words."""

    def failed(params: Mapping[str, Any]) -> dict[str, Any]:
        if "records" in json.loads(params["Payload"]):
            return invoked(params)
        return {"StatusCode": 200, "Payload": io.BytesIO(b'{"Status": "FAILED", "Reason": "the domain: 401"}')}

    aws.responses["lambda.Invoke"] = failed
    named = first_refusal(examine(place))
    assert named is not None
    assert (named.layer, "the domain: 401" in named.what) == ("role and mapping", True)


@pytest.mark.parametrize(
    ("response", "words", "section"),
    [
        (Refusal("TooManyRequestsException", "Rate Exceeded"), "TooManyRequestsException", "functionerrorsalarm"),
        ({"FunctionError": "Unhandled", "Payload": b'{"errorType": "E", "errorMessage": "m"}'}, "it fails: E: m", "functionerrorsalarm"),
        ({"Payload": b'{"records": []}'}, "is not a valid Firehose transformation response", "processingfailurealarm"),
        ({"Payload": b'{"records": [{"recordId": "doctor", "result": "ProcessingFailed"}]}'}, "ProcessingFailed for SampleReading", "transformfailurealarm"),
    ],
)  # fmt: skip
def test_what_the_function_makes_of_one_reading_is_judged(
    aws: ModelledAws, place: Place, response: Any, words: str, section: str
) -> None:
    """It is invoked as Firehose invokes it."""

    def respond(_: Mapping[str, Any]) -> Any:
        return response if isinstance(response, Refusal) else response | {"Payload": io.BytesIO(response["Payload"])}

    aws.responses["lambda.Invoke"] = respond
    named = first_refusal(examine(place))
    assert named is not None
    assert (named.layer, named.section) == ("function", section)
    assert words in named.what


@pytest.mark.parametrize(
    ("change", "layer", "state", "section"),
    [
        ({"health_": {"status": "red", "number_of_data_nodes": 1, "unassigned_shards": 2}}, "cluster", State.REFUSES, "domainredalarm"),
        ({"health_": {"status": "yellow", "number_of_data_nodes": 1}}, "cluster", State.WARNING, "domainyellowalarm"),
        ({"health_": {"status": "green", "number_of_data_nodes": 0}}, "cluster", State.WARNING, "domainnodesalarm"),
        ({"nodes_": [{"name": "n", "disk.used_percent": "75.00"}]}, "cluster", State.WARNING, "domainstoragealarm"),
        ({"nodes_": [{"name": "n", "heap.percent": "95"}]}, "cluster", State.WARNING, "domainmemoryalarm"),
        ({"nodes_": [{"name": "n", "cpu": "80"}]}, "cluster", State.WARNING, "domainprocessoralarm"),
        ({"pools": [{"rejected": "1"}]}, "cluster", State.WARNING, "domainwriterejectionalarm"),
        ({"settings": {"iot-stream": {"settings": {"index.blocks.write": "true"}}}}, "live index", State.REFUSES, "domainwritesblockedalarm"),
        ({"settings": {"iot-stream": {"settings": {"index.blocks.read_only_allow_delete": "true"}}}}, "live index", State.REFUSES, "domainwritesblockedalarm"),
        ({"whole": {"persistent": {"cluster.blocks.create_index": "true"}}}, "live index", State.REFUSES, "domainwritesblockedalarm"),
        ({"mappings": {"iot-stream": {"mappings": {"properties": {"device_id": {"type": "text"}}}}}}, "live index", State.REFUSES, "deliveryrejectedalarm"),
        ({"mappings": {"iot-stream": {"mappings": {"properties": {"device_id": {"type": "long"}}}}}}, "live index", State.WARNING, ""),
    ],
)  # fmt: skip
def test_what_ails_the_domain_is_named(
    place: Place, search: Search, *, change: dict[str, Any], layer: str, state: State, section: str
) -> None:
    """By what OpenSearch itself says."""
    for name, value in change.items():
        setattr(search, name, value)
    named = next(each for each in examine(place) if each.state is state)
    assert (named.layer, named.section) == (layer, section)


def test_a_cluster_that_is_red_for_a_moment_is_well(
    place: Place, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSearch 3.4 says red whenever an index is closed or opened, until its shards are back."""
    healths = [search.health_ | {"status": "red"}] * 2 + [search.health_]
    monkeypatch.setattr(search, "health", lambda: healths.pop(0))
    monkeypatch.setattr(domain_facts, "_RED_SECONDS", 600)
    monkeypatch.setattr(domain_facts, "sleep", lambda _: None)
    assert first_refusal(examine(place)) is None
    assert healths == []


@pytest.mark.parametrize("principal", [ROLE, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, [ROLE, "arn:aws:iam::1:root"]])
def test_an_access_policy_may_name_the_role_or_its_account(aws: ModelledAws, place: Place, principal: Any) -> None:
    """As the template does with MasterUserMode=IamRole; a policy may also be a list of principals."""
    aws.responses["opensearch.DescribeDomain"] = domain_status(AccessPolicies=policy(principal=principal))
    assert first_refusal(examine(place)) is None


def test_an_index_that_is_not_there_yet_is_no_fault(place: Place, search: Search) -> None:
    """And one that cannot be read is no block of writes."""
    search.mappings = {}
    search.settings = {"iot-stream": {"settings": {"index.blocks.read": "true", "index.blocks.write": "false"}}}
    assert first_refusal(examine(place)) is None


@pytest.mark.parametrize(("status", "words"), [(401, "rejects the password of admin"), (403, "403"), (503, "503")])
def test_a_sign_in_that_is_refused_is_named_and_the_rest_is_left_out(
    place: Place, status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What depends on the sign-in is skipped; alarms and failures are still examined."""
    monkeypatch.setattr(domain_facts, "sign_in", lambda *_: status)
    found = examine(place)
    named = first_refusal(found)
    assert named is not None
    assert named.layer == "sign-in"
    assert words in named.what
    skipped = [each.layer for each in found if each.state is State.SKIPPED]
    assert skipped == [
        "role and mapping",
        "cluster",
        "live index",
        "retention",
        "dashboards",
        "device alerts",
        "reading",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.SSLError("self-signed"), "certificate is not trusted"),
        (requests.exceptions.ConnectionError("no route"), "ConnectionError: no route"),
    ],
)
def test_a_domain_that_does_not_respond_is_named(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS apart from the network."""

    def get(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(requests.Session, "get", get)
    assert words in domain_facts.reach(Place("x", ModelledAws({}).client), "endpoint")


def test_the_local_domain_is_asked_without_the_caller_s_proxies(tmp_path: Path) -> None:
    """On AWS the caller's network counts."""
    local = Place("x", ModelledAws({}).client, ca_file=tmp_path / "ca.pem")
    assert (local.session().trust_env, local.session().verify) == (False, str(tmp_path / "ca.pem"))
    assert replace(local, ca_file=None).session().trust_env is True


@pytest.mark.parametrize(
    ("state", "section", "cure"),
    [
        ("Disabled", "domainkeyerroralarm", "aws kms enable-key --key-id key-1"),
        ("PendingDeletion", "domainkeyinaccessiblealarm", "aws kms cancel-key-deletion --key-id key-1"),
    ],
)
def test_the_stack_s_own_key_is_examined(aws: ModelledAws, place: Place, state: str, section: str, cure: str) -> None:
    """Where it has one."""
    aws.responses["cloudformation.DescribeStacks"] = described_stack(CustomerManagedKey="true")
    assert first_refusal(examine(place)) is None
    aws.responses["kms.DescribeKey"] = {"KeyMetadata": {"KeyId": "key-1", "KeyState": state}}
    named = first_refusal(examine(place))
    assert named is not None
    assert (named.layer, named.section, named.cure) == ("key", section, cure)


def test_what_may_not_be_looked_at_is_unknown_and_what_follows_is_examined(aws: ModelledAws, place: Place) -> None:
    """With the permission that is missing."""
    aws.responses["kinesis.DescribeStreamSummary"] = Refusal("AccessDeniedException", "no")
    found = examine(place)
    [unknown] = [each for each in found if each.state is State.UNKNOWN]
    assert (unknown.layer, unknown.cure) == ("stream", "get permission to call DescribeStreamSummary")
    assert [each.layer for each in found][-1] == "reading"


@pytest.mark.parametrize("code", ["LimitExceededException", "ThrottlingException"])
def test_a_call_too_many_is_no_missing_permission(aws: ModelledAws, place: Place, code: str) -> None:
    """It passes."""
    aws.responses["kinesis.DescribeStreamSummary"] = Refusal(code, "Rate exceeded")
    [unknown] = [each for each in examine(place) if each.state is State.UNKNOWN]
    assert (unknown.layer, unknown.cure) == ("stream", "try again in a minute")


@pytest.mark.parametrize(
    ("code", "message", "cure"),
    [
        ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", "another MasterUserName"),
        ("InvalidRequestException", "the secret was marked for deletion", "aws secretsmanager restore-secret"),
    ],
)  # API reference, GetSecretValue
def test_a_deleted_secret_refuses(aws: ModelledAws, place: Place, code: str, message: str, cure: str) -> None:
    """No permission of the caller's brings it back."""
    aws.responses["secretsmanager.GetSecretValue"] = Refusal(code, message)
    refusal = first_refusal(examine(place))
    assert refusal is not None
    assert (refusal.layer, refusal.section) == ("sign-in", "security-options")
    assert message in refusal.what
    assert cure in refusal.cure


@pytest.mark.parametrize(
    ("code", "state", "cure"),
    [
        ("AccessDeniedException", State.UNKNOWN, "get permission to call PutRecord"),
        ("ProvisionedThroughputExceededException", State.UNKNOWN, "try again in a minute"),
        ("ResourceNotFoundException", State.REFUSES, "sam build && sam deploy"),
        ("KMSDisabledException", State.REFUSES, "aws kms describe-key"),
        ("InvalidArgumentException", State.REFUSES, "check the stream"),
    ],
)  # API reference, PutRecord
def test_a_stream_that_refuses_the_marked_reading_refuses(
    aws: ModelledAws, place: Place, code: str, state: State, cure: str
) -> None:
    """Unless it is the caller who may not, or one call too many."""
    aws.responses |= PUT | {"kinesis.PutRecord": Refusal(code, "no")}
    last = Doctor(place).walk()[-1]
    assert (last.layer, last.state) == ("reading", state)
    assert cure in last.cure


def test_what_could_not_be_examined_is_counted_by_the_command(
    aws: ModelledAws, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps nothing from being examined that does not need it: the role mapper looks without the caller's secret."""
    aws.responses["secretsmanager.GetSecretValue"] = Refusal("AccessDeniedException", "no")
    result = run(place, monkeypatch)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "no layer fails; 1 could not be checked")
    assert "RoleMapping unchanged" in result.stdout


def test_without_a_region_nothing_else_is_asked(aws: ModelledAws, place: Place) -> None:
    """A profile that does not exist is said in the same place."""

    def client(_: str) -> Any:
        raise NoRegionError

    named = first_refusal(examine(replace(place, client=client)))
    assert named is not None
    assert (named.layer, "region" in named.what) == ("credentials", True)
    assert aws.calls == []


@pytest.mark.parametrize(
    ("part", "mends"),
    [
        ("the delivery worker", "iot-stream up"),
        ("ministack", "iot-stream down, then iot-stream up (data in the local AWS is lost)"),
    ],
)
def test_a_part_of_the_local_stack_that_has_ended_is_named(place: Place, part: str, mends: str) -> None:
    """Before anything else, with what mends it: the local AWS, whose state is in memory, can't be started again."""
    found = examine(replace(place, parts={"OpenSearch": True, part: False}))
    assert found[0] == Finding("local parts", State.REFUSES, f"{part} is not running", mends)


FOLDER = {"KeyCount": 1, "CommonPrefixes": [{"Prefix": "opensearch_backup/processing-failed/"}]}
SOURCE = {"KeyCount": 1, "CommonPrefixes": [{"Prefix": "opensearch_backup/2026/"}]}  # of BackupMode=AllDocuments


@pytest.mark.parametrize(
    ("raised", "listed", "refusing"),
    [
        (sorted(FAILED_RECORDS), FOLDER, sorted(FAILED_RECORDS)),
        (sorted(FAILED_RECORDS), SOURCE, []),
        (["FailedRecordsAlarm"], Refusal("AccessDenied"), ["FailedRecordsAlarm"]),
        (["DataLossAlarm", "FailureObjectAlarm"], {"KeyCount": 0}, []),
        (["DataLossAlarm", "FailureObjectAlarm"], FOLDER, ["DataLossAlarm", "FailureObjectAlarm"]),
        (["DataLossAlarm", "DomainRedAlarm", "FailureObjectAlarm"], SOURCE, ["DataLossAlarm", "DomainRedAlarm"]),
    ],
)
def test_alarms_of_failed_records_refuse_as_long_as_there_are_some(
    aws: ModelledAws, place: Place, raised: list[str], listed: Any, refusing: list[str]
) -> None:
    """They count what failed in five minutes, so they stay raised for a while after all of it was replayed."""
    aws.responses["cloudwatch.DescribeAlarms"] = described(*(alarm(each, "ALARM") for each in raised))
    aws.responses["s3.ListObjectsV2"] = listed
    found = [each for each in examine(place) if each.layer == "alarms" and "is raised" in each.what]
    assert sorted(each.what.split()[0] for each in found) == raised
    assert sorted(each.what.split()[0] for each in found if each.state is State.REFUSES) == refusing
    assert all("no failed record is left to replay" in each.what for each in found if each.state is State.WARNING)


@pytest.mark.parametrize("name", sorted(FAILED_RECORDS))
def test_alarms_of_failed_records_clear_by_themselves(name: str) -> None:
    """In five minutes without another: a sum of one period, in which missing data is no breach."""
    found = load_template()["Resources"][name]["Properties"]
    assert (found["Statistic"], found["Period"], found["EvaluationPeriods"]) == ("Sum", 300, 1)
    assert (found["Threshold"], found["TreatMissingData"]) == (0, "notBreaching")


def test_throttled_or_missing_functions_of_alerts_are_warnings(aws: ModelledAws, place: Place) -> None:
    """Beside what the enrichment function's own metrics say."""
    aws.responses["cloudwatch.GetMetricStatistics"] = metrics(Throttles=3)

    def configuration(params: Mapping[str, Any]) -> Any:
        gone = params["FunctionName"] == "device-alerts"
        return Refusal("ResourceNotFoundException") if gone else GOOD["lambda.GetFunctionConfiguration"]

    aws.responses["lambda.GetFunctionConfiguration"] = configuration
    found = [each for each in examine(place) if each.layer == "device alerts"]
    assert [(each.state, each.section) for each in found] == [
        (State.WARNING, RESTORING),
        (State.WARNING, "devicealertsthrottlesalarm"),
    ]
    assert "does not exist" in found[0].what
    assert RESTORING in found[0].cure, "no deployment brings it back: the template has not changed"
    aws.responses["cloudformation.DescribeStacks"] = described_stack(DeviceAlerts="false")
    assert "device alerts" not in {each.layer for each in examine(place)}


# ---- every cause of docs/operations.md -------------------------------------------------------------------------------

BY_ITS_ALARM_ALONE = {
    "SilenceAlarm": "that devices are silent is theirs to say; the marked reading shows that the way is free",
    "RefusedRateAlarm": "the same readings as TransformFailureAlarm's, in another number",
    "NothingDeliveredAlarm": "its cure is that of the function, the role or the domain, which have checks",
    "FailedRecordsAlarm": "the same objects as FailureObjectAlarm's",
    "DomainSnapshotAlarm": "the domain's own snapshots can't be listed by everybody who may examine the rest",
    **dict.fromkeys(
        ["NewVersionErrorsAlarm", "NewVersionRefusalsAlarm"], "they roll a deployment back while it is going on"
    ),
    **dict.fromkeys(
        ["DomainMasterMemoryAlarm", "DomainMasterProcessorAlarm", "DomainMasterUnreachableAlarm"],
        "CloudWatch alone tells dedicated masters from the domain's other nodes",
    ),
    "DataLossAlarm": "it is raised by others",
}
"""Causes that the doctor names because their alarm is raised, and why it does not look for them itself."""


def _sections_of(test: Any) -> set[str]:
    """Return the sections of the runbook that the table of a test names."""
    [rows] = [mark.args[1] for mark in test.pytestmark if mark.name == "parametrize"]
    return {cell for row in rows for cell in row if isinstance(cell, str)} & {each.lower() for each in SECTIONS}


def test_every_cause_of_the_runbook_has_a_check_and_every_check_a_test() -> None:
    """An alarm's section is named by a table above, beside "is raised"; or it is listed with the reason why not."""
    broken_here = {each[6] for each in CAUSES if "is raised" not in each[0]}
    for test in (
        test_what_the_function_makes_of_one_reading_is_judged,
        test_what_ails_the_domain_is_named,
        test_the_stack_s_own_key_is_examined,
    ):
        broken_here |= _sections_of(test)
    broken_here.add("devicealertsthrottlesalarm")  # by test_throttled_or_missing_functions_of_alerts_are_warnings
    assert {each for each in SECTIONS if each.lower() not in broken_here} == BY_ITS_ALARM_ALONE.keys()
    raised = {each[6] for each in CAUSES if "is raised" in each[0]}
    assert raised == {each.lower() for each in SECTIONS}


def test_every_section_that_the_doctor_names_is_one_that_a_test_breaks() -> None:
    """And the other way round: no check of the doctor's code is without a test here."""
    code = "".join(path.read_text("utf-8") for path in sorted((PROJECT / "iot_stream" / "doctor").glob("*.py")))
    tested = {each[6] for each in CAUSES} | _sections_of(test_what_ails_the_domain_is_named)
    tested |= _sections_of(test_what_the_function_makes_of_one_reading_is_judged)
    tested |= _sections_of(test_the_stack_s_own_key_is_examined)
    tested.add("devicealertsthrottlesalarm")  # the same
    assert set(re.findall(r'"(\w+alarm)"', code)) <= tested


@pytest.mark.parametrize("status", re.findall(r"`((?:CREATE|UPDATE|ROLLBACK|DELETE|REVIEW)_[A-Z_]+)`", RUNBOOK))
def test_every_state_of_a_stack_that_the_runbook_knows_is_judged(aws: ModelledAws, place: Place, status: str) -> None:
    """The section "Stuck stacks"."""
    aws.responses["cloudformation.DescribeStacks"] = described_stack(status)
    named = [each for each in examine(place) if each.layer == "stack"]
    assert named[0].state in {State.REFUSES, State.WARNING}
    assert (named[0].section, status in named[0].what or "failed" in named[0].what) == ("stuck-stacks", True)


# ---- the marked reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(TimeFormat))
def test_a_marked_reading_is_one_that_the_function_takes(form: TimeFormat) -> None:
    """With the mark as its identity and this moment as its time, in the format of the description."""
    described_time = WALKTHROUGH.replace('path = "device_ts"', f'path = "device_ts"\nformat = "{form.value}"')
    description = parse(described_time)
    mark = mark_value(description, 2**53 - 1)
    sample = sample_of(parse(WALKTHROUGH))
    data = marked_reading(sample, description, str(mark), NOW)
    document = msgspec.to_builtins(Enricher(description, ZoneInfo("Asia/Tokyo")).enrich(data))
    assert document["uuid"] == mark == f"{MARK}1fffffffffffff"
    taken = datetime.fromisoformat(document["timestamp"]).replace(tzinfo=UTC)
    assert abs(taken - NOW) <= timedelta(seconds=1)


@given(st.text())
def test_a_sample_that_is_no_object_is_refused(sample: str) -> None:
    """With one kind of error."""
    try:
        is_object = isinstance(json.loads(sample), dict)
    except ValueError:
        is_object = False
    if not is_object:
        with pytest.raises(ValueError):  # noqa: PT011 - json's own too
            marked_reading(sample, load(), "x", NOW)


PUT = {
    "kinesis.PutRecord": {"ShardId": "shardId-000000000000", "SequenceNumber": "1"},
    "kinesis.GetShardIterator": {"ShardIterator": "it"},
    "kinesis.GetRecords": {"Records": []},
}


def test_the_marked_reading_is_followed_to_the_index(aws: ModelledAws, place: Place, tmp_path: Path) -> None:
    """Put once, read back where it was put, found by its mark; it is in the ledger, and nothing is deleted."""
    aws.responses |= PUT
    doctor = Doctor(replace(place, ledger=Ledger(tmp_path)))
    found = doctor.walk()
    assert found[-1].state is State.OK, found[-1]
    assert doctor.followed is not None
    assert [each.name for each in doctor.followed.stations][-1] == "searchable in the index"
    puts = [params for name, params in aws.calls if name == "kinesis.PutRecord"]
    assert len(puts) == 1
    assert json.loads(puts[0]["Data"])["uuid"].startswith(MARK)
    assert Ledger(tmp_path).sent == 1
    assert not [name for name, _ in aws.calls if "Delete" in name]


def test_a_reading_that_fails_is_found_in_the_bucket(aws: ModelledAws, place: Place, search: Search) -> None:
    """With its code and the command that shows it."""
    search.hits = 0
    key = "opensearch_backup/processing-failed/2026/11/26/10/x"
    written = datetime.now(UTC)  # not NOW: the doctor takes only what was written since, and imports were minutes ago
    aws.responses |= PUT | {"s3.ListObjectsV2": {"Contents": [{"Key": key, "Size": 1, "LastModified": written}]}}

    def get(_: Mapping[str, Any]) -> dict[str, Any]:
        [data] = [params["Data"] for name, params in aws.calls if name == "kinesis.PutRecord"]
        line = {"rawData": base64.b64encode(data).decode(), "errorCode": "Lambda.FunctionError", "lambdaArn": "x"}
        return {"Body": _Body(json.dumps(line).encode())}

    aws.responses["s3.GetObject"] = get
    found = Doctor(place, wait=0.001).walk()
    assert found[-1].state is State.REFUSES
    assert "Lambda.FunctionError" in found[-1].what
    assert found[-1].cure == f"iot-stream failures show {key} --aws --stack iot-stream"


class _Body(io.BytesIO):
    """The body of an object, as botocore gives it."""

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Yield the content in pieces."""
        while piece := self.read(size):
            yield piece


def test_a_reading_that_arrives_nowhere_is_said(aws: ModelledAws, place: Place, search: Search) -> None:
    """After the time that it has."""
    search.hits = 0
    aws.responses |= PUT
    found = Doctor(place, wait=0.001).walk()
    assert found[-1].state is State.REFUSES
    assert "neither in the index nor in the bucket" in found[-1].what


def test_no_reading_is_sent_where_a_layer_refuses(aws: ModelledAws, place: Place) -> None:
    """It would only become a failure object."""
    aws.responses["lambda.GetFunctionConcurrency"] = {"ReservedConcurrentExecutions": 0}
    found = Doctor(place).walk()
    assert (found[-1].state, found[-1].what) == (State.SKIPPED, "none was sent: function fails")


def test_without_an_identity_field_the_marked_reading_has_a_cure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing refuses, so nothing else says what to do about it."""
    unmarked = parse(re.sub(r'^role = "identity".*\n', "", WALKTHROUGH, flags=re.MULTILINE))
    monkeypatch.setattr("iot_stream.doctor.case.load", lambda: unmarked)
    found = Doctor(place).walk()[-1]
    assert (found.layer, found.state) == ("reading", State.SKIPPED)
    assert 'role = "identity"' in found.cure


# ---- the commands ---------------------------------------------------------------------------------------------------


def run(place: Place, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """Run a command on the place."""
    monkeypatch.setattr(Place, "on_aws", classmethod(lambda *_: place))
    return CliRunner(mix_stderr=False).invoke(cli, ["doctor", "--aws", "--no-send", *arguments])


def test_on_aws_it_says_before_what_it_does(aws: ModelledAws, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, with stack and region; a reading only where one may be sent."""
    said = run(place, monkeypatch).stderr.splitlines()[0]
    assert said.startswith(f"checking stack iot-stream in {place.region()}: invokes its function")
    assert "reading" not in said
    aws.responses |= PUT
    sending = CliRunner(mix_stderr=False).invoke(cli, ["doctor", "--aws"]).stderr.splitlines()[0]
    assert sending.endswith("sends one marked reading if no layer fails")


def test_the_table_ends_in_what_refuses_first(aws: ModelledAws, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command exits with 1; when nothing refuses, with 0."""
    good = run(place, monkeypatch)
    assert (good.exit_code, good.stdout.splitlines()[-1]) == (0, "no layer fails")
    aws.responses["s3.HeadBucket"] = Refusal("404")
    bad = run(place, monkeypatch)
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[-3:] == [
        f"first failing layer: backup bucket: bucket {ACCOUNT}-builders-analytics does not exist: it was deleted",
        f"to fix it: aws s3 mb s3://{ACCOUNT}-builders-analytics",
        "runbook: docs/operations.md#backupfailurealarm",
    ]


def test_a_runbook_that_is_the_cure_is_named_once(
    aws: ModelledAws, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an alarm its runbook is what to do."""
    aws.responses["cloudwatch.DescribeAlarms"] = described(alarm("DomainRedAlarm", "ALARM"))
    assert run(place, monkeypatch).stdout.splitlines()[-1] == "to fix it: see docs/operations.md#domainredalarm"


def test_json_has_the_same(aws: ModelledAws, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs."""
    aws.responses["s3.HeadBucket"] = Refusal("404")
    told = json.loads(run(place, monkeypatch, "--json").stdout)
    assert told["ok"] is False
    assert (told["first"]["layer"], told["first"]["state"]) == ("backup bucket", "refuses")
    assert told["first"]["runbook"] == "docs/operations.md#backupfailurealarm"
    assert {each["layer"] for each in told["findings"]} >= {"stack", "alarms", "reading"}


def test_the_page_names_every_state_and_every_layer() -> None:
    """And no other, in the order in which they are examined: what a program reads in the JSON is looked up there."""
    page = (PROJECT / "docs" / "doctor.md").read_text("utf-8")
    states, layers = re.findall(r"^\| (?:state|layer) \|.*\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \|", states, re.MULTILINE) == list(State)
    named = re.findall(r"^\| ([^|]+) \|", layers, re.MULTILINE)
    assert [layer for names in named for layer in names.split(", ")] == list(LAYERS)


def test_alarms_are_listed_raised_ones_first(aws: ModelledAws, place: Place) -> None:
    """With reason and runbook; a deleted one is said, one without actions notifies nobody."""
    raised = alarm("DomainStorageAlarm", "ALARM")
    aws.responses["cloudwatch.DescribeAlarms"] = described(
        raised, alarm("ReadDelayAlarm", AlarmActions=[]), gone="SilenceAlarm"
    )
    stack = Case(place).target.stack
    listed = stack_alarms(aws.client("cloudformation"), aws.client("cloudwatch"), stack)
    assert [(each.alarm, each.state) for each in listed[:2]] == [
        ("DomainStorageAlarm", "ALARM"),
        ("SilenceAlarm", MISSING),
    ]
    assert (listed[0].reason, listed[0].runbook) == ("Threshold Crossed", "docs/operations.md#domainstoragealarm")
    assert len(listed) == len(SECTIONS)
    assert [each.alarm for each in listed if each.state == "OK" and not each.notifies] == ["ReadDelayAlarm"]


@pytest.mark.parametrize(
    ("cure", "told"),
    [
        ("iot-stream domain apply", "iot-stream domain apply --aws --stack other"),
        ("iot-stream failures list", "iot-stream failures list --aws --stack other"),
        ("aws events enable-rule --name x", "aws events enable-rule --name x"),
        (
            "increase VolumeSizeGiB or reduce RetentionDays (see iot-stream plan)",
            "increase VolumeSizeGiB or reduce RetentionDays (see iot-stream plan)",
        ),
        ("", ""),
    ],
)
def test_what_mends_a_stack_on_aws_acts_there(cure: str, told: str) -> None:
    """Copied as it stands; without --aws it would repair whatever local stack is running."""
    assert Finding("x", State.WARNING, "what", cure).on_aws("other").cure == told
