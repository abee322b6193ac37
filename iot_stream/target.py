"""What a command acts on: the local stack, or with `--aws` a stack deployed on AWS."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.caller import advice, caller_session
from iot_stream.errors import StackError
from iot_stream.generator.ledger import Ledger
from iot_stream.local import local_stack
from iot_stream.stack import Stack, find_stack

if TYPE_CHECKING:
    from opensearchpy import OpenSearch as Client

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """A deployed stack, boto3 clients for where it is, and the ledger of what is sent to it (None on AWS)."""

    stack: Stack
    client: Callable[..., Any]
    """Returns a client of a service, as `boto3.client` does; takes `config` too."""
    ledger: Ledger | None
    administrator: Callable[[], "Client"] | None = None
    """Returns a client with every right on the domain where the local stack has one; None on AWS."""

    @classmethod
    def local(cls, folder: Path) -> "Target":
        """Return the local stack of `folder` (raises StackError if none is running)."""
        found = local_stack.find(folder)
        return cls(
            found.stack(),
            found.aws.client,
            Ledger(found.ledger_folder),
            found.opensearch.admin_client,
        )

    @classmethod
    def on_aws(cls, stack_name: str) -> "Target":
        """Return stack `stack_name` on AWS, with the caller's own credentials and region.

        Raises:
            StackError: it does not exist, or there are no credentials or no region.
        """
        try:
            clients: Any = caller_session().client
            return cls(find_stack(clients("cloudformation"), stack_name), clients, None)
        except BotoCoreError as error:
            raise StackError(f"AWS can't be reached: {advice(error)}") from error

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
            raise StackError(f"the master user's secret can't be read: {advice(error)}") from error
        return user["username"], user["password"]

    def search_client(self) -> "Client":
        """Return an OpenSearch client of the domain.

        On AWS it signs in as the master user, or signs with the caller's own credentials where the stack has no
        master user with a password (MasterUserMode=IamRole).

        Raises:
            StackError: the master user's secret can't be read, or there are no credentials.
        """
        if self.administrator is not None:
            return self.administrator()
        from opensearchpy import OpenSearch, RequestsHttpConnection, Urllib3HttpConnection  # noqa: PLC0415 - slow

        if self.stack.parameter("MasterUserMode") != "IamRole":
            user = self.master_user()
            return OpenSearch(
                [f"https://{self.stack.output('DomainEndpoint')}"],
                http_auth=user,
                connection_class=Urllib3HttpConnection,
                timeout=30,
            )
        from requests_aws4auth import AWS4Auth  # noqa: PLC0415 - rare

        session = caller_session()
        credentials = session.get_credentials()
        if credentials is None:
            raise StackError("there are no AWS credentials: set AWS_PROFILE, or `aws configure`")
        auth = AWS4Auth(refreshable_credentials=credentials, region=session.region_name, service="es")
        return OpenSearch(
            [f"https://{self.stack.output('DomainEndpoint')}"],
            http_auth=auth,
            connection_class=RequestsHttpConnection,
            timeout=30,
        )
