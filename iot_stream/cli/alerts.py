"""`iot-stream alerts`: list the alerts on devices."""

import json
from pathlib import Path

import click

from iot_stream.cli import options
from iot_stream.cli.terminal import plain
from iot_stream.errors import IotStreamError

__all__ = ["alerts"]


@click.command()
@options.target_options
@click.option("--history", type=click.IntRange(0, 1000), default=10, help="Maximum number of closed alerts to list.")
@click.option("--most", type=click.IntRange(1, 1000), default=100, help="Maximum number of open alerts to list.")
@click.option("--messages", is_flag=True, help="Print the alarm topic's messages instead (local stack only).")
@options.as_json
def alerts(
    state: Path | None, stack_name: str, *, aws: bool, history: int, most: int, messages: bool, as_json: bool
) -> None:
    """List the open alerts on devices, most severe first, then the most recently closed ones."""
    if messages:
        _print_messages(state, aws=aws, as_json=as_json)
        return
    from opensearchpy.exceptions import NotFoundError, OpenSearchException

    from iot_stream.dashboards.fleet import alert_rows, alerts_body, alerts_index
    from iot_stream.description import load

    target = options.resolve_target(state, stack_name, aws=aws)
    index = alerts_index(target.stack.output("IndexName"))
    client, reading = target.search_client(), load()
    try:
        open_ones, closed = (
            client.search(index=index, body=dict(alerts_body(kind, size)))
            for kind, size in (("open", most), ("closed", history))
        )
    except NotFoundError:
        if as_json:
            click.echo(json.dumps({"open": 0, "closed": 0, "alerts": []}))
            return
        click.echo("The alerts index does not exist: the alerts function has not run yet, or DeviceAlerts=false.")
        return
    except OpenSearchException as error:
        raise IotStreamError(
            f"the alerts can't be read from the domain ({type(error).__name__}): `iot-stream doctor` finds out why"
        ) from error
    rows, closed_rows = alert_rows(open_ones, reading), alert_rows(closed, reading)
    total, total_closed = (found["hits"]["total"]["value"] for found in (open_ones, closed))
    if as_json:
        click.echo(json.dumps({"open": total, "closed": total_closed, "alerts": [*rows, *closed_rows]}))
        return
    click.echo(f"{total} open")
    for row in rows:
        click.echo(f"  since {row['since'][:19]}Z  {plain(row['text'])}")
    if total > len(rows):
        click.echo(f"  and {total - len(rows)} more (--most)")
    click.echo(f"{total_closed} closed")
    for row in closed_rows:
        click.echo(f"  {row['opened_at'][:19]}Z to {row['closed_at'][:19]}Z  {plain(row['text'])}")


def _print_messages(state: Path | None, *, aws: bool, as_json: bool) -> None:
    from iot_stream.local import local_stack
    from iot_stream.local.alarm_messages import read_messages

    if aws:
        raise IotStreamError(
            "--messages works with the local stack only: on AWS, subscribe to the topic in the output AlarmTopicArn"
        )
    found = read_messages(local_stack.find(options.state_folder(state)).aws)
    if as_json:
        click.echo(json.dumps([message.as_dict() for message in found]))
        return
    for message in found:
        click.echo(f"{message.sent_at:%Y-%m-%d %H:%M:%S} UTC  {plain(message.subject)}")
        for line in message.lines:
            click.echo(f"  {plain(line)}")
    if not found:
        click.echo("No messages yet.")
