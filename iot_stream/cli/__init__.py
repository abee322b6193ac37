"""The iot-stream command: parse, call, print. What the commands do lives in the modules they import.

Each command imports its room when it runs, so that `--help` and `status` stay fast.
"""

import json
import math
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from iot_stream.errors import IotStreamError

if TYPE_CHECKING:
    from iot_stream.local.local_stack import Ports
    from iot_stream.target import Target

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def cli() -> None:
    """Real-time device monitoring, from a Kinesis stream to a live OpenSearch dashboard.

    Commands act on the local stack; those that can act on AWS do so only with --aws.
    """


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 1."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        cli(standalone_mode=True)
    except IotStreamError as error:
        click.echo(f"iot-stream: {error}", err=True)
        sys.exit(1)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


class _Positive(click.ParamType):
    """A finite number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value} is not a positive number", param, ctx)
        return number


def _parameter(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE pairs as a mapping."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value} is not NAME=VALUE, for example IndexRotationPeriod=OneDay")
    return dict(value.split("=", 1) for value in values)


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several click options as one decorator."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="IOT_STREAM_STATE",
    help="Folder of the local stack's state and logs.  [default: .local/stack of the project]",
)
_machine = _options(
    _state,
    click.option("--opensearch-port", type=click.IntRange(1, 65535), default=19200, help="HTTPS port of OpenSearch."),
    click.option("--aws-port", type=click.IntRange(1, 65535), default=14566, help="Port of the local AWS."),
    click.option("--live-port", type=click.IntRange(1, 65535), default=8600, help="Port of the live page."),
    click.option(
        "--parameter",
        "parameters",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_parameter,
        help="Set a parameter of template.yaml; may be given several times.",
    ),
)
_rate = click.option("--rate", type=_Positive(), default=100, help="Readings a second.")
_seconds = click.option("--for", "seconds", type=_Positive(), help="Seconds to send for.  [default: until Ctrl-C]")
_seed = click.option("--seed", type=click.IntRange(min=0), help="Seed of the readings.  [default: a random one]")


@cli.command()
@_machine
@_rate
@_seconds
@_seed
def run(
    state: Path | None, rate: float, seconds: float | None, seed: int | None, parameters: dict[str, str], **ports: int
) -> None:
    """Start the whole system here, send readings, show them arrive, account for every one, stop.

    Exits with 0 only if every reading sent is searchable in OpenSearch or a failure object in S3.
    """
    from iot_stream.display import Display, reconciliation_text, startup_summary
    from iot_stream.generator.job import choose_seed
    from iot_stream.live.server import open_page
    from iot_stream.local import local_stack
    from iot_stream.local.run import drain, send_and_watch

    display = Display()
    started = local_stack.up(_folder(state), _ports(ports), overrides=parameters, say=display.say)
    try:
        stack = started.stack()
        seed = choose_seed(seed)
        click.echo(startup_summary(started, stack))
        if seconds is None and sys.stdout.isatty():  # somebody is here to look at it
            open_page(started.live_url)
        display.say(f"sending {rate:g} readings a second (seed {seed})" + ("" if seconds else "; Ctrl-C ends it"))
        stop = _interrupted()
        send_and_watch(started, stack, seed=seed, rate=rate, seconds=seconds, stop=stop, show=display.show)
        result = drain(started, stack, display.show, stop=_interrupted())
        display.stop_live()
        display.say(reconciliation_text(result))
    finally:
        display.stop_live()
        started.down()
        display.say("stopped")
    sys.exit(0 if result.complete else 1)


@cli.command()
@_machine
def up(state: Path | None, parameters: dict[str, str], **ports: int) -> None:
    """Start the local stack and leave it running: OpenSearch, AWS's APIs, sam build and deploy, delivery."""
    from iot_stream.display import Display, startup_summary
    from iot_stream.local import local_stack

    display = Display()
    started = local_stack.up(_folder(state), _ports(ports), overrides=parameters, say=display.say)
    click.echo(startup_summary(started, started.stack()))


