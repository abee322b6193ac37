"""Options and option types that several commands share, and functions that resolve them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from iot_stream.errors import IotStreamError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from iot_stream.description import Description
    from iot_stream.local.local_stack import Ports
    from iot_stream.target import Target

__all__ = [
    "FiniteRange",
    "PositiveNumber",
    "all_of",
    "as_json",
    "load_built_description",
    "load_description",
    "local_stack_options",
    "make_console",
    "make_ports",
    "parameters",
    "print_table",
    "resolve_target",
    "state",
    "state_folder",
    "target_options",
    "time_range_start",
]

_FILE_WIDTH = 160  # columns if the output is not a terminal


class FiniteRange(click.FloatRange):
    """A range of numbers that rejects `nan`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return `value` as a float, or fail with a usage error."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class PositiveNumber(click.ParamType):
    """A finite number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return `value` as a float, or fail with a usage error."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value} is not a positive number", param, ctx)
        return number


def _parameters(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=VALUE pairs as a mapping; reject what the template does not accept before anything starts."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value} must have the form NAME=VALUE, for example IndexRotationPeriod=OneDay")
    given = dict(value.split("=", 1) for value in values)
    if given:
        from iot_stream.local.parameters import check_parameters

        check_parameters(given)
    return given


def _stack_name(context: click.Context, _: click.Parameter, value: str) -> str:
    """Return the name; reject one without --aws, which would be ignored and act on the local stack instead."""
    if context.get_parameter_source("stack_name") is ParameterSource.COMMANDLINE and not context.params.get("aws"):
        raise click.UsageError("--stack names a stack on AWS: add --aws, or omit --stack for the local stack")
    return value


def all_of(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return one decorator that applies several options, listed in this order in the help text."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="IOT_STREAM_STATE",
    help="Folder for the local stack's state and logs.  [default: .local/stack in the project]",
)
"""`--state`: where the local stack keeps its state."""

parameters = click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_parameters,
    help="Set a parameter of template.yaml; can be repeated.",
)

local_stack_options = all_of(
    state,
    click.option("--opensearch-port", type=click.IntRange(1, 65535), default=19200, help="HTTPS port of OpenSearch."),
    click.option(
        "--domain-port", type=click.IntRange(1, 65535), default=19201, help="HTTPS port of the domain's endpoint."
    ),
    click.option("--aws-port", type=click.IntRange(1, 65535), default=14566, help="Port of the local AWS APIs."),
    click.option("--live-port", type=click.IntRange(1, 65535), default=8600, help="Port of the live page."),
    parameters,
)
"""Options of commands that start a local stack: its folder, its ports, and parameters of the template."""

target_options = all_of(
    state,
    click.option(
        "--aws",
        is_flag=True,
        is_eager=True,  # `--stack` looks at it, whichever comes first
        help="Use the stack deployed on AWS, with your AWS credentials.",
    ),
    click.option(
        "--stack", "stack_name", default="iot-stream", callback=_stack_name, help="Name of the stack (with --aws)."
    ),
)
"""Options of commands that act on the local stack, or with `--aws` on AWS: see `resolve_target`."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
time_range_start = click.option(
    "--from", "start", default="now-15m", help="Start of the time range, for example now-1h."
)


def resolve_target(state: Path | None, stack_name: str, *, aws: bool) -> "Target":
    """Return the target of a command with `target_options` (raises StackError if there is none)."""
    from iot_stream.target import Target

    return Target.on_aws(stack_name) if aws else Target.local(state_folder(state))


def load_description(path: Path | None = None) -> "Description":
    """Return the description in `path`, or the project's (raises IotStreamError that lists all mistakes)."""
    from iot_stream.description import DescriptionError, load

    try:
        return load(path)
    except DescriptionError as error:
        raise IotStreamError(str(error)) from error


def load_built_description() -> "Description":
    """Return the project's description (raises IotStreamError for mistakes, or if a built file is out of date)."""
    from iot_stream.readings.built_files import check

    description = load_description()
    check(description)
    return description


def state_folder(state: Path | None) -> Path:
    """Return the absolute folder of `--state`, or the project's default."""
    from iot_stream.local.local_stack import DEFAULT_FOLDER

    return (state or DEFAULT_FOLDER).resolve()


def make_ports(ports: dict[str, int]) -> "Ports":
    """Return the ports of `local_stack_options`, from their keyword arguments."""
    from iot_stream.local.local_stack import Ports

    return Ports(
        opensearch=ports["opensearch_port"], aws=ports["aws_port"], domain=ports["domain_port"], live=ports["live_port"]
    )


def make_console() -> "Console":
    """Return a console that does not interpret markup, and uses wide lines if the output is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_FILE_WIDTH)


def print_table(table: "Table") -> None:
    """Print a table without interpreting markup in foreign text."""
    make_console().print(table)
