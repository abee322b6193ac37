"""`iot-stream live` and `iot-stream watch`: show the local stack live in a browser or in a terminal."""

from pathlib import Path

import click

from iot_stream.cli import options

__all__ = ["live", "watch"]


@click.command()
@options.state
@click.option("--port", type=click.IntRange(1, 65535), default=8600, help="Port of the live page on 127.0.0.1.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in the default browser.")
def live(state: Path | None, port: int, *, open_it: bool) -> None:
    """Serve the local stack's live page, with the dashboard and the state of the pipeline, until Ctrl-C."""
    from iot_stream.live.server import open_page, serve
    from iot_stream.local import local_stack

    def ready(url: str) -> None:
        click.echo(f"live page: {url}")
        if open_it:
            open_page(url)

    serve(local_stack.find(options.state_folder(state)), port, ready)


@click.command()
@options.state
@click.option("--every", type=options.PositiveNumber(), default=5, help="Seconds between refreshes.")
@options.time_range_start
@click.option("--once", is_flag=True, help="Print once and exit.")
def watch(state: Path | None, every: float, start: str, *, once: bool) -> None:
    """Show the pipeline and the devices' measures in the terminal until Ctrl-C."""
    from iot_stream.live.server import stack_view
    from iot_stream.live.terminal import show
    from iot_stream.local import local_stack

    show(*stack_view(local_stack.find(options.state_folder(state))), every=every, start=start, once=once)
