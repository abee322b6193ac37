"""What breaks, rings: the worker's metrics in each fault, and the template's alarms as CloudWatch evaluates them."""

import base64
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.commands import Confirm, ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.metrics import Metrics, Statistic
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.state_machine import Delivery
from iot_stream.delivery.core.transformation import (
    FLAGGED,
    FUNCTION_ERROR,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    ProcessingError,
    Verdict,
)
from tests.alarms import Lookup, Points, calculate, is_made, rings, state
from tests.delivery_settings import MB, make_settings
from tests.template import PROJECT, load_template

DEFAULTS = {name: str(each["Default"]) for name, each in load_template()["Parameters"].items()}
RESOURCES = load_template()["Resources"]
# Those of the pipeline: the alarms on the alerts function have their own test, for a fault here is none of theirs.
ALARMS = [
    name
    for name, each in RESOURCES.items()
    if each["Type"] == "AWS::CloudWatch::Alarm" and not name.startswith("DeviceAlerts")
]
LOSS = set(re.findall(r'ALARM\("\$\{(\w+)\}"\)', str(RESOURCES["DataLossAlarm"]["Properties"]["AlarmRule"])))
PERIOD, STEP = 300, 10
HEALTHY, FAULTY = 3, 4  # periods of each recording
SHARD = "shardId-000000000000"
NAN: Points = [None] * (HEALTHY + FAULTY)


# ---- CloudWatch's rules --------------------------------------------------------------------------------------------

# "How alarm state is evaluated when data is missing", from awsdocs/amazon-cloudwatch-user-guide at 05fd32f: 0 is within
# the threshold, X beyond it, - missing; states with missing data treated as missing, ignore, breaching, notBreaching.
THREE_OF_THREE = """
0 - X - X | OK                OK     OK    OK
0 - - - - | OK                OK     OK    OK
- - - - - | INSUFFICIENT_DATA before ALARM OK
0 X X - X | ALARM             ALARM  ALARM ALARM
- - - - X | INSUFFICIENT_DATA before ALARM OK
X - - - - | ALARM             before ALARM OK
"""
TWO_OF_THREE = """
0 - X - X | ALARM             ALARM  ALARM ALARM
0 0 X 0 X | ALARM             ALARM  ALARM ALARM
0 - X - - | OK                OK     ALARM OK
- - - - 0 | OK                OK     ALARM OK
- - - - X | INSUFFICIENT_DATA before ALARM OK
"""


def _rows() -> Iterator[Any]:
    for at_least, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE)):
        for row in table.strip().splitlines():
            points, states = row.split(" | ")
            treatments = ("missing", "ignore", "breaching", "notBreaching")
            for treatment, expected in zip(treatments, states.split(), strict=True):
                seen = [{"0": False, "X": True, "-": None}[each] for each in points.split()]
                yield pytest.param(seen, at_least, treatment, expected, id=f"{points} {at_least} of 3 {treatment}")


@pytest.mark.parametrize(("seen", "at_least", "treatment", "expected"), list(_rows()))
def test_the_evaluator_follows_awss_tables(
    seen: list[bool | None], at_least: int, treatment: str, expected: str
) -> None:
    """Every row of the two tables, in each treatment of missing data."""
    assert state(seen, of=3, at_least=at_least, missing=treatment, before="before") == expected


def test_expressions_are_calculated_as_metric_math() -> None:
    """A point that is missing makes the result's missing, except with FILL; a division by zero has no result."""
    series: dict[str, Points] = {"a": [1, None, 3, 6], "b": [2, 2, 0, 3]}
    assert calculate("100 * a / b", series) == [50, None, None, 200]
    assert calculate("IF(b > 0 AND FILL(a, 0) == 0, 1, 0)", series) == [0, 1, 0, 0]
    assert calculate("DIFF(b)", series) == [None, 0, -2, 3]


# ---- faults --------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """What the neighbours do while something is broken; a healthy one by default."""

    function: Callable[[Invoke], list[Verdict] | ProcessingError] = lambda command: [b'{"a":1}'] * len(command.records)
    domain: IndexingError | None = None
    bucket: ErrorLogEntry | None = None
    reads: bool = True
    behind: int = 0  # milliseconds between a record's arrival and its reading
    takes: int = 0  # milliseconds that the domain takes for a bulk request
    crashes: bool = False  # whether Lambda counts the function's failures: it does not count calls of none
    throttles: bool = False  # Lambda refuses the call, and counts that alone ("Types of metrics for Lambda functions")


