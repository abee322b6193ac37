"""What operators see: log lines that are also metrics, clear errors of settings, and never a payload."""

import json
import logging
from datetime import UTC

import pytest

from enrichment import handler
from enrichment.firehose import Batch
from enrichment.logs import JsonFormatter, get_logger
from enrichment.metrics import describe_batch, describe_failures
from enrichment.reasons import ADVICE, Cause, Reason
from enrichment.settings import Settings, SettingsError
from tests.builders import device_reading, firehose_event, firehose_record
from tests.enrichers import transform

NOW = 1_795_342_531_000  # 2026-11-22T10:15:31Z
SETTINGS = Settings(metrics_namespace="Test", function_name="enrichment-under-test")


def assert_embedded_metrics(line, dimensions):
    """Hold a line against the embedded metric format: each name it declares is a top-level number or text."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Test"
    assert directive["Dimensions"] == [dimensions]
    assert all(isinstance(line[name], str) for name in dimensions)
    assert line["_aws"]["Timestamp"] == 1_795_342_531_000
    for metric in directive["Metrics"]:
        assert isinstance(line[metric["Name"]], (int, float))
        assert metric["Unit"] in {"Count", "Bytes", "Milliseconds"}
    return {metric["Name"]: (line[metric["Name"]], metric["Unit"]) for metric in directive["Metrics"]}


def batch_line(*arguments):
    """Return the batch's one line, read."""
    line = describe_batch(*arguments)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return json.loads(line)


def test_batch_line_has_counts_bytes_milliseconds_and_delay():
    """Every figure of a batch is a metric with its unit."""
    batch = Batch(
        results=[],
        timestamps=["2026-11-22T10:15:30.900", "2026-11-22T10:15:21.000", "2026-11-22T10:15:30.000"],
        bytes_in=700,
        bytes_out=600,
        failures={Cause(Reason.EMPTY): ["a"]},
        failed=1,
    )
    batch.results = [{"recordId": name, "result": "Ok", "data": ""} for name in "abcd"]
    line = batch_line(batch, NOW, 12_346, SETTINGS)
    assert assert_embedded_metrics(line, ["FunctionName"]) == {
        "RecordsIn": (4, "Count"),
        "RecordsOk": (3, "Count"),
        "RecordsFailed": (1, "Count"),
        "BytesIn": (700, "Bytes"),
        "BytesOut": (600, "Bytes"),
        "BatchDuration": (12.346, "Milliseconds"),
        "DelayP50": (1000, "Milliseconds"),
        "DelayMax": (10_000, "Milliseconds"),
    }
    assert line["FunctionName"] == "enrichment-under-test"


def test_batch_line_counts_readings_by_version_where_versions_are_compared():
    """What a gradual deployment rolls back on: the readings of one version, apart from those of the other one."""
    variables = {"METRICS_NAMESPACE": "Test", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "7"}
    batch = Batch([{"recordId": "a", "result": "ProcessingFailed", "data": ""}], [], 0, 0, failed=1)
    plain = batch_line(batch, NOW, 0, Settings.from_environment(variables))
    assert_embedded_metrics(plain, ["FunctionName"])
    line = batch_line(batch, NOW, 0, Settings.from_environment(variables | {"METRICS_BY_VERSION": "true"}))
    every, by_version = line["_aws"]["CloudWatchMetrics"]
    assert [every] == plain["_aws"]["CloudWatchMetrics"]
    assert by_version["Dimensions"] == [["FunctionName", "FunctionVersion"]]
    assert [metric["Name"] for metric in by_version["Metrics"]] == ["RecordsIn", "RecordsFailed"]
    assert (line["FunctionName"], line["FunctionVersion"]) == ("f", "7")


def test_batch_without_documents_has_no_delay():
    """With no device time there is no delay: a zero would be a lie."""
    line = batch_line(Batch([], [], 0, 0), NOW, 0, SETTINGS)
    assert not {"DelayP50", "DelayMax"} & assert_embedded_metrics(line, ["FunctionName"]).keys()


