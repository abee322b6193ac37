"""Commands on the description of a reading, functions/enrichment/readings.toml."""

import click

from iot_stream.errors import IotStreamError

__all__ = ["readings"]


@click.group()
def readings() -> None:
    """Build everything that follows from the description of a reading (functions/enrichment/readings.toml)."""


@readings.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a built file is not up to date.")
def build(*, check: bool) -> None:
    """Build the index template and the dashboard's saved objects from the description."""
    from iot_stream.dashboards.built_files import outdated, write
    from iot_stream.description import DescriptionError, load
    from iot_stream.paths import PROJECT

    try:
        reading = load()
    except DescriptionError as error:
        raise IotStreamError(str(error)) from error
    paths = outdated(reading) if check else write(reading)
    names = ", ".join(str(path.relative_to(PROJECT)) for path in paths)
    if not paths:
        click.echo("all built files are up to date")
    elif check:
        raise IotStreamError(f"not up to date: {names}. Run `iot-stream readings build` and commit the result")
    else:
        click.echo(f"written: {names}")
