"""What a command acts on: the local stack, or one deployed on AWS. Nothing on AWS happens without being asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

from iot_stream.errors import StackError
from iot_stream.generator.ledger import Ledger
from iot_stream.local import machine
from iot_stream.local.status import ledger
from iot_stream.stack import Stack, find_stack

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """A deployed stack, boto3 clients for where it is, and the ledger of what is sent to it (None on AWS)."""

    stack: Stack
    client: Callable[[str], Any]
    ledger: Ledger | None

    @classmethod
    def local(cls, folder: Path) -> "Target":
        """The local stack of `folder` (raises StackError where none runs)."""
        found = machine.find(folder)
        return cls(found.stack(), found.aws.client, ledger(found))

    @classmethod
    def on_aws(cls, stack_name: str) -> "Target":
        """Stack `stack_name` on AWS, with the caller's own credentials and region.

        Raises:
            StackError: it is not there, or there are no credentials or no region.
        """
        try:
            clients: Any = boto3.Session().client
            return cls(find_stack(clients("cloudformation"), stack_name), clients, None)
        except BotoCoreError as error:
            raise StackError(
                f"AWS can't be reached: {error}. Set AWS_PROFILE and AWS_REGION, or `aws configure`"
            ) from error
