"""Limits of instance types are those of AWS's page, and every type of the page that the template accepts has them.

The rows are those of "Amazon OpenSearch Service quotas" in its own units: "EBS volume size quotas" (gp3) and
"Network quotas". The page lists r7i.12xlarge twice and r7i.16xlarge not at all, and no request size for c7g, m7g, r7g.
"""

import re

import pytest

from iot_stream.paths import PROJECT
from iot_stream.plan.data_nodes import NODES_PER_DOMAIN
from role_mapper.instance_limits import LIMITS, largest_buffer, most_nodes
from tests.template import load_template

UNITS = {"GiB": 1, "TiB": 1024}
# family and smallest volume in GiB | each size, its largest volume | request size of those sizes that take 10 MiB
PAGE = """
t3 10 | small 100 GiB, medium 200 GiB | small medium
m5 10 | large 1 TiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 12xlarge 18 TiB | large
m6g 10 | large 1 TiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 8xlarge 12 TiB, 12xlarge 18 TiB | large
c5 10 | large 256 GiB, xlarge 512 GiB, 2xlarge 1 TiB, 4xlarge 1.5 TiB, 9xlarge 3.5 TiB, 18xlarge 7 TiB | large
c6g 10 | large 256 GiB, xlarge 512 GiB, 2xlarge 1 TiB, 4xlarge 1.5 TiB, 8xlarge 3 TiB, 12xlarge 4.5 TiB | large
r5 10 | large 2 TiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 12xlarge 24 TiB |
r6g 10 | large 2 TiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB, 12xlarge 24 TiB |
or1 20 | medium 768 GiB, large 1532 GiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB | medium
or1 20 | 12xlarge 24 TiB, 16xlarge 36 TiB |
or2 20 | medium 768 GiB, large 1532 GiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB |
or2 20 | 12xlarge 24 TiB, 16xlarge 36 TiB |
om2 20 | large 768 GiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 8xlarge 12 TiB, 12xlarge 18 TiB | large
om2 20 | 16xlarge 24 TiB |
c7g 10 | large 256 GiB, xlarge 512 GiB, 2xlarge 1 TiB, 4xlarge 1.5 TiB, 8xlarge 3 TiB, 12xlarge 4.5 TiB | large
c7g 10 | 16xlarge 6 TiB |
m7g 10 | medium 512 GiB, large 768 GiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 8xlarge 12 TiB | medium large
m7g 10 | 12xlarge 18 TiB, 16xlarge 24 TiB |
r7g 10 | medium 768 GiB, large 1.5 TiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB | medium
r7g 10 | 12xlarge 24 TiB, 16xlarge 36 TiB |
c7i 10 | large 256 GiB, xlarge 512 GiB, 2xlarge 1 TiB, 4xlarge 1.5 TiB, 8xlarge 3 TiB, 12xlarge 4.5 TiB |
c7i 10 | 16xlarge 6 TiB |
m7i 10 | large 768 GiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 8xlarge 12 TiB, 12xlarge 18 TiB |
m7i 10 | 16xlarge 24 TiB |
r7i 10 | large 1.5 TiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB, 12xlarge 24 TiB |
c8g 10 | large 256 GiB, xlarge 512 GiB, 2xlarge 1 TiB, 4xlarge 1.5 TiB, 8xlarge 3 TiB, 12xlarge 4.5 TiB |
c8g 10 | 16xlarge 6 TiB |
m8g 10 | medium 512 GiB, large 768 GiB, xlarge 2 TiB, 2xlarge 3 TiB, 4xlarge 6 TiB, 8xlarge 12 TiB |
m8g 10 | 12xlarge 18 TiB, 16xlarge 24 TiB |
r8g 10 | medium 768 GiB, large 1532 GiB, xlarge 3 TiB, 2xlarge 6 TiB, 4xlarge 12 TiB, 8xlarge 16 TiB |
r8g 10 | 12xlarge 24 TiB, 16xlarge 36 TiB |
"""
ROWS = {
    f"{family} {size}": (int(least), float(number) * UNITS[unit], size in small.split())
    for line in PAGE.strip().splitlines()
    for (family, least), sizes, small in [(line.split("|")[0].split(), *line.split("|")[1:])]
    for size, number, unit in (each.split() for each in sizes.split(","))
}


@pytest.mark.parametrize("row", ROWS)
def test_a_type_has_the_limits_of_awss_page(row: str) -> None:
    """Its volume, and the request that a delivery buffer becomes; the template accepts the type and the size."""
    kind = f"{row.replace(' ', '.')}.search"
    least, most, small = ROWS[row]
    assert LIMITS[kind] == (least, most)
    assert largest_buffer(kind) == (9 if small else 90)
    parameters = load_template()["Parameters"]
    assert re.fullmatch(parameters["InstanceType"]["AllowedPattern"], kind)
    assert most <= parameters["VolumeSizeGiB"]["MaxValue"]


def test_no_type_has_a_limit_that_the_page_does_not_have() -> None:
    """Of those the template leaves the decision to AWS."""
    assert {each.replace(" ", ".") + ".search" for each in ROWS} == LIMITS.keys()


@pytest.mark.parametrize(
    ("kind", "nodes"),
    [
        ("t3.small.search", 10),
        ("m5.large.search", 200),
        ("m6g.large.search", 400),
        ("r7i.large.search", 400),
        ("or1.large.search", 400),
        ("om2.xlarge.search", 1002),
    ],
)
def test_a_domain_has_as_many_nodes_as_awss_page_says(kind: str, nodes: int) -> None:
    """By "Total node limit by instance family", for OpenSearch 2.17 and above."""
    assert most_nodes(kind) == nodes
    assert nodes <= load_template()["Parameters"]["InstanceCount"]["MaxValue"]


def test_the_documents_have_the_same_numbers_of_nodes() -> None:
    """The quota by default is `plan`'s; above it, every maximum that a type can have, and no other."""
    rows = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    [row] = re.findall(r"^\| OpenSearch data nodes in a domain \|(.+)\| `InstanceCount` \|$", rows, re.MULTILINE)
    said = {int(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]*\b", row)}
    most = {most_nodes(kind) for kind in LIMITS}
    assert said == most | {NODES_PER_DOMAIN}
    count = load_template()["Parameters"]["InstanceCount"]
    assert count["MaxValue"] == max(most)
    assert f"More than {NODES_PER_DOMAIN} need a higher quota" in count["Description"]
