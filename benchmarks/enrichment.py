"""Time the enrichment function beside other ways to write it, and what its start, size and memory cost.

    python -m benchmarks.enrichment [--runs 3]

Each run is a process of its own, since where a process lies in memory changes its figures. They are in
build/bench/enrichment.json, median, lowest and highest of the runs, and printed as the tables of benchmarks/README.md,
which says what they mean and what they don't.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import iot_stream.description  # noqa: F401 - puts the function's folder on the path
from benchmarks import figures
from benchmarks.enrichment_size import MEMORY_SIZES, bill, measure_processes, measure_zip
from benchmarks.enrichment_times import MODULES, batch_sizes, measure_times
from iot_stream.paths import PROJECT

LIBRARIES = ("msgspec", "aws-lambda-powertools", "pydantic", "orjson", "awslambdaric")


def measure_once() -> dict[str, Any]:
    """Return the figures of one run."""
    sizes = batch_sizes()
    return measure_times(sizes) | measure_processes(sizes[-1])


def measure(runs: int) -> dict[str, Any]:
    """Return the figures of several runs, each in a process of its own."""
    machine = figures.machine()
    command = [sys.executable, "-m", "benchmarks.enrichment", "--once"]
    once = [
        json.loads(subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout) for _ in range(runs)
    ]
    together = combine(once)
    by_name = together["us_per_record"]["500"]
    return {
        "runs": runs,
        **together,
        "zip_bytes": measure_zip(),
        "cost_of_500": {
            name: {
                str(memory): bill(by_name[name]["median"] + by_name["runtime_json"]["median"], memory)
                for memory in MEMORY_SIZES
            }
            for name in MODULES
        },
        "machine": machine,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def combine(runs: list[Any]) -> dict[str, Any]:
    """Return objects of one form as one, with median, lowest and highest in place of each number."""
    if isinstance(runs[0], dict):
        return {key: combine([run[key] for run in runs]) for key in runs[0]}
    return {"median": round(statistics.median(runs), 3), "low": round(min(runs), 3), "high": round(max(runs), 3)}


def show(report: Mapping[str, Any]) -> None:
    """Print the tables of benchmarks/README.md: median, and the lowest and highest run."""
    sizes = list(report["us_per_record"])
    start = (("import, ms", report["import_ms"]), ("peak, MB", report["peak_memory_mb"]))
    columns = [(f"{size} a batch", report["us_per_record"][size]) for size in sizes]
    _table("µs a record", [*columns, *start], [*MODULES, "runtime_json"], "`{}`".format, 1)
    ratios = [(f"{size} a batch", report["ratios"][size]) for size in sizes]
    _table("ratio, same round", ratios, list(report["ratios"][sizes[0]]), str, 2)
    described = report["descriptions"]
    kinds = ("enrichment", "powertools_pydantic", "ratio")
    by_kind = [(kind, {name: described[name][kind] for name in described}) for kind in kinds]
    _table("500 a batch, by description", by_kind, list(described), str, 2)
    print("zip, bytes:", report["zip_bytes"])
    print("GB-s per million, 500 a batch, by MB of memory:")
    for name, by_memory in report["cost_of_500"].items():
        costs = (
            f"{size}: {cost['gb_seconds_per_million']} ({cost['batch_ms']} ms)" for size, cost in by_memory.items()
        )
        print(f"  {name:20}", ", ".join(costs))


def _table(
    title: str,
    columns: Sequence[tuple[str, Mapping[str, Any]]],
    rows: list[str],
    label: Callable[[str], str],
    digits: int,
) -> None:
    print(f"\n| {title} | {' | '.join(name for name, _ in columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for row in rows:
        cells = [_cell(column[row], digits) if row in column else "" for _, column in columns]
        print(f"| {label(row)} | {' | '.join(cells)} |")


def _cell(of_runs: Mapping[str, float], digits: int) -> str:
    median, low, high = (f"{of_runs[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low}\u2013{high})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="print the JSON of one run, and write nothing")
    arguments = parser.parse_args()
    if arguments.once:
        json.dump(measure_once(), sys.stdout)
    else:
        report = measure(arguments.runs)
        figures.write("enrichment", report)
        show(report)
