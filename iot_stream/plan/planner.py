"""The plan of a fleet: how many stacks, what each needs, which parameters deploy it, and what a month costs."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from iot_stream.plan.cost import Prices, Usage, monthly_cost, stream_cost
from iot_stream.plan.data_nodes import Nodes, choose_nodes
from iot_stream.plan.limits import ON_DEMAND_BYTES, SHARDS_PER_INDEX, SHARDS_PER_STREAM, Limit, limits_crossed
from iot_stream.plan.needs import FUNCTION_MEMORY_GB, Needs, needs_of
from iot_stream.plan.workload import Measured, PlanError, StreamMode, Workload

__all__ = ["Plan", "make_plan"]

_MOST_STACKS: Final = 1_000_000
_ALARM_DELAY: Final = (600, 86_400)  # AlarmDelaySeconds: its default, its maximum


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fleet needs.

    Attributes:
        work: what was asked.
        measured: the figures it was calculated with.
        mode: of the stream.
        stacks: number of stacks, among which the devices are divided.
        whole: needs of all devices together.
        share: needs of one stack.
        nodes: of one stack's domain.
        parameters: of one stack, by their names in template.yaml.
        limits: the limits that the fleet exceeds.
        cost: of a month, of all stacks, by service.
    """

    work: Workload
    measured: Measured
    mode: StreamMode
    stacks: int
    whole: Needs
    share: Needs
    nodes: Nodes
    parameters: dict[str, str]
    limits: list[Limit]
    cost: dict[str, float]


def make_plan(work: Workload, prices: Prices, measured: Measured, mode: StreamMode | None = None) -> Plan:
    """Plan a fleet.

    Args:
        work: what it sends, and what is wanted.
        prices: of the region; also which instance types there are.
        measured: figures of the benchmarks.
        mode: of the stream; None takes the cheaper one.

    Raises:
        PlanError: even one stack per device would not be enough.
    """
    whole = needs_of(work, measured)
    mode = mode or min(("provisioned", "on-demand"), key=lambda each: stream_cost(whole, each, prices))

    def sized(stacks: int) -> tuple[Needs, Nodes]:
        share = work.share(stacks)
        index = needs_of(share, measured).index
        nodes = choose_nodes(index, work.replicas, prices.of_nodes(), burstable=work.burstable)
        return needs_of(share, measured, nodes.instance.buffer_mb), nodes

    stacks = 1 + bisect_left(range(1, _MOST_STACKS), True, key=lambda stacks: _fits(*sized(stacks), mode))
    if stacks == _MOST_STACKS:
        raise PlanError(
            "no number of stacks is enough: a single device sends, or keeps, more than a stack can take;"
            " send less often, or keep fewer days"
        )
    share, nodes = sized(stacks)
    return Plan(
        work,
        measured,
        mode,
        stacks,
        whole,
        share,
        nodes,
        _parameters(work, share, nodes, mode),
        limits_crossed(whole, mode, nodes, stacks, warm=work.warm),
        monthly_cost(Usage(share, nodes, mode, stacks), prices),
    )


def _fits(needs: Needs, nodes: Nodes, mode: StreamMode) -> bool:
    """Return whether one stack is enough: its stream, its indices and its domain."""
    ingest = needs.ingest
    stream = ingest.shards <= SHARDS_PER_STREAM if mode == "provisioned" else ingest.peak_bytes_per_s <= ON_DEMAND_BYTES
    return stream and needs.index.shards_per_index <= SHARDS_PER_INDEX and nodes.count <= nodes.instance.nodes


def _parameters(work: Workload, share: Needs, nodes: Nodes, mode: StreamMode) -> dict[str, str]:
    deliver, index = share.deliver, share.index
    low, high = _ALARM_DELAY
    parameters = {
        "ShardCount": share.ingest.shards if mode == "provisioned" else 0,
        "StreamWarmThroughputMiBps": share.ingest.warm_mib_per_s if mode == "on-demand" and work.warm else 0,
        "EnrichmentMemorySize": round(FUNCTION_MEMORY_GB * 1024),
        "TransformBufferIntervalInSeconds": deliver.transform_interval_s,
        "DeliveryBufferSizeInMBs": deliver.buffer_mb,
        "DeliveryBufferIntervalInSeconds": deliver.delivery_interval_s,
        "IndexRotationPeriod": index.rotation,
        "BackupMode": "AllDocuments" if work.backup_all else "FailedDocumentsOnly",
        "InstanceType": nodes.instance.name,
        "InstanceCount": nodes.count,
        "AvailabilityZones": _zones(nodes.count, work.replicas),
        "DedicatedMasters": str(bool(nodes.master)).lower(),
        **({"DedicatedMasterType": nodes.master} if nodes.master else {}),
        "VolumeSizeGiB": nodes.volume_gib,
        "VolumeIops": nodes.volume_iops,
        "VolumeThroughput": nodes.volume_mib_per_s,
        "NumberOfShards": index.shards_per_index,
        "NumberOfReplicas": work.replicas,
        "RetentionDays": index.retention_days,
        "AlarmDelaySeconds": min(high, max(low, 2 * work.buffer_seconds + low // 2)),
    }
    return {name: str(value) for name, value in parameters.items()}


def _zones(nodes: int, replicas: int) -> int:
    """Return the largest number of zones that divides the nodes evenly and gives each zone a copy."""
    return next(zones for zones in (3, 2, 1) if nodes % zones == 0 and zones <= replicas + 1)
