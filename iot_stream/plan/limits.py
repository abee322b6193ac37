"""The limits of AWS that a fleet crosses, and what to do then."""

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
NEVER_LESS: Final = 0.9  # of a request's limit: readings differ in size


_GROW: Final = (
    "raise the load over hours (it doubles within 15 minutes at most), start it provisioned, or, in an account with "
    "On-demand Advantage, ask for StreamWarmThroughputMiBps={} (--warm)"
)
_CAPACITY_MODE: Final = "Amazon Kinesis Data Streams: Choose the data stream capacity mode"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: what is needed, what is allowed, by which page, and what to do."""

    name: str
    needed: float
    allowed: float
    unit: str
    then: str
    source: str


def limits_crossed(whole: Needs, mode: StreamMode, nodes: Nodes, stacks: int, *, warm: bool) -> list[Limit]:
    """Return what the whole fleet crosses; `nodes` are those of one of the stacks, `warm` as the workload has it."""
    ingest, transform, index = whole.ingest, whole.transform, whole.index
    found = [
        Limit(
            "shards of a stream", ingest.shards, SHARDS_PER_STREAM, "shards",
            f"send through {stacks} stacks: ShardCount goes no further",
            "template.yaml",
        ) if mode == "provisioned" else None,
        Limit(
            "shards in a region", ingest.shards, SHARDS_IN_A_REGION, "shards",
            "ask for a higher shard quota (20,000 by default in N. Virginia, Oregon and Ireland, 1,000 or 6,000 "
            "elsewhere), or have gateways aggregate readings with the Kinesis Producer Library",
            "Amazon Kinesis Data Streams: Quotas and limits",
        ) if mode == "provisioned" else None,
        Limit(
            "start of an on-demand stream", ingest.peak_bytes_per_s, ON_DEMAND_START, "bytes/s",
            _GROW.format(ingest.warm_mib_per_s), _CAPACITY_MODE,
        ) if mode == "on-demand" and not warm else None,
        Limit(
            "records at the start of an on-demand stream", ingest.peak_readings_per_s, ON_DEMAND_RECORDS, "records/s",
            _GROW.format(ingest.warm_mib_per_s), _CAPACITY_MODE,
        ) if mode == "on-demand" and not warm else None,
        Limit(
            "throughput of an on-demand stream", ingest.peak_bytes_per_s, ON_DEMAND_BYTES, "bytes/s",
            f"use N. Virginia, Oregon or Ireland (10 GB/s), ask support, or send through {stacks} stacks",
            "Amazon Kinesis Data Streams: Quotas and limits",
        ) if mode == "on-demand" else None,
        Limit(
            "concurrent invocations", transform.concurrency, CONCURRENCY, "invocations",
            "ask for a higher Lambda quota before the fleet is connected; a new account may have far less",
            "AWS Lambda quotas",
        ),
        Limit(
            "outstanding invocations", transform.concurrency, OUTSTANDING_PER_SHARD * ingest.shards, "invocations",
            "give the stream more shards: Firehose keeps at most five invocations of each under way",
            "Transform source data in Amazon Data Firehose",
        ),
        Limit(
            "request of the function", transform.request_bytes, NEVER_LESS * REQUEST_BYTES, "bytes",
            "put several values into one reading: so small ones make a request that Lambda refuses",
            "AWS Lambda quotas",
        ),
        Limit(
            "primary shards of an index", index.shards_per_index, SHARDS_PER_INDEX, "shards",
            f"rotate more often, or use {stacks} stacks; reduce what is kept in the domain and read the rest from S3",
            "OpenSearch: index.number_of_shards",
        ),
        Limit(
            "stacks", stacks, 1, "stacks",
            "one stream and one domain are too small: deploy the template that many times under other names and divide "
            "the devices among them; Dashboards searches several domains with cross-cluster search",
            "Amazon OpenSearch Service quotas",
        ),
        Limit(
            "storage of a domain", nodes.count * nodes.volume_gib, 1024**2, "GiB",
            "keep fewer days, or move old indices to UltraWarm or to OpenSearch Serverless",
            "Amazon OpenSearch Service quotas",
        ),
        Limit(
            "shards of a cluster", index.shards / stacks, MASTER_TYPES[-1][1], "shards",
            "rotate less often, keep fewer days, or use more stacks: no dedicated masters manage more",
            "Dedicated master nodes in Amazon OpenSearch Service",
        ),
        Limit(
            "10 s of data in a delivery buffer", ingest.peak_bytes_per_s * 10 / stacks,
            nodes.instance.buffer_mb * 1024**2, "bytes",
            "bulk requests are sent more often than every 10 s; harmless while the domain accepts them",
            "Amazon Data Firehose API: AmazonopensearchserviceBufferingHints",
        ),
    ]  # fmt: skip
    return [limit for limit in found if limit and limit.needed > limit.allowed]
