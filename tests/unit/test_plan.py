"""The planner: hand-computed cases, more devices never need less, units, and parameters that the template accepts."""

import json
import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from enrichment import reading
from iot_stream.cli import cli
from iot_stream.errors import IotStreamError
from iot_stream.plan.cost import PRICES, load_prices
from iot_stream.plan.data_nodes import INSTANCE_TYPES, MASTER_TYPES, InstanceType, choose_nodes
from iot_stream.plan.measured import load_measured
from iot_stream.plan.needs import OVERHEAD, Needs, needs_of
from iot_stream.plan.planner import Plan, make_plan
from iot_stream.plan.report import figures
from iot_stream.plan.whole import whole
from iot_stream.plan.workload import DOCUMENT_GROWTH_BYTES, Measured, PlanError, Workload
from role_mapper.deployment_rules import problems
from role_mapper.instance_limits import LIMITS, largest_buffer, most_nodes
from tests.builders import ARRIVED_AT, device_reading
from tests.enrichers import enrich
from tests.template import PROJECT, load_template, refusing_rules

SMALL = Workload(devices=1000, every_s=10, reading_bytes=170, keep_days=30)
PRICE_TABLE = load_prices(None)

workloads = st.builds(
    Workload,
    devices=st.integers(1, 10_000_000),
    every_s=st.floats(0.1, 86_400),
    reading_bytes=st.integers(20, 100_000),
    keep_days=st.integers(1, 3000),
    peak=st.floats(1, 10),
    replicas=st.integers(0, 2),
    burstable=st.booleans(),
    buffer_seconds=st.integers(0, 1800),
    failed_share=st.floats(0, 1),
    backup_all=st.booleans(),
    warm=st.booleans(),
)


def plan_of(work: Workload, mode: str | None = None) -> Plan:
    """Plan with the shipped prices and figures."""
    return make_plan(work, PRICE_TABLE, Measured(), mode)


def possible(work: Workload) -> Plan:
    """Plan, or have hypothesis choose another workload where no number of stacks is enough."""
    try:
        return plan_of(work)
    except PlanError:
        assume(False)
        raise


def needed(needs: Needs) -> dict[str, float]:
    """Everything that a larger fleet can't need less of."""
    ingest, transform, deliver, index = needs.ingest, needs.transform, needs.deliver, needs.index
    return {
        "shards": ingest.shards,
        "put units": ingest.put_units_month,
        "on-demand GB": ingest.billed_gb_month,
        "invocations": transform.invocations_month,
        "concurrency": transform.concurrency,
        "GB-seconds": transform.gb_seconds_month,
        "Firehose GB": deliver.billed_gb_month,
        "buffer": deliver.buffer_mb,
        "storage": index.storage_gib,
        "index shards": index.shards,
        "vCPUs": index.vcpus,
        "sustained vCPUs": index.sustained_vcpus,
        "heap": index.heap_gib,
        "backup": needs.backup_gib,
    }


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_a_small_fleet_by_hand() -> None:
    """1,000 devices, 170 bytes each 10 s, 30 days: 100 readings a second, 262.8 million a month."""
    needs = needs_of(SMALL, Measured())
    assert needs.ingest.readings_per_s == 100
    assert needs.ingest.shards == 1  # 200/s and 0.041 MB/s at the peak
    assert needs.ingest.put_units_month == pytest.approx(262.8e6)  # below 25 KB: one unit each
    assert needs.ingest.billed_gb_month == pytest.approx(262.8e6 / 2**20)  # 1 KB each: 250.6 GB
    assert needs.deliver.billed_gb_month == pytest.approx(5 * 262.8e6 / 2**20)  # 5 KB each: 1,253 GB
    assert needs.index.source_gib_day == pytest.approx(100 * 86_400 * 230 / 2**30)  # 1.85 GiB
    assert needs.index.storage_gib == pytest.approx(1.8507 * 31 * 2 * 1.4474, rel=1e-3)  # 166 GiB
    assert (needs.index.rotation, needs.index.indices, needs.index.shards) == ("OneDay", 31, 62)
    assert needs.index.heap_gib == pytest.approx(62 / 25)
    # One buffer of 200,000 bytes is 1,176 readings; 17,000 bytes/s fill it in 11.8 s, before the 60 s are over.
    assert needs.transform.invocations_month == pytest.approx(17_000 / 200_000 * 2_628_000)
    assert needs.transform.concurrency == pytest.approx(200 * 42e-6 + 0.17 * 0.002)


