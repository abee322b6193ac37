"""The run's one OpenSearch, away for a while and back: a second one would take the cores from the first."""

from dataclasses import dataclass

from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import Process

__all__ = ["Outages"]


@dataclass
class Outages:
    """A server and the process that is it now."""

    server: OpenSearch
    process: Process

    def stop(self) -> None:
        """End the process; what it has stays in its folder."""
        self.process.stop()

    def start(self) -> None:
        """Start it again, and return when it answers."""
        self.process = self.server.start()
