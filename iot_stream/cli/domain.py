"""`iot-stream password` and `iot-stream domain`: a domain's master user and the objects managed in it."""

from pathlib import Path

import click

from iot_stream.cli import options

__all__ = ["domain", "password"]


@click.command()
@options.target_options
def password(state: Path | None, stack_name: str, *, aws: bool) -> None:
    """Print the name and password of the domain's master user."""
    click.echo(" ".join(options.resolve_target(state, stack_name, aws=aws).master_user()))


@click.group()
def domain() -> None:
    """Show, apply, migrate or remove the stack's objects in its OpenSearch domain, without a deployment."""


def _add(action: str, help_text: str) -> None:
    """Add `domain ACTION`, which invokes the deployed role mapper and prints the outcome for each object."""

    @domain.command(action, help=help_text)
    @options.target_options
    def command(state: Path | None, stack_name: str, *, aws: bool) -> None:
        from iot_stream.domain_objects import invoke

        target = options.resolve_target(state, stack_name, aws=aws)
        if aws and action != "show":
            click.echo(
                f"{action}: in domain {target.stack.output('DomainEndpoint')} of {target.stack.stack_id}", err=True
            )
        report = invoke(target.client("lambda"), target.stack, action)
        click.echo(report.table())
        if action == "show" and not report.as_wanted:
            raise click.exceptions.Exit(1)


_add(
    "show",
    "Compare the domain with what the stack manages there; change nothing. Exits with 1 if an object differs.",
)
_add("apply", "Create or repair the role, its mapping, the index template, retention and dashboards.")
_add("migrate", "Turn the index into an alias of that name, which retention without rotation needs; keep its readings.")
_add("remove", "Remove the stack's objects from the domain; delivery fails (403) until you apply them again.")
