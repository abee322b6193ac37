"""`iot-stream send`: send device readings."""

import datetime as dt
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from iot_stream.cli import options
from iot_stream.cli.sending_options import Sending, sending_options
from iot_stream.cli.signals import interrupted

if TYPE_CHECKING:
    from iot_stream.generator.series import Series

__all__ = ["send"]

_SHOWN = 5  # as many as the Kinesis Data Generator shows as a test


@click.command()
@options.target_options
@sending_options
@click.option(
    "--readings",
    "recorded",
    metavar="FILE",
    type=click.File("rb"),
    help="Send the readings in this file (- for standard input) unchanged; same formats as `readings try`.  [default: "
    "generated readings]",
)
@click.option("--count", type=click.IntRange(min=1), help="Number of records to send.  [default: with --readings, all]")
@click.option("--dry-run", is_flag=True, help="Print 5 records, or --count, and send nothing. Times are in UTC.")
@options.as_json
def send(
    *,
    state: Path | None,
    sending: Sending,
    recorded: BinaryIO | None,
    count: int | None,
    dry_run: bool,
    stack_name: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Send device readings, or records from any template, to the Kinesis data stream (see docs/send.md).

    Waits until the delivery stream is active. With --aws, records go to the stack on AWS, which bills them.
    """
    from iot_stream.display import progress, sent_text
    from iot_stream.generator.job import CLIENT_CONFIG, send_readings, wait_until_active
    from iot_stream.generator.series import Recorded
    from iot_stream.generator.sources import notes_on, notes_on_recorded, open_readings
    from iot_stream.stack import device_zone

    description = options.load_description()
    records = None if recorded is None else _recorded(recorded, sending)
    now = int(time.time() * 1000)

    def series(zone: dt.tzinfo) -> "Series":
        if records is not None:
            return Recorded(records, sending.seed)
        return open_readings(sending.choice, description, seed=sending.seed, zone=zone)

    if dry_run:
        shown = count or (_SHOWN if records is None else min(_SHOWN, len(records)))
        for reading in series(dt.UTC).take([now] * shown):
            click.echo(reading.data, nl=not reading.data.endswith(b"\n"))
        return
    target = options.resolve_target(state, stack_name, aws=aws)
    zone = device_zone(target.stack)
    readings = series(zone)
    if records is None:
        notes = notes_on(sending.choice, description, zone=zone, now=now)
    else:
        notes = notes_on_recorded(records, description, zone=zone, now=now)
        count = count or (None if sending.seconds else len(records))
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if aws:
        end = f"{count:,} records" if count else f"{sending.seconds:g} s" if sending.seconds else "until Ctrl-C"
        click.echo(
            f"sending {sending.rate:g} records per second ({end}) to stream {target.stack.output('StreamName')} of "
            f"{target.stack.stack_id}",
            err=True,
        )
    wait_until_active(target.client("firehose"), target.stack.output("DeliveryStreamName"))
    due = sending.due
    total = count or (int(due(sending.seconds)) if sending.seconds else None)
    with progress(total, hidden=as_json) as on_sent:
        sent = send_readings(
            target.client("kinesis", config=CLIENT_CONFIG),
            target.stack.output("StreamName"),
            readings,
            due=sending.due,
            count=count,
            seconds=sending.seconds,
            ledger=target.ledger,
            on_sent=on_sent,
            stop=interrupted(),
        )
    result = {
        "sent": sent.records,
        "retried": sent.retried,
        "abandoned": sent.abandoned,
        "seconds": round(sent.seconds, 3),
        "rate": round(sent.rate, 1),
        "asked_rate": round(sent.asked_rate, 1),
        "seed": sending.seed,
    }
    click.echo(json.dumps(result) if as_json else sent_text(sent, seed=sending.seed))


def _recorded(file: BinaryIO, sending: Sending) -> list[bytes]:
    """Return the readings of a file.

    Raises:
        UsageError: there are none, or options for generated readings are given too.
    """
    from iot_stream.readings.sample import is_json, split

    made_up = {
        "--template": sending.templates,
        "--devices": sending.devices,
        "--lively": sending.lively,
        "--late": sending.late,
        "--duplicate": sending.duplicate,
        "--faulty": sending.faulty,
    }
    given = [name for name, value in made_up.items() if value]
    if given:
        raise click.UsageError(f"--readings sends recorded readings unchanged: omit {', '.join(given)}")
    data = file.read()
    if not data.strip():
        raise click.UsageError(f"--readings: {file.name} is empty: give a file with readings")
    readings = split(data)
    if not (readings[0].startswith((b"{", b"[")) and any(is_json(reading) for reading in readings)):
        raise click.UsageError(f"--readings: {file.name} contains no JSON objects: see `iot-stream readings try`")
    return readings
