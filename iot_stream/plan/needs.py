"""What each step of the flow needs for a workload: pure formulas, each with the AWS page that it comes from.

"Peak" figures size what must never fall behind; figures of a month follow the average. KB, MB and GB are AWS's: 1,024
bytes and its powers where data is billed, and the smaller 10**6 where a throughput limit says MB.
"""

from dataclasses import dataclass
from typing import Final

from iot_stream.plan.whole import whole
from iot_stream.plan.workload import Measured, Workload

__all__ = [
    "FUNCTION_MEMORY_GB",
    "MONTH_SECONDS",
    "SHARDS_PER_HEAP_GIB",
    "SMALL_BUFFER_MB",
    "Deliver",
    "Index",
    "Ingest",
    "Needs",
    "Transform",
    "needs_of",
]

MONTH_SECONDS: Final = 730 * 3600  # AWS Pricing Calculator: a month has 730 hours
KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
DAY_SECONDS: Final = 86_400

SHARD_RECORDS_PER_S: Final = 1000
SHARD_BYTES_PER_S: Final = 1_000_000
RECORD_OF_CAPACITY_BYTES: Final = 1000  # a stream that takes 4 MB/s takes 4,000 records/s ("Quotas and limits")
SHARD_SHARE: Final = 0.9  # random partition keys give a shard 900 records a second, and 90 more by chance (3 sigma)
PARTITION_KEY_BYTES: Final = 36  # a UUID; keys count towards a shard's 1 MB/s
PUT_UNIT_BYTES: Final = 25 * KIB
FIREHOSE_UNIT_BYTES: Final = 5 * KIB

FUNCTION_MEMORY_GB: Final = 256 / 1024  # MemorySize in template.yaml
BENCHMARK_READING_BYTES: Final = 170  # the reading that `make bench` measures with
INVOCATION_OVERHEAD_S: Final = 0.002
TRANSFORM_BUFFER_BYTES: Final = 200_000  # TransformBufferSizeInMBs 0.2
REQUEST_OVERHEAD_BYTES: Final = 500  # recordId, arrival time and kinesisRecordMetadata of a record in the event
SMALL_BUFFER_MB: Final = 9  # DeliveryBufferSizeInMBs, with what `_bulk` adds below the 10 MiB that small nodes accept
BUFFER_FILL_SECONDS: Final = 10
SOURCE_POLL_S: Final = 1.0
REFRESH_S: Final = 1.0

OVERHEAD: Final = 1.1 / 0.95 / 0.8  # indexing, Linux, OpenSearch Service: together 1.45
SHARD_GIB: Final = 40
VCPUS_PER_ACTIVE_SHARD: Final = 1.5
SHARDS_PER_HEAP_GIB: Final = 25
HEADROOM: Final = 3  # nodes also merge, search and replicate; the benchmark's do nothing else
WRITES_OF_A_DOCUMENT: Final = 4  # assumed: to the translog, to a segment, and in two merges


@dataclass(frozen=True, slots=True)
class Ingest:
    """The Kinesis data stream.

    Attributes:
        readings_per_s: on average.
        peak_readings_per_s: at the peak.
        peak_bytes_per_s: at the peak, partition keys included.
        shards: of a provisioned stream.
        put_units_month: PUT payload units (25 KB) of a provisioned stream.
        billed_gb_month: GB in, and out, of a stream on demand, each record rounded up to 1 KB.
        warm_mib_per_s: `StreamWarmThroughputMiBps` with which an on-demand stream takes the peak from the beginning.
    """

    readings_per_s: float
    peak_readings_per_s: float
    peak_bytes_per_s: float
    shards: int
    put_units_month: float
    billed_gb_month: float
    warm_mib_per_s: int


@dataclass(frozen=True, slots=True)
class Transform:
    """The enrichment function.

    Attributes:
        invocations_month: of it.
        batch_readings: readings in one invocation, at the peak.
        batch_s: seconds of one invocation, at the peak.
        concurrency: invocations at the same time, at the peak.
        gb_seconds_month: what is billed.
        request_bytes: size of the largest request or response that one buffer makes.
    """

    invocations_month: float
    batch_readings: float
    batch_s: float
    concurrency: float
    gb_seconds_month: float
    request_bytes: float


