"""`iot-stream alerts`: what devices call themselves can't act on the terminal."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from device_alerts.documents import Alert
from device_alerts.rules import parse
from iot_stream.cli import cli, options
from iot_stream.description import load
from iot_stream.local import alarm_messages, local_stack
from iot_stream.local.alarm_messages import AlarmMessage
from iot_stream.readings.alert_files import alert_rules

NOW = 1_795_342_500_000


def test_an_id_with_escape_sequences_and_line_breaks_is_printed_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device's id is part of an alert's text: it neither clears the screen nor begins a line of its own."""
    text = "Device \x1b[2Jcold\n0 open: no reading"
    alert = Alert("silent", 7, NOW, NOW, None, text, 1, closed_at=NOW, closed_run=2)
    source = alert.document(parse(alert_rules(load())))
    found = {"hits": {"total": {"value": 1}, "hits": [{"_source": source}]}}

    def search(**_: Any) -> dict[str, Any]:
        return found

    target = SimpleNamespace(
        stack=SimpleNamespace(output=lambda _: "iot-stream"), search_client=lambda: SimpleNamespace(search=search)
    )
    monkeypatch.setattr(options, "resolve_target", lambda *_, **__: target)
    as_json = json.loads(CliRunner().invoke(cli, ["alerts", "--json"]).stdout)
    assert (as_json["open"], as_json["closed"]) == (1, 1)
    assert [(each["device"], each["text"]) for each in as_json["alerts"]] == [(7, text)] * 2
    result = CliRunner().invoke(cli, ["alerts"])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert result.output.count("Device \\x1b[2Jcold\\n0 open: no reading") == 2, "the open and the closed one"


# "Amazon CloudWatch alarm notifications" (CloudWatch user guide), "Amazon S3 event message structure for EventBridge"
# (S3 user guide); the third is the alerts function's own text.
MESSAGES = {
    "alarm": json.dumps({
        "AlarmName": "stack-FailedRecordsAlarm-1", "AlarmDescription": "Records went to the backup bucket.",
        "AWSAccountId": "123456789012", "NewStateValue": "ALARM", "NewStateReason": "Threshold Crossed: 3.0",
        "StateChangeTime": "2026-11-22T10:15:00.000+0000", "OldStateValue": "OK", "Trigger": {"Period": 300},
    }),
    "event": json.dumps({
        "version": "0", "detail-type": "Object Created", "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": "backup"}, "object": {"key": "b/processing-failed/x", "size": 5}},
    }),
    "device": "Opened: 1 (too high 1)\n- Device \x1b[2J7: 50 °C\n",
}  # fmt: skip


def test_messages_are_readable_and_json_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """What CloudWatch and EventBridge publish is JSON, of which a person wants a sentence; text stays as it is."""
    at = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    found = [AlarmMessage(at, subject, text) for subject, text in MESSAGES.items()]
    monkeypatch.setattr(local_stack, "find", lambda _: SimpleNamespace(aws=None))
    monkeypatch.setattr(alarm_messages, "read_messages", lambda _: found)
    shown = CliRunner().invoke(cli, ["alerts", "--messages"]).stdout
    assert shown.splitlines() == [
        "2026-11-22 10:15:00 UTC  alarm",
        "  stack-FailedRecordsAlarm-1 is ALARM: Threshold Crossed: 3.0",
        "  Records went to the backup bucket.",
        "2026-11-22 10:15:00 UTC  event",
        "  Failure object written: s3://backup/b/processing-failed/x",
        "2026-11-22 10:15:00 UTC  device",
        "  Opened: 1 (too high 1)",
        "  - Device \\x1b[2J7: 50 °C",
    ]
    listed = json.loads(CliRunner().invoke(cli, ["alerts", "--messages", "--json"]).stdout)
    assert [(each["subject"], each["text"]) for each in listed] == list(MESSAGES.items())
    for text in ("7", "null", "[]", '{"AlarmName": "x"}', '{"source": "aws.s3", "detail": {"bucket": "b"}}', "{", ""):
        assert AlarmMessage(at, "", text).lines == text.splitlines(), "not what it looks like"
