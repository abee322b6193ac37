"""Every loss rings: the alarms watch what AWS emits, in time, tell somebody, and each has a runbook."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from enrichment.firehose import Batch
from enrichment.metrics import describe_batch
from enrichment.settings import Settings
from iot_stream.delivery.core.naming import object_key
from iot_stream.delivery.core.object_kind import ObjectKind
from role_mapper.deployment_rules import derived
from tests.alarms import is_made
from tests.aws_metrics import ALWAYS, DOCUMENTED
from tests.environments import ENVIRONMENTS
from tests.template import PROJECT, load_template

TEMPLATE = load_template()
RESOURCES = TEMPLATE["Resources"]
PARAMETERS = TEMPLATE["Parameters"]
RUNBOOK = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
ALARMS = {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
COMPOSITE = RESOURCES["DataLossAlarm"]["Properties"]
TOPIC = {"If": ["OwnAlarmTopic", [{"Ref": "AlarmTopic"}], [{"Ref": "AlarmTopicArn"}]]}

Metric = tuple[str, str, tuple[str, ...]]
"""Namespace, name and sorted dimension names."""


def _parts(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each metric of an alarm: its own, or those that it combines."""
    if "Metrics" not in alarm:
        yield alarm
    for part in alarm.get("Metrics", []):
        if "MetricStat" in part:
            yield part["MetricStat"] | part["MetricStat"]["Metric"]


def _alarm_metrics(alarm: dict[str, Any]) -> list[Metric]:
    return [
        (
            _text(part["Namespace"]),
            _text(part["MetricName"]),
            tuple(sorted(each["Name"] for each in part.get("Dimensions", []))),
        )
        for part in _parts(alarm)
    ]


def _text(value: Any) -> str:
    """Return a parameter's default in place of a reference, and `!Sub`'s text as it is."""
    if isinstance(value, dict):
        return str(PARAMETERS[value["Ref"]]["Default"]) if "Ref" in value else str(value["Sub"])
    return str(value)


def _dashboard() -> list[dict[str, Any]]:
    """Return the dashboard's widgets, with parameters' defaults in place of `${Name}`."""
    body = RESOURCES["MonitoringDashboard"]["Properties"]["DashboardBody"]["Sub"]
    known = {"AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"}
    filled = re.sub(r"\$\{([\w:]+)\}", lambda match: known.get(match[1]) or PARAMETERS[match[1]]["Default"], body)
    widgets: list[dict[str, Any]] = json.loads(filled)["widgets"]
    return widgets


def _dashboard_metrics() -> Iterator[Metric]:
    for widget in _dashboard():
        for namespace, name, *dimensions in widget["properties"]["metrics"]:
            yield namespace, name, tuple(sorted(dimensions[::2]))


def _own_metrics() -> set[Metric]:
    """Return what the enrichment function and the metric filter emit."""
    environment = {"METRICS_NAMESPACE": "IotStream", "METRICS_BY_VERSION": "true", "AWS_LAMBDA_FUNCTION_VERSION": "7"}
    settings = Settings.from_environment(environment)
    line = json.loads(describe_batch(Batch(results=[], timestamps=[], bytes_in=0, bytes_out=0), 0, 0, settings))
    emitted = {
        (declared["Namespace"], metric["Name"], tuple(sorted(dimensions)))
        for declared in line["_aws"]["CloudWatchMetrics"]
        for dimensions in declared["Dimensions"]
        for metric in declared["Metrics"]
    }
    [filtered] = RESOURCES["DeliveryErrorsFilter"]["Properties"]["MetricTransformations"]
    return emitted | {(_text(filtered["MetricNamespace"]), _text(filtered["MetricName"]), ())}


def _documented() -> set[Metric]:
    return {(namespace, name, dimensions) for (namespace, dimensions), names in DOCUMENTED.items() for name in names}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_metrics_that_exist_with_their_dimensions(name: str) -> None:
    """AWS's documented lists, or what the function and the metric filter emit: anything else never rings."""
    assert set(_alarm_metrics(ALARMS[name])) <= _documented() | _own_metrics()