def test_a_small_fleet_costs_what_its_usage_costs() -> None:
    """The same fleet's bill, by hand from the shipped table."""
    made = plan_of(SMALL, "provisioned")
    assert made.cost["Kinesis"] == pytest.approx(730 * 0.015 + 262.8 * 0.014)
    assert made.cost["Firehose"] == pytest.approx(1253.13 * 0.029, rel=1e-4)
    assert made.cost["OpenSearch"] == pytest.approx(2 * (730 * 0.073 + 84 * 0.122))  # 2 x t3.medium, 84 GiB each
    assert plan_of(SMALL, "on-demand").cost["Kinesis"] == pytest.approx(730 * 0.04 + 250.626 * 0.12, rel=1e-5)


def test_a_large_fleet_by_hand() -> None:
    """Nine million devices each 10 s: 2,000 shards at the peak of 1.8 million a second, four streams of 500."""
    made = plan_of(replace(SMALL, devices=9_000_000))
    assert made.whole.ingest.shards == 2000
    assert made.whole.index.storage_gib == pytest.approx(166.08 * 9_000, rel=1e-3)
    assert made.stacks == 2000 / 500
    # 373,675 GiB of each are 60.8 volumes of 6 TiB, the largest of r6g.2xlarge; 61 nodes want masters of 32 GiB.
    assert (made.nodes.instance.name, made.nodes.count) == ("r6g.2xlarge.search", 61)
    assert made.nodes.master == "r6g.xlarge.search"
    assert made.share.deliver.buffer_mb == 90  # 1 GB arrives in ten seconds
    # 1.8 million documents of 230 bytes, on two nodes, written four times: 3,159 MiB/s, 12.9 on each of 4 x 61 volumes.
    assert made.whole.index.write_mib_per_s == pytest.approx(1.8e6 * 230 * 2 * 4 / 2**20)
    assert (made.nodes.volume_mib_per_s, made.nodes.volume_iops) == (0, 0)
    assert {limit.name for limit in made.limits} >= {"shards per stream", "shards per region", "stacks"}
    assert made.parameters["DedicatedMasters"] == "true"


@pytest.mark.parametrize(
    ("devices", "size", "shards"),
    [(4500, 170, 1), (4501, 170, 2), (5000, 170, 2), (1, 9 * 10**5 * 5 - 36, 1), (1, 9 * 10**5 * 5 - 35, 2)],
)
def test_a_shard_is_planned_to_nine_tenths(devices: int, size: int, shards: int) -> None:
    """Of its 1,000 records and 1 MB a second ("Quotas and limits"), for chance does not divide the records evenly."""
    assert needs_of(replace(SMALL, devices=devices, reading_bytes=size), Measured()).ingest.shards == shards


@pytest.mark.parametrize(
    ("nodes", "shards", "master"),
    [
        (2, 2, ""),
        (3, 3, "m6g.large.search"),
        (10, 8_000, "m6g.large.search"),
        (11, 11, "c6g.2xlarge.search"),
        (30, 24_000, "c6g.2xlarge.search"),
        (31, 31, "r6g.xlarge.search"),
        (75, 40_000, "r6g.xlarge.search"),
        (75, 40_001, "r6g.2xlarge.search"),
        (80, 64_000, "r6g.2xlarge.search"),
    ],
)
def test_masters_are_those_that_aws_recommends(nodes: int, shards: int, master: str) -> None:
    """By data nodes and shards, whichever wants more ("Dedicated master nodes in Amazon OpenSearch Service")."""
    need = replace(needs_of(SMALL, Measured()).index, storage_gib=nodes * 24_576.0, shards=shards)
    hourly = {"r6g.12xlarge.search": 1.0} | {each: 1.0 for *_, each in MASTER_TYPES}
    chosen = choose_nodes(need, 0, replace(PRICE_TABLE.of_nodes(), hourly=hourly), burstable=False)
    assert (chosen.instance.name, chosen.count, chosen.master) == ("r6g.12xlarge.search", nodes, master)


