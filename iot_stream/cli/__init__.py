"""The iot-stream command: parse options, call the modules that do the work, print results.

Each group of commands is a module of this package; this module only assembles them. Commands import what they need
when they run, so that `--help` and `status` stay fast.
"""

import errno
import io
import os
import sys

import click

from iot_stream.cli import (
    alarms,
    alerts,
    dashboards,
    delivery,
    doctor,
    domain,
    failures,
    live,
    local_stack,
    plan,
    readings,
    sending,
)
from iot_stream.cli.signals import treat_sigterm_as_ctrl_c
from iot_stream.errors import IotStreamError

__all__ = ["cli", "main"]

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="iot-stream", message="%(prog)s %(version)s")
def cli() -> None:
    """Real-time device monitoring, from a Kinesis stream to a live OpenSearch dashboard.

    Commands act on the local stack. Some can act on AWS, and do so only with --aws.
    """


for command in (
    local_stack.run,
    local_stack.up,
    local_stack.deploy,
    local_stack.down,
    local_stack.status,
    sending.send,
    domain.password,
    domain.domain,
    live.live,
    live.watch,
    alerts.alerts,
    dashboards.dashboards,
    delivery.deliver,
    plan.plan,
    doctor.doctor,
    alarms.alarms,
    failures.failures,
    readings.readings,
):
    cli.add_command(command)


def main() -> None:
    """Run the command; print an expected error on stderr without a traceback and exit with 1."""
    os.umask(0o077)  # state, ledgers and caches are private to this user
    treat_sigterm_as_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # print "?" for characters that the terminal's encoding lacks
            stream.reconfigure(errors="replace")
    try:
        cli(standalone_mode=True)
    except IotStreamError as error:
        click.echo(f"iot-stream: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        click.echo(f"iot-stream: {error}: free some space, or choose another folder", err=True)
        sys.exit(1)
