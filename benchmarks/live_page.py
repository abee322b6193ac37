"""How fast the live page responds over many records, and whether its memory stays flat while it refreshes.

Starts its own OpenSearch, fills one index with seeded readings of the last 15 minutes, serves the page over it, has
many viewers ask as the page does, and opens it in headless Chromium. JSON goes to build/bench/live_page.json; README.md
says what the figures mean.

    python -m benchmarks.live_page [--records 1000000] [--viewers 20] [--minutes 10] [--requests 5000]
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import batched
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from playwright.sync_api import Page

from benchmarks import figures
from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.description import load as load_description
from iot_stream.live.app import Sources, create_app
from iot_stream.live.reader import Reader, connect
from iot_stream.live.server import configure
from iot_stream.live.vega import bundle
from iot_stream.local import opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import responds
from iot_stream.local.reader_role import create_reader_role
from tests.live_page import COUNTS, Failed, chromium, get, serving
from tests.polling import until
from tests.ports import free_port
from tests.readings import make_index, readings

INDEX = "bench-live"
REFRESH_MS = 1_000
PAGE_REFRESH_MS = 5_000  # of dashboard.json


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--responses", type=int, default=60, help="responses to time")
    parser.add_argument("--viewers", type=int, default=20, help="viewers at the same time, each refreshing every 5 s")
    parser.add_argument("--viewed", type=float, default=60, help="seconds that they look")
    parser.add_argument("--requests", type=int, default=0, help="requests, as fast as they go, to a server of its own")
    parser.add_argument("--minutes", type=float, default=10, help="minutes of refreshing, once a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = opensearch.prepare(Path(folder) / "opensearch", assemble(), free_port())
        process = server.start()
        try:
            result = measure(server, Path(folder), arguments)
        finally:
            process.stop()
    figures.write("live_page", {"machine": figures.machine()} | result)


def measure(server: OpenSearch, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill the index, time responses, refresh."""
    create_reader_role(server, f"{INDEX}*", alerts_index(INDEX))
    begun = time.monotonic()
    fill(server, arguments.records)
    filled = time.monotonic() - begun
    search = Counted(Reader(connect(server)))
    sources = Sources(search, lambda: COUNTS, Failed())
    with serving(load().for_index(INDEX), sources, bundle(folder / "vega")) as url:
        result = {
            "records": arguments.records,
            "filled_in_s": round(filled, 1),
            "response_s": percentiles(list(response_seconds(url, arguments.responses))),
        }
        if arguments.viewers:
            result["viewers"] = many(url, search, arguments.viewers, arguments.viewed)
        if arguments.minutes:
            result["refresh"] = refresh(url, arguments.minutes * 60)
    if arguments.requests:
        result["endurance"] = endurance(server, folder / "vega", arguments.requests)
    return result


def fill(server: OpenSearch, records: int) -> None:
    """Index readings of the last 14 minutes, and a row for each of their devices."""
    end = datetime.now(UTC)
    for batch in batched(readings(records, end=end, over=timedelta(minutes=14)), 10_000, strict=False):
        make_index(server, INDEX, batch)
    with server.admin_session() as session:  # and what the alerts function would have written of their devices
        url = f"{server.url}/{alerts_index(INDEX)}"
        made = session.put(url, json=alerts_template(load_description())["template"])
        fleet = {"last_seen": end.isoformat(timespec="milliseconds")[:23], "state": "ok", "severity": 0, "alerts": []}
        rows = [{"kind": "device", "device_id": device, "temp_celsius": 28, "fleet": fleet} for device in range(51)]
        bulk = "".join(f'{{"index":{{}}}}\n{json.dumps(row)}\n' for row in rows)
        put = session.post(f"{url}/_bulk?refresh=true", data=bulk, headers={"Content-Type": "application/x-ndjson"})
    if not made.ok or not put.ok or put.json()["errors"]:
        sys.exit(f"the alerts index was refused: {made.text[:200]} {put.text[:200]}")


def response_seconds(url: str, responses: int) -> Iterator[float]:
    """Return the time of each response to all queries over the last hour: every record is in it."""
    for number in range(responses + 3):
        begun = time.perf_counter()
        response = get(f"{url}/api/data?from=now-1h")
        if not response.ok:
            sys.exit(f"the page returned {response.status_code}: {response.json()['error']}")
        if number >= 3:  # the first ones warm up
            yield time.perf_counter() - begun