@cli.command()
@_state
def down(state: Path | None) -> None:
    """Stop the local stack, if one runs."""
    from iot_stream.local import local_stack

    click.echo("stopped" if local_stack.stop(_folder(state)) else "nothing was running")


@cli.command()
@_state
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def status(state: Path | None, *, as_json: bool) -> None:
    """Show how many records are at each step of the local stack."""
    from iot_stream.display import status_text
    from iot_stream.local import local_stack
    from iot_stream.local.status import administrator
    from iot_stream.local.status import status as status_of

    found = local_stack.find(_folder(state))
    now = status_of(found, administrator(found), found.stack().output("IndexName"))
    click.echo(json.dumps(now.as_dict()) if as_json else status_text(now))


@cli.command()
@_state
@_rate
@click.option("--count", type=click.IntRange(min=1), help="Readings to send in all.")
@_seconds
@_seed
@click.option("--aws", is_flag=True, help="Send to the stack deployed on AWS, with your AWS credentials.")
@click.option("--stack", "stack_name", default="iot-stream", help="Name of the stack (with --aws).")
@click.option("--json", "as_json", is_flag=True, help="Print what was sent as one JSON object.")
def send(
    *,
    state: Path | None,
    rate: float,
    count: int | None,
    seconds: float | None,
    seed: int | None,
    stack_name: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Send device readings into the Kinesis data stream, once the delivery stream is active."""
    from iot_stream.display import progress
    from iot_stream.generator.job import choose_seed, send_readings, wait_until_active

    target = _target(state, stack_name, aws=aws)
    seed = choose_seed(seed)
    wait_until_active(target.client("firehose"), target.stack.output("DeliveryStreamName"))
    total = count or (int(rate * seconds) if seconds else None)
    with progress(total, hidden=as_json) as on_sent:
        sent = send_readings(
            target.client("kinesis"),
            target.stack.output("StreamName"),
            seed=seed,
            rate=rate,
            count=count,
            seconds=seconds,
            ledger=target.ledger,
            on_sent=on_sent,
            stop=_interrupted(),
        )
    result = {"sent": sent.records, "retried": sent.retried, "seed": seed}
    click.echo(json.dumps(result) if as_json else f"{sent.records:,} readings sent (seed {seed})")


@cli.command()
@_state
@click.option("--aws", is_flag=True, help="Of the stack deployed on AWS, with your AWS credentials.")
@click.option("--stack", "stack_name", default="iot-stream", help="Name of the stack (with --aws).")
def password(state: Path | None, stack_name: str, *, aws: bool) -> None:
    """Print the name and the password of the domain's master user."""
    click.echo(" ".join(_target(state, stack_name, aws=aws).master_user()))


@cli.group()
def domain() -> None:
    """Look at, apply or remove what the stack puts into its OpenSearch domain, without a deployment."""


def _domain_command(action: str, help_text: str) -> None:
    """Add `domain ACTION`: it invokes the deployed role mapper and prints what became of each object."""

    @domain.command(action, help=help_text)
    @_state
    @click.option("--aws", is_flag=True, help="On the domain deployed on AWS, with your AWS credentials.")
    @click.option("--stack", "stack_name", default="iot-stream", help="Name of the stack (with --aws).")
    def command(state: Path | None, stack_name: str, *, aws: bool) -> None:
        from iot_stream.domain import ask

        target = _target(state, stack_name, aws=aws)
        click.echo(ask(target.client("lambda"), target.stack, action).table())


_domain_command("show", "Compare the domain with what the stack wants there; changes nothing.")
_domain_command("apply", "Make or mend the role, its mapping, index template, retention and dashboards.")
_domain_command("remove", "Take away what the stack added; delivery is refused (403) until it is applied again.")


def _target(state: Path | None, stack_name: str, *, aws: bool) -> "Target":
    from iot_stream.target import Target

    return Target.on_aws(stack_name) if aws else Target.local(_folder(state))


def _interrupted() -> Callable[[], bool]:
    """Whether Ctrl-C or SIGTERM has come since this call; a second one ends the command at once."""
    seen: list[int] = []

    def note(number: int, _: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(seen)


@cli.command()
@click.option("--delivery-stream", required=True, metavar="NAME", help="Name of the delivery stream to stand in for.")
@click.option("--endpoint-url", metavar="URL", help="Where AWS's APIs are.  [default: AWS, or AWS_ENDPOINT_URL]")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], default="us-east-1", help="AWS region.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of its progress.  [default: .local/delivery/NAME here]",
)
@click.option(
    "--sign-in",
    type=click.Choice(["sigv4", "jwt", "basic", "none"]),
    default="sigv4",
    help="How to sign in to the domain; basic takes OPENSEARCH_USER and OPENSEARCH_PASSWORD from the environment.",
)
@click.option(
    "--jwt-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The security plugin's signing_key (base64), for --sign-in jwt: the worker is the delivery role.",
)
@click.option(
    "--ca",
    "ca_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Authority that the domain's certificate is verified with (PEM).",
)
@click.option("--own-credentials", is_flag=True, help="Call AWS with your own credentials, not as the delivery role.")
def deliver(delivery_stream: str, state: Path | None, *, own_credentials: bool, **options: Any) -> None:
    """Stand in for Amazon Data Firehose: deliver from a delivery stream's Kinesis stream to its domain.

    Works against any endpoint that has Kinesis, Lambda, S3, STS and Firehose's DescribeDeliveryStream; docs/delivery.md
    has an example. Ctrl-C or SIGTERM stops it; started again, it goes on where it stopped.
    """
    from iot_stream.delivery.worker import Options, serve

    folder = state or Path(".local", "delivery", delivery_stream)
    serve(Options(delivery_stream=delivery_stream, state=folder, assume_roles=not own_credentials, **options))


