"""Choose a domain's nodes: the cheapest instance type and number that the indices need, and dedicated masters."""

from dataclasses import dataclass
from typing import Final

from iot_stream.plan.needs import SHARDS_PER_HEAP_GIB, SMALL_BUFFER_MB, Index
from iot_stream.plan.whole import whole
from iot_stream.plan.workload import PlanError

__all__ = ["INSTANCE_TYPES", "MASTERS", "MASTER_TYPES", "InstanceType", "NodePrices", "Nodes", "choose_nodes"]

NODES_PER_DOMAIN: Final = 80  # "Amazon OpenSearch Service quotas"; more on request
SHARDS_PER_NODE: Final = 1000
LARGEST_HEAP_GIB: Final = 32  # the same page, "Java process quota"
SMALLEST_VOLUME_GIB: Final = 10
LARGE_BUFFER_MB: Final = 90  # "Network quotas": requests of 100 MiB, with what `_bulk` adds
# What every gp3 volume has (Amazon EBS user guide, "General Purpose SSD volumes"); larger ones may have more.
GP3_MIB_PER_S: Final = 125
GP3_IOPS: Final = 3000
NEXT_MIB_PER_S: Final = 250  # never set less than a larger volume has by itself
MIB_PER_S_OF_AN_IOPS: Final = 0.25  # the same page: the largest ratio
LARGEST_MIB_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A type of data node.

    Attributes:
        name: as Amazon OpenSearch Service writes it.
        vcpus: processors.
        sustained_vcpus: processors that it can use continuously (T3: 20 % of each, "Burstable performance instances").
        memory_gib: memory; half of it is heap, 32 GiB at most.
        volume_gib: largest gp3 volume ("EBS volume size quotas").
        nodes: most nodes in a domain.
        buffer_mb: largest DeliveryBufferSizeInMBs.
    """

    name: str
    vcpus: float
    sustained_vcpus: float
    memory_gib: float
    volume_gib: int
    nodes: int = NODES_PER_DOMAIN
    buffer_mb: int = LARGE_BUFFER_MB

    @property
    def heap_gib(self) -> float:
        """JVM heap of a node."""
        return min(self.memory_gib / 2, LARGEST_HEAP_GIB)


INSTANCE_TYPES: Final = (
    InstanceType("t3.small.search", 2, 0.4, 2, 100, 10, SMALL_BUFFER_MB),
    InstanceType("t3.medium.search", 2, 0.4, 4, 200, 10, SMALL_BUFFER_MB),
    InstanceType("m6g.large.search", 2, 2, 8, 1024, NODES_PER_DOMAIN, SMALL_BUFFER_MB),
    InstanceType("m6g.xlarge.search", 4, 4, 16, 2048),
    InstanceType("r6g.large.search", 2, 2, 16, 2048),
    InstanceType("r6g.xlarge.search", 4, 4, 32, 3072),
    InstanceType("r6g.2xlarge.search", 8, 8, 64, 6144),
    InstanceType("r6g.4xlarge.search", 16, 16, 128, 12_288),
    InstanceType("r6g.8xlarge.search", 32, 32, 256, 16_384),
    InstanceType("r6g.12xlarge.search", 48, 48, 384, 24_576),
)
NOT_FOR_PRODUCTION: Final = "t3.small.search"

MASTERS: Final = 3
MASTER_TYPES: Final = (
    (10, 10_000, "m6g.large.search"),
    (30, 30_000, "c6g.2xlarge.search"),
    (75, 40_000, "r6g.xlarge.search"),
    (125, 75_000, "r6g.2xlarge.search"),
)
"""Most data nodes and shards that dedicated masters of a type manage ("Dedicated master nodes in Amazon OpenSearch
Service", recommended minimum types)."""
WITHOUT_MASTERS: Final = (
    2  # data nodes: AWS recommends masters for all production domains, but here they cost more than the domain itself
)


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of one domain.

    Attributes:
        instance: type of the data nodes.
        count: of data nodes.
        volume_gib: size of each one's gp3 volume.
        volume_mib_per_s: its throughput; 0 for what gp3 has.
        volume_iops: its operations a second; 0 for what gp3 has.
        master: type of the three dedicated masters; empty without.
    """

    instance: InstanceType
    count: int
    volume_gib: int
    volume_mib_per_s: int = 0
    volume_iops: int = 0
    master: str = ""

    @property
    def heap_gib(self) -> float:
        """JVM heap of all nodes."""
        return self.count * self.instance.heap_gib


@dataclass(frozen=True, slots=True)
class NodePrices:
    """Prices of nodes: an hour of each type that may be used; a month of a GiB, of an additional MiB/s and IOPS."""

    hourly: dict[str, float]
    gib: float
    mib_per_s: float
    iops: float

    def month(self, nodes: Nodes) -> float:
        """Return what the nodes of a domain cost a month of 730 hours."""
        volume = nodes.volume_gib * self.gib
        if nodes.volume_mib_per_s:
            volume += (nodes.volume_mib_per_s - GP3_MIB_PER_S) * self.mib_per_s
        if nodes.volume_iops:
            volume += (nodes.volume_iops - GP3_IOPS) * self.iops
        masters = MASTERS * self.hourly[nodes.master] * 730 if nodes.master else 0.0
        return nodes.count * (self.hourly[nodes.instance.name] * 730 + volume) + masters


def choose_nodes(need: Index, replicas: int, prices: NodePrices, *, burstable: bool) -> Nodes:
    """Return the cheapest sufficient nodes; if no type is enough, more nodes than a domain may have.

    Args:
        need: of the indices.
        replicas: replicas of each shard; each needs another node.
        prices: of what may be used.
        burstable: whether t3.small.search may be used, and three nodes do without dedicated masters.

    Raises:
        PlanError: none may be used.
    """
    hourly = prices.hourly
    types = [each for each in INSTANCE_TYPES if each.name in hourly and (burstable or each.name != NOT_FOR_PRODUCTION)]
    if not types:
        raise PlanError(f"the price table has no type but {NOT_FOR_PRODUCTION}: add --small, or prices of others")
    options = [_nodes(need, replicas, each, hourly, masters=not burstable) for each in types]
    fitting = [option for option in options if option.count <= option.instance.nodes]
    if not fitting:
        return min(options, key=lambda option: option.count)
    return min(fitting, key=prices.month)


def _nodes(need: Index, replicas: int, instance: InstanceType, hourly: dict[str, float], *, masters: bool) -> Nodes:
    shards = min(SHARDS_PER_HEAP_GIB * instance.heap_gib, SHARDS_PER_NODE)
    count = max(
        1 + replicas,
        whole(need.storage_gib / instance.volume_gib),
        whole(need.vcpus / instance.vcpus),
        whole(need.sustained_vcpus / instance.sustained_vcpus),
        whole(need.shards / shards),
        whole(need.write_mib_per_s / LARGEST_MIB_PER_S),
    )
    written = need.write_mib_per_s / count
    mib_per_s = 0 if written <= GP3_MIB_PER_S else max(NEXT_MIB_PER_S, whole(written))
    iops = whole(mib_per_s / MIB_PER_S_OF_AN_IOPS)
    return Nodes(
        instance,
        count,
        max(SMALLEST_VOLUME_GIB, whole(need.storage_gib / count)),
        mib_per_s,
        iops if iops > GP3_IOPS else 0,
        _master(count, need.shards, hourly) if masters and count > WITHOUT_MASTERS else "",
    )


def _master(nodes: int, shards: int, hourly: dict[str, float]) -> str:
    """Return the first type with a price that manages this many nodes and shards, else the largest one, else none."""
    types = [(most, each) for *most, each in MASTER_TYPES if each in hourly]
    enough = (each for (most_nodes, most_shards), each in types if nodes <= most_nodes and shards <= most_shards)
    return next(enough, types[-1][1] if types else "")