def test_masters_cost_three_nodes_and_small_fleets_do_without() -> None:
    """Two data nodes, or `--small`, which is not for production, have none."""
    assert plan_of(SMALL).nodes.master == ""
    large = replace(SMALL, devices=50_000)
    made, small = plan_of(large), plan_of(replace(large, burstable=True))
    assert made.nodes.count > 2
    nodes = made.nodes.count * (
        730 * PRICE_TABLE.instance_hour[made.nodes.instance.name] + made.nodes.volume_gib * 0.122
    )
    assert made.cost["OpenSearch"] == pytest.approx(nodes + 3 * 730 * PRICE_TABLE.instance_hour[made.nodes.master])
    assert small.nodes.master == ""
    assert small.parameters["DedicatedMasters"] == "false"
    assert "DedicatedMasterType" not in small.parameters


def test_a_volume_that_writes_more_than_gp3_has_gets_more_throughput() -> None:
    """125 MiB/s and 3,000 IOPS are there; up to 750 MiB/s need no more IOPS, for each gives a quarter MiB/s."""
    prices = msgspec.structs.replace(PRICE_TABLE, instance_hour={"r6g.12xlarge.search": 1.0})
    index = replace(needs_of(SMALL, Measured()).index, storage_gib=100.0, shards=2, vcpus=1, sustained_vcpus=1)

    def chosen(mib_per_s: float) -> tuple[int, int, int]:
        nodes = choose_nodes(replace(index, write_mib_per_s=mib_per_s), 0, prices.of_nodes(), burstable=False)
        return nodes.count, nodes.volume_mib_per_s, nodes.volume_iops

    assert chosen(125) == (1, 0, 0)
    assert chosen(126) == (1, 250, 0)
    assert chosen(700) == (1, 700, 0)
    assert chosen(800) == (1, 800, 3200)
    assert chosen(1001) == (2, 501, 0)
    usage = choose_nodes(replace(index, write_mib_per_s=800), 0, prices.of_nodes(), burstable=False)
    by_hand = 730 + 100 * 0.122 + (800 - 125) * 0.04 + (3200 - 3000) * 0.005
    assert prices.of_nodes().month(usage) == pytest.approx(by_hand)


def test_a_stream_on_demand_takes_the_peak_at_once_where_the_account_may_ask_for_it() -> None:
    """A MiB/s of it takes 1,000 records a second (UpdateStreamWarmThroughput; "Quotas and limits")."""
    work = replace(SMALL, devices=100_000)  # 20,000 records/s at the peak
    cold, warm = plan_of(work, "on-demand"), plan_of(replace(work, warm=True), "on-demand")
    assert (cold.parameters["StreamWarmThroughputMiBps"], warm.parameters["StreamWarmThroughputMiBps"]) == ("0", "20")
    names = {limit.name for limit in cold.limits} - {limit.name for limit in warm.limits}
    assert names == {"initial throughput of an on-demand stream", "initial record rate of an on-demand stream"} & {
        limit.name for limit in cold.limits
    }
    assert "initial record rate of an on-demand stream" in names
    assert any("StreamWarmThroughputMiBps=20" in limit.then for limit in cold.limits)
    assert plan_of(replace(work, warm=True), "provisioned").parameters["StreamWarmThroughputMiBps"] == "0"


def test_a_price_table_without_a_type_that_may_be_used_is_said() -> None:
    """Only `--small` allows the smallest type."""
    table = msgspec.structs.replace(PRICE_TABLE, instance_hour={"t3.small.search": 0.036})
    with pytest.raises(PlanError, match=r"no type but t3\.small\.search: add --small"):
        make_plan(SMALL, table, Measured())
    assert make_plan(replace(SMALL, burstable=True), table, Measured()).nodes.count <= 10


def test_storage_follows_aws_s_own_example() -> None:
    """66 GiB with one replica are 191 GiB (OpenSearch Service, "Calculating storage requirements")."""
    assert round(66 * 2 * OVERHEAD) == 191


