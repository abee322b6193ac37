"""Send device readings: the generator's command."""

import json
from pathlib import Path

import click

from iot_stream.cli import options
from iot_stream.cli.signals import interrupted

__all__ = ["send"]


@click.command()
@options.target_options
@options.rate
@click.option("--count", type=click.IntRange(min=1), help="Number of readings to send.")
@options.seconds
@options.seed
@options.templates
@options.as_json
def send(
    *,
    state: Path | None,
    rate: float,
    count: int | None,
    seconds: float | None,
    seed: int | None,
    templates: list[tuple[Path, float]],
    stack_name: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Send device readings into the Kinesis data stream, once the delivery stream is active."""
    from iot_stream.display import progress, sent_text
    from iot_stream.generator.job import choose_seed, send_readings, wait_until_active
    from iot_stream.generator.sources import open_readings
    from iot_stream.stack import device_zone

    target = options.resolve_target(state, stack_name, aws=aws)
    seed = choose_seed(seed)
    readings = open_readings(templates, options.load_description(), seed=seed, zone=device_zone(target.stack))
    wait_until_active(target.client("firehose"), target.stack.output("DeliveryStreamName"))
    total = count or (int(rate * seconds) if seconds else None)
    with progress(total, hidden=as_json) as on_sent:
        sent = send_readings(
            target.client("kinesis"),
            target.stack.output("StreamName"),
            readings,
            rate=rate,
            count=count,
            seconds=seconds,
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
        "seed": seed,
    }
    click.echo(json.dumps(result) if as_json else sent_text(sent, rate=rate, seed=seed))
