"""How fast `iot-stream send` is, beside a bare boto3 loop that puts prepared bytes into the same stream.

    python -m benchmarks.generator [--records 20000] [--rounds 5]

Both put into the local AWS, in turns. JSON goes to build/bench/generator.json; benchmarks/README.md says what the
figures mean.
"""

import argparse
import contextlib
import importlib.metadata
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC
from itertools import batched
from pathlib import Path
from typing import Any

from benchmarks import figures
from iot_stream.description import load
from iot_stream.generator.job import CLIENT_CONFIG, send_readings
from iot_stream.generator.ledger import Ledger
from iot_stream.generator.rates import constant
from iot_stream.generator.series import Readings
from iot_stream.generator.sources import Choice, open_readings
from iot_stream.local.certificates import make_certificates
from iot_stream.local.ministack import Ministack
from tests.ports import free_port

SEED = 7
BATCH = 500  # records of one PutRecords
UNREACHABLE = 1e9  # records a second: as fast as it goes


def measure(records: int, rounds: int) -> dict[str, Any]:
    """Return all figures, of a local AWS started for them."""
    with tempfile.TemporaryDirectory(prefix="bench-generator-") as folder:
        certificates = make_certificates(Path(folder) / "certificates")
        aws = Ministack(Path(folder), free_port())
        process = aws.start(domain_endpoint="127.0.0.1:1", ca_file=certificates.ca)
        try:
            turns = [turn(aws, Path(folder) / str(number), records) for number in range(rounds + 1)][1:]
        finally:
            process.stop()
    return {
        "send_records_per_s": quartiles([bare_and_send[1] for bare_and_send in turns]),
        "bare_boto3_records_per_s": quartiles([bare_and_send[0] for bare_and_send in turns]),
        "ratio_to_bare_boto3": quartiles([send / bare for bare, send in turns], digits=3),
        "make_microseconds_per_record": quartiles([making(records) for _ in range(rounds)], digits=2),
        "records": records,
        "machine": figures.machine(),
        "boto3": importlib.metadata.version("boto3"),
    }


def turn(aws: Ministack, folder: Path, records: int) -> tuple[float, float]:
    """Return records a second of the bare loop and of the generator, each into a stream of its own."""
    kinesis = aws.client("kinesis")
    with stream(kinesis, "bare") as name:
        prepared = [
            [{"Data": reading.data, "PartitionKey": reading.key} for reading in batch]
            for batch in batched(open_default().take([now()] * records), BATCH, strict=False)
        ]
        begun = time.perf_counter()
        for batch in prepared:
            kinesis.put_records(StreamName=name, Records=batch)
        bare = records / (time.perf_counter() - begun)
    with stream(kinesis, "send") as name:
        ledger, sender = Ledger(folder), aws.client("kinesis", config=CLIENT_CONFIG)
        begun = time.perf_counter()
        sent = send_readings(sender, name, open_default(), due=constant(UNREACHABLE), count=records, ledger=ledger)
        seconds = time.perf_counter() - begun
        if not sent.records == ledger.sent == records:
            raise SystemExit(f"{records} were to be sent, {sent.records} were, and the ledger has {ledger.sent}")
    return bare, records / seconds


@contextlib.contextmanager
def stream(kinesis: Any, name: str) -> Iterator[str]:
    """Create a stream for one turn: ministack looks through all of a stream's records at each call."""
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    kinesis.delete_stream(StreamName=name)


def open_default() -> Readings:
    """Return the walkthrough's readings."""
    return open_readings(Choice(), load(), seed=SEED, zone=UTC)


def making(records: int) -> float:
    """Return microseconds to make a record, without sending it."""
    readings, times = open_default(), [now()] * BATCH
    begun = time.perf_counter()
    for _ in range(records // BATCH):
        readings.take(times)
    return (time.perf_counter() - begun) / (records // BATCH * BATCH) * 1e6


def now() -> int:
    """Return the time in milliseconds."""
    return int(time.time() * 1000)


def quartiles(values: list[float], digits: int | None = None) -> dict[str, float]:
    """Return median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, digits), "low": round(low, digits), "high": round(high, digits)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures.write("generator", measure(arguments.records, arguments.rounds))
