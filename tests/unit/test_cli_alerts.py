"""`iot-stream alerts`: what devices call themselves can't act on the terminal."""

from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from device_alerts.documents import Alert
from device_alerts.rules import parse
from iot_stream.cli import cli, options
from iot_stream.description import load
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
    result = CliRunner().invoke(cli, ["alerts"])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert result.output.count("Device \\x1b[2Jcold\\n0 open: no reading") == 2, "the open and the closed one"
