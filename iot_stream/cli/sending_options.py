"""What is sent, how fast and for how long: the options that `send` and `run` share."""

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
        """Check what goes together (raises UsageError)."""
        if sum(option is not None for option in (self.ramp, self.sine, self.gauss)) > 1:
            raise click.UsageError("--ramp, --sine and --gauss exclude each other: the rate changes in one way")
        if self.ramp is not None and self.seconds is None:
            raise click.UsageError("--ramp needs --for: the rate is reached at its end")
        asked = {"--rate": self.rate, "--ramp": self.ramp, "--gauss": self.gauss}
        for name, rate in asked.items():
            if rate is not None and rate > _HIGHEST_RATE:
                raise click.UsageError(f"{name}: {rate:g} is more than {_HIGHEST_RATE:g} a second")
        if self.sine is not None and self.sine[1] < 1:
            raise click.UsageError("--sine: a wave takes one second at least")
        if self.sine is not None and self.sine[0] > self.rate:
            raise click.UsageError(f"--sine: a rate of {self.rate:g} can swing by {self.rate:g} at most, not below 0")

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
    """Return FILE and FILE=WEIGHT as pairs; a file whose name ends in =NUMBER is taken as it is."""
    pairs = []
    for value in values:
        name, _separator, weight = value.rpartition("=")
        try:
            number = float(weight) if name and not Path(value).exists() else None
        except ValueError:
            number = None
        if number is not None and not (math.isfinite(number) and number > 0):
            raise click.BadParameter(f"{value}: a weight is a number above 0")
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
        help="Template of the Kinesis Data Generator; several are mixed by weight.  [default: the walkthrough's, or "
        "one made for functions/enrichment/readings.toml]",
    ),
    click.option("--rate", type=PositiveNumber(), default=100, help="Records per second."),
    click.option("--ramp", type=PositiveNumber(), help="Change the rate evenly to this one until the end of --for."),
    click.option(
        "--sine",
        type=(PositiveNumber(), PositiveNumber()),
        metavar="BY SECONDS",
        help="Let the rate swing by this much, once in so many seconds.",
    ),
    click.option("--gauss", type=PositiveNumber(), help="Draw each second's rate, with this standard deviation."),
    click.option("--for", "seconds", type=PositiveNumber(), help="Seconds to send for.  [default: until Ctrl-C]"),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=_random_seed,
        show_default="a random one",
        help="Seed of random values: the same one makes the same records again, but for times.",
    ),
    click.option(
        "--devices", type=click.IntRange(min=1), help="So many devices send in turn.  [default: as the template says]"
    ),
    click.option(
        "--lively",
        is_flag=True,
        help="Devices (up to 20, or --devices) whose measures drift; one overheats and one falls silent, by turns.",
    ),
    click.option("--late", type=_percent, default=0, help="Percentage of records that are a minute to an hour old."),
    click.option("--duplicate", type=_percent, default=0, help="Percentage of records that repeat the one before."),
    click.option("--faulty", type=_percent, default=0, help="Percentage of records that the function refuses."),
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