def test_firehose_follows_aws_s_own_example() -> None:
    """100 records a second of 3 KB count as 5 KB: 0.000476837 GB a second ("Amazon Data Firehose pricing")."""
    work = Workload(devices=100, every_s=1, reading_bytes=3 * 1024, keep_days=1)
    assert needs_of(work, Measured()).deliver.billed_gb_month / (730 * 3600) == pytest.approx(0.000476837)


@pytest.mark.parametrize(
    ("size", "on_demand_kb", "firehose_kb"), [(1, 1, 5), (1024, 1, 5), (1025, 2, 5), (5121, 6, 10)]
)
def test_records_are_billed_rounded_up(size: int, on_demand_kb: int, firehose_kb: int) -> None:
    """Kinesis on demand rounds a record up to 1 KB, Firehose to 5 KB (their pricing pages)."""
    needs = needs_of(Workload(devices=1, every_s=1, reading_bytes=size, keep_days=1), Measured())
    assert needs.ingest.billed_gb_month == pytest.approx(2_628_000 * on_demand_kb / 2**20)
    assert needs.deliver.billed_gb_month == pytest.approx(2_628_000 * firehose_kb / 2**20)


def test_firehose_tiers() -> None:
    """The first 500 TB cost 0.029 a GB, the next 1.5 PB 0.025, the rest 0.020."""
    work = Workload(devices=10_000_000, every_s=10, reading_bytes=170, keep_days=1)
    made = plan_of(work)
    gigabytes = made.stacks * made.share.deliver.billed_gb_month
    by_hand = 512_000 * 0.029 + 1_536_000 * 0.025 + (gigabytes - 2_048_000) * 0.02
    assert made.cost["Firehose"] == pytest.approx(by_hand)


def test_documents_are_as_large_as_the_function_makes_them() -> None:
    """The growth from reading to document, against the enrichment function itself."""
    raw = json.dumps(device_reading(device_temp=28.5)).encode()
    document = reading.encode([enrich(raw, ARRIVED_AT)])[0]
    assert len(document) <= len(raw) + DOCUMENT_GROWTH_BYTES <= len(document) + 25


# ---- properties ----------------------------------------------------------------------------------------------------


@given(workloads, st.integers(1, 100), st.sampled_from(["devices", "reading_bytes", "every_s"]))
def test_more_never_needs_less(work: Workload, factor: int, what: str) -> None:
    """More devices, larger readings or a shorter interval never need less of anything."""
    value = getattr(work, what)
    more = replace(work, **{what: value / factor if what == "every_s" else value * factor})
    smaller, larger = needed(needs_of(work, Measured())), needed(needs_of(more, Measured()))
    assert {name for name in smaller if larger[name] < smaller[name] * (1 - 1e-9)} == set()


@given(workloads, st.integers(2, 20))
def test_more_devices_never_need_fewer_stacks_or_cost_less(work: Workload, factor: int) -> None:
    """The number of stacks grows with the fleet, and so does the bill (to a GiB of a node's rounded volume)."""
    small, large = possible(work), possible(replace(work, devices=work.devices * factor))
    assert large.stacks >= small.stacks
    if large.stacks == small.stacks:
        for service in ("Kinesis", "Lambda", "Firehose", "Logs"):
            assert large.cost[service] >= small.cost[service] * (1 - 1e-9), service
        rounded = large.stacks * large.nodes.count * PRICE_TABLE.gp3_gb_month
        assert large.cost["OpenSearch"] >= small.cost["OpenSearch"] - rounded


@given(workloads)
def test_nodes_have_what_the_indices_need(work: Workload) -> None:
    """Storage, processors, heap and a node for each copy, within a domain's quota."""
    made = possible(work)
    nodes, need = made.nodes, made.share.index
    assert nodes.count * nodes.volume_gib >= need.storage_gib
    assert nodes.volume_gib <= nodes.instance.volume_gib
    assert nodes.count * nodes.instance.vcpus >= need.vcpus
    assert nodes.count * nodes.instance.sustained_vcpus >= need.sustained_vcpus * (1 - 1e-9)
    assert nodes.heap_gib * 25 >= need.shards * (1 - 1e-9)
    assert work.replicas < nodes.count <= nodes.instance.nodes
    assert work.burstable or nodes.instance.name != "t3.small.search"


