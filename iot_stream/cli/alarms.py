"""`iot-stream alarms`: the stack's alarms with state, reason and runbook."""

import json
from pathlib import Path

import click

from iot_stream.cli import options

__all__ = ["alarms"]


@click.command()
@options.target_options
@options.as_json
def alarms(*, state: Path | None, aws: bool, stack_name: str, as_json: bool) -> None:
    """List the stack's alarms, raised ones first; exit with 1 if any is raised or missing.

    Below them are the runbooks of those.
    """
    from rich.table import Table

    from iot_stream.alarms import MISSING, stack_alarms

    target = options.resolve_target(state, stack_name, aws=aws)
    found = stack_alarms(target.client("cloudformation"), target.client("cloudwatch"), target.stack)
    wrong = [alarm for alarm in found if alarm.state in {"ALARM", MISSING}]
    if as_json:
        click.echo(json.dumps([alarm.as_dict() for alarm in found]))
    else:
        table = Table(title=f"{len(found)} alarms of stack {target.stack.name}")
        for column in ("alarm", "state", "since", "reason"):
            table.add_column(column, overflow="fold")
        for alarm in found:
            state_text = alarm.state if alarm.notifies else f"{alarm.state} (notifies nobody)"
            # The reason of an alarm that is OK reads like a fault: "Threshold Crossed: … was not greater than …".
            table.add_row(alarm.alarm, state_text, alarm.since[:19], "" if alarm.state == "OK" else alarm.reason)
        options.print_table(table)
        for alarm in (each for each in wrong if each.runbook):
            click.echo(f"runbook of {alarm.alarm}: {alarm.runbook}")  # below the table, which would break it
    if wrong:
        raise click.exceptions.Exit(1)
