"""The layers from the credentials to the function: gather the facts of each, and judge them."""

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.caller import remedy
from iot_stream.doctor import aws_facts, ingest, transform
from iot_stream.doctor.case import Case
from iot_stream.doctor.finding import Finding, State, first_refusal
from iot_stream.errors import IotStreamError
from iot_stream.failures.reasons import Reasons
from iot_stream.local import ministack

__all__ = [
    "bucket",
    "credentials",
    "delivery_role",
    "delivery_stream",
    "function",
    "key",
    "local_parts",
    "stack",
    "stream",
]

_POLICIES: Final = ("IngestPolicy", "TransformPolicy", "IndexPolicy", "BackupPolicy")
type _Findings = Iterator[Finding]


def local_parts(case: Case) -> _Findings:
    """Examine the processes of the local stack."""
    for part, alive in case.place.parts.items():
        if not alive:
            restart = "iot-stream up"
            if part == ministack.NAME:  # its state was in memory
                restart = "iot-stream down, then iot-stream up (data in the local AWS is lost)"
            yield Finding("local parts", State.REFUSES, f"{part} is not running", restart)
    if case.place.parts and all(case.place.parts.values()):
        yield Finding("local parts", State.OK, f"all {len(case.place.parts)} processes are running")


def credentials(case: Case) -> _Findings:
    """Examine whether AWS knows the caller, and in which region."""
    try:
        region = case.place.client("cloudformation").meta.region_name  # STS can do without
        arn = case.place.client("sts").get_caller_identity()["Arn"]
    except (ClientError, BotoCoreError) as error:
        cure = remedy(error) or "aws configure, or aws sso login"
        yield Finding("credentials", State.REFUSES, f"AWS can't be called: {str(error).rstrip('.')}", cure)
    else:
        yield Finding("credentials", State.OK, f"{arn} in {region}")


def stack(case: Case) -> _Findings:
    """Examine the stack and its outputs."""
    name = case.place.stack_name
    try:
        found = case.place.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        text = f"there is no stack {name} in {case.place.region()}"
        yield Finding("stack", State.REFUSES, text, "sam build && sam deploy, or name another with --stack")
        return
    judged = list(ingest.judge_stack(found))
    yield from judged
    if first_refusal(judged) is None:
        for name in ("BackupPrefix", "EnrichmentLogGroupName", "RoleMapperFunctionArn"):
            try:
                case.output(name)
            except IotStreamError as error:
                yield Finding("stack", State.REFUSES, str(error), "sam build && sam deploy")
                return


def key(case: Case) -> _Findings:
    """Examine the stack's own key, where it has one."""
    if case.parameter("CustomerManagedKey") != "true":
        return
    kms, key = case.place.client("kms"), case.resources["Key"]
    yield from ingest.judge_key(kms.describe_key(KeyId=key)["KeyMetadata"])


def stream(case: Case) -> _Findings:
    """Examine the data stream."""
    name, kinesis = case.output("StreamName"), case.place.client("kinesis")
    found = aws_facts.unless_missing(lambda: kinesis.describe_stream_summary(StreamName=name))
    yield from ingest.judge_stream(found and found["StreamDescriptionSummary"], name)
    source = ("AWS/Kinesis", "WriteProvisionedThroughputExceeded", {"StreamName": name}, "Sum")
    yield from case.metric("stream", source)


def delivery_role(case: Case) -> _Findings:
    """Examine the delivery stream's role and its policies."""
    role = case.output("DeliveryRoleArn").rpartition("/")[2]
    wanted = {policy: arn for policy, arn in case.resources.items() if policy in _POLICIES}
    attached = aws_facts.attached_policies(case.place.client("iam"), role)
    yield from ingest.judge_policies(role, wanted, attached)


def bucket(case: Case) -> _Findings:
    """Examine the backup bucket."""
    name, s3 = case.output("BackupBucketName"), case.place.client("s3")
    if aws_facts.exists(lambda: s3.head_bucket(Bucket=name)):
        yield Finding("backup bucket", State.OK, f"bucket {name} exists")
    else:
        text, cure = f"bucket {name} does not exist: it was deleted", f"aws s3 mb s3://{name}"
        yield Finding("backup bucket", State.REFUSES, text, cure, "backupfailurealarm")


def delivery_stream(case: Case) -> _Findings:
    """Examine the delivery stream and its last errors."""
    name, firehose = case.output("DeliveryStreamName"), case.place.client("firehose")
    found = aws_facts.unless_missing(lambda: firehose.describe_delivery_stream(DeliveryStreamName=name))
    description = found and found["DeliveryStreamDescription"]
    yield from ingest.judge_delivery_stream(description, name, case.output("StreamName"))
    group, limit = case.output("DeliveryLogGroupName"), float(case.parameter("AlarmDelaySeconds"))
    errors = aws_facts.errors_of_log(case.place.client("logs"), group)
    yield from ingest.judge_log("delivery stream", errors, group)
    dimensions = {"DeliveryStreamName": name}
    for metric, most in (
        ("KinesisMillisBehindLatest", limit * 1000),
        ("DeliveryToAmazonOpenSearchService.DataFreshness", limit),
    ):
        yield from case.metric("delivery stream", ("AWS/Firehose", metric, dimensions, "Maximum"), most)


def function(case: Case) -> _Findings:
    """Examine the enrichment function, with one reading."""
    client, arn = case.place.client("lambda"), case.output("EnrichmentFunctionArn")
    alias, name = f"{arn}:live", arn.rpartition(":")[2]
    found = aws_facts.unless_missing(lambda: client.get_function_configuration(FunctionName=alias))
    judged = list(transform.judge_function(found, alias))
    if found is not None:
        judged += transform.judge_concurrency(*aws_facts.concurrency(client, name), name)
    yield from judged
    if first_refusal(judged) is None:
        data = case.reading()
        error, result = aws_facts.invoke(client, alias, data, case.place.region())
        reasons = Reasons(ZoneInfo(case.parameter("DeviceTimeZone"))).of_reading(data)
        yield from transform.judge_invocation(error, result, reasons)
        yield from case.metric("function", ("AWS/Lambda", "Throttles", {"FunctionName": name}, "Sum"))
        yield from case.metric("function", ("AWS/Lambda", "Duration", {"FunctionName": name}, "Maximum"))
    group = case.output("EnrichmentLogGroupName")
    errors = aws_facts.errors_of_function(case.place.client("logs"), group)
    yield from ingest.judge_log("function", errors, group)
