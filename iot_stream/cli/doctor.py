"""`iot-stream doctor`: find the first layer that fails, and how to fix it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iot_stream.cli import options

if TYPE_CHECKING:
    from iot_stream.doctor.finding import Finding
    from iot_stream.doctor.walk import Doctor

__all__ = ["doctor"]


@click.command()
@options.target_options
@click.option("--send/--no-send", default=True, help="Send one marked reading at the end and follow it to the index.")
@click.option(
    "--wait",
    type=options.PositiveNumber(),
    help="Seconds to wait for the marked reading.  [default: the stack's buffer intervals plus one minute]",
)
@options.as_json
def doctor(*, state: Path | None, aws: bool, stack_name: str, send: bool, wait: float | None, as_json: bool) -> None:
    """Check every layer that a reading passes through; report the first one that fails and how to fix it.

    The checks change nothing. If every layer passes, one marked reading is sent, which stays in the index; --no-send
    skips it. Exits with 1 if a layer fails.
    """
    from rich.console import Console

    from iot_stream.doctor.finding import first_refusal
    from iot_stream.doctor.place import Place
    from iot_stream.doctor.walk import Doctor

    place = Place.on_aws(stack_name) if aws else Place.local(options.state_folder(state))
    if aws:
        calls = "invokes its function and its role mapper, which change nothing"
        reading = ", then sends one marked reading if no layer fails" if send else ""
        click.echo(f"checking stack {stack_name} in {place.region() or 'no region'}: {calls}{reading}", err=True)
    examined = Doctor(place, send=send, wait=wait)
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status("checking") as status:
        findings = examined.walk(lambda layer: status.update(f"checking: {layer}"))
    refusal = first_refusal(findings)
    if as_json:
        click.echo(json.dumps(_as_dict(examined, findings, refusal)))
    else:
        _print(examined, findings, refusal, place_is_local=not aws)
    if refusal is not None:
        raise click.exceptions.Exit(1)


def _as_dict(examined: "Doctor", findings: "list[Finding]", refusal: "Finding | None") -> dict[str, object]:
    followed = examined.followed
    return {
        "ok": refusal is None,
        "first": refusal.as_dict() if refusal else None,
        "findings": [finding.as_dict() for finding in findings],
        "stations": {station.name: station.milliseconds for station in followed.stations} if followed else {},
    }


def _print(examined: "Doctor", findings: "list[Finding]", refusal: "Finding | None", *, place_is_local: bool) -> None:
    from rich.table import Table

    table = Table(show_lines=False)
    for column in ("layer", "state", "finding", "what to do"):
        table.add_column(column, overflow="fold")
    before = ""
    for finding in findings:
        table.add_row(finding.layer if finding.layer != before else "", finding.state, finding.what, finding.cure)
        before = finding.layer
    options.print_table(table)
    for station in examined.followed.stations if examined.followed else ():
        click.echo(f"{station.milliseconds:>9,} ms  {station.name}")
    if refusal is None:
        unknown = len({finding.layer for finding in findings if finding.state == "unknown"})
        click.echo("no layer fails" + (f"; {unknown} could not be checked" if unknown else ""))
        return
    click.echo(f"first failing layer: {refusal.layer}: {refusal.what}")
    click.echo(f"to fix it: {refusal.cure}")
    if refusal.runbook and refusal.runbook not in refusal.cure:
        click.echo(f"runbook: {refusal.runbook}")
    if place_is_local and "aws " in refusal.cure:
        click.echo("(for `aws` to reach the local stack, set the variables that docs/local-stack.md lists)")