@pytest.mark.parametrize("instance_type", INSTANCE_TYPES, ids=lambda each: each.name)
def test_a_type_has_the_limits_that_the_deployment_check_knows(instance_type: InstanceType) -> None:
    """Both tables are of one page of AWS, "Amazon OpenSearch Service quotas"."""
    name = instance_type.name
    assert instance_type.volume_gib == LIMITS[name].most_gib
    assert instance_type.buffer_mb == largest_buffer(name)
    assert instance_type.nodes <= most_nodes(name)


@given(workloads)
def test_parameters_are_those_of_the_template_within_their_bounds(work: Workload) -> None:
    """`--parameter-overrides` of any plan pass the template's own constraints and rules."""
    made = possible(work)
    declared = load_template()["Parameters"]
    for name, text in made.parameters.items():
        constraint = declared[name]
        if constraint["Type"] == "Number":
            assert constraint.get("MinValue", -math.inf) <= float(text) <= constraint.get("MaxValue", math.inf), name
        if "AllowedValues" in constraint:
            assert text in map(str, constraint["AllowedValues"]), name
        if "AllowedPattern" in constraint:
            assert re.fullmatch(constraint["AllowedPattern"], text), name
    assert refusing_rules(made.parameters) == set()
    assert made.parameters["IndexRotationPeriod"] != "NoRotation"  # retention needs a rotation
    assert int(made.parameters["RetentionDays"]) > work.keep_days
    both = ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds")
    assert sum(int(made.parameters[name]) for name in both) == work.buffer_seconds
    assert int(made.parameters["AlarmDelaySeconds"]) > work.buffer_seconds


@given(workloads)
def test_the_deployment_check_takes_any_plan(work: Workload) -> None:
    """What the stack itself refuses before anything is made: volumes, zones, copies, buffers of an instance type."""
    declared = load_template()["Parameters"]
    defaults = {name: str(each.get("Default", "")) for name, each in declared.items()}
    made = possible(work).parameters
    assert list(problems(defaults | made, {})) == []
    zones, nodes = int(made["AvailabilityZones"]), int(made["InstanceCount"])
    assert nodes % zones == 0
    assert zones <= work.replicas + 1, "a zone without a copy"
    assert not (work.replicas and nodes % 2 == 0 and zones == 1), "copies in one zone, though two would do"


