"""Where the doctor looks: the local stack, or a stack on AWS, even one of which parts are missing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from botocore.exceptions import BotoCoreError

from iot_stream.caller import caller_session
from iot_stream.generator.ledger import Ledger
from iot_stream.local import local_stack
from iot_stream.stack import Stack
from iot_stream.target import Target

if TYPE_CHECKING:
    from opensearchpy import OpenSearch as Client

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """Where a stack is to be found, without asking it anything.

    Attributes:
        stack_name: the stack's name.
        client: returns the boto3 client of a service; raises BotoCoreError without a region or profile.
        parts: the processes of the local stack and whether they run; empty on AWS.
        ca_file: the certificate authority of the local domain; None on AWS.
        ledger: where what is sent is written down; None on AWS.
        administrator: returns a client with every right on the local domain; None on AWS.
    """

    stack_name: str
    client: Callable[[str], Any]
    parts: Mapping[str, bool] = field(default_factory=dict)
    ca_file: Path | None = None
    ledger: Ledger | None = None
    administrator: Callable[[], "Client"] | None = None

    @classmethod
    def local(cls, folder: Path) -> "Place":
        """Return the local stack of `folder` (raises StackError if none is running)."""
        found = local_stack.find(folder)
        return cls(
            found.stack_name,
            found.aws.client,
            {process.name: process.alive for process in found.running},
            found.opensearch.ca_file,
            Ledger(found.ledger_folder),
            found.opensearch.admin_client,
        )

    @classmethod
    def on_aws(cls, stack_name: str) -> "Place":
        """Return stack `stack_name` on AWS, with the caller's own credentials and region."""

        @cache
        def session() -> Any:  # when it is first needed: a profile that does not exist is a finding
            return caller_session()

        return cls(stack_name, lambda service: session().client(service))

    @property
    def on_this_machine(self) -> bool:
        """Whether it is the local stack."""
        return self.ca_file is not None

    def region(self) -> str:
        """Return the region that calls go to; empty where there is none."""
        try:
            return str(self.client("cloudformation").meta.region_name or "")
        except BotoCoreError:
            return ""

    def target(self, stack: Stack) -> Target:
        """Return what commands act on, once the stack is known."""
        return Target(stack, self.client, self.ledger, self.administrator)

    def session(self) -> requests.Session:
        """Return a session for the domain's endpoint; the caller's proxies and certificates count on AWS alone."""
        session = requests.Session()
        if self.ca_file is not None:
            session.trust_env = False
            session.verify = str(self.ca_file)
        return session