@dataclass
class Recording:
    """The metrics of each period, by namespace and name."""

    parameters: dict[str, str]
    values: dict[tuple[str, str], list[Statistic | None]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, namespace: str, name: str, statistic: str, period: int) -> Points:
        """Return what `tests.alarms` looks up; nothing of the domain, whose metrics no fault here changes."""
        if (namespace, name) not in self.values:
            return NAN
        points, steps = self.values[namespace, name], period // PERIOD
        # CloudWatch looks every minute, so that a longer period ends with each of ours.
        windows = [points[max(0, end - steps) : end] for end in range(1, len(points) + 1)]
        return [_statistic(window, statistic) for window in windows]

    def ringing(self) -> dict[str, int]:
        """Return each alarm that rings, with the number of periods between the fault and it."""
        found = {}
        for name in (each for each in ALARMS if is_made(each, self.parameters)):
            states = rings(name, self.parameters, self)
            assert not any(states[:HEALTHY]), f"{name} rings on a healthy fleet"
            if any(states):
                found[name] = states.index(True) - HEALTHY + 1
        return found


def _statistic(window: list[Statistic | None], name: str) -> float | None:
    found = [each for each in window if each is not None]
    if not found:
        return None
    total = sum(each.sum for each in found)
    match name:
        case "Sum":
            return total
        case "Average":
            return total / sum(each.sample_count for each in found)
        case "Maximum":
            return max(each.maximum for each in found)
        case _:
            assert name == "Minimum"
            return min(each.minimum for each in found)