@given(workloads)
def test_prod_takes_any_plan_with_two_replicas(work: Workload) -> None:
    """By the steps of docs/operations.md: the plan's values over those of `prod`, fitted to its standby zone."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))["prod"]["deploy"]["parameters"]
    prod = dict(entry.split("=", 1) for entry in config["parameter_overrides"])
    made = possible(replace(work, replicas=2, burstable=False)).parameters
    nodes = math.ceil(int(made["InstanceCount"]) / 3) * 3
    assume(nodes <= 80)  # AWS's default quota, which the check knows too
    fitted = {"AvailabilityZones": "3", "InstanceCount": str(nodes)}
    if made["InstanceType"].startswith("t3."):
        fitted["InstanceType"] = prod["InstanceType"]
    declared = load_template()["Parameters"]
    defaults = {name: str(each.get("Default", "")) for name, each in declared.items()}
    wanted = defaults | prod | made | fitted
    assert list(problems(wanted, {})) == []
    assert refusing_rules(wanted) == set()


def test_the_example_of_production_is_planned_so() -> None:
    """docs/operations.md: `--devices 5000 --every 10 --replicas 2` against the volumes of `prod`."""
    made = plan_of(replace(SMALL, devices=5000, replicas=2))
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"need {made.whole.index.storage_gib:,.0f} GiB." in " ".join(text.split())


def test_rounding_errors_buy_nothing() -> None:
    """A rate of exactly 625 shards needs 625, however it was computed; anything above needs one more."""
    every = 3.2678068971460315
    assert 625_000 * 23 / (every * 23) * every > 625_000, "an example in which the arithmetic errs upwards"
    assert whole(625_000 * 23 / (every * 23) * every / 1000) == 625
    assert (whole(625.001), whole(0), whole(1)) == (626, 0, 1)


@given(workloads, st.integers(2, 1000))
def test_only_the_rate_matters(work: Workload, factor: int) -> None:
    """Units: so many times the devices at so many times the interval are the same fleet to every step."""
    same = replace(work, devices=work.devices * factor, every_s=work.every_s * factor)
    first, second = needed(needs_of(work, Measured())), needed(needs_of(same, Measured()))
    assert {name: pytest.approx(value, rel=1e-6) for name, value in first.items()} == second


@given(workloads, st.integers(2, 1000))
def test_volumes_are_proportional_to_the_rate(work: Workload, factor: int) -> None:
    """Units: what is counted by volume (not by whole shards or nodes) doubles with the fleet."""
    small = needs_of(work, Measured())
    large = needs_of(replace(work, devices=work.devices * factor), Measured())
    assert large.ingest.put_units_month == pytest.approx(factor * small.ingest.put_units_month)
    assert large.deliver.billed_gb_month == pytest.approx(factor * small.deliver.billed_gb_month)
    assert large.index.storage_gib == pytest.approx(factor * small.index.storage_gib)
    assert large.index.sustained_vcpus == pytest.approx(factor * small.index.sustained_vcpus)


@given(workloads)
def test_every_figure_has_a_unit_and_a_source(work: Workload) -> None:
    """Each line of the report names its unit, of a closed set, and where its formula comes from; no figure is nan."""
    for figure in figures(possible(work)):
        assert figure.unit in {"", "/s", "MB/s", "MiB/s", "MB", "GB/month", "/month", "ms", "s", "GiB", "GiB/day"}, (
            figure
        )
        assert figure.source
        assert isinstance(figure.value, str) or math.isfinite(figure.value)


def test_zero_buffering_delivers_in_seconds() -> None:
    """With --delay 0 the longest way is a poll, an invocation and a refresh."""
    made = plan_of(replace(SMALL, buffer_seconds=0))
    assert made.share.deliver.longest_delay_s < 5
    assert made.parameters["TransformBufferIntervalInSeconds"] == "0"


def test_a_device_that_is_too_much_for_a_stack_is_said() -> None:
    """Dividing devices among stacks can't help then."""
    with pytest.raises(PlanError, match="a single device"):
        plan_of(Workload(devices=2, every_s=0.001, reading_bytes=2**20, keep_days=1, peak=10))


def test_tiny_readings_cross_the_function_s_limit() -> None:
    """20 bytes in a 0.2 MB buffer are 10,000 records of 500 bytes and more as JSON: near Lambda's 6 MB."""
    made = plan_of(replace(SMALL, reading_bytes=20))
    assert "size of a Lambda request" in {limit.name for limit in made.limits}


# ---- files ---------------------------------------------------------------------------------------------------------


def test_every_instance_type_has_a_price() -> None:
    """The shipped table prices all types that the planner chooses from, and says its date."""
    chosen_from = {each.name for each in INSTANCE_TYPES} | {each for *_, each in MASTER_TYPES}
    assert chosen_from == set(PRICE_TABLE.instance_hour)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", PRICE_TABLE.as_of)


def test_a_price_table_replaces_the_shipped_one(tmp_path: Path) -> None:
    """Twice the price of a node is twice the price of a node."""
    table = json.loads(PRICES.read_text())
    table["instance_hour"] = {"r6g.large.search": 1.0}
    table["gp3_gb_month"] = 0
    (tmp_path / "prices.json").write_text(json.dumps(table))
    made = make_plan(SMALL, load_prices(tmp_path / "prices.json"), Measured())
    assert made.nodes.instance.name == "r6g.large.search"
    assert made.cost["OpenSearch"] == pytest.approx(2 * 730)


