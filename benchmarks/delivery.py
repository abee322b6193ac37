"""How fast the delivery worker is, beside prepared bulk requests, opensearch-py's helper and Benthos.

    python benchmarks/delivery.py [--records 100000] [--rounds 3] [--memory 100000 1000000] [--benthos-batches 500 1000]

Every figure comes from real neighbours started here: OpenSearch with its security plugin, ministack with the
enrichment function. JSON goes to build/bench/delivery.json; benchmarks/README.md says what the figures mean.
"""

import argparse
import base64
import contextlib
import importlib.metadata
import io
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import batched, chain
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
FUNCTIONS = PROJECT / "functions" / "enrichment"
sys.path[:0] = [str(PROJECT), str(FUNCTIONS)]

import psutil  # noqa: E402 - the paths come first
import requests  # noqa: E402
from opensearchpy import OpenSearch as Client  # noqa: E402
from opensearchpy.helpers import bulk, scan  # noqa: E402

from benchmarks import benthos  # noqa: E402
from enrichment.handler import lambda_handler  # noqa: E402
from iot_stream.delivery.core.bulk import PATH as BULK_PATH  # noqa: E402
from iot_stream.delivery.core.state_machine import MAX_INDEXING, MAX_INVOCATIONS  # noqa: E402
from iot_stream.description import load  # noqa: E402
from iot_stream.generator.sources import Choice, open_readings  # noqa: E402
from iot_stream.local import opensearch as local_opensearch  # noqa: E402
from iot_stream.local.distribution import assemble  # noqa: E402
from iot_stream.local.ministack import Ministack  # noqa: E402
from iot_stream.local.opensearch import OpenSearch  # noqa: E402
from tests.delivery import World, until  # noqa: E402
from tests.kpl import UserRecord, aggregate  # noqa: E402
from tests.ports import free_port  # noqa: E402

SEED = 7
WARM_UP = 20_000
LATENCY_RATE, LATENCY_SECONDS = 100, 20
RATIOS = (
    ("delivery", "bulk_ceiling"),
    ("delivery", "benthos"),
    ("delivery_no_transform", "benthos_no_transform"),
    ("delivery_no_transform", "bulk_ceiling"),
)


def make_readings(count: int) -> Iterator[bytes]:
    """Return seeded device readings as the generator sends them."""
    readings = open_readings(Choice(), load(), seed=SEED, zone=UTC)
    start = int(datetime(2026, 11, 22, 10, 15, tzinfo=UTC).timestamp() * 1000)
    for times in batched(range(start, start + count), 500, strict=False):
        yield from (reading.data for reading in readings.take(times))


def aggregated(count: int) -> Iterator[bytes]:
    """Yield readings in KPL records of 50: ministack slows down with the number of its records."""
    for users in batched((UserRecord("key", reading) for reading in make_readings(count)), 50, strict=False):
        yield aggregate(list(users))


def event(readings: list[bytes]) -> dict[str, Any]:
    """Return what Firehose sends to the function."""
    arrived = 1_795_000_000_000
    records = [
        {"recordId": str(n), "approximateArrivalTimestamp": arrived, "data": base64.b64encode(reading).decode()}
        for n, reading in enumerate(readings)
    ]
    return {"invocationId": "i", "records": records}


def enrich(readings: list[bytes]) -> list[bytes]:
    """Return the documents that the enrichment function makes of readings: the same bytes for every candidate."""
    documents = []
    for start in range(0, len(readings), 1000):
        with contextlib.redirect_stdout(io.StringIO()):  # its log lines
            response: Any = lambda_handler(event(readings[start : start + 1000]), None)  # type: ignore[arg-type]
        documents += [base64.b64decode(record["data"]).rstrip(b"\n") for record in response["records"]]
    return documents


def package_function() -> bytes:
    """Return the enrichment function that `sam build` made (`make bench` runs it first), zipped as Lambda takes it."""
    built = PROJECT / ".aws-sam" / "build" / "EnrichmentFunction"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(built.rglob("*")):
            file.write(path, path.relative_to(built))
    if not file.filelist:
        sys.exit(f"{built} holds no function: run `make build` first")
    return archive.getvalue()