def test_batch_line_counts_dropped_fields_by_name():
    """What is not described is never lost without a trace: one metric, and the twenty names that were dropped most."""
    dropped = {f"field{number:03}": number + 1 for number in range(30)} | {"x" * 500: 1000, "\ud800": 900}
    line = batch_line(Batch([], [], 0, 0, dropped=dropped), NOW, 0, SETTINGS)
    assert assert_embedded_metrics(line, ["FunctionName"])["FieldsDropped"] == (sum(dropped.values()), "Count")
    assert list(line["droppedFields"].items())[:3] == [("x" * 100, 1000), ("?", 900), ("field029", 30)]
    assert len(line["droppedFields"]) == 20


def test_dropped_fields_that_look_alike_in_the_line_are_counted_together():
    """Names are cut to 100 characters: what begins alike is one name there, with the count of all."""
    dropped = {"x" * 100 + "1": 3, "y": 4, "x" * 100 + "2": 2, "\ud800": 1, chr(0xD801): 1}
    line = batch_line(Batch([], [], 0, 0, dropped=dropped), NOW, 0, SETTINGS)
    assert line["droppedFields"] == {"x" * 100: 5, "y": 4, "?": 2}


def test_failure_lines_say_what_to_do():
    """Each reason has its advice beside it."""
    batch = Batch([], [], 0, 0, {Cause(reason): ["a"] for reason in Reason})
    lines = list(describe_failures(batch, NOW, SETTINGS))
    assert [line["advice"] for line in lines] == [ADVICE[reason] for reason in Reason]


def test_device_clock_that_is_ahead_shows_as_negative_delay():
    """A delay below zero is told as it is: it means a device's clock, or its time zone, is wrong."""
    line = batch_line(Batch([], ["2026-11-22T11:15:31.000"], 0, 0), NOW, 0, SETTINGS)
    assert line["DelayMax"] == -3_600_000


def test_failure_lines_name_reason_field_and_record_ids():
    """One line a cause: a metric by reason, and which records it were."""
    batch = Batch([], [], 0, 0, {Cause(Reason.EMPTY): ["a", "b"], Cause(Reason.WRONG_TYPE, "track_id"): ["c"]})
    empty, wrong = describe_failures(batch, NOW, SETTINGS)
    assert assert_embedded_metrics(empty, ["FunctionName", "Reason"]) == {"RecordsFailed": (2, "Count")}
    assert (empty["Reason"], empty["recordIds"], "field" in empty) == ("empty", ("a", "b"), False)
    assert (wrong["Reason"], wrong["recordIds"], wrong["field"]) == ("wrong_type", ("c",), "track_id")


def test_a_record_counts_once_for_each_of_its_reasons():
    """Two fields of the wrong type are one record that has a wrong type; the warnings name it in both."""
    event = firehose_event(
        device_reading(device_id=True, track_id="x"), device_reading(track_id=1.5), device_reading(track_id=None)
    )
    batch = transform(event)
    lines = list(describe_failures(batch, NOW, SETTINGS))
    assert [(line["Reason"], line["field"], line["recordIds"], line["RecordsFailed"]) for line in lines] == [
        ("wrong_type", "device_id", ("record-0",), 1),
        ("wrong_type", "track_id", ("record-0", "record-2"), 1),
        ("not_whole", "track_id", ("record-1",), 1),
    ]
    assert sum(line["RecordsFailed"] for line in lines) == batch.failed == 3


def test_failure_lines_stay_below_the_size_of_a_log_event():
    """Many failures of one cause are spread over lines of at most 256 KB, none left out, the counts adding up."""
    ids = [f"{number:0200}" for number in range(5000)]
    lines = list(describe_failures(Batch([], [], 0, 0, {Cause(Reason.EMPTY): ids}), NOW, SETTINGS))
    assert [record_id for line in lines for record_id in line["recordIds"]] == ids
    assert sum(line["RecordsFailed"] for line in lines) == 5000
    assert max(len(json.dumps(line)) for line in lines) < 256_000


