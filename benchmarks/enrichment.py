"""Time the enrichment function beside other ways to write it, and what its start, size and memory cost.

`make bench` runs it and prints a table; the figures are in build/bench/enrichment.json. What they mean and what
they don't is in benchmarks/README.md.
"""

import gc
import importlib
import io
import json
import logging
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from base64 import b64decode
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATHS = [ROOT, ROOT / "functions" / "enrichment"]
sys.path[:0] = map(str, PATHS)

import msgspec  # noqa: E402 - the paths come first
from awslambdaric.lambda_runtime_log_utils import JsonFormatter  # noqa: E402
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller  # noqa: E402

from benchmarks import descriptions  # noqa: E402
from tests.builders import ARRIVED_AT, device_reading, firehose_event, firehose_record, kinesis_metadata  # noqa: E402

MODULES = {
    "seed": "tests.seed_function",
    "powertools_pydantic": "benchmarks.candidates.powertools_pydantic",
    "orjson": "benchmarks.candidates.orjson_function",
    "enrichment": "enrichment.handler",
    "base64_floor": "benchmarks.candidates.base64_floor",
}
PACKAGES = {
    "powertools_pydantic": (
        "aws_lambda_powertools", "jmespath", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
        "typing_inspection",
    ),
    "orjson": ("orjson",),
    "enrichment": ("msgspec", "tzdata"),
}  # fmt: skip
"""What a candidate's zip would hold beside its own code."""
ROUNDS = 25
LARGEST_BATCH = 3_000_000  # bytes of readings: Firehose's largest transformation buffer
LARGEST_REQUEST = 6_000_000  # bytes of an event as JSON: Lambda's limit of a request
RECORDS_A_TURN = 5_000  # small batches are repeated until a turn has this many, to be longer than the clock's noise
ONE_VCPU = 1769  # MB of memory that come with one: AWS Lambda Developer Guide, "Configure Lambda function memory"
MEMORY_SIZES = (128, 256, 512, 1024, 1769, 3008)
Handler = Callable[[dict[str, Any], object], dict[str, Any]]


# ---- the batches -----------------------------------------------------------------------------------------------


