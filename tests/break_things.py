"""Break a whole local stack, one thing after the other, and see the alarms ring that docs/operations.md names.

By hand, in about three minutes: `PYTHONPATH=.:functions/role_mapper python -m tests.break_things`. ministack's own
alarms have to be raised; and because it ignores DatapointsToAlarm and metric math, the template's
definitions are evaluated as CloudWatch does it too, over what it has recorded since the fault began.
"""

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from iot_stream.local import opensearch
from iot_stream.local.local_stack import LocalStack, Ports, up
from iot_stream.local.upkeep import stop_part
from tests.alarms import Points, is_made, rings
from tests.builders import device_reading
from tests.delivery import zipped
from tests.polling import until
from tests.ports import free_port
from tests.template import load_template

DIMENSIONS = {
    "AWS/Firehose": ("DeliveryStreamName", "DeliveryStreamName"),
    "AWS/Kinesis": ("StreamName", "StreamName"),
    "AWS/Lambda": ("FunctionName", "EnrichmentFunctionName"),
}
"""By namespace: the dimension's name, and the parameter with its value."""
WINDOW = 10  # seconds; the worker puts its metrics as often
CRASH = "def lambda_handler(event, context):\n    raise ValueError('broken on purpose')\n"
SECONDS = 120


@dataclass
class Breaker:
    """One local stack, and ways to break it and mend it."""

    machine: LocalStack

    def client(self, service: str) -> Any:
        """Return a client of the local AWS."""
        return self.machine.aws.client(service)

    @contextmanager
    def crashing_function(self) -> Iterator[None]:
        """Publish a version that raises, and move the alias to it."""
        functions, name = self.client("lambda"), self._parameter("EnrichmentFunctionName")
        good = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        handler = {"Handler": "index.lambda_handler"}
        functions.update_function_configuration(FunctionName=name, **handler)
        broken = functions.update_function_code(FunctionName=name, ZipFile=zipped(CRASH), Publish=True)["Version"]
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=broken)
        yield
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=good)

    @contextmanager
    def deleted_function(self) -> Iterator[None]:
        """Delete the function for good."""
        self.client("lambda").delete_function(FunctionName=self._parameter("EnrichmentFunctionName"))
        yield

    @contextmanager
    def unmapped_role(self) -> Iterator[None]:
        """Take the delivery role out of the domain's mapping."""
        url = (
            f"{self.machine.opensearch.url}/_plugins/_security/api/rolesmapping/{self._parameter('OpenSearchRoleName')}"
        )
        with self.machine.opensearch.admin_session() as admin:
            admin.delete(url).raise_for_status()
            yield
            roles = {"backend_roles": [self.machine.stack().output("DeliveryRoleArn")]}
            admin.put(url, json=roles).raise_for_status()

    @contextmanager
    def denied_bucket(self) -> Iterator[None]:
        """Detach the policy by which the delivery role may write to the bucket."""
        iam, stack = self.client("iam"), self.machine.stack_name
        detail = self.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId="BackupPolicy"
        )
        policy = {
            "RoleName": self.machine.stack().output("DeliveryRoleArn").rsplit("/", 1)[-1],
            "PolicyArn": detail["StackResourceDetail"]["PhysicalResourceId"],
        }
        iam.detach_role_policy(**policy)
        yield
        iam.attach_role_policy(**policy)

    @contextmanager
    def stopped_domain(self) -> Iterator[None]:
        """Stop OpenSearch; its data stays."""
        server = self.machine.opensearch
        stop_part(self.machine, opensearch.NAME)
        yield
        self.machine.add(server.start())

    def send(self) -> None:
        """Put ten readings."""
        records = [
            {"Data": json.dumps(device_reading(uuid=str(uuid4()))).encode(), "PartitionKey": str(number)}
            for number in range(10)
        ]
        self.client("kinesis").put_records(StreamName=self._parameter("StreamName"), Records=records)

    def reset(self) -> None:
        """Set every alarm back to OK: ministack evaluates the last ten minutes, and the faults before are in them."""
        cloudwatch = self.client("cloudwatch")
        for alarm in cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]:
            cloudwatch.set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="another fault begins"
            )

    def raised(self) -> set[str]:
        """Return the alarms that ministack has raised, by their names in the template."""
        found = self.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
        return {name for name in _alarms() for each in found if f"-{name}-" in each["AlarmName"]}

    def ringing(self, since: datetime) -> set[str]:
        """Return the alarms of the template that ring over what was recorded since a time."""
        parameters = {name: str(each["Default"]) for name, each in load_template()["Parameters"].items()}
        parameters |= {**self.machine.stack().parameters, "RefusedReadingsPercent": "1", "CombinedAlarms": "true"}
        if _now() - since < timedelta(seconds=WINDOW):
            return set()  # nothing is recorded yet
        made = [name for name in _alarms() if is_made(name, parameters)]
        return {name for name in made if rings(name, parameters, self._recorded(since))[-1:] == [True]}

    def _recorded(self, since: datetime) -> Callable[[str, str, str, int], Points]:
        windows = [
            since + timedelta(seconds=WINDOW * n) for n in range(int((_now() - since).total_seconds()) // WINDOW)
        ]

        def read(namespace: str, name: str, statistic: str, _: int) -> Points:
            response = self.client("cloudwatch").get_metric_statistics(
                Namespace=namespace,
                MetricName=name,
                Dimensions=self._dimensions(namespace),
                StartTime=since,
                EndTime=_now(),
                Period=WINDOW,
                Statistics=[statistic],
            )
            points: list[float | None] = [None] * len(windows)
            for point in response["Datapoints"]:
                index = int((point["Timestamp"] - since).total_seconds()) // WINDOW
                if 0 <= index < len(points):
                    points[index] = point[statistic]
            return points

        return read

    def _dimensions(self, namespace: str) -> list[dict[str, str]]:
        if namespace not in DIMENSIONS:
            return []
        name, parameter = DIMENSIONS[namespace]
        return [{"Name": name, "Value": self._parameter(parameter)}]

    def _parameter(self, name: str) -> str:
        return self.machine.stack().parameters[name]


FAULTS: dict[str, tuple[Callable[[Breaker], Any], set[str]]] = {
    "the bucket denies writes": (Breaker.denied_bucket, {"BackupFailureAlarm"}),
    "the delivery role is not mapped": (
        Breaker.unmapped_role,
        {"DeliveryAuthFailureAlarm", "DeliveryFailureAlarm", "NothingDeliveredAlarm"},
    ),
    "the domain is down": (Breaker.stopped_domain, {"DeliveryFailureAlarm", "NothingDeliveredAlarm"}),
    "the function fails or times out": (Breaker.crashing_function, {"FunctionErrorsAlarm", "ProcessingFailureAlarm"}),
    "the function is deleted": (Breaker.deleted_function, {"ProcessingFailureAlarm"}),
}
"""By the words of docs/operations.md; the deleted function comes last, because nothing mends it."""
NOT_IN_MINISTACK = {"NothingDeliveredAlarm"}  # metric math


def _alarms() -> list[str]:
    resources = load_template()["Resources"]
    return [name for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"]


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Run every fault; return 1 if an alarm did not ring."""
    logging.basicConfig(level=logging.ERROR)
    ports = Ports(*(free_port() for _ in range(4)))
    missing = 0
    with tempfile.TemporaryDirectory() as folder:
        machine = up(Path(folder) / "stack", ports, overrides={"BackupMode": "AllDocuments"}, say=print)
        try:
            breaker = Breaker(machine)
            for words, (fault, expected) in FAULTS.items():
                missing += not _rings(breaker, words, fault, expected)
        finally:
            machine.down()
    return 1 if missing else 0


def _rings(breaker: Breaker, words: str, fault: Callable[[Breaker], Any], expected: set[str]) -> bool:
    started = time.monotonic()
    with fault(breaker):
        breaker.reset()
        since = _now()

        def both() -> bool:
            breaker.send()
            time.sleep(2)
            return expected <= breaker.ringing(since) and expected - NOT_IN_MINISTACK <= breaker.raised()

        try:
            until(both, seconds=SECONDS, what=words)
        except AssertionError:
            print(f"{words}: MISSING {expected - breaker.ringing(since)} {expected - breaker.raised()}")
            return False
        seconds = time.monotonic() - started
        others = ", ".join(sorted(breaker.raised() - expected)) or "none"
        print(f"{words}: {', '.join(sorted(expected))} after {seconds:.0f} s; others raised: {others}")
    return True


if __name__ == "__main__":
    sys.exit(main())
