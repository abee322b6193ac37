"""The live page of a siege: `iot-stream live` itself, and a viewer who keeps it open."""

import json
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from iot_stream.dashboards.fleet import alerts_index
from iot_stream.dashboards.index_template import index_template
from iot_stream.description import load
from iot_stream.local.local_stack import LIVE_PAGE, LocalStack, serve_live_page
from iot_stream.local.processes import Process
from tests.delivery import World
from tests.reader_role import let_read

__all__ = ["Viewer", "describe_as_stack", "put_index_template", "serve"]

_PATHS = (
    "/api/pipeline",
    "/api/data?from=now-15m&refresh=1000",
    "/api/fleet",
    "/api/alerts",
    "/api/devices?device=1&from=now-15m",
    "/api/failures",
)


def put_index_template(world: World) -> None:
    """Give the world's indices the mapping that the dashboard needs, as the role mapper does."""
    template = {"index_patterns": [f"{world.name}*"], **index_template(load())}
    template["template"]["settings"] = {"number_of_replicas": 0}
    with world.opensearch.admin_session() as session:
        session.put(f"{world.opensearch.url}/_index_template/{world.name}", json=template).raise_for_status()


def describe_as_stack(world: World, local_stack: LocalStack) -> None:
    """Create the CloudFormation stack by whose outputs `iot-stream live` finds everything."""
    outputs = {
        "IndexName": world.name,
        "EnrichmentLogGroupName": f"/aws/lambda/{world.name}",
        "BackupBucketName": world.name,
        "BackupPrefix": "backup/",
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    client = world.aws.client("cloudformation")
    client.create_stack(StackName=local_stack.stack_name, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=local_stack.stack_name, WaiterConfig={"Delay": 1})
    let_read(world.opensearch, f"{world.name}*", alerts_index(world.name))


def serve(local_stack: LocalStack) -> Process:
    """Start the live page, and return when it can be loaded."""
    serve_live_page(local_stack)
    process = local_stack.part(LIVE_PAGE)
    assert process is not None
    return process


class Viewer:
    """Ask for all that the open page asks for, about once a second, in a thread of its own."""

    def __init__(self, url: str, log: Path) -> None:
        self.responses: Counter[str] = Counter()
        self._url, self._log = url, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        """Close the page."""
        self._over.set()
        self._thread.join()

    def faults(self) -> list[str]:
        """Return what it should not have seen: an error other than that a neighbour is away, or no data at all."""
        found = [
            f"the live page responded {count} times with {status}"
            for status, count in self.responses.items()
            if status not in {"200", "503", "late"}
        ]
        if not self.responses["200"]:
            found.append("the live page never showed anything")
        if "Traceback" in self._log.read_text(encoding="utf-8"):
            found.append("the live page's log has a traceback")
        return found

    def _look(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._over.is_set():
                began = time.monotonic()
                for path in _PATHS:
                    try:
                        status = str(session.get(f"{self._url}{path}", timeout=30).status_code)
                    except requests.Timeout:
                        status = "late"
                    except requests.ConnectionError:
                        status = "no connection"
                    self.responses[status] += 1
                self._over.wait(max(0.0, began + 1 - time.monotonic()))