def make_event(records: int, seed: int = 6) -> dict[str, Any]:
    """Return a Firehose event from a Kinesis source, with readings of the workshop's shape and weights.

    Devices send every 20 ms together; one temperature in five has a decimal, which the seed would cut.
    """
    chance = random.Random(seed)
    made = []
    for number in range(records):
        arrived_at = ARRIVED_AT + 20 * number
        celsius = chance.choices([32, 34, 28, 40], [0.3, 0.3, 0.2, 0.2])[0]
        reading = device_reading(
            uuid=f"{chance.getrandbits(128):032x}",
            device_ts=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(arrived_at // 1000)) + f".{arrived_at % 1000:03d}",
            device_id=chance.randint(0, 50),
            device_temp=celsius if chance.random() < 0.8 else round(celsius + chance.random(), 1),
            track_id=chance.randint(0, 30),
            activity_type=chance.choices(
                ["Running", "Working", "Walking", "Traveling", "Sitting"], [0.1, 0.2, 0.2, 0.3, 0.2]
            )[0],
        )
        metadata = kinesis_metadata(arrived_at, number)
        record_id = f"shardId-000000000000{metadata['sequenceNumber']}".ljust(160, "0")
        made.append(firehose_record(reading, record_id, arrived_at, kinesisRecordMetadata=metadata))
    return firehose_event(*made)


def batch_sizes() -> list[int]:
    """Return the numbers of records: 10, 500, and as many as one request can hold.

    That is 3 MB of readings, or 6 MB of request, whichever is less.
    """
    records = make_event(1000)["records"]
    reading = statistics.mean(len(b64decode(record["data"])) for record in records)
    request = statistics.mean(len(json.dumps(record)) for record in records)
    return [10, 500, int(min(LARGEST_BATCH / reading, LARGEST_REQUEST / request))]


def check_responses(handlers: dict[str, Handler]) -> None:
    """Stop if a candidate is fast because it does something else: all write the same documents."""
    event = make_event(500)
    for record in event["records"]:  # the seed knows whole temperatures only
        reading = json.loads(b64decode(record["data"]))
        record["data"] = firehose_record(reading | {"device_temp": int(reading["device_temp"])})["data"]
    responses = {}
    for name, handler in handlers.items():
        if name != "base64_floor":
            lines = [b64decode(result["data"]) for result in handler(event, None)["records"]]
            responses[name] = [{**json.loads(line), "ingested_at": ""} for line in lines]
    different = [name for name, response in responses.items() if response != responses["enrichment"]]
    if different:
        sys.exit(f"not comparable, other documents than enrichment's: {', '.join(different)}")


# ---- time ------------------------------------------------------------------------------------------------------


def time_batches(handlers: dict[str, Handler], records: int) -> dict[str, list[float]]:
    """Return each candidate's µs a record in every round; in a round all have their turn, in random order."""
    return time_rounds(handlers, make_event(records), records)


def time_rounds(handlers: dict[str, Handler], event: dict[str, Any], records: int) -> dict[str, list[float]]:
    """Return what `time_batches` does, for an event."""
    repeats = max(1, RECORDS_A_TURN // records)
    order = list(handlers)
    chance = random.Random(records)
    taken: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(ROUNDS):
        chance.shuffle(order)
        for name in order:
            handler = handlers[name]
            gc.collect()
            start = time.process_time()  # not the wall's: other processes' turns are not the candidate's
            for _ in range(repeats):
                handler(event, None)
            taken[name].append((time.process_time() - start) * 1e6 / (records * repeats))
    return taken


def time_descriptions() -> dict[str, dict[str, float]]:
    """Return powertools_pydantic's time by the function's, and both in µs a record, for each description: 500 a batch.

    Before anything is timed, both have to write the same documents, apart from fields that only the function keeps.
    """
    figures = {}
    for name, (_, _, candidate) in descriptions.DESCRIPTIONS.items():
        handlers = {
            "enrichment": descriptions.respond_by(name),
            "powertools_pydantic": getattr(importlib.import_module(MODULES["powertools_pydantic"]), candidate),
        }
        event = descriptions.make_event(name, 500)
        made = {
            label: [json.loads(b64decode(result["data"])) for result in handler(event, None)["records"]]
            for label, handler in handlers.items()
        }
        for document in made["enrichment"]:
            document.pop("unknown_fields", None)
        if made["enrichment"] != made["powertools_pydantic"]:
            sys.exit(f"not comparable, other documents than enrichment's for {name}: powertools_pydantic")
        taken = time_rounds(handlers, event, 500)
        figures[name] = {label: round(statistics.median(values), 2) for label, values in taken.items()} | {
            "ratio": ratio(taken["powertools_pydantic"], taken["enrichment"])
        }
    return figures


def runtime_json(handler: Handler) -> Handler:
    """Return what Lambda's runtime does around any handler: parse a request, write a response."""
    marshaller = LambdaMarshaller()
    responses: dict[int, tuple[bytes, dict[str, Any]]] = {}

    def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
        if id(event) not in responses:
            responses[id(event)] = (json.dumps(event).encode(), handler(event, context))
        request, response = responses[id(event)]
        marshaller.unmarshal_request(request)
        marshaller.marshal_response(response)
        return response

    return handle


def summarise(values: list[float]) -> dict[str, float]:
    """Return median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 3), "p25": round(low, 3), "p75": round(high, 3)}


def ratio(numerator: list[float], denominator: list[float]) -> float:
    """Return the median over rounds of what was measured in the same round, so that noise hits both."""
    return round(statistics.median(map(lambda above, below: above / below, numerator, denominator)), 2)


# ---- start, size, memory, cost ---------------------------------------------------------------------------------


def run_python(code: str, folders: list[Path], *, request: str = "") -> subprocess.CompletedProcess[str]:
    """Run this interpreter with these folders on its path and no site-packages."""
    environment = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, input=request, env=environment, capture_output=True, text=True, check=True)


def gather(packages: tuple[str, ...], folder: Path) -> Path:
    """Return a folder that holds these installed packages and no others, as a function's zip does."""
    folder.mkdir()
    installed = Path(msgspec.__file__).parents[1]
    for package in packages:
        found = next(path for path in (installed / package, installed / f"{package}.py") if path.exists())
        (folder / found.name).symlink_to(found)
    return folder


def time_imports(module: str, folders: list[Path]) -> float:
    """Return the median ms of processor time that importing takes in a process which has Lambda's runtime client."""
    code = (
        "import awslambdaric.bootstrap, time\n"
        "start = time.process_time()\n"
        f"import {module}\n"
        "print(time.process_time() - start)\n"
    )
    return round(statistics.median(float(run_python(code, folders).stdout) for _ in range(15)) * 1000, 1)


def peak_memory(module: str, folders: list[Path], request: str) -> float:
    """Return the MB that a process needs at most to take a request, run the handler and write the response.

    Linux's own figure: getrusage's begins with the memory of the process that started this one.
    """
    code = (
        "import os, re, sys\n"
        "from awslambdaric import bootstrap\n"
        "from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller\n"
        f"from {module} import lambda_handler\n"
        "request, sys.stdout = sys.stdin.read(), open(os.devnull, 'w')\n"
        "marshaller = LambdaMarshaller()\n"
        "marshaller.marshal_response(lambda_handler(marshaller.unmarshal_request(request), None))\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.__stdout__)\n"
    )
    return round(int(run_python(code, folders, request=request).stdout) / 1024, 1)


def measure_processes(records: int) -> dict[str, dict[str, float]]:
    """Return `import_ms` and `peak_memory_mb` of each candidate, alone in a process with what its zip would hold."""
    request = json.dumps(make_event(records))
    figures: dict[str, dict[str, float]] = {"import_ms": {}, "peak_memory_mb": {}}
    with tempfile.TemporaryDirectory() as scratch:
        runtime = gather(("awslambdaric", "simplejson", "snapshot_restore_py"), Path(scratch) / "runtime")
        for name, module in MODULES.items():
            packages = gather(PACKAGES.get(name, ()), Path(scratch) / name)
            folders = [*PATHS, packages, runtime]
            figures["import_ms"][name] = time_imports(module, folders)
            figures["peak_memory_mb"][name] = peak_memory(module, folders, request)
    return figures


def measure_zip() -> int | None:
    """Return the bytes of what `sam build` made of the function, zipped as `sam package` does; None if not built."""
    built = ROOT / ".aws-sam" / "build" / "EnrichmentFunction"
    if not built.is_dir():
        return None
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(built.rglob("*")):
            file.write(path, path.relative_to(built))
    return len(archive.getvalue())


def bill(us_per_record: float, memory: int, records: int = 500) -> dict[str, float]:
    """Return what Lambda would bill on this machine's processor, for batches of so many records.

    Below one vCPU the share of it grows with the memory, so that time by memory stays the same; above, a function
    with one thread pays for what it can't use. Every invocation is rounded up to a millisecond.
    """
    milliseconds = math.ceil(us_per_record * records / 1000 / min(1, memory / ONE_VCPU))
    gb_seconds = milliseconds / 1000 * memory / 1024 * 1_000_000 / records
    return {"batch_ms": milliseconds, "gb_seconds_per_million": round(gb_seconds, 2)}


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }


# ---- the report ------------------------------------------------------------------------------------------------


def load_handlers() -> dict[str, Handler]:
    """Import every candidate, logging as on AWS but to nowhere."""
    os.environ["AWS_EXECUTION_ENV"] = "AWS_Lambda_python3.13"
    nowhere = logging.StreamHandler(open(os.devnull, "w"))  # noqa: PTH123, SIM115 - open as long as the process
    nowhere.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(nowhere)
    return {name: importlib.import_module(module).lambda_handler for name, module in MODULES.items()}


def measure() -> dict[str, Any]:
    """Measure everything."""
    machine = describe_machine()
    handlers = load_handlers()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - no path, a device
        check_responses(handlers)
        sizes = batch_sizes()
        handlers["runtime_json"] = runtime_json(handlers["enrichment"])
        rounds = {size: time_batches(handlers, size) for size in sizes}
        by_description = time_descriptions()
    medians = {
        size: {name: statistics.median(values) for name, values in by_name.items()} for size, by_name in rounds.items()
    }
    return {
        "us_per_record": {
            str(size): {name: round(median, 3) for name, median in by_name.items()} for size, by_name in medians.items()
        },
        "spread": {
            str(size): {name: summarise(values) for name, values in by_name.items()} for size, by_name in rounds.items()
        },
        "ratios": {
            str(size): {
                "seed / enrichment": ratio(by_name["seed"], by_name["enrichment"]),
                "powertools_pydantic / enrichment": ratio(by_name["powertools_pydantic"], by_name["enrichment"]),
                "orjson / enrichment": ratio(by_name["orjson"], by_name["enrichment"]),
                "enrichment / base64_floor": ratio(by_name["enrichment"], by_name["base64_floor"]),
            }
            for size, by_name in rounds.items()
        },
        "descriptions": by_description,
        **measure_processes(sizes[-1]),
        "zip_bytes": measure_zip(),
        "cost_of_500": {
            name: {
                str(memory): bill(medians[500][name] + medians[500]["runtime_json"], memory) for memory in MEMORY_SIZES
            }
            for name in MODULES
        },
        "machine": machine,
        "versions": {
            "python": platform.python_version(),
            **{
                name: version(name)
                for name in ("msgspec", "aws-lambda-powertools", "pydantic", "orjson", "awslambdaric")
            },
        },
    }


def show(report: dict[str, Any]) -> None:
    """Print the figures that a person wants to see."""
    sizes = list(report["us_per_record"])
    print("µs a record, median (quartiles), in batches of", ", ".join(sizes))
    for name in [*MODULES, "runtime_json"]:
        columns = [report["spread"][size][name] for size in sizes]
        print(f"  {name:20}" + "".join(f"{c['median']:9.2f} ({c['p25']:.2f}-{c['p75']:.2f})" for c in columns))
    for label in report["ratios"][sizes[0]]:
        print(f"  {label:33}" + "".join(f"{report['ratios'][size][label]:9.2f}" for size in sizes))
    for name, figures in report["descriptions"].items():
        print(f"  powertools_pydantic / enrichment, {name:25}", figures["ratio"], figures)
    print("import, ms:         ", report["import_ms"])
    print("zip, bytes:         ", report["zip_bytes"])
    print("peak memory, MB:    ", report["peak_memory_mb"])
    print("GB-s per million, 500 a batch, by MB of memory:")
    for name, by_memory in report["cost_of_500"].items():
        costs = (
            f"{memory}: {cost['gb_seconds_per_million']} ({cost['batch_ms']} ms)" for memory, cost in by_memory.items()
        )
        print(f"  {name:20}", ", ".join(costs))


if __name__ == "__main__":
    report = measure()
    target = ROOT / "build" / "bench" / "enrichment.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    show(report)
    print(f"written to {target.relative_to(ROOT)}")
