"""Commands that start, stop and observe the local stack: run, up, down, status."""

import datetime as dt
import json
import sys
import time
from pathlib import Path

import click

from iot_stream.cli import options
from iot_stream.cli.sending_options import Sending, sending_options
from iot_stream.cli.signals import interrupted

__all__ = ["deploy", "down", "run", "status", "up"]


@click.command()
@options.local_stack_options
@sending_options
def run(
    *,
    state: Path | None,
    sending: Sending,
    parameters: dict[str, str],
    **ports: int,
) -> None:
    """Start the local stack, send readings, show them arrive, account for every one, and stop.

    Exits with 0 only if every reading sent is searchable in OpenSearch or in a failure object in S3.
    """
    from iot_stream.display import Display, reconciliation_text, sent_text, startup_summary
    from iot_stream.generator.sources import notes_on, open_readings
    from iot_stream.live.server import open_page
    from iot_stream.local import local_stack
    from iot_stream.run.session import check_parameters, drain, send_and_watch
    from iot_stream.stack import device_zone

    check_parameters(parameters)
    description = options.load_built_description()
    open_readings(
        sending.choice, description, seed=sending.seed, zone=dt.UTC
    )  # report a mistake before anything starts
    display = Display()
    started = local_stack.up(
        options.state_folder(state), options.make_ports(ports), overrides=parameters, say=display.say
    )
    try:
        stack = started.stack()
        zone = device_zone(stack)
        readings = open_readings(sending.choice, description, seed=sending.seed, zone=zone)
        click.echo(startup_summary(started, stack))
        if sending.seconds is None and sys.stdout.isatty():  # interactive
            open_page(started.live_url)
        end = "" if sending.seconds else "; press Ctrl-C to stop"
        display.say(f"sending {sending.rate:g} readings per second (seed {sending.seed}){end}")
        for note in notes_on(sending.choice, description, zone=zone, now=int(time.time() * 1000)):
            display.say(f"note: {note}")
        stop = interrupted()
        sent = send_and_watch(
            started, stack, readings, due=sending.due, seconds=sending.seconds, stop=stop, show=display.show
        )
        display.say(sent_text(sent, seed=sending.seed))
        result = drain(started, stack, display.show, stop=interrupted())
        display.stop_live()
        display.say(reconciliation_text(result))
    finally:
        display.stop_live()
        started.down(display.say)
        display.say("stopped")
    sys.exit(0 if result.complete else 1)


@click.command()
@options.local_stack_options
def up(state: Path | None, parameters: dict[str, str], **ports: int) -> None:
    """Start the local stack and leave it running: OpenSearch, AWS APIs, sam build and deploy, delivery.

    If the stack is running but a part of it has stopped, restart only that part and keep all data.
    """
    from iot_stream.display import Display, startup_summary
    from iot_stream.local import local_stack
    from iot_stream.local.upkeep import restart_parts

    options.load_built_description()
    display, folder = Display(), options.state_folder(state)
    started = restart_parts(folder, display.say)
    if started and parameters:
        display.say("note: --parameter was ignored, because the stack exists; use `iot-stream deploy --parameter …`")
    started = started or local_stack.up(folder, options.make_ports(ports), overrides=parameters, say=display.say)
    click.echo(startup_summary(started, started.stack()))


@click.command()
@options.state
@options.parameters
def deploy(state: Path | None, parameters: dict[str, str]) -> None:
    """Build and deploy the template to the running local stack, which keeps its data.

    A changed function, template or --parameter takes effect in 10 to 20 seconds. On AWS: sam build && sam deploy.
    """
    from iot_stream.display import Display
    from iot_stream.local import local_stack
    from iot_stream.local.upkeep import update

    options.load_built_description()
    display = Display()
    stack = update(local_stack.find(options.state_folder(state)), parameters, display.say)
    display.say(f"stack {stack.name} is deployed")


@click.command()
@options.state
def down(state: Path | None) -> None:
    """Stop the local stack if it is running."""
    from iot_stream.local import local_stack

    click.echo("stopped" if local_stack.stop(options.state_folder(state), click.echo) else "nothing was running")


@click.command()
@options.state
@options.as_json
def status(state: Path | None, *, as_json: bool) -> None:
    """Show how many records have reached each step of the local stack."""
    from iot_stream.display import counts_text
    from iot_stream.failure_objects import FailureObjects
    from iot_stream.local import local_stack
    from iot_stream.run.counts import read_counts, with_resolved

    found = local_stack.find(options.state_folder(state))
    stack = found.stack()
    counts = read_counts(found, found.opensearch.admin_client(), stack.output("IndexName"))
    now = with_resolved(counts, FailureObjects.of(stack, found.aws.client("s3")))
    click.echo(json.dumps(now.as_dict()) if as_json else counts_text(now))
