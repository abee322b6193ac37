"""The live page's server over a real OpenSearch, by plain HTTP: what it returns, and to whom."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from iot_stream.dashboards.definition import load
from iot_stream.live.app import Sources
from iot_stream.live.pipeline import DelayMeter
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from iot_stream.paths import PROJECT
from tests.live_page import COUNTS, Failed, get, serving
from tests.polling import until
from tests.readings import make_index, readings

pytestmark = pytest.mark.steady


@pytest.fixture(scope="module")
def page(opensearch: OpenSearch, vega: Path) -> Iterator[str]:
    """The address of a live page over 500 readings of the last 14 minutes."""
    create_reader_role(opensearch, "served-*", "device-alerts-served-*")
    make_index(opensearch, "served-1", readings(500, end=datetime.now(UTC), over=timedelta(minutes=14)))
    sources = Sources(Reader(connect(opensearch)), lambda: COUNTS, Failed())
    with serving(load().for_index("served-"), sources, vega) as url:
        yield url


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a live page whose searches meet something unforeseen."""

    def fall(_: Any) -> list[dict[str, Any]]:
        raise ZeroDivisionError

    with serving(load(), Sources(fall, lambda: COUNTS, Failed()), tmp_path_factory.mktemp("vega") / "none") as url:
        yield url


_ASK_AS = """
import os, socket, sys
family, host, port, uid, header = sys.argv[1:]
os.setuid(int(uid))
with socket.socket(getattr(socket, family)) as client:
    client.connect((host, int(port)))
    client.sendall(f"GET /api/dashboard HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n{header}\\r\\n\\r\\n".encode())
    print(client.recv(20).split()[1].decode())
"""


def _status_for(uid: int, port: int, family: str = "AF_INET", host: str = "127.0.0.1", header: str = "X: x") -> str:
    """Return the status that a user of this machine gets."""
    command = [sys.executable, "-I", "-c", _ASK_AS, family, host, str(port), str(uid), header]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
