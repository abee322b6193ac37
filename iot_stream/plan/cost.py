"""Compute the monthly cost: usage times the prices of a dated table, which another file can replace."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from iot_stream.plan.data_nodes import INSTANCE_TYPES, NodePrices, Nodes
from iot_stream.plan.needs import MONTH_SECONDS, Needs
from iot_stream.plan.workload import PlanError, StreamMode

__all__ = ["PRICES", "Prices", "Usage", "load_prices", "monthly_cost", "stream_cost"]

PRICES: Final = Path(__file__).with_name("prices.json")
HOURS: Final = MONTH_SECONDS / 3600
LOG_BYTES_PER_INVOCATION: Final = 1500  # Lambda's start and report lines as JSON, and the function's metrics line

type _Price = Annotated[float, msgspec.Meta(ge=0)]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """List prices of one region. Tiers are `[up to GB or null, price of a GB]`, in rising order."""

    region: str
    currency: str
    as_of: str
    kinesis_shard_hour: _Price
    kinesis_million_put_units: _Price
    kinesis_on_demand_stream_hour: _Price
    kinesis_on_demand_gb_in: _Price
    kinesis_on_demand_gb_out: _Price
    lambda_million_requests: _Price
    lambda_gb_second: _Price
    firehose_gb_tiers: list[tuple[_Price | None, _Price]]
    instance_hour: dict[str, _Price]
    gp3_gb_month: _Price
    s3_gb_month: _Price
    s3_thousand_puts: _Price
    logs_gb: _Price
    secret_month: _Price
    gp3_mib_per_s_month: _Price = 0.04  # beyond what gp3 has; EBS's own price
    gp3_iops_month: _Price = 0.005  # the same
    note: str = ""

    def of_nodes(self) -> NodePrices:
        """Return the prices of a domain's nodes."""
        return NodePrices(self.instance_hour, self.gp3_gb_month, self.gp3_mib_per_s_month, self.gp3_iops_month)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one stack uses in a month, and how many of them there are."""

    needs: Needs
    nodes: Nodes
    mode: StreamMode
    stacks: int


def load_prices(file: Path | None) -> Prices:
    """Return the prices of `file`, or those that the project ships.

    Raises:
        PlanError: the file can't be read, or is not such a table; says where.
    """
    path = file or PRICES
    try:
        prices = msgspec.json.decode(path.read_bytes(), type=Prices)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise PlanError(
            f"{path} is not a price table: {error}. Copy {PRICES.name} of iot_stream/plan and edit it"
        ) from None
    if not any(each.name in prices.instance_hour for each in INSTANCE_TYPES):
        known = ", ".join(each.name for each in INSTANCE_TYPES)
        raise PlanError(f"{path} has no price for an instance type that the planner knows: {known}")
    if not prices.firehose_gb_tiers or prices.firehose_gb_tiers[-1][0] is not None:
        raise PlanError(f"{path}: the last of firehose_gb_tiers must have null for its bound")
    return prices


def stream_cost(needs: Needs, mode: StreamMode, prices: Prices, stacks: int = 1) -> float:
    """Return what the stream costs a month ("Amazon Kinesis Data Streams pricing"); Firehose is its only reader."""
    ingest = needs.ingest
    if mode == "on-demand":
        per_gb = prices.kinesis_on_demand_gb_in + prices.kinesis_on_demand_gb_out
        return stacks * (prices.kinesis_on_demand_stream_hour * HOURS + ingest.billed_gb_month * per_gb)
    units = ingest.put_units_month / 1e6 * prices.kinesis_million_put_units
    return stacks * (ingest.shards * prices.kinesis_shard_hour * HOURS + units)


def monthly_cost(usage: Usage, prices: Prices) -> dict[str, float]:
    """Return the price of a month by service."""
    needs, nodes, stacks = usage.needs, usage.nodes, usage.stacks
    transform = needs.transform
    log_gb = transform.invocations_month * LOG_BYTES_PER_INVOCATION / 1024**3
    return {
        "Kinesis": stream_cost(needs, usage.mode, prices, stacks),
        "Lambda": stacks
        * (
            transform.invocations_month / 1e6 * prices.lambda_million_requests
            + transform.gb_seconds_month * prices.lambda_gb_second
        ),
        "Firehose": _tiered(stacks * needs.deliver.billed_gb_month, prices.firehose_gb_tiers),
        "OpenSearch": stacks * prices.of_nodes().month(nodes),
        "S3": stacks
        * (needs.backup_gib * prices.s3_gb_month + needs.backup_objects_month / 1000 * prices.s3_thousand_puts),
        "Logs": stacks * log_gb * prices.logs_gb,
        "Secrets Manager": stacks * prices.secret_month,
    }


def _tiered(amount: float, tiers: list[tuple[float | None, float]]) -> float:
    total, start = 0.0, 0.0
    for bound, price in tiers:
        end = amount if bound is None else min(amount, bound)
        total += max(0.0, end - start) * price
        start = max(start, end)
    return total
