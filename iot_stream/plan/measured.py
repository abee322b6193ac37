"""The figures of `make bench` (build/bench/enrichment.json, delivery.json) in place of the planner's own."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from iot_stream.plan.workload import Measured, PlanError

__all__ = ["load_measured"]

_MEMORY_MB = "256"  # MemorySize in template.yaml


def load_measured(files: Iterable[Path]) -> Measured:
    """Return the planner's figures with those of `files` in place of its own.

    Raises:
        PlanError: a file can't be read, or is not of `make bench`.
    """
    measured, sources = Measured(), []
    for file in files:
        try:
            figures = json.loads(file.read_bytes())
            if "cost_of_500" in figures:
                cost = figures["cost_of_500"]["enrichment"][_MEMORY_MB]["gb_seconds_per_million"]
                measured = replace(measured, gb_seconds_per_million=_positive(cost))
            else:
                per_core = figures["bulk_ceiling_records_per_s"] / figures["machine"]["cores"]
                measured = replace(measured, documents_per_s_per_vcpu=_positive(per_core))
        except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError, RecursionError) as error:
            raise PlanError(
                f"{file} has no figures that the planner knows ({type(error).__name__}: {error}):"
                " give build/bench/enrichment.json or build/bench/delivery.json, which `make bench` writes"
            ) from None
        sources.append(str(file))
    return replace(measured, source=", ".join(sources)) if sources else measured


def _positive(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{value} is not a positive number")
    return float(value)
