"""What large fleets cost the domain: one run of the alerts function, and the panels' exact lists of devices.

Starts its own OpenSearch and, for each number of devices and shards, fills an index with the readings of five minutes
and measures. JSON goes to build/bench/devices.json; README.md says what the figures mean.

    python -m benchmarks.devices [--devices 1000 20000 100000] [--shards 1 2 10] [--readings 2]
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks import figures
from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.context import Context, TimeRange, resolve
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.dashboards.index_template import index_template
from iot_stream.description import load as load_description
from iot_stream.local import opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.opensearch import OpenSearch
from iot_stream.paths import PROJECT
from tests.ports import free_port

sys.path.insert(0, str(PROJECT / "functions" / "device_alerts"))

from device_alerts.documents import iso, milliseconds
from device_alerts.progress import Progress
from device_alerts.rules import load as load_rules
from device_alerts.run import Run, RunSettings
from device_alerts.search import Domain
from tests.alerts_function import administrators_domain

LISTS = ("silent-devices", "devices-by-temperature")
ROUNDS = 5
BATCH = 20_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[1_000, 20_000, 100_000])
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 10])
    parser.add_argument("--readings", type=int, default=2, help="readings of each device in the five minutes")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        server = opensearch.prepare(Path(folder) / "opensearch", assemble(), free_port())
        process = server.start()
        try:
            for devices in arguments.devices:
                for shards in arguments.shards:
                    results.append(measure(server, process.pid, devices, shards, arguments.readings))
                    print(json.dumps(results[-1]), flush=True)
        finally:
            process.stop()
    figures.write("devices", {"machine": figures.machine(), "results": results})


def measure(server: OpenSearch, pid: int, devices: int, shards: int, readings: int) -> dict[str, Any]:
    """Return the times of the lists, and time and memory of the function's first and second run."""
    name = f"bench-{devices}-{shards}"
    now = time.time_ns() // 1_000_000
    with server.admin_session() as session:
        make_indices(server, session, name, shards)
        truth = Truth()
        fill(server, session, name, truth.of(documents(devices, readings, now)))
        lists = {panel: list_seconds(server, session, name, panel, truth) for panel in LISTS}
        domain = administrators_domain(server, session, name)
        first, second = (timed(pid, lambda number=number: run(domain, name, now + number)) for number in range(2))
        peak = peak_megabytes(domain, name, now + 2)
        session.delete(f"{server.url}/{name},{alerts_index(name)}")
    return {
        "devices": devices,
        "shards": shards,
        "list_s": lists,
        "run": {"first": first, "second": second},
        "run_peak_mb": peak,
    }


def make_indices(server: OpenSearch, session: requests.Session, name: str, shards: int) -> None:
    """Create the stream's index and that of its alerts."""
    reading = load_description()
    readings = index_template(reading)["template"] | {"settings": {"number_of_shards": shards, "number_of_replicas": 0}}
    for index, template in ((name, readings), (alerts_index(name), alerts_template(reading)["template"])):
        response = session.put(f"{server.url}/{index}", json=template)
        if not response.ok:
            sys.exit(response.text)


def documents(devices: int, readings: int, now: int) -> Iterator[dict[str, Any]]:
    """Yield readings of the last five minutes; one device of a thousand is too hot."""
    chance = random.Random(1)
    for turn in range(readings):
        for device in range(devices):
            text = iso(now - 300_000 + turn * 300_000 // readings + chance.randrange(100_000)).removesuffix("Z")
            celsius = round(45.0 + device / 1000, 2) if device % 1000 == 0 else round(chance.uniform(0, 35), 2)
            yield {"device_id": device, "temp_celsius": celsius, "timestamp": text, "ingested_at": text}


def fill(server: OpenSearch, session: requests.Session, index: str, found: Iterator[Mapping[str, Any]]) -> None:
    """Index documents, and make them searchable."""
    for batch in batched(found, BATCH, strict=False):
        body = "".join(f'{{"index":{{}}}}\n{json.dumps(each)}\n' for each in batch)
        headers = {"Content-Type": "application/x-ndjson"}
        response = session.post(f"{server.url}/{index}/_bulk", data=body, headers=headers)
        if not response.ok or response.json()["errors"]:
            sys.exit(response.text[:1000])
    session.post(f"{server.url}/{index}/_refresh")


class Truth:
    """What each panel's list must be, computed from all documents by brute force."""

    def __init__(self) -> None:
        self._latest: dict[int, str] = {}
        self._values: dict[int, list[float]] = {}

    def of(self, found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass documents on, and take note of them."""
        for each in found:
            device = each["device_id"]
            self._latest[device] = max(self._latest.get(device, ""), each["ingested_at"])
            self._values.setdefault(device, []).append(each["temp_celsius"])
            yield each

    def list(self, panel: str) -> list[float]:
        """Return the ten figures that a panel must show, in its order: epoch milliseconds, or averages."""
        if panel == "silent-devices":
            return sorted(milliseconds(f"{each}Z") for each in self._latest.values())[:10]
        return sorted((statistics.mean(each) for each in self._values.values()), reverse=True)[:10]


def differs(found: float, expected: float) -> bool:
    """Return whether a figure is wrong by more than floating-point numbers are."""
    return abs(found - expected) > 1e-6


def list_seconds(server: OpenSearch, session: requests.Session, index: str, panel: str, truth: Truth) -> float:
    """Return the median time of a panel's own query, its cache off; end where its list is not the true one."""
    shown = load().for_index(index)
    [query] = [each.query for each in shown.panels if each.name == panel]
    times = []
    for _ in range(ROUNDS):
        body = resolve(query, Context(TimeRange.parse("now-15m", "now", datetime.now(UTC))))
        begun = time.perf_counter()
        response = session.post(f"{server.url}/{query.index}/_search?request_cache=false", json=body)
        times.append(time.perf_counter() - begun)
        if not response.ok:
            sys.exit(response.text[:1000])
        found = response.json()["aggregations"]
        buckets = (found["day"] if panel == "silent-devices" else found)["devices"]["buckets"]
        name = "latest" if panel == "silent-devices" else "average"
        figures, expected = [bucket[name]["value"] for bucket in buckets], truth.list(panel)
        if len(figures) != len(expected) or any(map(differs, figures, expected)):
            sys.exit(f"{panel}: the list is not the true one")
    return round(statistics.median(times), 3)


def run(domain: Domain, name: str, now: int) -> None:
    """Run once; its message goes nowhere."""
    settings = RunSettings(name, grace=120_000, late_after=600_000)
    Run(load_rules(), settings, domain, lambda _: None, lambda _: Progress(), clock=lambda: now, lease=1).go()


def timed(pid: int, work: Callable[[], None]) -> dict[str, float]:
    """Return the seconds that something took, and the processor seconds of this process and of OpenSearch.

    A run asks one thing after the other: the two together are about its time on a machine that does nothing else.
    """
    opensearch_process = psutil.Process(pid)

    def used() -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), sum(opensearch_process.cpu_times()[:2])

    before = used()
    work()
    names = ("seconds", "function_cpu_s", "opensearch_cpu_s")
    return {name: round(end - begun, 1) for name, end, begun in zip(names, used(), before, strict=True)}


def peak_megabytes(domain: Domain, name: str, now: int) -> float:
    """Return the most memory that one run holds at a time."""
    tracemalloc.start()
    run(domain, name, now)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1e6, 1)


if __name__ == "__main__":
    main()
