"""Walk the way in order: gather the facts of each layer and judge them; what can't be examined is said, not guessed."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

import requests
from botocore.exceptions import BotoCoreError, ClientError
from opensearchpy.exceptions import AuthorizationException, OpenSearchException

from iot_stream import domain_objects
from iot_stream.alarms import stack_alarms
from iot_stream.dashboards.index_template import index_template
from iot_stream.description import Description, Role, load
from iot_stream.doctor import aws_facts, domain_facts, index, ingest, watch
from iot_stream.doctor.finding import Finding, State, first_refusal
from iot_stream.doctor.marked import mark_value, marked_reading
from iot_stream.doctor.place import Place
from iot_stream.doctor.trace import Followed, follow
from iot_stream.errors import IotStreamError
from iot_stream.failure_objects import BackupLocation, FailureObjects
from iot_stream.failures.reasons import Reasons
from iot_stream.generator.derived import sample_of
from iot_stream.stack import find_stack
from iot_stream.target import Target

__all__ = ["LAYERS", "Doctor"]

_POLICIES: Final = ("IngestPolicy", "TransformPolicy", "IndexPolicy", "BackupPolicy")
_COUNTED: Final = 1000  # failure objects
_NEXT: Final = "it depends on an earlier layer"
type _Findings = Iterator[Finding]


class Doctor:
    """Examines one stack, layer by layer.

    Args:
        place: where it is.
        send: whether to send a marked reading at the end, if nothing refuses before.
        wait: seconds to wait for it; None: what the stack's buffers allow, and a minute.
    """

    def __init__(self, place: Place, *, send: bool = True, wait: float | None = None) -> None:
        self._place = place
        self._send = send
        self._wait = wait
        self._found: list[Finding] = []
        self.followed: Followed | None = None

    def walk(self, on_layer: Callable[[str], None] = lambda _: None) -> list[Finding]:
        """Examine all layers and return what was found, in the order of the way."""
        for layer, (examine, needs) in _LAYERS.items():
            on_layer(layer)
            if any(self._state(need) in {State.REFUSES, State.UNKNOWN, State.SKIPPED} for need in needs):
                self._found.append(Finding(layer, State.SKIPPED, _NEXT))
                continue
            try:
                self._found += examine(self)
            except (
                ClientError,
                BotoCoreError,
                IotStreamError,
                OpenSearchException,
                requests.RequestException,
            ) as error:
                self._found.append(_unknown(layer, error))
        return self._found

    def _state(self, layer: str) -> State:
        """Return the worst state of a layer that was examined."""
        states = [finding.state for finding in self._found if finding.layer == layer]
        return next((state for state in (State.REFUSES, State.UNKNOWN, State.SKIPPED) if state in states), State.OK)

    # ---- what later layers need ---------------------------------------------------------------------------------

    @cached_property
    def _target(self) -> Target:
        return self._place.target(find_stack(self._place.client("cloudformation"), self._place.stack_name))

    @cached_property
    def _resources(self) -> dict[str, str]:
        return aws_facts.resources(self._place.client("cloudformation"), self._place.stack_name)

    @cached_property
    def _objects(self) -> dict[str, str]:
        return domain_objects.invoke(self._place.client("lambda"), self._target.stack, "show").lines

    @cached_property
    def _description(self) -> Description:
        return load()

    @cached_property
    def _mark(self) -> str | int | None:
        return mark_value(self._description, secrets.randbelow(2**53))

    def _reading(self) -> bytes:
        sample = self._parameter("SampleReading") or sample_of(self._description)
        try:
            return marked_reading(sample, self._description, self._mark or "", datetime.now(UTC))
        except ValueError:
            return sample.encode()

    def _parameter(self, name: str) -> str:
        return self._target.stack.parameter(name)

    def _output(self, name: str) -> str:
        return self._target.stack.output(name)

    def _metric(
        self, layer: str, source: tuple[str, str, dict[str, str], str], limit: float | None = None
    ) -> _Findings:
        namespace, metric, dimensions, statistic = source
        value = aws_facts.highest(self._place.client("cloudwatch"), namespace, metric, dimensions, statistic)
        return ingest.judge_metric(layer, metric, value, limit)

    # ---- the layers ---------------------------------------------------------------------------------------------

    def local_parts(self) -> _Findings:
        """Examine the processes of the local stack."""
        for part, alive in self._place.parts.items():
            if not alive:
                yield Finding("local parts", State.REFUSES, f"{part} is not running", "iot-stream up starts it again")
        if self._place.parts and all(self._place.parts.values()):
            yield Finding("local parts", State.OK, f"{len(self._place.parts)} processes are running")

    def credentials(self) -> _Findings:
        """Examine whether AWS knows the caller, and in which region."""
        region = self._place.region()
        if not region:
            text = "no region is set, or the profile does not exist"
            yield Finding("credentials", State.REFUSES, text, "export AWS_REGION=… AWS_PROFILE=…, or aws configure")
            return
        try:
            arn = self._place.client("sts").get_caller_identity()["Arn"]
        except (ClientError, BotoCoreError) as error:
            text = f"AWS does not accept the credentials: {error}"
            yield Finding("credentials", State.REFUSES, text, "aws configure, or aws sso login")
        else:
            yield Finding("credentials", State.OK, f"{arn} in {region}")

    def stack(self) -> _Findings:
        """Examine the stack and its outputs."""
        name = self._place.stack_name
        try:
            found = self._place.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            text = f"there is no stack {name} in {self._place.region()}"
            yield Finding("stack", State.REFUSES, text, "sam build && sam deploy, or name another with --stack")
            return
        judged = list(ingest.judge_stack(found))
        yield from judged
        if first_refusal(judged) is None:
            for name in ("BackupPrefix", "EnrichmentLogGroupName", "RoleMapperFunctionArn"):
                try:
                    self._output(name)
                except IotStreamError as error:
                    yield Finding("stack", State.REFUSES, str(error), "sam build && sam deploy")
                    return

    def key(self) -> _Findings:
        """Examine the stack's own key, where it has one."""
        if self._parameter("CustomerManagedKey") != "true":
            return
        kms, key = self._place.client("kms"), self._resources["Key"]
        yield from ingest.judge_key(kms.describe_key(KeyId=key)["KeyMetadata"])

    def stream(self) -> _Findings:
        """Examine the data stream."""
        name, kinesis = self._output("StreamName"), self._place.client("kinesis")
        found = aws_facts.unless_missing(lambda: kinesis.describe_stream_summary(StreamName=name))
        yield from ingest.judge_stream(found and found["StreamDescriptionSummary"], name)
        source = ("AWS/Kinesis", "WriteProvisionedThroughputExceeded", {"StreamName": name}, "Sum")
        yield from self._metric("stream", source)

    def delivery_role(self) -> _Findings:
        """Examine the delivery stream's role and its policies."""
        role = self._output("DeliveryRoleArn").rpartition("/")[2]
        wanted = {policy: arn for policy, arn in self._resources.items() if policy in _POLICIES}
        attached = aws_facts.attached_policies(self._place.client("iam"), role)
        yield from ingest.judge_policies(role, wanted, attached)

    def bucket(self) -> _Findings:
        """Examine the backup bucket."""
        name, s3 = self._output("BackupBucketName"), self._place.client("s3")
        if aws_facts.exists(lambda: s3.head_bucket(Bucket=name)):
            yield Finding("backup bucket", State.OK, f"bucket {name} exists")
        else:
            text, cure = f"bucket {name} does not exist: it was deleted", f"aws s3 mb s3://{name}"
            yield Finding("backup bucket", State.REFUSES, text, cure, "backupfailurealarm")

    def function(self) -> _Findings:
        """Examine the enrichment function, with one reading."""
        client, arn = self._place.client("lambda"), self._output("EnrichmentFunctionArn")
        alias, name = f"{arn}:live", arn.rpartition(":")[2]
        found = aws_facts.unless_missing(lambda: client.get_function_configuration(FunctionName=alias))
        judged = list(ingest.judge_function(found, alias))
        if found is not None:
            judged += ingest.judge_concurrency(*aws_facts.concurrency(client, name), name)
        yield from judged
        if first_refusal(judged) is None:
            data = self._reading()
            error, result = aws_facts.invoke(client, alias, data, self._place.region())
            reasons = Reasons(ZoneInfo(self._parameter("DeviceTimeZone"))).of_reading(data)
            yield from ingest.judge_invocation(error, result, reasons)
            yield from self._metric("function", ("AWS/Lambda", "Throttles", {"FunctionName": name}, "Sum"))
            yield from self._metric("function", ("AWS/Lambda", "Duration", {"FunctionName": name}, "Maximum"))
        group = self._output("EnrichmentLogGroupName")
        errors = aws_facts.errors_of_log(self._place.client("logs"), group, "ERROR")
        yield from ingest.judge_log("function", errors, group)

    def delivery_stream(self) -> _Findings:
        """Examine the delivery stream and its last errors."""
        name, firehose = self._output("DeliveryStreamName"), self._place.client("firehose")
        found = aws_facts.unless_missing(lambda: firehose.describe_delivery_stream(DeliveryStreamName=name))
        description = found and found["DeliveryStreamDescription"]
        yield from ingest.judge_delivery_stream(description, name, self._output("StreamName"))
        group, limit = self._output("DeliveryLogGroupName"), float(self._parameter("AlarmDelaySeconds"))
        errors = aws_facts.errors_of_log(self._place.client("logs"), group, "")
        yield from ingest.judge_log("delivery stream", errors, group)
        dimensions = {"DeliveryStreamName": name}
        for metric, most in (
            ("KinesisMillisBehindLatest", limit * 1000),
            ("DeliveryToAmazonOpenSearchService.DataFreshness", limit),
        ):
            yield from self._metric("delivery stream", ("AWS/Firehose", metric, dimensions, "Maximum"), most)

    def domain(self) -> _Findings:
        """Examine the domain: is it there, and does it respond?"""
        name, client, endpoint = (
            self._parameter("DomainName"),
            self._place.client("opensearch"),
            self._output("DomainEndpoint"),
        )
        found = aws_facts.unless_missing(lambda: client.describe_domain(DomainName=name))
        yield from index.judge_domain(found and found["DomainStatus"], name)
        if why := domain_facts.reach(self._place, endpoint):
            text, cure = (
                f"https://{endpoint} does not respond: {why}",
                "look at your network and proxy, then at the domain's health",
            )
            yield Finding("domain", State.REFUSES, text, cure, "domainredalarm")
        account = self._target.stack.stack_id.split(":")[4]
        if self._parameter("InstanceType").startswith("t3."):
            source = ("AWS/ES", "CPUCreditBalance", {"DomainName": name, "ClientId": account}, "Minimum")
            yield from self._metric("domain", source)

    def sign_in(self) -> _Findings:
        """Examine whether the master user of the stack's secret signs in."""
        if self._parameter("MasterUserMode") == "IamRole":
            yield Finding("sign-in", State.OK, "by IAM roles alone (MasterUserMode=IamRole)")
            return
        user = self._target.master_user()
        yield from index.judge_sign_in(domain_facts.sign_in(self._place, self._output("DomainEndpoint"), user), user[0])

    def access_policy(self) -> _Findings:
        """Examine the domain's access policy for the delivery role."""
        status = self._place.client("opensearch").describe_domain(DomainName=self._parameter("DomainName"))[
            "DomainStatus"
        ]
        yield from index.judge_access_policy(
            status.get("AccessPolicies", ""), self._output("DeliveryRoleArn"), status["ARN"]
        )

    def role_mapping(self) -> _Findings:
        """Examine the security plugin's role and its mapping, as the role mapper sees them."""
        yield from index.judge_objects(self._objects, "role and mapping")

    def cluster(self) -> _Findings:
        """Examine the cluster's health, nodes and queues."""
        health, nodes, pools = domain_facts.cluster(self._target.search_client())
        wanted = None if self._place.on_this_machine else int(self._parameter("InstanceCount"))
        yield from index.judge_cluster(health, wanted)
        # This machine's load and disk are its owner's, not a node's.
        yield from index.judge_nodes([] if self._place.on_this_machine else nodes, pools)

    def live_index(self) -> _Findings:
        """Examine index template and live index."""
        yield from index.judge_objects(self._objects, "live index")
        name = self._output("IndexName")
        pattern = name if self._parameter("IndexRotationPeriod") == "NoRotation" else f"{name}-*"
        template = index_template(self._description)["template"]["mappings"]["properties"]
        wanted = {field: str(mapping["type"]) for field, mapping in template.items()}
        mappings, blocks = domain_facts.index_facts(self._target.search_client(), pattern)
        yield from index.judge_index(mappings, blocks, wanted, pattern)

    def retention(self) -> _Findings:
        """Examine the retention policy."""
        yield from index.judge_objects(self._objects, "retention")

    def dashboards(self) -> _Findings:
        """Examine the dashboards."""
        yield from index.judge_objects(self._objects, "dashboards")

    def alarms(self) -> _Findings:
        """Examine the alarms and who is told."""
        client = self._place.client
        yield from watch.judge_alarms(stack_alarms(client("cloudformation"), client("cloudwatch"), self._target.stack))
        topic, sns = self._output("AlarmTopicArn"), client("sns")
        policy = aws_facts.topic_policy(sns, topic)
        yield from watch.judge_topic(topic, policy, aws_facts.subscriptions(sns, topic) if policy is not None else [])

    def failures(self) -> _Findings:
        """Count the failure objects that wait in the bucket."""
        objects = FailureObjects(self._place.client("s3"), BackupLocation.of(self._target.stack))
        found = list(islice(objects.objects(), _COUNTED))
        counts = Counter(each.kind.value for each in found)
        yield from watch.judge_failures(counts, more=len(found) == _COUNTED)

    def reading(self) -> _Findings:
        """Send one marked reading and follow it."""
        field = next((field.name for field in self._description.fields if field.role is Role.IDENTITY), None)
        if not self._send:
            yield Finding("reading", State.SKIPPED, "none was sent (--no-send)")
        elif refusal := first_refusal(self._found):
            yield Finding("reading", State.SKIPPED, f"none was sent: {refusal.layer} refuses")
        elif self._mark is None or field is None:
            yield Finding("reading", State.SKIPPED, "none was sent: the description has no identity to find it by")
        else:
            buffers = ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds")
            seconds = self._wait or sum(float(self._parameter(name)) for name in buffers) + 60
            data = self._reading()
            client = self._target.search_client
            self.followed = follow(self._target, client, data, (field, self._mark), seconds=seconds)
            yield self.followed.finding


