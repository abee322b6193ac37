"""What the delivery worker itself costs, beside canned neighbours: processor time and memory, or a long outage.

    python -m benchmarks.worker [--records 200000] [--turns 3]
    python -m benchmarks.worker --outage 600 [--rate 300]

The first form takes records that are all there, of one shard, single and in KPL records of 50. The second takes the
domain away (nothing listens on its port) while records keep coming, and samples threads, memory, open files and the
log. JSON, and a picture of the outage, go to build/bench/.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks import figures
from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.paths import PROJECT
from tests.delivery import until
from tests.ports import free_port
from tests.samples import Sampler, draw

QUIET = 20  # seconds before and after an outage


@contextlib.contextmanager
def neighbours(port: int, records: int, *options: str) -> Iterator[None]:
    """Run `benchmarks.canned` inside a `with` block."""
    command = [sys.executable, "-m", "benchmarks.canned", str(port), str(records), *options]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
            if not process.stdout.readline():
                raise RuntimeError("the canned neighbours did not start")
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def worker(folder: Path, aws: int, domain: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the worker inside a `with` block, with its state and its log in `folder`."""
    command = [sys.executable, "-m", "iot_stream", "deliver", "--delivery-stream", "canned", "--own-credentials"]
    command += ["--endpoint-url", f"http://127.0.0.1:{aws}", "--region", "us-east-1", "--state", str(folder / "state")]
    command += ["--sign-in", "none", "--domain-url", f"http://127.0.0.1:{domain}"]
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "canned", "AWS_SECRET_ACCESS_KEY": "canned"}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def delivered(folder: Path) -> int:
    """Return how many documents the worker has delivered."""
    return read_status(folder / "state").delivered


def cost(records: int, *options: str) -> tuple[float, float]:
    """Return the worker's processor seconds from start to the last document, and its peak memory in MiB."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as name, neighbours(port, records, *options):
        folder = Path(name)
        with worker(folder, port, port) as process:
            until(lambda: delivered(folder) >= records or process.poll(), seconds=600, what="the last document")
            if process.poll():
                raise RuntimeError((folder / "worker.log").read_text(encoding="utf-8"))
            times = psutil.Process(process.pid).cpu_times()
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            return times.user + times.system, int(status.split("VmHWM:")[1].split()[0]) / 1024


def costs(records: int, turns: int) -> dict[str, Any]:
    """Return medians of several turns, without what the worker's start takes."""
    started = statistics.median(cost(1)[0] for _ in range(turns))
    result: dict[str, Any] = {"start_processor_s": round(started, 2)}
    for name, options in (("single", ()), ("kpl", ("--kpl",))):
        taken = [cost(records, *options) for _ in range(turns)]
        microseconds = [(seconds - started) / records * 1e6 for seconds, _ in taken]
        result[name] = {
            "microseconds_a_record": round(statistics.median(microseconds), 1),
            "peak_rss_mib": round(statistics.median(memory for _, memory in taken)),
        }
    return result


def outage(seconds: float, rate: float) -> dict[str, Any]:
    """Return what the worker used while the domain was away for so long."""
    records = int(rate * (seconds + 4 * QUIET))
    aws, domain = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="bench-worker-") as name,
        neighbours(aws, records, "--rate", str(rate)),
        contextlib.ExitStack() as there,
    ):
        folder = Path(name)
        there.enter_context(neighbours(domain, 1))
        with worker(folder, aws, domain) as process:
            began = time.monotonic()

            def backlog() -> int:
                return max(0, int(min(records, (time.monotonic() - began) * rate)) - delivered(folder))

            sampler = Sampler(
                {"worker": lambda: process.pid},
                {"worker": folder / "worker.log"},
                lambda: {"backlog": backlog()},
            )
            time.sleep(QUIET)
            there.close()
            time.sleep(seconds)
            back = time.monotonic()
            with neighbours(domain, 1):
                until(lambda: backlog() < 2 * rate, seconds=300, what="the backlog's end")
                caught_up = time.monotonic() - back
                time.sleep(QUIET)
            sampler.stop()
            failed = read_status(folder / "state").failed
        away = {"from": QUIET, "to": QUIET + seconds, "what": "no domain"}
        figures.FOLDER.mkdir(parents=True, exist_ok=True)
        draw(sampler.rows, [away], figures.FOLDER / "worker-outage.svg")
        return {
            "seconds": seconds,
            "rate": rate,
            "caught_up_s": round(caught_up, 1),
            "failed": failed,
        } | sampler.summary()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--outage", type=float, metavar="SECONDS")
    parser.add_argument("--rate", type=float, default=300, help="records a second, for --outage")
    arguments = parser.parse_args()
    if arguments.outage:
        name, result = "worker-outage", outage(arguments.outage, arguments.rate)
    else:
        name, result = "worker", costs(arguments.records, arguments.turns)
    figures.write(name, {"machine": figures.machine()} | result)


if __name__ == "__main__":
    main()
