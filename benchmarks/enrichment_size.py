"""What start, package and memory of the enrichment function and of its candidates cost, and what Lambda bills."""

import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from benchmarks.enrichment_times import MODULES, make_event
from iot_stream.paths import PROJECT

__all__ = ["MEMORY_SIZES", "bill", "measure_processes", "measure_zip"]

_PACKAGES = {
    "powertools_pydantic": (
        "aws_lambda_powertools", "jmespath", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
        "typing_inspection",
    ),
    "orjson": ("orjson",),
    "enrichment": ("msgspec", "tzdata"),
}  # fmt: skip
"""What a candidate's zip would hold beside its own code."""
_PATHS = [PROJECT, PROJECT / "functions" / "enrichment"]
_ONE_VCPU = 1769  # MB of memory that come with one: AWS Lambda Developer Guide, "Configure Lambda function memory"
MEMORY_SIZES = (128, 256, 512, 1024, 1769, 3008)


def _run_python(code: str, folders: list[Path], *, request: str = "") -> subprocess.CompletedProcess[str]:
    """Run this interpreter with these folders on its path and no site-packages."""
    environment = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, input=request, env=environment, capture_output=True, text=True, check=True)


def _gather(packages: tuple[str, ...], folder: Path) -> Path:
    """Return a folder that holds these installed packages and no others, as a function's zip does."""
    folder.mkdir()
    installed = Path(msgspec.__file__).parents[1]
    for package in packages:
        found = next(path for path in (installed / package, installed / f"{package}.py") if path.exists())
        (folder / found.name).symlink_to(found)
    return folder


def _time_imports(module: str, folders: list[Path]) -> float:
    """Return the median ms of processor time that importing takes in a process which has Lambda's runtime client."""
    code = (
        "import awslambdaric.bootstrap, time\n"
        "start = time.process_time()\n"
        f"import {module}\n"
        "print(time.process_time() - start)\n"
    )
    return round(statistics.median(float(_run_python(code, folders).stdout) for _ in range(15)) * 1000, 1)


def _peak_memory(module: str, folders: list[Path], request: str) -> float:
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
    return round(int(_run_python(code, folders, request=request).stdout) / 1024, 1)


def measure_processes(records: int) -> dict[str, dict[str, float]]:
    """Return `import_ms` and `peak_memory_mb` of each candidate, alone in a process with what its zip would hold."""
    request = json.dumps(make_event(records))
    figures: dict[str, dict[str, float]] = {"import_ms": {}, "peak_memory_mb": {}}
    with tempfile.TemporaryDirectory() as scratch:
        runtime = _gather(("awslambdaric", "simplejson", "snapshot_restore_py"), Path(scratch) / "runtime")
        for name, module in MODULES.items():
            packages = _gather(_PACKAGES.get(name, ()), Path(scratch) / name)
            folders = [*_PATHS, packages, runtime]
            figures["import_ms"][name] = _time_imports(module, folders)
            figures["peak_memory_mb"][name] = _peak_memory(module, folders, request)
    return figures


def measure_zip() -> int | None:
    """Return the bytes of what `sam build` made of the function, zipped as `sam package` does; None if not built."""
    built = PROJECT / ".aws-sam" / "build" / "EnrichmentFunction"
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
    milliseconds = math.ceil(us_per_record * records / 1000 / min(1, memory / _ONE_VCPU))
    gb_seconds = milliseconds / 1000 * memory / 1024 * 1_000_000 / records
    return {"batch_ms": milliseconds, "gb_seconds_per_million": round(gb_seconds, 2)}
