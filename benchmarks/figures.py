"""Where the benchmarks' figures go, and what they depend on."""

import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iot_stream.paths import PROJECT

__all__ = ["FOLDER", "machine", "write"]

FOLDER = PROJECT / "build" / "bench"


def machine() -> dict[str, Any]:
    """Return what every figure depends on: the machine, and how busy it is now."""
    cpus = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpus.read_text()) if cpus.exists() else None
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Print a benchmark's figures, and write them to build/bench/NAME.json."""
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
