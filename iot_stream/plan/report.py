"""Print the plan as a table or as JSON; each figure has its unit and the source of its formula."""

from dataclasses import asdict
from typing import Any, Final, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

from iot_stream.plan.cost import Prices
from iot_stream.plan.data_nodes import MASTERS
from iot_stream.plan.needs import MONTH_SECONDS
from iot_stream.plan.planner import Plan

__all__ = ["Figure", "as_json", "as_table", "deploy_command", "figures"]

_STREAM: Final = "Amazon Kinesis Data Streams: Quotas and limits"
_STREAM_PRICE: Final = "Amazon Kinesis Data Streams pricing"
_LAMBDA: Final = "Transform source data in Amazon Data Firehose"
_LAMBDA_PRICE: Final = "AWS Lambda Pricing"
_HINTS: Final = "Amazon Data Firehose API: AmazonopensearchserviceBufferingHints"
_STORAGE: Final = "Amazon OpenSearch Service: Calculating storage requirements"
_SHARDS: Final = "Amazon OpenSearch Service: Choosing the number of shards"
_NODES: Final = "Amazon OpenSearch Service quotas"


_WARM: Final = "Amazon Kinesis Data Streams API: UpdateStreamWarmThroughput"
_WRITES: Final = "documents x copies x 4 (assumed)"
_GP3: Final = "Amazon EBS: General Purpose SSD volumes"
_MASTERS: Final = "Amazon OpenSearch Service: Dedicated master nodes"


class Figure(NamedTuple):
    """A line of the plan: a step of the data flow, its figure with a unit, and the source of the formula."""

    step: str
    name: str
    value: float | str
    unit: str
    source: str


def figures(plan: Plan) -> list[Figure]:
    """Return the figures of the whole fleet in the order of the data flow, and those of one stack's nodes."""
    ingest, transform, deliver, index = plan.whole.ingest, plan.whole.transform, plan.whole.deliver, plan.whole.index
    nodes, measured, throughput = plan.nodes, plan.measured.source, plan.nodes.volume_mib_per_s
    each = "" if plan.stacks == 1 else f" (each of {plan.stacks:,} stacks)"
    return [
        Figure("Ingest", "readings on average", ingest.readings_per_s, "/s", "devices / seconds"),
        Figure("Ingest", "readings at the peak", ingest.peak_readings_per_s, "/s", "average x --peak"),
        Figure("Ingest", "bytes at the peak, with keys", ingest.peak_bytes_per_s / 1e6, "MB/s", _STREAM),
        Figure("Ingest", "mode", plan.mode, "", _STREAM_PRICE),
        Figure("Ingest", "shards, if provisioned", ingest.shards, "", f"{_STREAM}, x 0.9"),
        Figure("Ingest", "warm throughput, if on demand", ingest.warm_mib_per_s, "MiB/s", _WARM),
        Figure("Ingest", "billed on demand, in 1 KB per record", ingest.billed_gb_month, "GB/month", _STREAM_PRICE),
        Figure("Transform", "invocations", transform.invocations_month, "/month", _LAMBDA),
        Figure("Transform", "readings per invocation at the peak", transform.batch_readings, "", _LAMBDA),
        Figure("Transform", "duration of an invocation", transform.batch_s * 1000, "ms", measured),
        Figure("Transform", "concurrent at the peak", transform.concurrency, "", "rate x duration"),
        Figure("Transform", "GB-seconds", transform.gb_seconds_month, "/month", f"{_LAMBDA_PRICE}; {measured}"),
        Figure("Deliver", "readings, unrounded", _gigabytes(plan), "GB/month", "rate x size"),
        Figure(
            "Deliver", "billed, in 5 KB per record", deliver.billed_gb_month, "GB/month", "Amazon Data Firehose pricing"
        ),
        Figure("Deliver", "buffer of a bulk request", plan.share.deliver.buffer_mb, "MB", _HINTS),
        Figure("Deliver", "buffer intervals", deliver.transform_interval_s + deliver.delivery_interval_s, "s", _HINTS),
        Figure("Deliver", "expected delay", plan.share.deliver.typical_delay_s, "s", "half of each buffer time"),
        Figure("Deliver", "longest delay", plan.share.deliver.longest_delay_s, "s", "all buffer times, no retries"),
        Figure("Index", "documents", index.source_gib_day, "GiB/day", _STORAGE),
        Figure("Index", "storage", index.storage_gib, "GiB", _STORAGE),
        Figure("Index", "rotation", index.rotation, "", "about 30 indices at most"),
        Figure("Index", "indices", index.indices, "", "(days kept + period) / period"),
        Figure("Index", "primary shards per index", index.shards_per_index, "", _SHARDS),
        Figure("Index", "total shards", index.shards, "", _SHARDS),
        Figure("Index", "JVM heap for the shards", index.heap_gib, "GiB", _SHARDS),
        Figure("Index", "vCPUs for active shards", index.vcpus, "", _SHARDS),
        Figure("Index", "vCPUs for documents", index.sustained_vcpus, "", measured),
        Figure("Index", f"nodes{each}", f"{nodes.count} x {nodes.instance.name}", "", _NODES),
        Figure("Index", f"volume per node{each}", nodes.volume_gib, "GiB", _STORAGE),
        Figure("Index", f"JVM heap{each}", nodes.heap_gib, "GiB", _NODES),
        Figure("Index", f"writes per volume{each}", plan.share.index.write_mib_per_s / nodes.count, "MiB/s", _WRITES),
        Figure("Index", f"gp3 throughput{each}", throughput or "default", "MiB/s" if throughput else "", _GP3),
        Figure("Index", f"gp3 IOPS{each}", nodes.volume_iops or "default", "", _GP3),
        Figure(
            "Index", f"dedicated masters{each}", f"{MASTERS} x {nodes.master}" if nodes.master else "none", "", _MASTERS
        ),
        Figure("Backup", "kept in S3", plan.whole.backup_gib, "GiB", "failed (base64), or all records"),
        Figure("Backup", "objects written", plan.whole.backup_objects_month, "/month", "at most one per buffer"),
    ]


