"""`iot-stream dashboards`: draw the dashboard."""

from pathlib import Path

import click

from iot_stream.cli import options

__all__ = ["dashboards"]


@click.group()
def dashboards() -> None:
    """Draw snapshots of the dashboard."""


@dashboards.command()
@options.state
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the snapshots."
)
@options.time_range_start
@click.option("--format", "kind", type=click.Choice(["png", "svg"]), default="png", help="File format.")
def snapshot(state: Path | None, out: Path, start: str, kind: str) -> None:
    """Draw every panel and the whole dashboard from the local stack's current readings."""
    from iot_stream.dashboards.snapshot import write
    from iot_stream.live.server import stack_view
    from iot_stream.local import local_stack

    dashboard, sources = stack_view(local_stack.find(options.state_folder(state)))
    for file in write(dashboard, sources.search, out, start=start, kind=kind):
        click.echo(file)