def _folder(state: Path | None) -> Path:
    from iot_stream.local.local_stack import DEFAULT_FOLDER

    return (state or DEFAULT_FOLDER).resolve()


def _ports(ports: dict[str, int]) -> "Ports":
    from iot_stream.local.local_stack import Ports

    return Ports(opensearch=ports["opensearch_port"], aws=ports["aws_port"], live=ports["live_port"])


@cli.command()
@_state
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

    serve(local_stack.find(_folder(state)), port, ready)


@cli.command()
@_state
@click.option("--every", type=_Positive(), default=5, help="Seconds between two refreshes.")
@click.option("--from", "start", default="now-15m", help="Where the time range begins, e.g. now-1h.")
@click.option("--once", is_flag=True, help="Show it once and exit.")
def watch(state: Path | None, every: float, start: str, *, once: bool) -> None:
    """Show the pipeline and the devices' temperature in the terminal until Ctrl-C."""
    from iot_stream.live.server import view_of
    from iot_stream.live.terminal import show
    from iot_stream.local import local_stack

    show(*view_of(local_stack.find(_folder(state))), every=every, start=start, once=once)


@cli.group()
def dashboards() -> None:
    """The dashboard's files: what OpenSearch Dashboards imports, and still pictures."""


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
@_state
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the pictures.")
@click.option("--from", "start", default="now-15m", help="Where the time range begins, e.g. now-1h.")
@click.option("--format", "kind", type=click.Choice(["png", "svg"]), default="png", help="Kind of picture.")
def snapshot(state: Path | None, out: Path, start: str, kind: str) -> None:
    """Draw every panel, and the whole dashboard, from what the local stack holds now."""
    from iot_stream.dashboards.snapshot import write
    from iot_stream.live.server import view_of
    from iot_stream.local import local_stack

    dashboard, sources = view_of(local_stack.find(_folder(state)))
    for file in write(dashboard, sources.search, out, start=start, kind=kind):
        click.echo(file)