def test_no_alarm_depends_on_the_backup_mode() -> None:
    """Some metrics of Firehose exist only with AllDocuments: an alarm on one of them would be silent without."""
    watched = {name for alarm in ALARMS.values() for space, name, _ in _alarm_metrics(alarm) if space == "AWS/Firehose"}
    assert watched <= ALWAYS.keys()
    dependent = {name for name in ALARMS if RESOURCES[name].get("Condition") == "EveryFailureObjectRings"}
    assert dependent == {"FailedRecordsAlarm"}, "FailureObjectAlarm says the same in both modes"


@pytest.mark.parametrize("name", [*ALARMS, "DataLossAlarm"])
def test_an_alarm_tells_the_topic_and_names_its_runbook(name: str) -> None:
    """The description links a section of docs/operations.md with meaning, check and fix."""
    alarm = RESOURCES[name]["Properties"]
    assert alarm["AlarmActions"] == TOPIC
    assert alarm.get("OKActions", TOPIC) == TOPIC
    assert alarm["AlarmDescription"].endswith(f"See docs/operations.md#{name.lower()}")
    [section] = re.findall(rf"^### {name}\n(.*?)(?=^#|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\*\*(\w+)\.\*\* \S", section, re.MULTILINE) == ["Meaning", "Check", "Fix"]


def test_the_runbook_has_no_alarm_that_is_not_there() -> None:
    """A section without its alarm was forgotten when the alarm went."""
    assert set(re.findall(r"^### (\w+Alarm)$", RUNBOOK, re.MULTILINE)) == {*ALARMS, "DataLossAlarm"}


def test_what_announces_a_loss_rings_within_15_minutes() -> None:
    """Firehose publishes every five minutes ("Monitor … with CloudWatch metrics"), so ten are left to evaluate."""
    loss = set(re.findall(r'ALARM\("\$\{(\w+)\}"\)', str(COMPOSITE["AlarmRule"])))
    assert loss >= {"FunctionErrorsAlarm", "ProcessingFailureAlarm", "FailureObjectAlarm", "BackupFailureAlarm"}
    for name in loss:
        alarm = ALARMS[name]
        periods = {part["Period"] for part in _parts(alarm)}
        count = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
        if count == {"GetAtt": "DeploymentCheck.DeliveryPeriods"}:
            count = int(derived({name: str(each["Default"]) for name, each in PARAMETERS.items()})["DeliveryPeriods"])
        assert max(periods) * count <= 600, name
        made = {"CombinedAlarmsAreMade"} if name != "RefusedRateAlarm" else {"ShareOfRefusalsRings"}  # named only then
        assert {RESOURCES[name].get("Condition", "CombinedAlarmsAreMade")} == made, name


def test_missing_data_says_ok_only_of_events() -> None:
    """Firehose reports no delay while it reads and delivers nothing: that must not end an alarm."""
    for name in (
        "ReadDelayAlarm",
        "NothingReadAlarm",
        "DeliveryDelayAlarm",
        "DomainRedAlarm",
        "DomainWritesBlockedAlarm",
    ):
        assert ALARMS[name]["TreatMissingData"] == "ignore"
    assert ALARMS["SilenceAlarm"]["TreatMissingData"] == "breaching"
    for name, alarm in ALARMS.items():
        if alarm["TreatMissingData"] == "notBreaching":
            assert alarm.get("Statistic", "Sum") != "Minimum", name