class Bench:
    """The neighbours, and one measurement a method."""

    def __init__(self, server: OpenSearch, aws: Ministack, folder: Path, pids: dict[str, int]) -> None:
        self.server = server
        self.aws = aws
        self.folder = folder
        self.pids = pids
        self.cpu: dict[str, float] = {}  # seconds of processor time in the last delivery, by process
        self.client = Client(
            [server.url],
            client_cert=str(server.admin_cert),
            client_key=str(server.admin_key),
            ca_certs=str(server.ca_file),
            timeout=120,
        )

    def count(self, index: str) -> int:
        """Return how many documents are searchable."""
        self.client.indices.refresh(index=index, params={"ignore_unavailable": "true"})
        response = self.client.count(index=index, params={"ignore_unavailable": "true"})
        return int(response["count"])

    def expect(self, index: str, count: int) -> None:
        """Fail unless every document is there, once: only then does a figure count."""
        if (found := self.count(index)) != count:
            raise RuntimeError(f"{found} documents in {index}, not {count}")

    def has_each(self, index: str, uuids: set[str]) -> bool:
        """Return whether a document of each of these uuids is there."""
        self.client.indices.refresh(index=index)
        hits = scan(self.client, index=index, size=10_000, _source=False, docvalue_fields=["uuid.keyword"])
        return uuids <= {hit["fields"]["uuid.keyword"][0] for hit in hits}

    def indexed(self, index: str) -> int:
        """Return how many documents the index took, searchable or not: asking costs OpenSearch next to nothing."""
        response = self.client.indices.stats(index=f"{index}*", metric="indexing")
        return int(response["_all"]["primaries"].get("indexing", {"index_total": 0})["index_total"])

    def ceiling(self, index: str, documents: list[bytes]) -> float:
        """Documents a second of bulk requests that are ready before the clock starts, as many at once as the worker's.

        From the first request to all of them searchable: what is left of the time is OpenSearch's own.
        """
        bodies = [
            b"".join(b'{"index":{}}\n' + document + b"\n" for document in chunk)
            for chunk in batched(documents, 1000, strict=False)
        ]
        url = f"{self.server.url}/{index}{BULK_PATH}"
        with self.server.admin_session() as session, ThreadPoolExecutor(MAX_INDEXING) as together:
            session.headers["Content-Type"] = "application/x-ndjson"
            began = time.monotonic()
            for response in together.map(lambda body: session.post(url, data=body, timeout=120), bodies):
                response.raise_for_status()
            self.expect(index, len(documents))
            return len(documents) / (time.monotonic() - began)

    def helper(self, index: str, documents: list[bytes]) -> float:
        """Documents a second of opensearch-py's bulk helper, one request after the other."""
        began = time.monotonic()
        # Strings, which the helper sends as they are: it would write parsed documents anew.
        bulk(self.client, (document.decode() for document in documents), index=index, chunk_size=1000)
        self.expect(index, len(documents))
        return len(documents) / (time.monotonic() - began)

    @contextlib.contextmanager
    def world(self, *, transform: bool) -> Iterator[World]:
        """Return a delivery stream without buffering, with the enrichment function or without any."""
        world = World(self.aws, self.server, self.folder)
        world.make(code="" if transform else None, timeout=60)
        if transform:
            client = self.aws.client("lambda")
            client.update_function_code(FunctionName=world.name, ZipFile=package_function())
            client.update_function_configuration(FunctionName=world.name, Handler="enrichment.handler.lambda_handler")
        try:
            yield world
        finally:
            world.close()

    def delivery(self, data: Iterator[bytes], count: int, *, transform: bool) -> tuple[float, float]:
        """Return records a second from the worker's start to read to all of them searchable, and its peak memory (MiB).

        The stream is filled before the worker starts, so that the producer does not share the cores with it, and
        the function is warm, as OpenSearch is.
        """
        with self.world(transform=transform) as world:
            _fill(world, data, warm=transform)
            worker = world.start()
            began = until(lambda: _began(world.log), what="the worker's start")
            pids = self.pids | {"worker": worker.pid}
            before = {name: _processor_seconds(pid) for name, pid in pids.items()}
            until(lambda: self.indexed(world.name) >= count, seconds=3600, what="everything")
            self.expect(world.name, count)
            took = time.time() - began
            self.cpu = {name: round(_processor_seconds(pid) - before[name], 1) for name, pid in pids.items()}
            return count / took, _peak_mib(worker.pid)

    def benthos(
        self, program: Path, data: list[bytes], sizes: benthos.Sizes, *, transform: bool
    ) -> tuple[float, float]:
        """Return the same two figures of Benthos, from when it says that it reads.

        It keeps its last incomplete batch, so the stream has as much again as one batch holds behind what is counted.
        """
        count = len(data)
        with self.world(transform=transform) as world:
            _fill(world, chain(data, data[: sizes.batch]), warm=transform)
            with benthos.running(program, world, sizes, transform=transform) as pid:
                began = time.monotonic()
                until(lambda: self.indexed(world.name) >= count, seconds=600, what="everything that Benthos read")
                self.count(world.name)  # makes them searchable, as for the worker
                took = time.monotonic() - began
                # Its last requests are in no order: some of what is behind may be there before what is counted.
                uuids = {json.loads(item)["uuid"] for item in data}
                until(lambda: self.has_each(world.name, uuids), seconds=60, what="every document, by its uuid")
                return count / took, _peak_mib(pid)

    def latency(self) -> dict[str, float]:
        """Milliseconds from PutRecords to searchable with buffers 0, at a steady rate: p50 and p99."""
        sent: dict[int, float] = {}
        seen: dict[int, float] = {}
        total = LATENCY_RATE * LATENCY_SECONDS
        with self.world(transform=True) as world, self.server.admin_session() as session:
            world.start()
            readings = list(make_readings(total + 1))
            world.put(readings[-1:])  # wakes the function, which is cold on AWS too
            until(lambda: self.count(world.name) == 1, seconds=60, what="the first document")
            numbered = {json.loads(reading)["uuid"]: n for n, reading in enumerate(readings)}
            sender = threading.Thread(target=_send_steadily, args=(world, readings[:-1], sent))
            sender.start()
            unseen = 0  # the first reading that no search found yet
            while unseen < total:
                time.sleep(0.02)  # or else the searches would be what is measured
                since = json.loads(readings[unseen])["device_ts"].replace(" ", "T")
                for name in _searchable(session, f"{self.server.url}/{world.name}/_search", since):
                    seen.setdefault(numbered[name], time.monotonic())
                while unseen in seen:
                    unseen += 1
            sender.join()
        waits = sorted((seen[n] - sent[n]) * 1000 for n in range(total))
        return {"p50": round(statistics.median(waits)), "p99": round(waits[int(total * 0.99)])}


