"""Commands that show the local stack live: the page in a browser, the counts and temperatures in a terminal."""

from pathlib import Path

import click

from iot_stream.cli import options

__all__ = ["live", "watch"]


@click.command()
@options.state
@click.option("--port", type=click.IntRange(1, 65535), default=8600, help="Port of the page on 127.0.0.1.")
@click.option("--open", "open_it", is_flag=True, help="Open the page where there is a browser.")
def live(state: Path | None, port: int, *, open_it: bool) -> None:
    """Serve the live page of the local stack until Ctrl-C: the dashboard, and the pipeline itself."""
    from iot_stream.live.server import open_page, serve
    from iot_stream.local import local_stack

    def ready(url: str) -> None:
        click.echo(f"live page: {url}")
        if open_it:
            open_page(url)

    serve(local_stack.find(options.state_folder(state)), port, ready)


@click.command()
@options.state
@click.option("--every", type=options.PositiveNumber(), default=5, help="Seconds between two refreshes.")
@options.time_range_start
@click.option("--once", is_flag=True, help="Show it once and exit.")
def watch(state: Path | None, every: float, start: str, *, once: bool) -> None:
    """Show the pipeline and the devices' temperature in the terminal until Ctrl-C."""
    from iot_stream.live.server import stack_view
    from iot_stream.live.terminal import show
    from iot_stream.local import local_stack

    show(*stack_view(local_stack.find(options.state_folder(state))), every=every, start=start, once=once)