@dataclass(frozen=True, slots=True)
class Deliver:
    """The delivery stream.

    Attributes:
        billed_gb_month: GB ingested, each record rounded up to 5 KB.
        transform_interval_s: seconds after which the function is invoked.
        delivery_interval_s: seconds after which a bulk request is sent.
        buffer_mb: MB of one bulk request.
        bulk_requests_month: bulk requests.
        typical_delay_s: from the stream to a search, on average.
        longest_delay_s: the same for the reading that waits longest, without retries.
    """

    billed_gb_month: float
    transform_interval_s: int
    delivery_interval_s: int
    buffer_mb: int
    bulk_requests_month: float
    typical_delay_s: float
    longest_delay_s: float


@dataclass(frozen=True, slots=True)
class Index:
    """The indices, and what they ask of the domain.

    Attributes:
        source_gib_day: GiB of documents a day.
        rotation: `IndexRotationPeriod`.
        retention_days: `RetentionDays`: an index is deleted by its age, so its last reading is a period younger.
        indices: that exist at the same time.
        shards_per_index: primary shards of an index.
        shards: all shards, replicas included.
        storage_gib: on all nodes together.
        vcpus: at the peak, for the shards that are written to.
        sustained_vcpus: at the peak, for the documents.
        heap_gib: JVM heap for all shards.
        write_mib_per_s: MiB that all volumes together write in a second, at the peak.
    """

    source_gib_day: float
    rotation: str
    retention_days: int
    indices: int
    shards_per_index: int
    shards: int
    storage_gib: float
    vcpus: float
    sustained_vcpus: float
    heap_gib: float
    write_mib_per_s: float


@dataclass(frozen=True, slots=True)
class Needs:
    """All steps, and the backup bucket (GiB kept, objects written in a month)."""

    ingest: Ingest
    transform: Transform
    deliver: Deliver
    index: Index
    backup_gib: float
    backup_objects_month: float


