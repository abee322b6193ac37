"""What Amazon OpenSearch Service lets a data node be, by its instance type (pure).

Source: "Amazon OpenSearch Service quotas" of the developer guide, sections "Total node limit by instance family",
"EBS volume size quotas" (gp3) and "Network quotas". AWS itself checks the types that the page does not list.
"""

from typing import Final, NamedTuple

__all__ = ["LIMITS", "largest_buffer", "most_nodes"]


class Limits(NamedTuple):
    """Of the gp3 volume of one node, in GiB."""

    least_gib: int
    most_gib: int


_C7 = "large 256 xlarge 512 2xlarge 1024 4xlarge 1536 8xlarge 3072 12xlarge 4608 16xlarge 6144"
_M7 = "large 768 xlarge 2048 2xlarge 3072 4xlarge 6144 8xlarge 12288 12xlarge 18432 16xlarge 24576"
_R = "xlarge 3072 2xlarge 6144 4xlarge 12288 8xlarge 16384 12xlarge 24576"
_LARGEST: Final = {
    "t3": "small 100 medium 200",
    "m5": "large 1024 xlarge 2048 2xlarge 3072 4xlarge 6144 12xlarge 18432",
    "m6g": "large 1024 xlarge 2048 2xlarge 3072 4xlarge 6144 8xlarge 12288 12xlarge 18432",
    "m7g": f"medium 512 {_M7}",
    "m7i": _M7,
    "m8g": f"medium 512 {_M7}",
    "c5": "large 256 xlarge 512 2xlarge 1024 4xlarge 1536 9xlarge 3584 18xlarge 7168",
    "c6g": "large 256 xlarge 512 2xlarge 1024 4xlarge 1536 8xlarge 3072 12xlarge 4608",
    "c7g": _C7,
    "c7i": _C7,
    "c8g": _C7,
    "r5": "large 2048 xlarge 3072 2xlarge 6144 4xlarge 12288 12xlarge 24576",
    "r6g": f"large 2048 {_R}",
    "r7g": f"medium 768 large 1536 {_R} 16xlarge 36864",
    "r7i": f"large 1536 {_R}",  # the page has 12xlarge twice and no 16xlarge
    "r8g": f"medium 768 large 1532 {_R} 16xlarge 36864",
    "or1": f"medium 768 large 1532 {_R} 16xlarge 36864",
    "or2": f"medium 768 large 1532 {_R} 16xlarge 36864",
    "om2": _M7,
}
_LEAST: Final = dict.fromkeys(("or1", "or2", "om2"), 20)
LIMITS: Final = {
    f"{family}.{size}.search": Limits(_LEAST.get(family, 10), int(gib))
    for family, text in _LARGEST.items()
    for size, gib in zip(text.split()[::2], text.split()[1::2], strict=True)
}
"""The page's rows that have a maximum for gp3."""

_SMALL_REQUESTS: Final = {"m5.large", "m6g.large", "c5.large", "c6g.large", "or1.medium", "om2.large"}
# "Network quotas" does not list these families: as small as their predecessors are.
_UNLISTED_SMALL: Final = {"m7g.medium", "m7g.large", "c7g.large", "r7g.medium"}
_FEWER_NODES: Final = {"t3": 10, "m5": 200, "c5": 200, "r5": 200}
_MOST_NODES, _MOST_OPTIMIZED_NODES = 400, 1002
_SMALL_SIZES: Final = {"medium", "large"}


def largest_buffer(instance_type: str) -> int:
    """Return MB that fit into one request with what `_bulk` adds, of the 10 MiB or 100 MiB that the type takes."""
    name = instance_type.removesuffix(".search")
    return 9 if name.startswith("t3.") or name in _SMALL_REQUESTS | _UNLISTED_SMALL else 90


def most_nodes(instance_type: str) -> int:
    """Return how many nodes of a type a domain takes (OpenSearch 2.17 and above), however high its quota is raised."""
    family, size = instance_type.split(".")[:2]
    if family in {"or1", "or2", "om2"} and size not in _SMALL_SIZES:
        return _MOST_OPTIMIZED_NODES
    return _FEWER_NODES.get(family, _MOST_NODES)
