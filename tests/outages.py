"""Outages of the test run's only OpenSearch: a second one would compete for the same cores."""

from dataclasses import dataclass

from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import Process

__all__ = ["Outages"]


@dataclass
class Outages:
    """A server and its current process."""

    server: OpenSearch
    process: Process

    def stop(self) -> None:
        """Stop the process; its data stays in its folder."""
        self.process.stop()

    def start(self) -> None:
        """Start it again, and return when it responds."""
        self.process = self.server.start()
