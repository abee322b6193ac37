"""How long the enrichment function takes beside other ways to write it, in one process, turn by turn."""

import gc
import importlib
import json
import logging
import os
import random
import statistics
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from awslambdaric.lambda_runtime_log_utils import JsonFormatter
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from benchmarks import descriptions
from tests.builders import ARRIVED_AT, device_reading, firehose_event, firehose_record, kinesis_metadata

__all__ = ["MODULES", "batch_sizes", "make_event", "measure_times"]

MODULES = {
    "seed": "tests.seed_function",
    "powertools_pydantic": "benchmarks.candidates.powertools_pydantic",
    "orjson": "benchmarks.candidates.orjson_function",
    "enrichment": "enrichment.handler",
    "base64_floor": "benchmarks.candidates.base64_floor",
}
_COMPARED = (
    ("seed", "enrichment"),
    ("powertools_pydantic", "enrichment"),
    ("orjson", "enrichment"),
    ("enrichment", "base64_floor"),
)
_ROUNDS = 25
_LARGEST_BATCH = 3_000_000  # bytes of readings: Firehose's largest transformation buffer
_LARGEST_REQUEST = 6_000_000  # bytes of an event as JSON: Lambda's limit of a request
_RECORDS_A_TURN = 5_000  # small batches are repeated until a turn has this many, to be longer than the clock's noise
_Handler = Callable[[dict[str, Any], object], dict[str, Any]]


def measure_times(sizes: list[int]) -> dict[str, Any]:
    """Return µs a record (medians of 25 rounds) and ratios of the same round by size of batch, and by description."""
    handlers = _load_handlers()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - no path, a device
        _check_responses(handlers)
        handlers["runtime_json"] = _runtime_json(handlers["enrichment"])
        rounds = {str(size): _time_batches(handlers, size) for size in sizes}
        by_description = _time_descriptions()
    return {
        "us_per_record": {
            size: {name: statistics.median(values) for name, values in by_name.items()}
            for size, by_name in rounds.items()
        },
        "ratios": {
            size: {f"{above} / {below}": _ratio(by_name[above], by_name[below]) for above, below in _COMPARED}
            for size, by_name in rounds.items()
        },
        "descriptions": by_description,
    }


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
    return [10, 500, int(min(_LARGEST_BATCH / reading, _LARGEST_REQUEST / request))]


def _check_responses(handlers: dict[str, _Handler]) -> None:
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


def _time_batches(handlers: dict[str, _Handler], records: int) -> dict[str, list[float]]:
    """Return each candidate's µs a record in every round; in a round all have their turn, in random order."""
    return _time_rounds(handlers, make_event(records), records)


def _time_rounds(handlers: dict[str, _Handler], event: dict[str, Any], records: int) -> dict[str, list[float]]:
    """Return what `_time_batches` does, for an event."""
    repeats = max(1, _RECORDS_A_TURN // records)
    order = list(handlers)
    chance = random.Random(records)
    taken: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(_ROUNDS):
        chance.shuffle(order)
        for name in order:
            handler = handlers[name]
            gc.collect()
            start = time.process_time()  # not the wall's: other processes' turns are not the candidate's
            for _ in range(repeats):
                handler(event, None)
            taken[name].append((time.process_time() - start) * 1e6 / (records * repeats))
    return taken


def _time_descriptions() -> dict[str, dict[str, float]]:
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
        taken = _time_rounds(handlers, event, 500)
        figures[name] = {label: statistics.median(values) for label, values in taken.items()} | {
            "ratio": _ratio(taken["powertools_pydantic"], taken["enrichment"])
        }
    return figures


def _runtime_json(handler: _Handler) -> _Handler:
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


def _ratio(numerator: list[float], denominator: list[float]) -> float:
    """Return the median over rounds of what was measured in the same round, so that noise hits both."""
    return statistics.median(map(lambda above, below: above / below, numerator, denominator))


def _load_handlers() -> dict[str, _Handler]:
    """Import every candidate, logging as on AWS but to nowhere."""
    os.environ["AWS_EXECUTION_ENV"] = "AWS_Lambda_python3.13"
    nowhere = logging.StreamHandler(open(os.devnull, "w"))  # noqa: PTH123, SIM115 - open as long as the process
    nowhere.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(nowhere)
    return {name: importlib.import_module(module).lambda_handler for name, module in MODULES.items()}
