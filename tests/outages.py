"""Outages of the test run's only OpenSearch: a second one would compete for the same cores."""

from collections.abc import Callable
from dataclasses import dataclass

from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import Process

__all__ = ["Outages"]


@dataclass
class Outages:
    """A server, its current process, and who has to know of the next one."""

    server: OpenSearch
    process: Process
    started: Callable[[Process], object] = lambda _: None

    def stop(self) -> None:
        """Stop the process; its data stays in its folder."""
        self.process.stop()

    def start(self) -> None:
        """Start it again, and return when it responds and has recovered every index that it had."""
        self.process = self.server.launch()
        self.started(self.process)
        self.server.wait(self.process)
        with self.server.admin_session() as session:
            health = f"{self.server.url}/_cluster/health?wait_for_status=yellow&timeout=60s"
            response = session.get(health, timeout=90)
        assert response.ok, f"indices are still red after 60 s: {response.text}"
