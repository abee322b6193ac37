"""Commands on the dashboard's files: what OpenSearch Dashboards imports, and snapshots."""

from pathlib import Path

import click

from iot_stream.cli import options
from iot_stream.errors import IotStreamError

__all__ = ["dashboards"]


@click.group()
def dashboards() -> None:
    """Build the file that OpenSearch Dashboards imports, and draw snapshots of the dashboard."""


@dashboards.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if the built file is not up to date.")
def build(*, check: bool) -> None:
    """Build saved_objects.ndjson from the panels, for OpenSearch Dashboards."""
    from iot_stream.dashboards.definition import load
    from iot_stream.dashboards.saved_objects import FILE, build, to_ndjson

    content = to_ndjson(build(load()))
    if FILE.exists() and FILE.read_text(encoding="utf-8") == content:
        click.echo(f"{FILE.name} is up to date")
    elif check:
        raise IotStreamError(f"{FILE.name} is not up to date: run `iot-stream dashboards build` and commit it")
    else:
        FILE.write_text(content, encoding="utf-8")
        click.echo(f"{FILE.name} written: {content.count('\n')} objects")


@dashboards.command()
@options.state
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the snapshots."
)
@options.time_range_start
@click.option("--format", "kind", type=click.Choice(["png", "svg"]), default="png", help="File format.")
def snapshot(state: Path | None, out: Path, start: str, kind: str) -> None:
    """Draw every panel, and the whole dashboard, from what the local stack holds now."""
    from iot_stream.dashboards.snapshot import write
    from iot_stream.live.server import stack_view
    from iot_stream.local import local_stack

    dashboard, sources = stack_view(local_stack.find(options.state_folder(state)))
    for file in write(dashboard, sources.search, out, start=start, kind=kind):
        click.echo(file)