@pytest.mark.parametrize("kind", [ObjectKind.PROCESSING_FAILURE, ObjectKind.DOCUMENT_FAILURE])
@pytest.mark.parametrize("prefix", ["opensearch_backup/", "opensearch_backup/!{firehose:error-output-type}/"])
def test_the_rule_matches_every_failure_object_and_no_backup(kind: ObjectKind, prefix: str) -> None:
    """Keys as Firehose makes them; documents always, refused readings where each one rings."""
    [source, detail] = (
        RESOURCES["FailureObjectRule"]["Properties"]["EventPattern"][key] for key in ("source", "detail")
    )
    assert source == ["aws.s3"]
    always, optional = [], []
    for entry in detail["object"]["key"]:
        target, found = (optional, entry["If"][1]) if "If" in entry else (always, entry)
        target.append(found["prefix"]["Sub"] if isinstance(found["prefix"], dict) else found["prefix"])
    filled = [[text.replace("${BackupPrefix}", "opensearch_backup/") for text in each] for each in (always, optional)]

    def key(of: ObjectKind) -> str:
        return object_key(
            "opensearch_backup/", prefix, of, name="d", version="1", oldest=0, new_uuid=lambda: "0" * 36, extension=""
        )

    expected = filled[1] if kind is ObjectKind.PROCESSING_FAILURE else filled[0]
    assert key(kind).startswith(tuple(expected))
    assert not key(ObjectKind.SOURCE).startswith((*filled[0], *filled[1]))
    assert RESOURCES["BackupBucket"]["Properties"]["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_refused_readings_ring_once_by_a_limit_of_ones_own() -> None:
    """They are no error of the pipeline: the error log's alarm leaves them out, and one of two alarms counts them."""
    assert "Lambda.ProcessingFailedStatus" in RESOURCES["DeliveryErrorsFilter"]["Properties"]["FilterPattern"]
    conditions = {RESOURCES[name]["Condition"] for name in ("TransformFailureAlarm", "RefusedRateAlarm")}
    assert conditions == {"EveryRefusalRings", "ShareOfRefusalsRings"}
    assert ALARMS["RefusedRateAlarm"]["Threshold"] == {"Ref": "RefusedReadingsPercent"}


def test_the_durations_limit_is_80_percent_of_the_functions_time() -> None:
    """The alarm comes before the time-out."""
    assert (
        ALARMS["FunctionDurationAlarm"]["Threshold"] == RESOURCES["EnrichmentFunction"]["Properties"]["Timeout"] * 800
    )


def test_the_dashboard_shows_metrics_that_exist_in_the_order_of_the_flow() -> None:
    """It is valid JSON after substitution, and reads as the diagram does."""
    assert set(_dashboard_metrics()) <= _documented() | _own_metrics()
    order = [widget["properties"]["title"].split(":")[0] for widget in _dashboard()]
    assert list(dict.fromkeys(order)) == ["Ingest", "Transform", "Deliver", "Index"]
    assert order == sorted(order, key=["Ingest", "Transform", "Deliver", "Index"].index)


def test_the_runbook_says_what_the_alarms_cost() -> None:
    """0.10 for each metric of each alarm that an environment makes, and 0.50 for the composite."""
    prices = []
    for environment in ("default", "prod"):
        parameters = {name: str(each["Default"]) for name, each in PARAMETERS.items()} | ENVIRONMENTS[environment]
        metrics = sum(len(list(_parts(alarm))) for name, alarm in ALARMS.items() if is_made(name, parameters))
        prices.append(f"{0.1 * metrics + 0.5:.2f}")
    [row] = re.findall(r"^\| alarms at 0\.10 a metric, one composite at 0\.50 \| (.*) \|$", RUNBOOK, re.MULTILINE)
    assert row.split(" | ") == prices
    rows = re.findall(
        r"^\| [^|*]+ \| ([\d.]+|\W)[^|]* \| ([\d.]+)[^|]* \|$", RUNBOOK.split("| to leave running")[1], re.MULTILINE
    )
    together = [f"{sum(float(cell) for cell in column if cell[0].isdigit()):.2f}" for column in zip(*rows, strict=True)]
    [total] = re.findall(r"^\| \*\*together\*\* \| \*\*(.*)\*\* \| \*\*(.*)\*\* \|$", RUNBOOK, re.MULTILINE)
    assert list(total) == together


def test_a_subscription_goes_with_its_topic() -> None:
    """An inline subscription outlives its topic ("AWS::SNS::Topic", Subscription)."""
    assert "Subscription" not in RESOURCES["AlarmTopic"].get("Properties", {})
    assert RESOURCES["AlarmSubscription"]["Condition"] == "AlarmsAreMailed"
