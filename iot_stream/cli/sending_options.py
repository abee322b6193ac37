"""Options that `send` and `run` share: what is sent, how fast and for how long."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iot_stream.cli.options import FiniteRange, PositiveNumber, all_of

if TYPE_CHECKING:
    from iot_stream.generator.rates import Due
    from iot_stream.generator.sources import Choice

__all__ = ["Sending", "sending_options"]

_HIGHEST_RATE = 1e9  # a second; far beyond any stream, and all sums of it are finite


@dataclass(frozen=True)
class Sending:
    """The values of `sending_options`."""

    rate: float
    ramp: float | None
    sine: tuple[float, float] | None
    gauss: float | None
    seconds: float | None
    seed: int
    templates: list[tuple[Path, float]]
    devices: int | None
    lively: bool
    late: float
    duplicate: float
    faulty: float

    def check(self) -> None:
        """Check that the options can be combined (raises UsageError)."""
        if sum(option is not None for option in (self.ramp, self.sine, self.gauss)) > 1:
            raise click.UsageError("--ramp, --sine and --gauss can't be combined: give only one of them")
        if self.ramp is not None and self.seconds is None:
            raise click.UsageError("--ramp needs --for, at the end of which the rate is reached")
        asked = {"--rate": self.rate, "--ramp": self.ramp, "--gauss": self.gauss}
        for name, rate in asked.items():
            if rate is not None and rate > _HIGHEST_RATE:
                raise click.UsageError(f"{name}: {rate:g} is too high: the maximum is {_HIGHEST_RATE:g} per second")
        if self.sine is not None and self.sine[1] < 1:
            raise click.UsageError("--sine: the period must be at least one second")
        if self.sine is not None and self.sine[0] > self.rate:
            raise click.UsageError(
                f"--sine: the amplitude must not exceed the rate ({self.rate:g}), or the rate would fall below 0"
            )

    @property
    def due(self) -> "Due":
        """How many records are due when."""
        from iot_stream.generator import rates

        if self.ramp is not None and self.seconds is not None:
            return rates.ramp(self.rate, self.ramp, self.seconds)
        if self.sine is not None:
            return rates.sine(self.rate, *self.sine)
        if self.gauss is not None:
            return rates.gaussian(self.rate, self.gauss, self.seed)
        return rates.constant(self.rate)

    @property
    def choice(self) -> "Choice":
        """What is to be sent."""
        from iot_stream.generator.faults import Faults
        from iot_stream.generator.sources import Choice

        faults = Faults(late=self.late, duplicate=self.duplicate, faulty=self.faulty)
        return Choice(self.templates, self.devices, lively=self.lively, faults=faults)


def _weighted_files(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[Path, float]]:
    """Return FILE and FILE=WEIGHT as pairs; treat a whole value that names an existing file as FILE."""
    pairs = []
    for value in values:
        name, _separator, weight = value.rpartition("=")
        try:
            number = float(weight) if name and not Path(value).exists() else None
        except ValueError:
            number = None
        if number is not None and not (math.isfinite(number) and number > 0):
            raise click.BadParameter(f"{value}: the weight must be a number above 0")
        pairs.append((Path(value), 1.0) if number is None else (Path(name), number))
    return pairs


def _random_seed() -> int:
    from iot_stream.generator.job import random_seed

    return random_seed()


_percent = FiniteRange(0, 100)
_options = all_of(
    click.option(
        "--template",
        "templates",
        metavar="FILE[=WEIGHT]",
        multiple=True,
        callback=_weighted_files,
        help="Kinesis Data Generator template; can be repeated, and templates are mixed by weight.  [default: the "
        "walkthrough's, or one derived from functions/enrichment/readings.toml]",
    ),
    click.option("--rate", type=PositiveNumber(), default=100, help="Records per second."),
    click.option("--ramp", type=PositiveNumber(), help="Change the rate linearly to this value by the end of --for."),
    click.option(
        "--sine",
        type=(PositiveNumber(), PositiveNumber()),
        metavar="AMPLITUDE PERIOD",
        help="Vary the rate as a sine wave with this amplitude and period in seconds.",
    ),
    click.option(
        "--gauss",
        type=PositiveNumber(),
        help="Draw each second's rate from a normal distribution with this standard deviation.",
    ),
    click.option("--for", "seconds", type=PositiveNumber(), help="Seconds to send for.  [default: until Ctrl-C]"),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=_random_seed,
        show_default="a random one",
        help="Seed for random values: the same seed generates the same records, except for times.",
    ),
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        help="Number of devices that take turns.  [default: set by the template]",
    ),
    click.option(
        "--lively",
        is_flag=True,
        help="Simulate up to 20 devices (or --devices) whose measures drift. From time to time one overheats and one "
        "falls silent.",
    ),
    click.option("--late", type=_percent, default=0, help="Percentage of records that are a minute to an hour late."),
    click.option("--duplicate", type=_percent, default=0, help="Percentage of records that repeat the previous one."),
    click.option("--faulty", type=_percent, default=0, help="Percentage of records that fail in the function."),
)


def sending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets their values as `sending`."""

    @functools.wraps(command)
    def with_sending(*args: Any, **values: Any) -> Any:
        sending = Sending(**{name: values.pop(name) for name in Sending.__dataclass_fields__})
        sending.check()
        return command(*args, sending=sending, **values)

    decorated: Callable[..., Any] = _options(with_sending)
    return decorated