class Counted:
    """A search that counts how often all panels were asked for."""

    def __init__(self, search: Reader) -> None:
        self._search = search
        self.refreshes = 0

    def __call__(self, searches: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Search; a refresh of the panels is the only multi-search of more than two."""
        self.refreshes += len(searches) > 2
        return self._search(searches)


def many(url: str, search: Counted, viewers: int, seconds: float) -> dict[str, Any]:
    """Return how long viewers wait who look at the same time, and how often the domain was asked for them.

    Each asks what the page asks, as often: the panels, alerts and devices every five seconds, the strip every second.
    """
    asked_before, end = search.refreshes, time.monotonic() + seconds

    def view(number: int) -> list[float]:
        time.sleep(PAGE_REFRESH_MS / 1000 * number / viewers)  # people do not begin at the same moment
        times = []
        while time.monotonic() < end:
            begun = time.monotonic()
            for path in (f"data?from=now-1h&refresh={PAGE_REFRESH_MS}", "alerts", "fleet"):
                response = get(f"{url}/api/{path}")
                if not response.ok:
                    sys.exit(f"/api/{path} returned {response.status_code}")
                if path.startswith("data"):
                    times.append(time.monotonic() - begun)
            done = time.monotonic()
            while time.monotonic() < min(end, done + PAGE_REFRESH_MS / 1000):
                get(f"{url}/api/pipeline")
                time.sleep(1)
        return times

    with ThreadPoolExecutor(viewers) as pool:
        times = [each for found in pool.map(view, range(viewers)) for each in found]
    return {
        "viewers": viewers,
        "refreshes": len(times),
        "asked_of_the_domain": search.refreshes - asked_before,
        "response_s": percentiles(times),
    }


def endurance(server: OpenSearch, vega: Path, count: int) -> dict[str, Any]:
    """Return the memory of a server in a process of its own, which is asked as fast as eight viewers can.

    Each asks for all panels of a range that nobody else asks for, so that no response is shared, and for the rest.
    """
    process = get_context("spawn").Process(target=serve_until_killed, args=(server, vega, port := free_port()))
    process.start()
    url, rss = f"http://127.0.0.1:{port}", psutil.Process(process.pid).memory_info

    def ask(number: int) -> None:
        path = (
            ("alerts", "fleet", "pipeline", "failures")[number % 4] if number % 2 else f"data?from=now-{number + 60}s"
        )
        response = get(f"{url}/api/{path}")
        if not response.ok:
            sys.exit(f"/api/{path} returned {response.status_code}")

    try:
        until(lambda: responds(f"{url}/api/pipeline"), seconds=60, what="the server")
        begun, samples = time.monotonic(), [rss().rss]
        with ThreadPoolExecutor(8) as pool:
            for some in batched(range(count), max(1, count // 10), strict=False):
                list(pool.map(ask, some))
                samples.append(rss().rss)
        seconds = round(time.monotonic() - begun, 1)
    finally:
        process.terminate()
        process.join()
    return {"requests": count, "seconds": seconds, "server_rss_mb": [round(each / 1e6, 1) for each in samples]}


def serve_until_killed(server: OpenSearch, vega: Path, port: int) -> None:
    """Serve the page over the domain, and nothing else in this process."""
    sources = Sources(Reader(connect(server)), lambda: COUNTS, Failed())
    uvicorn.Server(configure(create_app(load().for_index(INDEX), sources, vega), port)).run()


def percentiles(times: list[float]) -> dict[str, float]:
    """Return the median, the 95th percentile and the longest of times in seconds."""
    times = sorted(times)
    return {
        "p50": round(statistics.median(times), 3),
        "p95": round(times[int(0.95 * (len(times) - 1))], 3),
        "max": round(times[-1], 3),
    }


def refresh(url: str, seconds: float) -> dict[str, Any]:
    """Return the memory of the page and of this process, sampled while the page refreshes every second."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{url}/?from=now-1h&refresh={REFRESH_MS}")
        page.locator("#state[data-state=live]").wait_for()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url) if "/api/data" in request.url else None)
        samples = []
        for _ in range(10):
            page.wait_for_timeout(seconds * 100)
            samples.append(sample(page))
        return {
            "minutes": round(seconds / 60, 1),
            "refreshes": len(requests),
            "page_heap_mb": [heap for heap, _, _ in samples],
            "page_nodes": [nodes for _, nodes, _ in samples],
            "server_rss_mb": [rss for _, _, rss in samples],
        }


def sample(page: Page) -> tuple[float, int, float]:
    """Return the page's heap in MB after garbage collection, its DOM nodes, and this process's memory in MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    gc.collect()
    rss = psutil.Process().memory_info().rss / 1e6
    return round(metrics["JSHeapUsedSize"] / 1e6, 1), int(metrics["Nodes"]), round(rss, 1)


if __name__ == "__main__":
    main()
