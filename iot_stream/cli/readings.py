"""`iot-stream readings`: work on the description of a reading, functions/enrichment/readings.toml."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from iot_stream.cli import options
from iot_stream.errors import IotStreamError
from iot_stream.paths import PROJECT

if TYPE_CHECKING:
    from iot_stream.readings.guess import Guesses
    from iot_stream.readings.trial import Trial

__all__ = ["readings"]

_sample = click.argument("sample", metavar="[FILE]", type=click.File("rb"), default="-")


@click.group()
def readings() -> None:
    """Work on functions/enrichment/readings.toml, the description of a reading that everything is built from."""


@readings.command()
@_sample
@click.option("--write", is_flag=True, help="Replace functions/enrichment/readings.toml instead of printing.")
def init(*, sample: BinaryIO, write: bool) -> None:
    """Draft the description of a reading from samples, with a comment for each guess.

    FILE (default: standard input) contains JSON objects: a single one, an array, one per line, or concatenated. Check
    every guess: samples don't show which fields are optional, or which values are invalid.
    """
    from iot_stream.description import ADVICE, FILE, DescriptionError, ReadingError, parse
    from iot_stream.readings.draft import draft, header_of
    from iot_stream.readings.guess import guess
    from iot_stream.readings.sample import split

    data = sample.read()
    if b"".join(data.split()) in {b"", b"[]"}:
        raise IotStreamError("FILE has no readings: give it JSON objects as your devices send them")
    try:
        guesses = guess(split(data))
        text = draft(guesses, header_of(_text_of(FILE)))
    except ReadingError as error:
        what_to_do = "; ".join(dict.fromkeys(ADVICE[cause.reason] for cause in error.causes))
        raise IotStreamError(
            f"a sample is not a reading: {error}: {what_to_do}. `iot-stream readings try` shows which one"
        ) from error
    if write:
        kept = _keep(FILE)
        FILE.write_text(text, encoding="utf-8")
        click.echo(
            f"written: {FILE.relative_to(PROJECT)}"
            + (f" (the previous one: {kept.relative_to(PROJECT)})" if kept else "")
        )
        click.echo("check every guess, run `iot-stream readings try` on the samples, then `iot-stream readings build`")
    else:
        click.echo(text, nl=False)
    try:
        parse(text, FILE.name if write else "draft")
    except DescriptionError as error:
        raise IotStreamError(
            f"the draft is incomplete, because the samples don't show this; add it:\n{error}{_possible_times(guesses)}"
        ) from error


def _keep(path: Path) -> Path | None:
    """Copy what is about to be replaced, which may not be in git yet; return where, None if there is nothing."""
    if not path.exists():
        return None
    kept = PROJECT / ".local" / f"{path.stem}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}{path.suffix}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(path.read_bytes())
    return kept


def _possible_times(guesses: "Guesses") -> str:
    """Return a line for each field that may be the reading's time, where none was found."""
    from iot_stream.description import Role

    if any(found.role is Role.TIME for found in guesses.fields):
        return ""
    return "".join(f"\n{found.name}: if it is the time, {found.if_time}" for found in guesses.fields if found.if_time)


@readings.command("try")
@_sample
@options.as_json
@click.option(
    "--time-zone", default="UTC", help="Time zone of times without an offset; use the stack's DeviceTimeZone."
)
@click.option(
    "--description",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Description to use.  [default: functions/enrichment/readings.toml]",
)
def try_(*, sample: BinaryIO, as_json: bool, time_zone: str, path: Path | None) -> None:
    """Show the document of each reading in FILE, or everything that is wrong with it; no stack is needed.

    FILE (default: standard input) contains JSON objects: a single one, an array, one per line, or concatenated. Each is
    processed as a separate record, with the enrichment function's code. Exits with 1 if any reading fails.
    """
    from zoneinfo import ZoneInfo

    from iot_stream.readings.sample import split
    from iot_stream.readings.trial import try_readings

    description = options.load_description(path)
    try:
        zone = ZoneInfo(time_zone)
    except (ValueError, OSError, KeyError) as error:
        raise IotStreamError(f"{time_zone} is not an IANA time zone, such as Europe/Berlin") from error
    trials = try_readings(split(sample.read()), description, zone, int(time.time() * 1000))
    click.echo(_trials_json(trials) if as_json else _trials_text(trials))
    sys.exit(any(trial.causes for trial in trials))


@readings.command()
def template() -> None:
    """Print a Kinesis Data Generator template whose readings match the description."""
    from iot_stream.generator.derived import template_of

    click.echo(template_of(options.load_description()), nl=False)


@readings.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a built file is out of date.")
def build(*, check: bool) -> None:
    """Build the files that follow from the description: templates, saved objects, alert rules, docs/readings.md."""
    from iot_stream.dashboards.definition import MOST_CATEGORIES, MOST_MEASURES, load
    from iot_stream.dashboards.panel_check import check_panels
    from iot_stream.readings.built_files import write

    dashboard = load(reading=options.load_description())
    check_panels(dashboard)
    paths = [] if check else write(dashboard.reading)
    options.load_built_description()
    for path in paths:
        click.echo(f"written: {path.relative_to(PROJECT)}")
    if not paths:
        click.echo("all built files are up to date")
    if left_out := dashboard.without_panels:
        click.echo(
            f"no panels for: {', '.join(field.name for field in left_out)}. The dashboard shows the first "
            f"{MOST_MEASURES} measures and {MOST_CATEGORIES} categories in readings.toml; move the important ones up"
        )


def _text_of(path: Path) -> str:
    """Return a description's text, or an empty one if the file is missing or not UTF-8: `init` writes a new one."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _trials_text(trials: list["Trial"]) -> str:
    lines = []
    for number, trial in enumerate(trials, 1):
        if trial.document is not None:
            lines.append(f"reading {number}: {trial.document.decode().rstrip()}")
        else:
            lines.append(f"reading {number} fails:")
            lines += [f"  {cause} - {advice}" for cause, advice in zip(trial.causes, trial.advice, strict=True)]
        if trial.dropped:
            lines.append(f"  dropped, because not described: {', '.join(trial.dropped)}")
        lines += [f"  warning: {warning}" for warning in trial.warnings]
    failed = sum(bool(trial.causes) for trial in trials)
    return "\n".join([*lines, f"readings: {len(trials)}, failed: {failed}"])


def _trials_json(trials: list["Trial"]) -> str:
    """Return all trials as one JSON object; documents keep every digit."""
    from msgspec import Raw
    from msgspec.json import encode

    shown = [
        {"document": Raw(trial.document), "dropped": trial.dropped, "warnings": trial.warnings}
        if trial.document is not None
        else {
            "reasons": [
                {"reason": cause.reason, "field": cause.field, "advice": advice}
                for cause, advice in zip(trial.causes, trial.advice, strict=True)
            ]
        }
        for trial in trials
    ]
    return encode({"readings": shown, "failed": sum(bool(trial.causes) for trial in trials)}).decode()