_STACK, _DOMAIN = ("credentials", "stack"), ("credentials", "stack", "domain")

_LAYERS: Final[dict[str, tuple[Callable[[Doctor], _Findings], tuple[str, ...]]]] = {
    "local parts": (Doctor.local_parts, ()),
    "credentials": (Doctor.credentials, ()),
    "stack": (Doctor.stack, ("credentials",)),
    "key": (Doctor.key, _STACK),
    "stream": (Doctor.stream, _STACK),
    "delivery role": (Doctor.delivery_role, _STACK),
    "backup bucket": (Doctor.bucket, _STACK),
    "delivery stream": (Doctor.delivery_stream, _STACK),
    "function": (Doctor.function, _STACK),
    "domain": (Doctor.domain, _STACK),
    "sign-in": (Doctor.sign_in, _DOMAIN),
    "access policy": (Doctor.access_policy, _DOMAIN),
    "role and mapping": (Doctor.role_mapping, (*_DOMAIN, "sign-in")),
    "cluster": (Doctor.cluster, (*_DOMAIN, "sign-in")),
    "live index": (Doctor.live_index, (*_DOMAIN, "sign-in")),
    "retention": (Doctor.retention, (*_DOMAIN, "sign-in")),
    "dashboards": (Doctor.dashboards, (*_DOMAIN, "sign-in")),
    "alarms": (Doctor.alarms, _STACK),
    "failures": (Doctor.failures, (*_STACK, "backup bucket")),
    "reading": (Doctor.reading, _STACK),
}
"""What examines each layer, and the layers without which it can't be examined; in the order of the way."""
LAYERS: Final = tuple(_LAYERS)


def _unknown(layer: str, error: Exception) -> Finding:
    """Return what is said of a layer whose facts could not be gathered."""
    if isinstance(error, domain_objects.InvocationError) and isinstance(error.__cause__, ClientError):
        error = error.__cause__  # it was not the role mapper that refused
    if isinstance(error, domain_objects.InvocationError):  # the role mapper's own words
        return Finding(layer, State.REFUSES, str(error), "iot-stream domain show", "deliveryauthfailurealarm")
    if isinstance(error, AuthorizationException):
        cure = "map your own IAM principal to a role of the domain that may read it"
        return Finding(layer, State.UNKNOWN, "the domain does not let you look (403)", cure)
    if isinstance(error, ClientError):
        needed = f"{error.operation_name} was refused: {error.response['Error'].get('Code', '')}"
        return Finding(layer, State.UNKNOWN, needed, f"let yourself call {error.operation_name}")
    return Finding(layer, State.UNKNOWN, " ".join(str(error).split())[:300], "try again")
