"""How the live page is served, and when a browser is opened."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from iot_stream.dashboards.definition import load
from iot_stream.live import server
from iot_stream.live.app import Sources
from iot_stream.live.vega import bundle
from iot_stream.local.local_stack import LocalStack, Ports
from iot_stream.stack import Stack
from tests.unit.test_cli import COUNTS


class _Nothing:
    """A failure source without failures."""

    def recent(self, limit: int = 100) -> list[Any]:
        """Return nothing."""
        return [None] * 0 * limit

    def payload(self, key: str, line: int) -> str:
        """Return nothing."""
        return key * 0 * line


def test_where_the_system_does_not_say_whose_a_connection_is_a_key_opens_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on macOS; elsewhere there is none."""
    keys: list[str] = []
    monkeypatch.setattr(server, "claim_port", lambda *_, **__: None)
    monkeypatch.setattr(server, "stack_view", lambda _: ())
    monkeypatch.setattr(server, "bundle", lambda _: tmp_path / "vega.js")
    monkeypatch.setattr(server, "_keep_logs_bounded", lambda _: None)
    monkeypatch.setattr(server, "create_app", lambda *parts: keys.append(parts[-1]))
    monkeypatch.setattr(uvicorn.Server, "run", lambda _: None)
    stack = LocalStack(tmp_path, Ports(), tmp_path)
    for known in (True, False):
        monkeypatch.setattr(server, "owners_known", lambda known=known: known)
        server.serve(stack, 8123, print)
    assert keys == ["", stack.live_key_file.read_text()]
    assert keys[1]


def test_failed_records_count_as_replayed_once_none_is_left(monkeypatch: pytest.MonkeyPatch, s3: Any) -> None:
    """The worker's count only grows, so the bucket tells; it is not asked while nothing has failed."""
    clients = SimpleNamespace(client=lambda name: s3 if name == "s3" else None)
    outputs = {"IndexName": "i", "BackupBucketName": "backup", "BackupPrefix": "b/", "EnrichmentLogGroupName": "g"}
    stack = Stack("s", "arn", outputs, {})
    monkeypatch.setattr(server, "connect", lambda _: None)
    monkeypatch.setattr(server, "read_counts", lambda *_: replace(COUNTS, failed=failed))
    local: Any = SimpleNamespace(stack=lambda: stack, opensearch=None, aws=clients)
    failed = 3
    _, sources = server.stack_view(local)
    key = "b/processing-failed/2026/11/22/10/x"
    s3.put_object(Bucket="backup", Key=key, Body=b"{}")
    assert sources.counts()["unresolved"] is True
    s3.delete_object(Bucket="backup", Key=key)
    assert sources.counts() == replace(COUNTS, failed=3).as_dict() | {"unresolved": False}
    s3.delete_bucket(Bucket="backup")
    assert sources.counts()["unresolved"] is None
    failed = 0
    assert sources.counts()["unresolved"] is False


def test_the_page_is_served_on_this_machine_without_a_log_of_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """127.0.0.1 only; addresses hold what people filter by, and nobody needs to know the server's software."""
    claimed: list[Any] = []
    configs: list[uvicorn.Config] = []
    monkeypatch.setattr(server, "claim_port", lambda port, **words: claimed.append((port, words["option"])))
    monkeypatch.setattr(server, "stack_view", lambda _: (load(), Sources(lambda _: [], dict, _Nothing())))
    monkeypatch.setattr(server, "bundle", lambda _: tmp_path / "vega.js")
    monkeypatch.setattr(server, "_keep_logs_bounded", lambda _: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self: configs.append(self.config))
    server.serve(None, 8123, print)  # type: ignore[arg-type]
    (config,) = configs
    assert claimed == [(8123, "--port")]
    assert (config.host, config.port) == ("127.0.0.1", 8123)
    assert (config.access_log, config.server_header) == (False, False)
    assert config.timeout_graceful_shutdown is not None


@pytest.mark.parametrize(
    ("platform", "screen", "opened"),
    [("linux", {}, 0), ("linux", {"DISPLAY": ":0"}, 1), ("linux", {"WAYLAND_DISPLAY": "w"}, 1), ("darwin", {}, 1)],
)
def test_a_browser_is_opened_where_there_is_a_screen(
    platform: str, screen: dict[str, str], opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, a text browser would take the terminal."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in screen.items():
        monkeypatch.setenv(name, value)
    urls: list[str] = []
    monkeypatch.setattr(server.sys, "platform", platform)
    monkeypatch.setattr(server.webbrowser, "open", urls.append)
    server.open_page("http://127.0.0.1:1/")
    assert len(urls) == opened


def test_vegas_script_is_built_once_for_a_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder that need not exist; what another version left is not taken."""
    built: list[str] = []

    def build(snippet: str) -> str:
        built.append(snippet)
        return "script"

    monkeypatch.setattr("iot_stream.live.vega.vl_convert.javascript_bundle", build)
    folder = tmp_path / "a" / "b"
    file = bundle(folder)
    assert (file.parent, file.suffix, file.read_text("utf-8")) == (folder, ".js", "script")
    assert bundle(folder) == file
    assert built == ["window.vegaEmbed = vegaEmbed;"]
    assert list(folder.iterdir()) == [file]
    monkeypatch.setattr("iot_stream.live.vega.version", lambda _: "0.0.0")
    assert bundle(folder) != file