@pytest.mark.parametrize(
    "change",
    [
        {"kinesis_shard_hour": "cheap"},
        {"kinesis_shard_hour": -1},
        {"surprise": 1},
        {"instance_hour": {"x9.search": 1}},
        {"firehose_gb_tiers": []},
    ],
    ids=["text for a number", "below zero", "unknown key", "no known type", "no tiers"],
)
def test_a_wrong_price_table_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """With the file's name, and what is wrong with it."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(json.loads(PRICES.read_text()) | change))
    with pytest.raises(PlanError, match=re.escape(str(path))):
        load_prices(path)


def test_measured_figures_replace_the_planner_s_own(tmp_path: Path) -> None:
    """The JSON of both benchmarks, by the keys that their sources write."""
    (tmp_path / "enrichment.json").write_text(
        json.dumps({"cost_of_500": {"enrichment": {"256": {"batch_ms": 40, "gb_seconds_per_million": 21.0}}}})
    )
    (tmp_path / "delivery.json").write_text(json.dumps({"bulk_ceiling_records_per_s": 8000, "machine": {"cores": 4}}))
    measured = load_measured([tmp_path / "enrichment.json", tmp_path / "delivery.json"])
    assert (measured.gb_seconds_per_million, measured.documents_per_s_per_vcpu) == (21.0, 2000.0)
    slower, faster = needs_of(SMALL, measured), needs_of(SMALL, Measured())
    assert slower.index.sustained_vcpus == pytest.approx(7.5 * faster.index.sustained_vcpus)
    assert slower.transform.gb_seconds_month > faster.transform.gb_seconds_month
    for file, keys in {
        "enrichment": ["cost_of_500"],
        "delivery": ["bulk_ceiling_records_per_s", "machine"],
    }.items():
        source = (PROJECT / "benchmarks" / f"{file}.py").read_text()
        assert all(f'"{key}"' in source for key in keys)


OTHER_FILES = ["", "[]", "{}", '{"cost_of_500": 1}', '{"bulk_ceiling_records_per_s": 0}', "\xff", "[" * 100_000]
OTHER_FILES += ['{"bulk_ceiling_records_per_s": NaN, "machine": {"cores": 2}}', '{"bulk_ceiling_records_per_s": "9"}']


@pytest.mark.parametrize("text", OTHER_FILES)
def test_other_json_is_not_taken_for_figures(tmp_path: Path, text: str) -> None:
    """With the file's name and what to give instead."""
    (tmp_path / "figures.json").write_text(text, encoding="latin-1")
    with pytest.raises(PlanError, match="make bench"):
        load_measured([tmp_path / "figures.json"])


# ---- the command ---------------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_the_command_that_deploys_it() -> None:
    """What a person reads, and can copy: the last line is one line."""
    result = CliRunner().invoke(cli, ["plan", "--devices", "1000", "--every", "10", "--keep", "30"])
    assert result.exit_code == 0, result.output
    assert "1,000 devices" in result.output
    assert 'docs/operations.md, "Size it for your fleet"' in " ".join(result.output.split())
    assert (
        result.output.rstrip()
        .splitlines()[-1]
        .startswith("sam build && sam deploy --parameter-overrides ShardCount=1 ")
    )


def test_the_command_prints_json() -> None:
    """Needs with units in their names, parameters as the template spells them, cost with its date."""
    result = CliRunner().invoke(
        cli, ["plan", "--devices", "9000000", "--every", "10", "--bytes", "170", "--keep", "30", "--json"]
    )
    document = json.loads(result.output)
    assert document["needs"]["ingest"]["shards"] == 2000
    assert document["parameters"]["IndexRotationPeriod"] == "OneDay"
    assert document["cost_month"]["as_of"] == PRICE_TABLE.as_of
    assert all(figure["source"] for figure in document["figures"])


def test_the_command_refuses_what_makes_no_sense() -> None:
    """Out of range is a usage error; a plan that can't be made is one line."""
    assert CliRunner().invoke(cli, ["plan", "--devices", "0", "--every", "10"]).exit_code == 2
    wild = ["plan", "--devices", "1", "--every", "0.001", "--bytes", "1048576", "--keep", "30", "--peak", "1000"]
    assert isinstance(CliRunner().invoke(cli, wild).exception, IotStreamError)
