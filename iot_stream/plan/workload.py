"""Define the workload of a fleet and the measured figures for the planner."""

import math
from dataclasses import dataclass, replace
from typing import Self

from iot_stream.errors import IotStreamError

__all__ = ["DOCUMENT_GROWTH_BYTES", "Measured", "PlanError", "StreamMode", "Workload"]

DOCUMENT_GROWTH_BYTES = 60
"""What a document has more than its reading: °F, the arrival time, and longer field names. A test holds it against
the enrichment function."""

type StreamMode = str
"""`provisioned` or `on-demand`."""


class PlanError(IotStreamError):
    """The plan can't be made: an argument is out of range, or a file of figures can't be read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What `make bench` measures, and this project's own figures until it has run on another machine.

    Attributes:
        gb_seconds_per_million: the function's GB-seconds for a million readings at 256 MB, in batches of 500.
        documents_per_s_per_vcpu: documents that one core of OpenSearch indexes in a second through `_bulk`.
        source: where the figures come from.
    """

    gb_seconds_per_million: float = 10.5
    documents_per_s_per_vcpu: float = 15_000
    source: str = "benchmarks/README.md"


@dataclass(frozen=True, slots=True)
class Workload:
    """The load of the fleet and the requirements on the system.

    Attributes:
        devices: number of devices.
        every_s: seconds between two readings of a device.
        reading_bytes: size of a reading as the device sends it.
        keep_days: days for which every document stays searchable.
        peak: highest rate as a multiple of the average; streams, functions and nodes are sized for it.
        replicas: copies of each shard beside the primary.
        burstable: whether t3.small.search will do, which AWS does not recommend for production.
        buffer_seconds: longest wait in both buffers together.
        failed_share: readings that end as failure objects, as a share of all.
        backup_all: whether every reading is kept in the bucket as well (`BackupMode` AllDocuments).
        warm: whether the account has On-demand Advantage, with which a stream on demand takes the peak at once.
    """

    devices: int
    every_s: float
    reading_bytes: int
    keep_days: int
    peak: float = 2.0
    replicas: int = 1
    burstable: bool = False
    buffer_seconds: int = 120
    failed_share: float = 0.001
    backup_all: bool = False
    warm: bool = False

    @property
    def readings_per_s(self) -> float:
        """Readings a second on average."""
        return self.devices / self.every_s

    @property
    def document_bytes(self) -> int:
        """Size of a document."""
        return self.reading_bytes + DOCUMENT_GROWTH_BYTES

    def share(self, stacks: int) -> Self:
        """Return the workload of one of several stacks."""
        return replace(self, devices=math.ceil(self.devices / stacks))