def _fill(world: World, data: Iterator[bytes], *, warm: bool) -> None:
    """Put everything into the stream before anybody reads it, and have the function warm, as OpenSearch is."""
    for chunk in batched(data, 500, strict=False):
        world.put(list(chunk))
    if warm:
        _warm_up(world)


def _peak_mib(pid: int) -> float:
    """Return the high-water mark of a process's memory."""
    return int(Path(f"/proc/{pid}/status").read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 1024


def _warm_up(world: World) -> None:
    """Have as many processes of the function as the worker keeps busy: their start is ministack's work."""
    payload = json.dumps(event(list(make_readings(1000)))).encode()
    client = world.aws.client("lambda")
    with ThreadPoolExecutor(MAX_INVOCATIONS) as together:
        for response in together.map(lambda _: client.invoke(FunctionName=world.name, Payload=payload), range(20)):
            assert "FunctionError" not in response, response["Payload"].read()  # noqa: S101 - ends the benchmark


def _began(log: Path) -> float | None:
    """Return when the worker began to read, by its own log (epoch seconds); None while it has not."""
    line = next((line for line in log.read_text(encoding="utf-8").splitlines() if "delivering from" in line), None)
    return line and datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def _send_steadily(world: World, readings: list[bytes], sent: dict[int, float]) -> None:
    kinesis = world.aws.client("kinesis")
    began = time.monotonic()
    step = LATENCY_RATE // 10
    for start in range(0, len(readings), step):
        time.sleep(max(0.0, began + start / LATENCY_RATE - time.monotonic()))
        records = [{"Data": item, "PartitionKey": str(n)} for n, item in enumerate(readings[start : start + step])]
        sent |= dict.fromkeys(range(start, start + len(records)), time.monotonic())
        kinesis.put_records(StreamName=world.name, Records=records)


def _searchable(session: requests.Session, url: str, since: str) -> list[str]:
    """Return the uuids of the readings from `since` on that a search finds now; no refresh is asked for."""
    body = {
        "size": 10_000,
        "_source": False,
        "docvalue_fields": ["uuid.keyword"],
        "query": {"range": {"timestamp": {"gte": since}}},
    }
    hits = session.post(url, json=body).json()["hits"]["hits"]
    return [hit["fields"]["uuid.keyword"][0] for hit in hits]


def _processor_seconds(pid: int) -> float:
    """User and system time of a process and its children (ministack's are the functions)."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def _machine() -> dict[str, Any]:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu.partition(": ")[2], "cores": os.cpu_count(), "memory_gib": round(memory, 1)}


def _versions(client: Client) -> dict[str, str]:
    names = ("opensearch-py", "msgspec", "boto3", "requests")
    versions = {name: importlib.metadata.version(name) for name in names}
    return versions | {"python": platform.python_version(), "opensearch": client.info()["version"]["number"]}


def measure(records: int, rounds: int, memory: list[int], sizes: benthos.Sizes) -> dict[str, Any]:
    """Return all figures, of neighbours started for them; rates are medians of rounds in which each has its turn."""
    folder = Path(tempfile.mkdtemp(prefix="bench-delivery-"))
    server = local_opensearch.prepare(folder / "opensearch", assemble(), free_port())
    processes = {"opensearch": server.start()}
    try:
        (folder / "ministack").mkdir()
        aws = Ministack(folder / "ministack", free_port())
        processes["ministack_and_function"] = aws.start(
            domain_endpoint=f"127.0.0.1:{server.port}", ca_file=server.ca_file
        )
        bench = Bench(server, aws, folder, {name: process.pid for name, process in processes.items()})
        readings = list(make_readings(records))
        documents = enrich(readings)
        bench.ceiling("warm-up", documents[:WARM_UP])
        bench.delivery(make_readings(WARM_UP), WARM_UP, transform=True)
        turns: dict[str, Callable[[int], tuple[float, float | None]]] = {
            "bulk_ceiling": lambda turn: (bench.ceiling(f"ceiling-{turn}", documents), None),
            "bulk_helper": lambda turn: (bench.helper(f"helper-{turn}", documents), None),
            "delivery": lambda _: bench.delivery(iter(readings), records, transform=True),
            "delivery_no_transform": lambda _: bench.delivery(iter(documents), records, transform=False),
        }
        program = benthos.build()
        if program is not None:
            turns["benthos"] = lambda _: bench.benthos(program, readings, sizes, transform=True)
            turns["benthos_no_transform"] = lambda _: bench.benthos(program, documents, sizes, transform=False)
        rates: dict[str, list[float]] = {name: [] for name in turns}
        peaks: dict[str, float] = {}
        cpu: dict[str, float] = {}
        order = random.Random(SEED)
        for turn in range(rounds):
            for name in order.sample(list(turns), len(turns)):
                rate, peak = turns[name](turn)
                rates[name].append(rate)
                if peak is not None:
                    peaks[name] = max(peak, peaks.get(name, 0))
                cpu = bench.cpu if name == "delivery" else cpu
        result = {
            "bulk_ceiling_records_per_s": round(statistics.median(rates["bulk_ceiling"])),  # iot_stream.plan reads it
            **{f"{name}_records_per_s": round(statistics.median(each)) for name, each in rates.items()},
            "ratios": {
                f"{mine} / {peer}": _spread(rates[mine], rates[peer])
                for mine, peer in RATIOS
                if mine in rates and peer in rates
            },
            "rounds": {name: [round(each) for each in of] for name, of in rates.items()},
            "latency_ms": bench.latency(),
            "delivery_processor_seconds": cpu,
            "peak_rss_mib": {name: round(peak) for name, peak in peaks.items()},
            **({"benthos_batches": asdict(sizes)} if program else {}),
            "machine": _machine(),
            "versions": _versions(bench.client) | ({"benthos": benthos.VERSION} if program else {}),
        }
        for count in memory:
            _, peak = bench.delivery(aggregated(count), count, transform=True)
            result["peak_rss_mib"][str(count)] = round(peak)
        return result
    finally:
        for process in reversed(processes.values()):
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _spread(mine: list[float], peer: list[float]) -> dict[str, float]:
    """Return the median, lowest and highest ratio of two rates of the same round."""
    ratios = [a / b for a, b in zip(mine, peer, strict=True)]
    return {
        name: round(of(ratios), 2) for name, of in (("median", statistics.median), ("lowest", min), ("highest", max))
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--benthos-batches", type=int, nargs=2, default=[500, 1000], metavar=("FUNCTION", "INDEX"))
    arguments = parser.parse_args()
    sizes = benthos.Sizes(*arguments.benthos_batches)
    figures = json.dumps(measure(arguments.records, arguments.rounds, arguments.memory, sizes), indent=2)
    target = PROJECT / "build" / "bench" / "delivery.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(figures + "\n", encoding="utf-8")
    print(figures)