def test_another_user_of_the_machine_gets_nothing(broken: str) -> None:
    """Neither over IPv4 nor through an IPv6 socket; the user who serves the page gets it."""
    port = int(broken.rpartition(":")[2])
    for family, host in (("AF_INET", "127.0.0.1"), ("AF_INET6", "::ffff:127.0.0.1")):
        for uid, status in ((65534, "403"), (os.getuid(), "200")):
            assert _status_for(uid, port, family, host) == status, (family, uid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP"])
def test_nobody_passes_for_the_owner_by_naming_his_connection(broken: str, name: str) -> None:
    """The owner's browser keeps a connection open, and /proc/net/tcp shows its port to everyone."""
    port = int(broken.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as browser:
        own = f"127.0.0.1:{browser.getsockname()[1]}"
        for value in (own, f"for={own}", f"{own}, {own}", f'for="{own}"'):
            assert _status_for(65534, port, header=f"{name}: {value}") == "403"


def test_many_viewers_cost_one_reading(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The log of an hour and fifty objects are read for all of them at once, and by few threads: memory stays flat."""
    reading, most, calls = 0, 0, 0

    def reasons() -> list[Any]:
        nonlocal reading, most, calls
        reading, calls = reading + 1, calls + 1
        most = max(most, reading)
        time.sleep(0.05)  # as long as it takes, others are there
        reading -= 1
        return []

    threads: list[int] = []

    def search(_: Any) -> list[dict[str, Any]]:
        threads.append(threading.get_ident())
        time.sleep(0.01)
        return []

    sources = Sources(search, lambda: COUNTS, Failed(), reasons)
    with serving(load(), sources, tmp_path_factory.mktemp("vega") / "none") as url, ThreadPoolExecutor(24) as viewers:
        asked = [viewers.submit(get, f"{url}/api/failures") for _ in range(24)]
        assert [each.result().status_code for each in asked] == [200] * 24
        assert most == 1
        assert calls <= 3
        for each in [viewers.submit(get, f"{url}/api/data") for _ in range(48)]:
            each.result()
    assert 1 < len(set(threads)) <= 8


def test_an_unforeseen_error_carries_the_strict_policy_too(broken: str) -> None:
    """Every response has it."""
    response = get(f"{broken}/api/data")
    assert response.status_code == 500
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/", "/vega.js", "/static/page.css", "/api/dashboard", "/api/data", "/nowhere"])
def test_every_response_carries_the_strict_policy(page: str, path: str) -> None:
    """Nothing from elsewhere, no inline script or style, no framing, no eval; errors included."""
    headers = get(page + path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_other_names_for_this_machine_are_refused(page: str) -> None:
    """A site whose name is made to point here must not read the page (DNS rebinding)."""
    assert get(f"{page}/api/data", headers={"Host": "evil.example"}).status_code == 400


def test_the_page_asks_only_this_server() -> None:
    """No address of another machine stands in the page's files."""
    static = PROJECT / "iot_stream" / "live" / "static"
    for file in static.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


def test_the_dashboard_comes_without_queries(page: str) -> None:
    """The page gets the very specifications, with an empty data set of the same name instead of a search."""
    told = get(f"{page}/api/dashboard").json()
    assert [panel["name"] for panel in told["panels"]] == [panel.name for panel in load().panels]
    for panel in told["panels"]:
        assert panel["spec"]["data"] == {"name": panel["data"], "values": []}
        assert "served-*" not in str(panel["spec"]["data"])


def test_data_equals_what_opensearch_says(opensearch: OpenSearch, page: str) -> None:
    """Records, filtered or not, as counted directly."""
    whole = get(f"{page}/api/data?from=now-1h").json()
    filtered = get(f"{page}/api/data?from=now-1h&activity_type=Running&activity_type=Walking&device_id=7").json()
    query = {"bool": {"filter": [{"terms": {"activity_type": ["Running", "Walking"]}}, {"term": {"device_id": 7}}]}}
    with opensearch.admin_session() as session:
        count = session.post(f"{opensearch.url}/served-1/_count", json={"query": query}).json()["count"]
    assert records(whole) == 500
    assert records(filtered) == count > 0
    assert len(whole["latest"]) == 12


def records(response: dict[str, Any]) -> int:
    """The number of records among the key figures."""
    return int(response["panels"]["key-figures"]["aggregations"]["records"]["value"])


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("from=yesterday", 400, "is not a valid time"),
        ("from=now&to=now-1h", 400, "before it begins"),
        ("device_id=oven", 400, "rejected a search"),
        ("from=0001-01-01T00:00:00%2B14:00", 400, "outside the years"),
    ],
    ids=["word", "backwards", "no-number", "no-calendar"],
)
def test_what_can_not_be_asked_is_said(page: str, query: str, status: int, words: str) -> None:
    """One sentence that the page can show."""
    response = get(f"{page}/api/data?{query}")
    assert response.status_code == status
    assert words in response.json()["error"]


def test_the_pipeline_is_seen_within_seconds(page: str) -> None:
    """Counts come from the given source, looked at once a second while somebody asks."""

    def rates_known() -> dict[str, Any] | None:
        told: dict[str, Any] = get(f"{page}/api/pipeline").json()
        return told if told["per_second"] else None

    state = until(rates_known, seconds=20, what="a rate")
    assert state
    assert state["counts"] == COUNTS
    assert state["per_second"]["sent"] == 0
    assert state["trouble"] is None


def test_failures_are_listed_and_their_records_given_one_by_one(page: str) -> None:
    """The list has no record in it."""
    (failure,) = get(f"{page}/api/failures").json()["failures"]
    assert failure["code"] == "Lambda.ProcessingFailedStatus"
    where = {"key": failure["key"], "line": failure["line"]}
    assert get(f"{page}/api/failures/payload", params=where).json() == {"payload": "the record"}
    assert get(f"{page}/api/failures/payload", params=where | {"key": "x"}).status_code == 404
    assert get(f"{page}/api/failures/payload", params=where | {"line": "-1"}).status_code == 400
    assert get(f"{page}/api/failures/payload", params=where | {"line": "9" * 5000}).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(page: str, method: str) -> None:
    """Every route only reads."""
    with requests.Session() as session:
        session.trust_env = False
        for path in ("/", "/api/data", "/api/failures/payload"):
            assert session.request(method, page + path, timeout=20).status_code == 405


def test_before_the_alerts_function_has_run_there_is_nothing_and_no_error(page: str) -> None:
    """Its index is not there yet."""
    assert get(f"{page}/api/alerts").json() == {"open": [], "counts": {}, "closed": [], "closed_total": 0}
    assert get(f"{page}/api/fleet").json() == {"rows": [], "total": 0, "states": {}, "next": None}


def test_devices_over_time_equal_their_readings(opensearch: OpenSearch, page: str) -> None:
    """Averages of each, and of no other."""
    told = get(f"{page}/api/devices?device=7&device=8&from=now-1h").json()
    assert {row["device"] for row in told["rows"]} == {"7", "8"}
    query = {"terms": {"device_id": [7, 8]}}
    body = {"size": 0, "query": query, "aggs": {"most": {"max": {"field": "temp_celsius"}}}}
    with opensearch.admin_session() as session:
        direct = session.post(f"{opensearch.url}/served-1/_search", json=body).json()["aggregations"]
    assert max(row["value"] for row in told["rows"]) <= direct["most"]["value"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("fleet?sort=memory", "can't be sorted by"),
        ("fleet?after=rubbish", "cursor is damaged"),
        ("devices", "choose one device, or 2 to compare, by id"),
        ("devices?device=1&device=2&device=3", "choose one device, or 2 to compare, by id"),
        ("devices?device=oven", "choose one device, or 2 to compare, by id"),
        ("devices?device=1&from=yesterday", "is not a valid time"),
    ],
)
def test_questions_about_devices_that_make_no_sense_are_explained(page: str, path: str, words: str) -> None:
    """400, with what can be asked."""
    response = get(f"{page}/api/{path}")
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_delay_is_measured_on_a_real_index(opensearch: OpenSearch) -> None:
    """Documents made searchable after the first look count; those before it and other indices' do not."""
    create_reader_role(opensearch, "delayed-*")
    make_index(opensearch, "delayed-1", readings(50, end=datetime.now(UTC) - timedelta(hours=1), over=timedelta(1)))
    meter = DelayMeter(Reader(connect(opensearch)), "delayed-*", "timestamp")
    meter.look(time.time())
    meter.look(time.time())
    assert meter.delay() is None
    make_index(opensearch, "delayed-1", readings(100, end=datetime.now(UTC), over=timedelta(seconds=2)))
    make_index(opensearch, "delayed-2", readings(100, end=datetime.now(UTC), over=timedelta(seconds=2)))
    seen = time.time()
    meter.look(seen)
    delay = meter.delay()
    assert delay is not None
    assert 500 <= delay.p50_ms <= 20_000
    assert delay.p50_ms + 500 <= delay.p99_ms <= delay.p50_ms + 20_000
    meter.look(time.time())
    assert meter.delay() == delay
