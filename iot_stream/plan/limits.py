"""Find the AWS limits that a fleet exceeds, with what to do about each."""

from dataclasses import dataclass
from typing import Final

from iot_stream.plan.data_nodes import MASTER_TYPES, Nodes
from iot_stream.plan.needs import Needs
from iot_stream.plan.workload import StreamMode

__all__ = ["ON_DEMAND_BYTES", "SHARDS_PER_INDEX", "SHARDS_PER_STREAM", "Limit", "limits_crossed"]

SHARDS_PER_STREAM: Final = 500  # ShardCount in template.yaml
SHARDS_IN_A_REGION: Final = 1000  # the lowest default quota
ON_DEMAND_START: Final = 4e6
ON_DEMAND_BYTES: Final = 200e6  # in most regions; 10 GB/s in the three largest
ON_DEMAND_RECORDS: Final = 4000
CONCURRENCY: Final = 1000
OUTSTANDING_PER_SHARD: Final = 5
REQUEST_BYTES: Final = 6_000_000
SHARDS_PER_INDEX: Final = 1024
NEVER_LESS: Final = 0.9  # share of the request limit that is planned for, because readings differ in size


_GROW: Final = (
    "increase the load over hours (capacity at most doubles in 15 minutes), start with a provisioned stream, or, in an "
    "account with On-demand Advantage, set StreamWarmThroughputMiBps={} (--warm)"
)
_CAPACITY_MODE: Final = "Amazon Kinesis Data Streams: Choose the data stream capacity mode"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit with what is needed, what is allowed, what to do, and the source."""

    name: str
    needed: float
    allowed: float
    unit: str
    then: str
    source: str


def limits_crossed(whole: Needs, mode: StreamMode, nodes: Nodes, stacks: int, *, warm: bool) -> list[Limit]:
    """Return the limits that the fleet exceeds.

    Args:
        whole: the needs of the whole fleet.
        mode: the stream's capacity mode.
        nodes: the data nodes of one stack.
        stacks: number of stacks.
        warm: whether the account has On-demand Advantage.
    """
    ingest, transform, index = whole.ingest, whole.transform, whole.index
    found = [
        Limit(
            "shards per stream", ingest.shards, SHARDS_PER_STREAM, "shards",
            f"deploy {stacks} stacks and divide the devices among them: ShardCount has this maximum",
            "template.yaml",
        ) if mode == "provisioned" else None,
        Limit(
            "shards per region", ingest.shards, SHARDS_IN_A_REGION, "shards",
            "request a higher shard quota (the default is 20,000 in N. Virginia, Oregon and Ireland, 1,000 or "
            "6,000 elsewhere), or have gateways aggregate readings with the Kinesis Producer Library",
            "Amazon Kinesis Data Streams: Quotas and limits",
        ) if mode == "provisioned" else None,
        Limit(
            "initial throughput of an on-demand stream", ingest.peak_bytes_per_s, ON_DEMAND_START, "bytes/s",
            _GROW.format(ingest.warm_mib_per_s), _CAPACITY_MODE,
        ) if mode == "on-demand" and not warm else None,
        Limit(
            "initial record rate of an on-demand stream", ingest.peak_readings_per_s, ON_DEMAND_RECORDS, "records/s",
            _GROW.format(ingest.warm_mib_per_s), _CAPACITY_MODE,
        ) if mode == "on-demand" and not warm else None,
        Limit(
            "throughput of an on-demand stream", ingest.peak_bytes_per_s, ON_DEMAND_BYTES, "bytes/s",
            f"use N. Virginia, Oregon or Ireland (10 GB/s), request a higher quota, or deploy {stacks} stacks",
            "Amazon Kinesis Data Streams: Quotas and limits",
        ) if mode == "on-demand" else None,
        Limit(
            "concurrent invocations", transform.concurrency, CONCURRENCY, "invocations",
            "request a higher Lambda quota before you connect the fleet; a new account may have a much lower one",
            "AWS Lambda quotas",
        ),
        Limit(
            "outstanding invocations", transform.concurrency, OUTSTANDING_PER_SHARD * ingest.shards, "invocations",
            "give the stream more shards: Firehose runs at most five invocations per shard at a time",
            "Transform source data in Amazon Data Firehose",
        ),
        Limit(
            "size of a Lambda request", transform.request_bytes, NEVER_LESS * REQUEST_BYTES, "bytes",
            "put several values into one reading: many small readings make a request that is too large for Lambda",
            "AWS Lambda quotas",
        ),
        Limit(
            "primary shards per index", index.shards_per_index, SHARDS_PER_INDEX, "shards",
            f"rotate more often, deploy {stacks} stacks, or keep fewer days in the domain and read older data from S3",
            "OpenSearch: index.number_of_shards",
        ),
        Limit(
            "stacks", stacks, 1, "stacks",
            "one stream or one domain is too small: deploy the template several times under different names and divide "
            "the devices among the stacks; use cross-cluster search to search all domains",
            "Amazon OpenSearch Service quotas",
        ),
        Limit(
            "storage per domain", nodes.count * nodes.volume_gib, 1024**2, "GiB",
            "keep fewer days, or move old indices to UltraWarm or to OpenSearch Serverless",
            "Amazon OpenSearch Service quotas",
        ),
        Limit(
            "shards per cluster", index.shards / stacks, MASTER_TYPES[-1][1], "shards",
            "rotate less often, keep fewer days, or deploy more stacks: the largest dedicated masters manage no more",
            "Dedicated master nodes in Amazon OpenSearch Service",
        ),
        Limit(
            "delivery buffer for 10 s of data", ingest.peak_bytes_per_s * 10 / stacks,
            nodes.instance.buffer_mb * 1024**2, "bytes",
            "nothing, while the domain accepts the bulk requests: Firehose sends them more often than every 10 s",
            "Amazon Data Firehose API: AmazonopensearchserviceBufferingHints",
        ),
    ]  # fmt: skip
    return [limit for limit in found if limit and limit.needed > limit.allowed]