def needs_of(work: Workload, measured: Measured, largest_buffer_mb: int = SMALL_BUFFER_MB) -> Needs:
    """Return what `work` needs of every step, where the domain takes bulk requests of so many MB."""
    ingest = _ingest(work)
    transform = _transform(work, ingest, measured)
    deliver = _deliver(work, ingest, transform, largest_buffer_mb)
    kept = 1.0 if work.backup_all else 0.0
    backup_bytes = work.reading_bytes * kept + work.failed_share * (work.document_bytes * 4 / 3 + KIB // 2)
    stored = min(1.0, kept + work.failed_share)
    return Needs(
        ingest,
        transform,
        deliver,
        _index(work, measured),
        backup_gib=work.readings_per_s * DAY_SECONDS * work.keep_days * backup_bytes / GIB,
        backup_objects_month=min(work.readings_per_s * MONTH_SECONDS * stored, deliver.bulk_requests_month),
    )


def _ingest(work: Workload) -> Ingest:
    """Size the stream ("Quotas and limits", "Amazon Kinesis Data Streams pricing")."""
    peak = work.readings_per_s * work.peak
    peak_bytes = peak * (work.reading_bytes + PARTITION_KEY_BYTES)
    month = work.readings_per_s * MONTH_SECONDS
    return Ingest(
        readings_per_s=work.readings_per_s,
        peak_readings_per_s=peak,
        peak_bytes_per_s=peak_bytes,
        shards=whole(max(peak / SHARD_RECORDS_PER_S, peak_bytes / SHARD_BYTES_PER_S) / SHARD_SHARE),
        put_units_month=month * whole((work.reading_bytes + PARTITION_KEY_BYTES) / PUT_UNIT_BYTES),
        billed_gb_month=month * whole(work.reading_bytes / KIB) * KIB / GIB,
        warm_mib_per_s=whole(max(peak_bytes, peak * RECORD_OF_CAPACITY_BYTES) / MIB),
    )


def _transform(work: Workload, ingest: Ingest, measured: Measured) -> Transform:
    """Size the function ("Transform source data in Amazon Data Firehose", "AWS Lambda Pricing").

    AWS does not say whether each shard has a buffer of its own; the larger number of invocations is planned for.
    """
    interval = max(_halves(work.buffer_seconds)[0], SOURCE_POLL_S)

    def invocations(readings_per_s: float) -> float:
        by_size = readings_per_s * work.reading_bytes / TRANSFORM_BUFFER_BYTES
        return min(readings_per_s, max(by_size, ingest.shards / interval))

    size = max(1.0, work.reading_bytes / BENCHMARK_READING_BYTES)
    second_per_reading = measured.gb_seconds_per_million / 1e6 / FUNCTION_MEMORY_GB * size
    peak, peak_invocations = ingest.peak_readings_per_s, invocations(ingest.peak_readings_per_s)
    average = invocations(work.readings_per_s)
    batch = max(1.0, TRANSFORM_BUFFER_BYTES / work.reading_bytes)
    record = REQUEST_OVERHEAD_BYTES + 4 / 3 * max(work.reading_bytes, work.document_bytes)
    return Transform(
        invocations_month=average * MONTH_SECONDS,
        batch_readings=peak / peak_invocations,
        batch_s=peak / peak_invocations * second_per_reading + INVOCATION_OVERHEAD_S,
        concurrency=peak * second_per_reading + peak_invocations * INVOCATION_OVERHEAD_S,
        gb_seconds_month=(work.readings_per_s * second_per_reading + average * INVOCATION_OVERHEAD_S)
        * MONTH_SECONDS
        * FUNCTION_MEMORY_GB,
        request_bytes=batch * record,
    )


def _deliver(work: Workload, ingest: Ingest, transform: Transform, largest_buffer_mb: int) -> Deliver:
    """Size the delivery ("Amazon Data Firehose pricing", API reference "AmazonopensearchserviceBufferingHints").

    The API reference recommends a buffer that holds what arrives in ten seconds.
    """
    first, second = _halves(work.buffer_seconds)
    peak_bytes = ingest.peak_readings_per_s * work.document_bytes
    buffer_mb = min(largest_buffer_mb, max(1, whole(peak_bytes * BUFFER_FILL_SECONDS / MIB)))
    rate = work.readings_per_s
    by_size = rate * work.document_bytes / (buffer_mb * MIB)
    waits = [
        min(first, TRANSFORM_BUFFER_BYTES * ingest.shards / (rate * work.reading_bytes)),
        min(second, buffer_mb * MIB / (rate * work.document_bytes)),
        SOURCE_POLL_S,
        REFRESH_S,
    ]
    return Deliver(
        billed_gb_month=rate
        * MONTH_SECONDS
        * whole(work.reading_bytes / FIREHOSE_UNIT_BYTES)
        * FIREHOSE_UNIT_BYTES
        / GIB,
        transform_interval_s=first,
        delivery_interval_s=second,
        buffer_mb=buffer_mb,
        bulk_requests_month=min(rate, max(by_size, 1 / max(second, SOURCE_POLL_S))) * MONTH_SECONDS,
        typical_delay_s=sum(waits) / 2 + transform.batch_s,
        longest_delay_s=sum(waits) + transform.batch_s,
    )


def _index(work: Workload, measured: Measured) -> Index:
    """Size the indices ("Calculating storage requirements", "Choosing the number of shards", and the quotas' heap)."""
    rotation, period = _rotation(work.keep_days)
    held = work.keep_days + period
    indices = whole(held / period)
    day = work.readings_per_s * DAY_SECONDS * work.document_bytes / GIB
    primaries = max(1, whole(day * period * 1.1 / SHARD_GIB))
    copies = 1 + work.replicas
    shards = indices * primaries * copies
    size = max(1.0, work.document_bytes / (BENCHMARK_READING_BYTES + 60))
    documents = work.readings_per_s * work.peak * copies
    return Index(
        source_gib_day=day,
        rotation=rotation,
        retention_days=held,
        indices=indices,
        shards_per_index=primaries,
        shards=shards,
        storage_gib=day * held * copies * OVERHEAD,
        vcpus=primaries * copies * VCPUS_PER_ACTIVE_SHARD,
        sustained_vcpus=documents * size / (measured.documents_per_s_per_vcpu / HEADROOM),
        heap_gib=shards / SHARDS_PER_HEAP_GIB,
        write_mib_per_s=documents * work.document_bytes * WRITES_OF_A_DOCUMENT / MIB,
    )


def _rotation(keep_days: int) -> tuple[str, int]:
    """Return the rotation and its days: about thirty indices at most, so that small fleets have no needless shards."""
    if keep_days <= 31:  # noqa: PLR2004 - a month of days
        return "OneDay", 1
    if keep_days <= 210:  # noqa: PLR2004 - thirty weeks
        return "OneWeek", 7
    return "OneMonth", 31


def _halves(seconds: int) -> tuple[int, int]:
    return seconds // 2, seconds - seconds // 2
