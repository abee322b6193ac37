"""`iot-stream plan`: size a stack for a fleet, with its cost and the parameters that deploy it."""

import json
from pathlib import Path
from typing import Any

import click

from iot_stream.cli import options

__all__ = ["plan"]

_WIDTH_WITH_SOURCES = 120
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--devices", type=click.IntRange(1, 10**9), required=True, help="Number of devices.")
@click.option(
    "--every", "every_s", type=options.FiniteRange(0.001, 10**7), required=True, help="Seconds between readings."
)
@click.option(
    "--bytes", "reading_bytes", type=click.IntRange(1, 2**20), default=170, help="Size of a reading in bytes."
)
@click.option(
    "--keep", "keep_days", type=click.IntRange(1, 36_000), default=30, help="Days that readings stay searchable."
)
@click.option("--peak", type=options.FiniteRange(1, 1000), default=2.0, help="Peak rate as a multiple of the average.")
@click.option("--replicas", type=click.IntRange(0, 5), default=1, help="Replicas of each shard.")
@click.option(
    "--delay",
    "buffer_seconds",
    type=click.IntRange(0, 1800),
    default=120,
    help="Seconds that a reading may wait in the buffers.",
)
@click.option("--failed", type=options.FiniteRange(0, 100), default=0.1, help="Percentage of readings that fail.")
@click.option("--backup", "backup_all", is_flag=True, help="Keep every reading in S3 too (BackupMode=AllDocuments).")
@click.option("--small", "burstable", is_flag=True, help="Allow t3.small.search: cheapest, not for production.")
@click.option(
    "--mode",
    type=click.Choice(["provisioned", "on-demand"]),
    help="Capacity mode of the stream.  [default: the cheaper one]",
)
@click.option(
    "--warm",
    is_flag=True,
    help="The account uses On-demand Advantage, so an on-demand stream can be warmed up for the peak.",
)
@click.option("--prices", "price_file", type=_FILE, help="Price table to use instead of the included one.")
@click.option(
    "--measured", "measured_files", type=_FILE, multiple=True, help="JSON file of `make bench`; can be repeated."
)
@options.as_json
def plan(
    *,
    failed: float,
    mode: str | None,
    price_file: Path | None,
    measured_files: tuple[Path, ...],
    as_json: bool,
    **wanted: Any,
) -> None:
    """Size the stream, function, delivery stream and domain for a fleet; offline, without calling AWS."""
    from iot_stream.plan import report
    from iot_stream.plan.cost import load_prices
    from iot_stream.plan.measured import load_measured
    from iot_stream.plan.planner import make_plan
    from iot_stream.plan.workload import Workload

    prices = load_prices(price_file)
    work = Workload(failed_share=failed / 100, **wanted)
    made = make_plan(work, prices, load_measured(measured_files), mode)
    if as_json:
        click.echo(json.dumps(report.as_json(made, prices)))
    else:
        console = options.make_console()
        console.print(report.as_table(made, prices, sources=console.width >= _WIDTH_WITH_SOURCES), soft_wrap=False)
        console.print(f"\n{report.deploy_command(made)}", soft_wrap=True)  # one line, to be copied