def _gigabytes(plan: Plan) -> float:
    return plan.work.readings_per_s * MONTH_SECONDS * plan.work.reading_bytes / 1024**3


def deploy_command(plan: Plan) -> str:
    """Return the command that deploys each planned stack."""
    return "sam build && sam deploy --parameter-overrides " + " ".join(
        f"{name}={value}" for name, value in plan.parameters.items()
    )


def as_json(plan: Plan, prices: Prices) -> dict[str, Any]:
    """Return everything as one JSON object."""
    return {
        "workload": asdict(plan.work),
        "measured": asdict(plan.measured),
        "stacks": plan.stacks,
        "mode": plan.mode,
        "needs": asdict(plan.whole),
        "stack_needs": asdict(plan.share),
        "nodes": {
            "instance_type": plan.nodes.instance.name,
            "count": plan.nodes.count,
            "volume_gib": plan.nodes.volume_gib,
            "volume_mib_per_s": plan.nodes.volume_mib_per_s,
            "volume_iops": plan.nodes.volume_iops,
            "heap_gib": plan.nodes.heap_gib,
            "masters": MASTERS if plan.nodes.master else 0,
            "master_type": plan.nodes.master,
        },
        "figures": [figure._asdict() for figure in figures(plan)],
        "limits": [asdict(limit) for limit in plan.limits],
        "parameters": plan.parameters,
        "cost_month": {"region": prices.region, "currency": prices.currency, "as_of": prices.as_of}
        | {"services": plan.cost, "total": sum(plan.cost.values()), "note": prices.note},
    }


def as_table(plan: Plan, prices: Prices, *, sources: bool) -> Group:
    """Return tables of the needs (with the sources of their formulas if `sources`), the limits and the cost."""
    work = plan.work
    fleet = f"{work.devices:,} devices, a reading of {work.reading_bytes:,} bytes every {work.every_s:g} s"
    needs = Table(title=f"{fleet}, kept {work.keep_days:,} days")
    for column in ("step", "needs"):
        needs.add_column(column)
    needs.add_column("", justify="right")
    needs.add_column("unit")
    if sources:
        needs.add_column("source", style="dim")
    previous = ""
    for figure in figures(plan):
        step = "" if figure.step == previous else figure.step
        row = (step, figure.name, _number(figure.value), figure.unit, figure.source)
        needs.add_row(*row[: 5 if sources else 4])
        previous = figure.step
    cost = Table(title=f"Cost per month in {prices.region} ({prices.currency}, list prices of {prices.as_of})")
    cost.add_column("service")
    cost.add_column("cost", justify="right")
    for service, amount in plan.cost.items():
        cost.add_row(service, f"{amount:,.2f}")
    cost.add_section()
    cost.add_row("total", f"{sum(plan.cost.values()):,.2f}")
    parts: list[Any] = [needs]
    if plan.limits:
        limits = Table(title="Limits that this fleet exceeds", show_lines=True)
        for column in ("limit", "needed", "allowed", "what to do"):
            limits.add_column(column)
        for limit in plan.limits:
            then = Text.assemble(limit.then, (f" ({limit.source})", "dim"))
            limits.add_row(limit.name, f"{_number(limit.needed)} {limit.unit}", _number(limit.allowed), then)
        parts.append(limits)
    often = "it" if plan.stacks == 1 else f"each of {plan.stacks:,} stacks"
    production = (
        'For production, put the values into samconfig.toml instead (docs/operations.md, "Size it for your fleet").'
    )
    return Group(*parts, cost, Text(prices.note, style="dim"), Text(f"\n{production}\nDeploy {often} with"))


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value >= 1000:  # noqa: PLR2004 - from here on decimals say nothing
        return f"{value:,.0f}"
    return f"{value:,.3g}"
