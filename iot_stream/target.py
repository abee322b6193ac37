"""What a command acts on: the local stack, or with `--aws` a stack deployed on AWS."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import StackError
from iot_stream.generator.ledger import Ledger
from iot_stream.local import local_stack
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
        """Return the local stack of `folder` (raises StackError if none is running)."""
        found = local_stack.find(folder)
        return cls(found.stack(), found.aws.client, Ledger(found.ledger_folder))

    @classmethod
    def on_aws(cls, stack_name: str) -> "Target":
        """Return stack `stack_name` on AWS, with the caller's own credentials and region.

        Raises:
            StackError: it does not exist, or there are no credentials or no region.
        """
        try:
            clients: Any = boto3.Session().client
            return cls(find_stack(clients("cloudformation"), stack_name), clients, None)
        except BotoCoreError as error:
            raise StackError(
                f"AWS can't be reached: {error}. Set AWS_PROFILE and AWS_REGION, or `aws configure`"
            ) from error

    def master_user(self) -> tuple[str, str]:
        """Return the name and password of the domain's master user, from the stack's secret.

        Raises:
            StackError: the stack has none (MasterUserMode=IamRole), or it can't be read.
        """
        if self.stack.parameter("MasterUserMode") == "IamRole":
            raise StackError(
                f"stack {self.stack.name} has no master user with a password: its MasterUserMode is IamRole"
            )
        arn = self.stack.output("MasterUserSecretArn")
        try:
            user = json.loads(self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise StackError(f"the master user's secret can't be read: {error}") from error
        return user["username"], user["password"]