@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL], ids=logging.getLevelName)
def test_good_batch_has_one_line_at_any_log_level(level, caplog, capsys):
    """When all is well a batch is one line of metrics, whatever its size, which no level of the logger silences."""
    with caplog.at_level(level):
        handler.lambda_handler(firehose_event(*[device_reading()] * 500), None)
    [line] = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["message"], json.loads(line)["RecordsOk"]) == ("batch", 500)
    assert caplog.records == []


def test_failures_are_warnings_without_a_payload(caplog, capsys):
    """Logs say which record failed and why, and nothing of what was in it."""
    secrets = [device_reading(device_temp="payload-secret", uuid="payload-secret"), '{"payload-secret']
    with caplog.at_level(logging.DEBUG):
        handler.lambda_handler(firehose_event(*secrets, firehose_record(b"") | {"data": "payload-secret"}), None)
    text = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    warnings = [json.loads(line) for line in text.splitlines() if '"WARNING"' in line]
    assert [(line["Reason"], line["recordIds"]) for line in warnings] == [
        ("wrong_type", ["record-0"]),
        ("not_json", ["record-1"]),
        ("not_base64", ["record-0"]),
    ]
    assert "payload-secret" not in text + capsys.readouterr().out


def test_json_formatter_writes_extras_at_the_top_level():
    """A line has what Lambda's own JSON lines have, so that CloudWatch finds `_aws` at its root."""
    record = logging.makeLogRecord(
        {
            "name": "enrichment",
            "levelname": "INFO",
            "msg": "batch of %s",
            "args": (2,),
            "created": 0.5,
            "_aws": {"Timestamp": 1},
        }
    )
    assert json.loads(JsonFormatter().format(record)) == {
        "timestamp": "1970-01-01T00:00:00.500+00:00",
        "level": "INFO",
        "message": "batch of 2",
        "logger": "enrichment",
        "_aws": {"Timestamp": 1},
    }


def test_logger_gets_a_json_handler_where_there_is_none(monkeypatch):
    """Where nothing has set up logging, warnings are JSON all the same."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = get_logger("enrichment.test")
    [only] = logging.getLogger().handlers
    assert isinstance(only.formatter, JsonFormatter)
    assert logger.isEnabledFor(logging.WARNING)


def test_logger_leaves_lambda_s_configuration_alone(monkeypatch):
    """Where Lambda has set up its handler and a level, both stay as they are."""
    lambda_handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [lambda_handler])
    logger = get_logger("enrichment.test.lambda")
    assert logging.getLogger().handlers == [lambda_handler]
    assert logger.level == logging.NOTSET


# ---- settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment", [{}, {"DEVICE_TIME_ZONE": "", "METRICS_NAMESPACE": ""}], ids=["absent", "empty"]
)
def test_settings_have_defaults(environment):
    """Nothing has to be set: times are UTC, metrics are in IotStream."""
    assert Settings.from_environment(environment) == Settings(UTC, "IotStream", "iot-enrichment")


def test_settings_come_from_the_environment():
    """Each variable sets its setting; the function's name is Lambda's own variable."""
    settings = Settings.from_environment(
        {"DEVICE_TIME_ZONE": "Asia/Kolkata", "METRICS_NAMESPACE": "Fleet", "AWS_LAMBDA_FUNCTION_NAME": "mine"}
    )
    assert str(settings.device_time_zone) == "Asia/Kolkata"
    assert (settings.metrics_namespace, settings.function_name) == ("Fleet", "mine")


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "/etc/localtime", "utc+1", "Europe", "\x00"])
def test_unknown_time_zone_is_refused_with_words(name):
    """A zone that no table knows stops the function at its start, and says which parameter to change."""
    with pytest.raises(SettingsError, match=r"not an IANA time zone.*DeviceTimeZone"):
        Settings.from_environment({"DEVICE_TIME_ZONE": name})
