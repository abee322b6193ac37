"""The live page over the whole local stack: what devices send becomes visible, and so does what fails."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import expect

from iot_stream.cli import cli
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.local import processes
from iot_stream.local.local_stack import LocalStack
from tests.live_page import Looked, chromium
from tests.ports import free_port
from tests.reader_role import let_read

pytestmark = pytest.mark.steady


@pytest.fixture(scope="module")
def live(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `iot-stream live` prints."""
    # As `iot-stream up` does.
    index = local_stack.stack().output("IndexName")
    let_read(local_stack.opensearch, f"{index}*", alerts_index(index))
    port, log = free_port(), tmp_path_factory.mktemp("live") / "log"
    command = [sys.executable, "-m", "iot_stream", "live", "--state", str(local_stack.folder), "--port", str(port)]
    process = processes.start("live page", command, log=log, environment=processes.clean_environment())
    said = f"http://127.0.0.1:{port}/"
    processes.wait_until(lambda: said in log.read_text(encoding="utf-8"), process, seconds=120, what="its address")
    yield said.removesuffix("/")
    process.stop()
    assert "Traceback" not in log.read_text(encoding="utf-8")


def put(local_stack: LocalStack, *data: bytes) -> None:
    """Put records into the stack's data stream."""
    records = [{"Data": item, "PartitionKey": str(number)} for number, item in enumerate(data)]
    response = local_stack.aws.client("kinesis").put_records(
        StreamName=local_stack.stack().output("StreamName"), Records=records
    )
    assert response["FailedRecordCount"] == 0


def reading(**changes: Any) -> bytes:
    """A device's reading of this moment."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    content = {"uuid": "live-1", "device_ts": now, "device_id": 7, "device_temp": 39, "track_id": 3}
    return json.dumps(content | {"activity_type": "Watched"} | changes).encode()


@pytest.mark.chromium
def test_readings_sent_become_visible_and_failures_too(local_stack: LocalStack, live: str) -> None:
    """From the stream to the page in seconds, with the delay measured; a broken record is listed with its reason."""
    with chromium() as browser:
        looked = Looked(browser.new_page(), live)
        looked.open("?refresh=1000&from=now-5m")
        broken = b"\xff not a reading"
        put(local_stack, *(reading(uuid=f"live-{number}") for number in range(20)), broken)
        expect(looked.page.locator("#latest-body tr").first).to_contain_text("Watched", timeout=60_000)
        step = looked.page.locator("#flow [data-step=Watch]")
        expect(step).to_contain_text("p99", timeout=60_000)
        failed = looked.page.locator("#failed")
        expect(failed).to_contain_text("see why", timeout=60_000)
        failed.click()
        row = looked.page.get_by_role("dialog").locator("tbody tr").first
        expect(row).to_contain_text("Lambda.ProcessingFailedStatus")
        reasons = looked.page.locator("#reasons")
        expect(reasons).to_contain_text(re.compile(r"Reasons given by the function in the last hour: \w+.*: \d"))
        looked.page.keyboard.press("Escape")
        with local_stack.opensearch.admin_session() as session:
            url = f"{local_stack.opensearch.url}/{local_stack.stack().output('IndexName')}*/_count"
            count = session.get(url, json={"query": {"range": {"timestamp": {"gte": "now-5m"}}}}).json()["count"]
        expect(looked.figure("Records")).to_have_text(f"{count:,}")
        assert looked.wrong == []
        assert all(url.startswith(live) for url in looked.asked)


def test_the_terminal_shows_the_same(local_stack: LocalStack, live: str) -> None:
    """`watch --once` prints the strip and the charts."""
    assert live
    result = CliRunner().invoke(cli, ["watch", "--once", "--state", str(local_stack.folder)], catch_exceptions=False)
    assert result.exit_code == 0
    for words in ("Transform", "Deliver", "Temperature, average", "Records per second"):
        assert words in result.output


def test_snapshots_come_from_live_data(local_stack: LocalStack, live: str, tmp_path: Path) -> None:
    """`dashboards snapshot` writes a file for every panel and names each file."""
    assert live
    arguments = [
        "dashboards",
        "snapshot",
        "--out",
        str(tmp_path),
        "--state",
        str(local_stack.folder),
        "--format",
        "svg",
    ]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 9
    assert "Device time" in (tmp_path / "dashboard.svg").read_text(encoding="utf-8")


def test_a_port_in_use_is_said_in_one_line(local_stack: LocalStack, live: str) -> None:
    """A second page on the same port says how to choose another."""
    port = live.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "iot_stream", "live", "--state", str(local_stack.folder), "--port", port]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert result.returncode == 1
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_page_ends_on_sigterm(local_stack: LocalStack) -> None:
    """`down` ends it like everything else: soon and without a trace."""
    port = free_port()
    command = [sys.executable, "-m", "iot_stream", "live", "--state", str(local_stack.folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert str(port) in process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=20)
        assert "Traceback" not in errors
