"""`iot-stream doctor` on the local stack: one thing is broken at a time, and the doctor names it and what mends it."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iot_stream import domain_objects
from iot_stream.cli import cli
from iot_stream.doctor.marked import MARK
from iot_stream.local import processes
from iot_stream.local.local_stack import LIVE_PAGE, WORKER, LocalStack, read
from iot_stream.local.upkeep import restart_parts, stop_part, update
from iot_stream.stack import Stack
from tests.hostile import hostile_environment
from tests.polling import until


@dataclass
class Patient:
    """The local stack, and what breaks it: each method returns what mends it."""

    local_stack: LocalStack
    stack: Stack

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.local_stack.aws.client(service)

    def resource(self, logical: str) -> str:
        """Return the physical id of a resource of the stack."""
        detail = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack.name, LogicalResourceId=logical
        )
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    def on_domain(self, method: str, path: str, body: Any = None) -> None:
        """Ask the domain, as its administrator."""
        with self.local_stack.opensearch.admin_session() as session:
            session.request(method, f"{self.local_stack.opensearch.url}/{path}", json=body).raise_for_status()

    def kill_the_worker(self) -> Callable[[], object]:
        """End the delivery worker without a goodbye."""
        worker = self.local_stack.part(WORKER)
        assert worker is not None
        worker._find().send_signal(signal.SIGKILL)  # type: ignore[union-attr]  # it is running
        until(lambda: not worker.alive, what="its end")

        def mend() -> None:
            with hostile_environment():  # as it was started
                restarted = restart_parts(self.local_stack.folder)
            assert restarted is not None
            self.local_stack.running[:] = restarted.running

        return mend

    def detach_a_policy(self) -> Callable[[], object]:
        """Take from the delivery role what lets it read the stream."""
        role, policy = self.stack.output("DeliveryRoleArn").rpartition("/")[2], self.resource("IngestPolicy")
        self.client("iam").detach_role_policy(RoleName=role, PolicyArn=policy)
        return lambda: self.client("iam").attach_role_policy(RoleName=role, PolicyArn=policy)

    def reserve_nothing(self) -> Callable[[], object]:
        """Leave the function no concurrency."""
        function = self.stack.output("EnrichmentFunctionArn").rpartition(":")[2]
        self.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        return lambda: self.client("lambda").delete_function_concurrency(FunctionName=function)

    def deploy_a_broken_version(self) -> Callable[[], object]:
        """Move the alias to a version whose handler is not there."""
        function, client = self.stack.output("EnrichmentFunctionArn").rpartition(":")[2], self.client("lambda")
        good = client.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
        handler = client.get_function_configuration(FunctionName=function)["Handler"]
        client.update_function_configuration(FunctionName=function, Handler="nothing.here")
        client.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})
        bad = client.publish_version(FunctionName=function)["Version"]
        client.update_alias(FunctionName=function, Name="live", FunctionVersion=bad)

        def mend() -> None:
            client.update_function_configuration(FunctionName=function, Handler=handler)
            client.update_alias(FunctionName=function, Name="live", FunctionVersion=good)

        return mend

    def change_the_secret(self) -> Callable[[], object]:
        """Put another password into the secret, and not into the domain."""
        secret, client = self.stack.output("MasterUserSecretArn"), self.client("secretsmanager")
        before = client.get_secret_value(SecretId=secret)["SecretString"]
        wrong = json.dumps(json.loads(before) | {"password": "another-1A"})
        client.put_secret_value(SecretId=secret, SecretString=wrong)
        return lambda: client.put_secret_value(SecretId=secret, SecretString=before)

    def close_the_access_policy(self) -> Callable[[], object]:
        """Let the domain's access policy allow somebody else alone."""
        client, name = self.client("opensearch"), self.stack.parameter("DomainName")
        before = client.describe_domain(DomainName=name)["DomainStatus"]["AccessPolicies"]
        policy = before.replace('"*"', '"arn:aws:iam::111111111111:root"')
        assert policy != before
        client.update_domain_config(DomainName=name, AccessPolicies=policy)
        return lambda: client.update_domain_config(DomainName=name, AccessPolicies=before)

    def unmap_the_role(self) -> Callable[[], object]:
        """Delete the delivery role's mapping; what the doctor says mends it."""
        self.on_domain("DELETE", f"_plugins/_security/api/rolesmapping/{self.stack.parameter('OpenSearchRoleName')}")
        return lambda: domain_objects.invoke(self.client("lambda"), self.stack, "apply")

    def block_writes(self) -> Callable[[], object]:
        """Block writes to the live index, as a full disk does."""
        path = f"{self.stack.output('IndexName')}/_settings"
        self.on_domain("PUT", path, {"index.blocks.write": True})
        return lambda: self.on_domain("PUT", path, {"index.blocks.write": None})

    def delete_the_secret(self) -> Callable[[], object]:
        """Delete the master user's secret, as somebody does who takes it for a leftover; it can be restored."""
        secret, client = self.stack.output("MasterUserSecretArn"), self.client("secretsmanager")
        client.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
        return lambda: client.restore_secret(SecretId=secret)

    # ---- What readings get through in spite of ---------------------------------------------------------------------

    def delete_the_index_template(self) -> Callable[[], object]:
        """Delete the template of the readings' index."""
        self.on_domain("DELETE", f"_index_template/{self.stack.output('IndexName')}")
        return lambda: domain_objects.invoke(self.client("lambda"), self.stack, "apply")

    def disable_the_rule(self) -> Callable[[], object]:
        """Disable the rule that invokes what watches the devices."""
        client = self.client("events")
        [rule] = client.list_rule_names_by_target(TargetArn=self.stack.output("DeviceAlertsFunctionArn"))["RuleNames"]
        client.disable_rule(Name=rule)
        return lambda: client.enable_rule(Name=rule)

    def mute_an_alarm(self) -> Callable[[], object]:
        """Disable an alarm's actions."""
        name, client = self.resource("DomainRedAlarm"), self.client("cloudwatch")
        client.disable_alarm_actions(AlarmNames=[name])
        return lambda: client.enable_alarm_actions(AlarmNames=[name])

    def log_an_error(self) -> Callable[[], object]:
        """Write an entry into the delivery stream's error log, as Firehose writes one."""
        group, client = self.stack.output("DeliveryLogGroupName"), self.client("logs")
        client.create_log_stream(logGroupName=group, logStreamName="of-a-test")
        entry = json.dumps({"errorCode": "OS.AccessDenied", "errorMessage": "of a test"})
        events = [{"timestamp": time.time_ns() // 1_000_000, "message": entry}]
        client.put_log_events(logGroupName=group, logStreamName="of-a-test", logEvents=events)
        return lambda: client.delete_log_stream(logGroupName=group, logStreamName="of-a-test")

    def leave_a_failure_object(self) -> Callable[[], object]:
        """Put an object where Firehose puts what the domain refused."""
        bucket, client = self.stack.output("BackupBucketName"), self.client("s3")
        key = f"{self.stack.output('BackupPrefix')}AmazonOpenSearchService_failed/2026/01/01/00/of-a-test"
        client.put_object(Bucket=bucket, Key=key, Body=json.dumps({"errorCode": "400", "rawData": "e30="}).encode())
        return lambda: client.delete_object(Bucket=bucket, Key=key)

    def forbid_to_publish(self) -> Callable[[], object]:
        """Give the alarm topic a policy by which nobody may publish."""
        topic, client = self.stack.output("AlarmTopicArn"), self.client("sns")
        policy = {"TopicArn": topic, "AttributeName": "Policy"}
        before = client.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
        nobody = json.dumps({"Version": "2012-10-17", "Statement": []})
        client.set_topic_attributes(**policy, AttributeValue=nobody)
        return lambda: client.set_topic_attributes(**policy, AttributeValue=before)

    def raise_an_alarm(self) -> Callable[[], object]:
        """Raise an alarm."""
        name, client = self.resource("DomainRedAlarm"), self.client("cloudwatch")
        client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test says so")
        return lambda: client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="it is over")


@pytest.fixture(scope="module")
def patient(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """The local stack with one more process: the run's stack records the worker alone, and a part must be alive."""
    log = tmp_path_factory.mktemp("neighbour") / "log"
    neighbour = processes.start("a neighbour", ["sleep", "3600"], log=log, environment=processes.clean_environment())
    local_stack.add(neighbour)
    yield Patient(local_stack, local_stack.stack())
    neighbour.stop()
    local_stack.running.remove(neighbour)
    local_stack.save()


def run_doctor(local_stack: LocalStack, *arguments: str) -> Result:
    """Return the result of `iot-stream doctor --json`."""
    arguments = ("doctor", "--state", str(local_stack.folder), "--json", *arguments)
    result = CliRunner(mix_stderr=False).invoke(cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module", autouse=True)
def _deaf_alarms(patient: Patient) -> Iterator[None]:
    """Give every alarm a threshold out of reach: other tests make this stack's calls fail, for which alarms are raised.

    They are evaluated whenever somebody records a metric, and the ten minutes before count: no moment is quiet.
    """
    client = patient.client("cloudwatch")
    members = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=patient.stack.name)
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    before = [{name: value for name, value in alarm.items() if name in members} for alarm in alarms]
    assert len(before) > 20
    for alarm in before:
        far = 1e12 if alarm["ComparisonOperator"].startswith("Greater") else -1e12
        client.put_metric_alarm(**alarm | {"Threshold": far})
        client.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the tests begin")
    yield
    for alarm in before:
        client.put_metric_alarm(**alarm)


def test_a_good_stack_is_told_so_and_the_marked_reading_arrives(patient: Patient) -> None:
    """With the time at each station; the reading stays, and is in the ledger of what was sent."""
    ledger = patient.local_stack.ledger_folder
    result = run_doctor(patient.local_stack)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["first"]) == (0, True, None), told["first"]
    assert not [each for each in told["findings"] if each["state"] == "unknown"]
    times = list(told["stations"].values())
    assert list(told["stations"]) == ["accepted by the stream", "readable in the stream", "searchable in the index"]
    assert times == sorted(times)
    reading = next(each for each in told["findings"] if each["layer"] == "reading")
    mark = reading["what"].split()[0]
    assert mark.startswith(MARK)
    client = patient.local_stack.opensearch.admin_client()
    found = client.search(index=patient.stack.output("IndexName"), body={"query": {"term": {"uuid": mark}}})
    assert found["hits"]["total"]["value"] == 1
    assert (ledger / f"doctor-{mark}.accepted").exists()


@pytest.mark.parametrize(
    ("break_it", "layer", "what", "cure"),
    [
        (Patient.kill_the_worker, "local parts", "the delivery worker is not running", "iot-stream up"),
        (Patient.detach_a_policy, "delivery role", "IngestPolicy is not attached", "aws iam attach-role-policy"),
        (Patient.reserve_nothing, "function", "reserved concurrency is 0", "delete-function-concurrency"),
        (Patient.deploy_a_broken_version, "function", "it fails: ", "deploy the previous version"),
        (Patient.change_the_secret, "sign-in", "rejects the password of admin", "the same password"),
        (Patient.close_the_access_policy, "access policy", "does not allow", "sam deploy"),
        (Patient.unmap_the_role, "role and mapping", "RoleMapping differs", "iot-stream domain apply"),
        (Patient.delete_the_secret, "sign-in", "secret", "restore-secret"),
        (Patient.block_writes, "live index", "are blocked: index.blocks.write", "_settings"),
        (Patient.raise_an_alarm, "alarms", "DomainRedAlarm is raised: a test says so", "#domainredalarm"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_broken_is_named_first_with_what_mends_it(
    patient: Patient, break_it: Callable[[Patient], Callable[[], object]], layer: str, what: str, cure: str
) -> None:
    """And no reading is sent. What was mended before would be named if it still refused; the last tests look again."""
    mend = break_it(patient)
    try:
        result = run_doctor(patient.local_stack)
    finally:
        mend()
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["first"]["layer"] == layer, told["first"]
    of_layer = [each for each in told["findings"] if (each["layer"], each["state"]) == (layer, "refuses")]
    assert any(what in each["what"] and cure in each["cure"] for each in of_layer), of_layer
    assert told["stations"] == {}


def test_what_lets_readings_through_is_a_warning(patient: Patient) -> None:
    """Each is named by its layer, with what mends it; the exit code says that readings get through."""
    wanted = {
        Patient.disable_the_rule: ("device alerts", "is disabled: there are no alerts", "aws events enable-rule"),
        Patient.mute_an_alarm: ("alarms", "DomainRedAlarm notifies nobody", "enable-alarm-actions"),
        Patient.forbid_to_publish: ("alarms", "does not allow cloudwatch.amazonaws.com", "set-topic-attributes"),
        Patient.delete_the_index_template: ("live index", "IndexTemplate differs", "iot-stream domain apply"),
        Patient.log_an_error: ("delivery stream", "most recently OS.AccessDenied", "aws logs tail"),
        Patient.leave_a_failure_object: ("failures", "failure objects in the bucket", "iot-stream failures list"),
    }
    with ExitStack() as mended:
        for break_it in wanted:
            mended.callback(break_it(patient))
        result = run_doctor(patient.local_stack, "--no-send")
    warnings = [each for each in json.loads(result.stdout)["findings"] if each["state"] == "warning"]
    assert result.exit_code == 0, result.stdout
    for layer, what, cure in wanted.values():
        found = [each for each in warnings if each["layer"] == layer]
        assert any(what in each["what"] and cure in each["cure"] for each in found), (layer, found)


def test_a_changed_parameter_takes_effect_and_nothing_is_lost(patient: Patient) -> None:
    """`iot-stream deploy` keeps documents and the parameters that were given before, and `alarms` lists the alarms."""
    local_stack = patient.local_stack
    client, index = local_stack.opensearch.admin_client(), patient.stack.output("IndexName")
    before = client.count(index=f"{index}*")["count"]
    given = ["--parameter", "AlarmDelaySeconds=800", "--parameter", "LogRetentionDays=30"]
    result = CliRunner(mix_stderr=False).invoke(cli, ["deploy", "--state", str(local_stack.folder), *given])
    assert result.exit_code == 0, result.stderr
    running = read(local_stack.folder)  # with the live page that the command has started
    assert running is not None
    update(running, {"AlarmDelaySeconds": "600"})
    stop_part(running, LIVE_PAGE)  # the run's own list of what it has to stop does not have it
    stack = local_stack.stack()
    assert (stack.parameter("AlarmDelaySeconds"), stack.parameter("LogRetentionDays")) == ("600", "30")
    assert stack.parameter("TransformBufferIntervalInSeconds") == "0"  # samconfig.toml's
    assert client.count(index=f"{index}*")["count"] >= before
    arguments = ["alarms", "--state", str(local_stack.folder), "--json"]
    shown = CliRunner(mix_stderr=False).invoke(cli, arguments)
    listed = json.loads(shown.stdout)
    assert shown.exit_code == 0
    assert {each["alarm"] for each in listed} >= {"DomainRedAlarm", "FailureObjectAlarm"}
    assert all(each["runbook"] == f"docs/operations.md#{each['alarm'].lower()}" for each in listed)


@pytest.mark.parametrize(
    "command",
    [
        ["doctor", "--json", "--no-send"],
        ["doctor", "--json"],
        ["alarms", "--json"],
        ["failures", "list", "--json"],
        ["failures", "show", "--json"],
        ["failures", "replay", "--json", "--dry-run"],
        ["send", "--count", "3", "--json"],
        ["domain", "show"],
        ["password"],
    ],
    ids=" ".join,
)
def test_with_aws_the_same_clients_find_the_same_stack(patient: Patient, command: list[str]) -> None:
    """By the caller's own endpoint, region and credentials, and the domain by its endpoint and certificate."""
    authority = str(patient.local_stack.opensearch.ca_file)
    environment = patient.local_stack.aws.environment() | {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority}
    arguments = [*command, "--aws", "--stack", patient.stack.name]
    runner = CliRunner(mix_stderr=False, env=environment)
    result = runner.invoke(cli, arguments)
    assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
    assert result.stdout or "show" in command