def record(
    fault: Fault,
    *,
    all_documents: bool = False,
    parameters: dict[str, str] | None = None,
    every: int = 0,
    periods: int = FAULTY,
) -> Recording:
    """Return the metrics of a healthy fleet, and then of the fault for some `periods`.

    It sends a reading a second, or with `every` one in so many steps.
    """
    parameters = (
        DEFAULTS | (parameters or {}) | {"BackupMode": "AllDocuments" if all_documents else "FailedDocumentsOnly"}
    )
    recording = Recording(parameters)
    now, number = 1_700_000_000_000, 0
    settings = make_settings(
        function=Function("arn", "role", 0, Bounds(MB, int(parameters["TransformBufferIntervalInSeconds"]) * 1000)),
        bounds=Bounds(MB, int(parameters["DeliveryBufferIntervalInSeconds"]) * 1000),
        retry_duration=int(parameters["DeliveryRetrySeconds"]) * 1000,
    )
    bucket = replace(settings.bucket, all_documents=all_documents, prefix="opensearch_backup/")
    delivery = Delivery(replace(settings, bucket=bucket), Progress("arn", 1.0), lambda: "token")
    prefixes = _failure_prefixes(parameters)
    under_way: list[tuple[int, Index]] = []
    for period in range(HEALTHY + periods):
        outside = Fault() if period < HEALTHY else fault
        others = Metrics()
        for step in range(period * PERIOD // STEP, (period + 1) * PERIOD // STEP):
            now += STEP * 1000
            count = STEP if not every else int(not step % every)
            arriving = [_record(number + each, now) for each in range(count)]
            number += count
            if count:
                others.add("AWS/Kinesis IncomingRecords", count)
            if outside.reads and count:
                delivery.arrived(SHARD, arriving, now)
                delivery.metrics.add("DataReadFromKinesisStream.Records", count)
                delivery.metrics.add("KinesisMillisBehindLatest", outside.behind)
            for _, command in (each for each in under_way if each[0] <= now):
                delivery.indexed(command, [outside.domain] * len(command.documents), now)
            under_way = [each for each in under_way if each[0] > now]
            under_way += _work(delivery, outside, now, others, prefixes)
            for entry in delivery.error_log.due(now):
                if entry.code != "Lambda.ProcessingFailedStatus":  # what DeliveryErrorsFilter counts
                    others.add("IotStream stack-DeliveryErrors", 1)
        firehose = {f"AWS/Firehose {name}": each for name, each in delivery.metrics.drain().items()}
        drained = firehose | others.drain()
        for key in {*drained, *(" ".join(each) for each in recording.values)}:
            namespace, name = key.split(" ")
            points = recording.values[namespace, name]
            points += [None] * (period - len(points))
            points.append(drained.get(key))
    return recording


def _work(
    delivery: Delivery, outside: Fault, now: int, others: Metrics, prefixes: tuple[str, ...]
) -> Iterator[tuple[int, Index]]:
    """Carry out what the delivery asks for; give the bulk requests that take time, with when they end."""
    for command in delivery.commands(now):
        match command:
            case Invoke():
                result = outside.function(command)
                if not isinstance(result, ProcessingError):
                    others.add("IotStream RecordsIn", len(result))
                    others.add("IotStream RecordsFailed", sum(each is FLAGGED for each in result))
                if outside.throttles:
                    others.add("AWS/Lambda Throttles", 1)
                elif outside.crashes or not isinstance(result, ProcessingError):
                    others.add("AWS/Lambda Errors", int(outside.crashes))
                delivery.transformed(command, result, now, duration=50)
            case Index() if outside.takes:
                yield now + outside.takes, command
            case Index():
                delivery.indexed(command, [outside.domain] * len(command.documents), now)
            case Store():
                delivery.stored(command, outside.bucket, now)
                if outside.bucket is None and command.key.startswith(prefixes):
                    others.add("AWS/Events TriggeredRules", 1)
            case Confirm():
                delivery.confirmed(command, result=False, now=now)


def _failure_prefixes(parameters: dict[str, str]) -> tuple[str, ...]:
    """Return the beginnings of the keys that FailureObjectRule tells of."""
    keys = RESOURCES["FailureObjectRule"]["Properties"]["EventPattern"]["detail"]["object"]["key"]
    always = [each["prefix"]["Sub"] for each in keys if "prefix" in each]
    optional = [each["If"][1]["prefix"]["Sub"] for each in keys if "If" in each]
    made = always + (optional if parameters["RefusedReadingsPercent"] == "0" else [])
    return tuple(each.replace("${BackupPrefix}", parameters["BackupPrefix"]) for each in made)


def _record(number: int, now: int) -> Record:
    name = f"{number:020d}"
    data = base64.b64encode(b'{"a":1}').decode()
    return Record(SHARD, name, None, "key", now - 1000, data, record_id(SHARD, name, None), 7)


def _flag(share: int) -> Callable[[Invoke], list[Verdict]]:
    """Return a function that refuses one record in `share`."""
    return lambda command: [FLAGGED if not int(each.sequence) % share else b'{"a":1}' for each in command.records]


CRASH = Fault(function=lambda _: FUNCTION_ERROR, crashes=True)
THROTTLED = Fault(function=lambda _: LIMIT_EXCEEDED, throttles=True)
DELETED = Fault(function=lambda _: NOT_FOUND)
UNMAPPED = Fault(domain=IndexingError(403, "no permissions"))
DOWN = Fault(domain=IndexingError(None, "no response"))
REFUSES = Fault(domain=IndexingError(400, "mapper_parsing_exception"))
DENIED = Fault(function=_flag(300), bucket=ErrorLogEntry("S3.AccessDenied", "denied", of_bucket=True))
NOT_READ = Fault(reads=False)
FIRMWARE = Fault(function=_flag(2))
SLOW = Fault(takes=660_000)
BEHIND = Fault(behind=700_000)

DELIVERY = {"DeliveryErrorsAlarm", "NothingDeliveredAlarm"}  # nothing is delivered, and the error log says why
ROWS = {
    "a device sends invalid readings": (FIRMWARE, {"RefusedRateAlarm"}),
    "the function fails or times out": (CRASH, {"FunctionErrorsAlarm", "ProcessingFailureAlarm"} | DELIVERY),
    "the function is throttled": (
        THROTTLED,
        {"FunctionThrottlesAlarm", "ProcessingFailureAlarm"} | DELIVERY,
    ),
    "the function is deleted": (DELETED, {"ProcessingFailureAlarm"} | DELIVERY),
    "the domain rejects a document": (
        REFUSES,
        {"FailureObjectAlarm", "DeliveryRejectedAlarm", "DeliveryFailureAlarm"} | DELIVERY,
    ),
    "the delivery role is not mapped": (
        UNMAPPED,
        {"DeliveryAuthFailureAlarm", "DeliveryFailureAlarm", "FailureObjectAlarm"} | DELIVERY,
    ),
    "the domain is down": (DOWN, {"DeliveryFailureAlarm", "FailureObjectAlarm"} | DELIVERY),
    "the domain is slow": (SLOW, {"DeliveryDelayAlarm", "NothingDeliveredAlarm"}),
    "the bucket denies writes": (DENIED, {"BackupFailureAlarm", "DeliveryErrorsAlarm", "DeliveryDelayAlarm"}),
    "Firehose does not read": (NOT_READ, {"NothingReadAlarm"}),
    "Firehose reads too slowly": (BEHIND, {"ReadDelayAlarm"}),
}


@pytest.mark.parametrize("all_documents", [False, True], ids=["FailedDocumentsOnly", "AllDocuments"])
@pytest.mark.parametrize("row", ROWS)
def test_a_fault_raises_its_alarms_within_15_minutes(row: str, *, all_documents: bool) -> None:
    """Exactly these alarms, in both backup modes; those that docs/operations.md names for the row are among them."""
    fault, expected = ROWS[row]
    ringing = record(fault, all_documents=all_documents).ringing()
    assert set(ringing) == expected
    runbook = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    [line] = re.findall(rf"^\| {row} \| (.*) \|$", runbook, re.MULTILINE)
    named = {name for name in re.findall(r"\[(\w+Alarm)\]", line) if is_made(name, DEFAULTS)}
    assert named <= expected
    assert min(ringing.values()) * PERIOD <= 15 * 60
    announced = [periods for name, periods in ringing.items() if name in LOSS]
    assert min(announced) * PERIOD <= 15 * 60, "DataLossAlarm"


def test_each_row_of_the_runbooks_table_was_played() -> None:
    """Its rows are the faults that are played here."""
    runbook = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    table = runbook.partition("| failure | alarms |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (.*?) \|", table, re.MULTILINE) == list(ROWS)


@pytest.mark.parametrize("all_documents", [False, True], ids=["FailedDocumentsOnly", "AllDocuments"])
@pytest.mark.parametrize("fault", [Fault(), Fault(function=_flag(200))], ids=["healthy", "one bad device"])
def test_a_healthy_fleet_raises_nothing(fault: Fault, *, all_documents: bool) -> None:
    """Neither does one broken device among two hundred, whose readings are kept."""
    assert record(fault, all_documents=all_documents).ringing() == {}


@pytest.mark.parametrize("seconds", [0, 300, 599, 900])
def test_long_buffers_raise_nothing(seconds: int) -> None:
    """Records wait for up to both buffers' time, and CloudWatch's periods go on meanwhile."""
    buffers = dict.fromkeys(("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds"), str(seconds))
    parameters = buffers | {"AlarmDelaySeconds": str(max(600, 3 * seconds))}
    assert record(Fault(), parameters=parameters).ringing() == {}


def test_every_refusal_rings_where_it_is_asked_for() -> None:
    """RefusedReadingsPercent=0: a single reading among thousands, in both ways that tell of it."""
    ringing = record(Fault(function=_flag(200)), parameters={"RefusedReadingsPercent": "0"}).ringing()
    assert set(ringing) == {"TransformFailureAlarm", "FailureObjectAlarm", "FailedRecordsAlarm"}


@pytest.mark.parametrize("retry", ["0", "300", "7200"])
def test_an_outage_rings_though_firehose_reports_nothing_of_delivery(retry: str) -> None:
    """AWS says so of DataFreshness ("Data Freshness Metric Increasing or Not Emitted") and nothing of the others."""
    recording = record(DOWN, parameters={"DeliveryRetrySeconds": retry})
    for (_, name), points in recording.values.items():
        if name.startswith("DeliveryToAmazonOpenSearchService"):
            points[HEALTHY:] = [None] * FAULTY
    assert recording.ringing()["NothingDeliveredAlarm"] * PERIOD <= 15 * 60


def test_a_late_metric_is_not_nothing() -> None:
    """Firehose publishes every five minutes, so FILL sets the latest period of `read` to 0: one such raises nothing."""
    recording = record(Fault())
    recording.values["AWS/Firehose", "DataReadFromKinesisStream.Records"][-1] = None
    assert recording.ringing() == {}


def _slow(minutes: int, lag: int) -> dict[str, Points]:
    """Return what came and what was read, of a reading every `minutes`, read `lag` periods after its own."""
    every, periods = minutes * 60 // PERIOD, 36
    came: Points = [1 if not each % every else None for each in range(periods)]
    read: Points = [1 if each >= lag and came[each - lag] else None for each in range(periods)]
    return {"IncomingRecords": came, "DataReadFromKinesisStream.Records": read}


@pytest.mark.parametrize("minutes", [5, 10, 20, 60])
@pytest.mark.parametrize("lag", [0, 1])
def test_a_slow_fleet_that_is_not_read_rings_15_minutes_after_its_next_reading(minutes: int, lag: int) -> None:
    """Kinesis has no point where nothing comes: one must be enough, and one at a period's end raises nothing."""
    series = _slow(minutes, lag)

    def rung() -> list[bool]:
        return rings("NothingReadAlarm", DEFAULTS, lambda _space, name, *_: series[name])

    assert not any(rung())
    read = series["DataReadFromKinesisStream.Records"]
    series["DataReadFromKinesisStream.Records"] = [*read[: 12 + lag], *[None] * (len(read) - 12 - lag)]
    assert rung().index(True) <= 14, "the reading of period 12, and two periods after it"


# Of a slow fleet every reading is refused, not a share: there is one in an hour.
SLOW_FLEET = {row: fault for row, (fault, names) in ROWS.items() if names & LOSS} | {
    "a device sends invalid readings": Fault(function=_flag(1)),
    "the bucket denies writes": Fault(function=_flag(1), bucket=DENIED.bucket),
}


@pytest.mark.parametrize("minutes", [20, 30, 60])
@pytest.mark.parametrize("row", SLOW_FLEET)
def test_a_slow_fleets_loss_is_told_without_the_alarm_on_nothing_delivered(row: str, minutes: int) -> None:
    """NothingDeliveredAlarm counts periods in which something is read one after the other; the cause's own rings."""
    ringing = record(SLOW_FLEET[row], every=minutes * 60 // STEP, periods=2 * minutes * 60 // PERIOD + 3).ringing()
    assert "NothingDeliveredAlarm" not in ringing
    assert set(ringing) & LOSS
    assert min(ringing[name] for name in set(ringing) & LOSS) * PERIOD <= minutes * 60 + 15 * 60


@pytest.mark.parametrize("minutes", [5, 10, 20, 60])
@pytest.mark.parametrize("lag", [0, 1])
def test_a_metric_that_firehose_publishes_late_raises_nothing(minutes: int, lag: int) -> None:
    """Whenever CloudWatch looks, the latest period of `read` may be missing."""
    series = _slow(minutes, lag)
    came, read = series["IncomingRecords"], series["DataReadFromKinesisStream.Records"]
    for end in range(4, len(came)):
        seen = {"IncomingRecords": came[:end], "DataReadFromKinesisStream.Records": [*read[: end - 1], None]}
        assert not rings("NothingReadAlarm", DEFAULTS, lambda _space, name, *_, seen=seen: seen[name])[-1], end


SINGLE = {
    # alarm: points that raise it, points that don't
    "ProducersThrottledAlarm": ([0, 5, 0, 5], [0, 0, 5, 0, 0]),
    "ReadDelayAlarm": ([0, 600_001], [0, 600_000]),
    "DeliveryDelayAlarm": ([60, 601], [60, 600, None]),
    "FunctionThrottlesAlarm": ([0, 3, 4], [0, 3, 0, 0]),
    "FunctionDurationAlarm": ([100, 48_001, 59_000], [100, 48_000, 48_000]),
    "FailureMessageAlarm": ([None, 1], [None, None]),
    "DomainRedAlarm": ([0, 1], [0, 0]),
    "DomainYellowAlarm": ([0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0]),
    "DomainNodesAlarm": ([1, 0, 0], [1, 0, 1]),
    "DomainWritesBlockedAlarm": ([0, 1], [0, 0]),
    "DomainStorageAlarm": ([5000, 2559], [5000, 2560]),
    "DomainMemoryAlarm": ([50, 95, 95, 95], [95, 95, 94]),
    "DomainProcessorAlarm": ([20, 80, 90, 80], [99, 99, 79]),
    "DomainCreditAlarm": ([100, 4, 4], [100, 4, 5]),
    "DomainSnapshotAlarm": ([0, 1], [0, 0]),
    "DomainMasterUnreachableAlarm": ([1, 0], [1, None, 1]),
    "DomainMasterMemoryAlarm": ([50, 95, 95, 95], [95, 95, 94]),
    "DomainMasterProcessorAlarm": ([20, 50, 50, 50], [60, 60, 49]),
    # one burst, then a node restarts, then one is not counted for a minute: "All cumulative metrics … will lose state"
    "DomainWriteRejectionAlarm": ([7, 8, 8, 9, 9, 9, 12], [7, 90, 90, 5, 5, 5, 3, 5, 5, 5]),
    "DomainKeyErrorAlarm": ([None, 1], [None, None]),
    "DomainKeyInaccessibleAlarm": ([None, 1], [None, None]),
    "NewVersionErrorsAlarm": ([0, 1], [0, 0, None]),
}


def test_a_single_node_is_not_called_yellow() -> None:
    """ISM's history has a replica that no node can hold, for ever (opensearch-project/index-management#1250)."""
    assert not is_made("DomainYellowAlarm", DEFAULTS | {"RetentionDays": "7"})
    assert is_made("DomainYellowAlarm", DEFAULTS | {"InstanceCount": "2"})


@pytest.mark.parametrize("name", SINGLE)
def test_an_alarm_of_one_metric_keeps_its_limit(name: str) -> None:
    """The definition over recorded points: the last value that is within the limit, and the first beyond it."""
    ill, well = SINGLE[name]
    assert rings(name, DEFAULTS, lambda *_: ill)[-1]
    assert not any(rings(name, DEFAULTS, lambda *_: well))


def test_a_new_version_that_refuses_is_rolled_back() -> None:
    """The share of what the version itself was given, by the minute; a minute without a batch says nothing."""

    def lookup(failed: Points) -> Lookup:
        return lambda _space, name, _statistic, _period: {"RecordsIn": [100, None, 100], "RecordsFailed": failed}[name]

    assert rings("NewVersionRefusalsAlarm", DEFAULTS, lookup([1, None, 2]))[-1]
    assert not any(rings("NewVersionRefusalsAlarm", DEFAULTS, lookup([1, None, 1])))


def test_silence_rings_where_it_is_asked_for() -> None:
    """A stream without records has no points: missing data is the alarm."""
    parameters = DEFAULTS | {"SilenceAlarmSeconds": "900"}
    assert is_made("SilenceAlarm", parameters)
    assert not is_made("SilenceAlarm", DEFAULTS)
    raised = rings("SilenceAlarm", parameters, lambda *_: [5, None, None, None, None])
    assert raised == [False, False, False, True, True], "the third period without a record, as the runbook says"
    assert not any(rings("SilenceAlarm", parameters, lambda *_: [5, 5, 5]))


@pytest.mark.parametrize("name", sorted(LOSS & {"ReadDelayAlarm", "DeliveryDelayAlarm", "DomainRedAlarm"}))
def test_missing_data_does_not_end_an_alarm(name: str) -> None:
    """While nothing is reported, the state stays."""
    assert rings(name, DEFAULTS, lambda *_: [10**9, None, None, None, None, None])[-1]


def test_every_alarm_was_seen_to_ring() -> None:
    """None is left whose definition could be one that never rings."""
    seen = {name for _, names in ROWS.values() for name in names} | SINGLE.keys()
    apart = {"SilenceAlarm", "TransformFailureAlarm", "FailedRecordsAlarm", "NewVersionRefusalsAlarm"}
    assert seen | apart == set(ALARMS)


@pytest.mark.parametrize(
    ("metric", "points", "ringing"),
    [
        ("Invocations", [5, 5, 5, None, None, None], ["DeviceAlertsMissedAlarm"]),
        ("Invocations", [5, 5, None, 1, None, None], []),
        ("Errors", [0, 0, 1, 5, 5, 5], ["DeviceAlertsErrorsAlarm"]),
        ("Errors", [0, 1, 0, 1, 0, 0], []),  # what the next run makes up for is no alarm
        ("Throttles", [0, 0, 0, 0, 2, 2], ["DeviceAlertsThrottlesAlarm"]),
    ],
)
def test_the_function_that_watches_devices_is_watched(metric: str, points: Points, ringing: list[str]) -> None:
    """It fails, it is throttled, or nobody invokes it: each rings within fifteen minutes."""
    healthy: dict[str, Points] = {"Invocations": [5] * 6, "Errors": [0] * 6, "Throttles": [0] * 6}
    series = healthy | {metric: points}

    def lookup(_namespace: str, name: str, _statistic: str, _period: int) -> Points:
        return series[name]

    alarms = [name for name in RESOURCES if name.startswith("DeviceAlerts") and name.endswith("Alarm")]
    assert len(alarms) == 3
    assert [name for name in alarms if any(rings(name, DEFAULTS, lookup))] == ringing
