"""Data nodes of a domain: the cheapest instance type and number that have all that the indices need."""

from dataclasses import dataclass
from typing import Final

from iot_stream.plan.needs import SHARDS_PER_HEAP_GIB, Index
from iot_stream.plan.whole import whole

__all__ = ["INSTANCE_TYPES", "InstanceType", "Nodes", "choose_nodes"]

NODES_PER_DOMAIN: Final = 80  # "Amazon OpenSearch Service quotas"; more on request
SHARDS_PER_NODE: Final = 1000
LARGEST_HEAP_GIB: Final = 32  # the same page, "Java process quota"
SMALLEST_VOLUME_GIB: Final = 10
LARGEST_VOLUME_GIB: Final = 3072  # VolumeSizeGiB in template.yaml


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A type of data node.

    Attributes:
        name: as Amazon OpenSearch Service writes it.
        vcpus: processors.
        sustained_vcpus: processors that it can use for ever (T3: 20 % of each, "Burstable performance instances").
        memory_gib: memory; half of it is heap, 32 GiB at most.
        volume_gib: largest gp3 volume ("EBS volume size quotas"), or the template's 3,072 GiB.
        nodes: most nodes in a domain.
    """

    name: str
    vcpus: float
    sustained_vcpus: float
    memory_gib: float
    volume_gib: int = LARGEST_VOLUME_GIB
    nodes: int = NODES_PER_DOMAIN

    @property
    def heap_gib(self) -> float:
        """JVM heap of a node."""
        return min(self.memory_gib / 2, LARGEST_HEAP_GIB)


INSTANCE_TYPES: Final = (
    InstanceType("t3.small.search", 2, 0.4, 2, 100, 10),
    InstanceType("t3.medium.search", 2, 0.4, 4, 200, 10),
    InstanceType("m6g.large.search", 2, 2, 8, 1024),
    InstanceType("m6g.xlarge.search", 4, 4, 16, 2048),
    InstanceType("r6g.large.search", 2, 2, 16, 2048),
    InstanceType("r6g.xlarge.search", 4, 4, 32),
    InstanceType("r6g.2xlarge.search", 8, 8, 64),
    InstanceType("r6g.4xlarge.search", 16, 16, 128),
    InstanceType("r6g.8xlarge.search", 32, 32, 256),
    InstanceType("r6g.12xlarge.search", 48, 48, 384),
)
NOT_FOR_PRODUCTION: Final = "t3.small.search"


@dataclass(frozen=True, slots=True)
class Nodes:
    """The data nodes of one domain."""

    instance: InstanceType
    count: int
    volume_gib: int

    @property
    def heap_gib(self) -> float:
        """JVM heap of all nodes."""
        return self.count * self.instance.heap_gib


def choose_nodes(need: Index, replicas: int, hourly: dict[str, float], gib_month: float, *, burstable: bool) -> Nodes:
    """Return the cheapest nodes with what is needed; with more than a domain may have where no type is enough.

    Args:
        need: of the indices.
        replicas: copies; each wants a node of its own.
        hourly: price of each instance type that may be used, an hour.
        gib_month: price of a GiB of storage, a month.
        burstable: whether t3.small.search may be used.
    """
    types = [each for each in INSTANCE_TYPES if each.name in hourly and (burstable or each.name != NOT_FOR_PRODUCTION)]
    options = [_nodes(need, replicas, each) for each in types]
    fitting = [option for option in options if option.count <= option.instance.nodes]
    if not fitting:
        return min(options, key=lambda option: option.count)
    return min(
        fitting,
        key=lambda option: option.count * (hourly[option.instance.name] * 730 + option.volume_gib * gib_month),
    )


def _nodes(need: Index, replicas: int, instance: InstanceType) -> Nodes:
    shards = min(SHARDS_PER_HEAP_GIB * instance.heap_gib, SHARDS_PER_NODE)
    count = max(
        1 + replicas,
        whole(need.storage_gib / instance.volume_gib),
        whole(need.vcpus / instance.vcpus),
        whole(need.sustained_vcpus / instance.sustained_vcpus),
        whole(need.shards / shards),
    )
    return Nodes(instance, count, max(SMALLEST_VOLUME_GIB, whole(need.storage_gib / count)))
