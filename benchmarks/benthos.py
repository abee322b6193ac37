"""Benthos as a peer of the delivery worker: built where there is a Go toolchain, configured to do the same work.

Its program is built into `.local/benthos/` from a pinned version of its module, with the components that are needed and
no others; nothing of it is in the repository. It reads the stream from its start (`aws_kinesis`), invokes
the enrichment function with Firehose's event (`aws_lambda`) or takes finished documents as they are, and writes bulk
requests with stable ids (`opensearch`), with as much at once as the worker has.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iot_stream.delivery.core.state_machine import MAX_INDEXING, MAX_INVOCATIONS
from iot_stream.paths import LOCAL
from tests.delivery import World
from tests.polling import until

__all__ = ["VERSION", "Sizes", "build", "running"]

VERSION: Final = "v4.27.0"
_MODULE: Final = "github.com/benthosdev/benthos/v4"
_COMPONENTS: Final = ("aws", "io", "opensearch", "pure")
_READS: Final = "Input type aws_kinesis is now active"
_MAIN: Final = """\
package main

import (
	"context"

{imports}
	"{module}/public/service"
)

func main() {{ service.RunCLI(context.Background()) }}
"""


@dataclass(frozen=True)
class Sizes:
    """How many messages Benthos takes at once: to the function, and to the index."""

    batch: int
    bulk: int


def build() -> Path | None:
    """Return the program; None without a Go toolchain, or where its modules can't be downloaded (says which)."""
    go = shutil.which("go")
    if go is None:
        print("Benthos is left out: there is no Go toolchain (`go`)")
        return None
    folder = LOCAL / "benthos" / VERSION
    program = folder / "benthos"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    imports = "\n".join(f'\t_ "{_MODULE}/public/components/{name}"' for name in _COMPONENTS)
    (folder / "main.go").write_text(_MAIN.format(imports=imports, module=_MODULE), encoding="utf-8")
    (folder / "go.mod").write_text(f"module benchmark\n\ngo 1.21\n\nrequire {_MODULE} {VERSION}\n", encoding="utf-8")
    print(f"Benthos {VERSION} is built once, which takes minutes")
    command = [go, "build", "-o", str(program), "."]
    result = subprocess.run(
        command, check=False, cwd=folder, env=os.environ | {"GOFLAGS": "-mod=mod"}, capture_output=True, text=True
    )
    if result.returncode:
        print(f"Benthos is left out: {(result.stderr.strip().splitlines() or ['go build failed'])[-1]}")
        return None
    return program


@contextlib.contextmanager
def running(program: Path, world: World, sizes: Sizes, *, transform: bool) -> Iterator[int]:
    """Run it on the world's stream into the world's index; give its pid once it reads, and end it in the end."""
    folder = world.folder
    file = folder / "benthos.json"
    file.write_text(json.dumps(_configuration(world, sizes, transform=transform), indent=1), encoding="utf-8")
    file.chmod(0o600)
    with (folder / "benthos.log").open("w") as log:
        process = subprocess.Popen([str(program), "-c", str(file)], stdout=log, stderr=log, env={"PATH": os.defpath})
        try:
            until(lambda: _READS in Path(log.name).read_text("utf-8") or None, seconds=60, what="Benthos's start")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _configuration(world: World, sizes: Sizes, *, transform: bool) -> dict[str, Any]:
    aws, server, name = world.aws, world.opensearch, world.name
    settings = aws.environment()
    here = {
        "region": aws.region,
        "endpoint": aws.url,
        "credentials": {"id": settings["AWS_ACCESS_KEY_ID"], "secret": settings["AWS_SECRET_ACCESS_KEY"]},
    }
    stream = {
        "streams": [f"{name}:shardId-000000000000"],
        "dynamodb": {"table": f"{name}-checkpoints", "create": True},
        "checkpoint_limit": 50_000,  # as much ahead as the worker reads
        "start_from_oldest": True,
        "batching": {"count": sizes.batch, "period": "100ms"},
        **here,
    }
    index = {
        "urls": [server.url],
        "index": name,
        "action": "index",
        "id": '${! meta("id") }',
        "max_in_flight": MAX_INDEXING,
        "batching": {"count": sizes.bulk, "period": "100ms"},
        "tls": {
            "enabled": True,
            "root_cas_file": str(server.ca_file),
            "client_certs": [{"cert_file": str(server.admin_cert), "key_file": str(server.admin_key)}],
        },
    }
    return {
        "http": {"enabled": False},
        "logger": {"level": "INFO"},
        "input": {"aws_kinesis": stream},
        "pipeline": {"threads": MAX_INVOCATIONS, "processors": _by_function(name, here) if transform else [_BY_ITSELF]},
        "output": {"opensearch": index},
    }


_BY_ITSELF: Final = {"mapping": 'meta id = meta("kinesis_sequence_number")'}


def _by_function(name: str, here: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the processors: a batch becomes Firehose's event, and the response's records become documents."""
    record = """\
root.recordId = meta("kinesis_sequence_number")
root.approximateArrivalTimestamp = 1795000000000
root.data = content().encode("base64")
"""
    event = f"""\
root.invocationId = uuid_v4()
root.deliveryStreamArn = "{name}"
root.region = "{here["region"]}"
root.records = this
"""
    document = """\
meta id = this.recordId
root = if this.result == "Ok" { this.data.decode("base64") } else { throw("not a document") }
"""
    return [
        {"mapping": record},
        {"archive": {"format": "json_array"}},
        {"mapping": event},
        {"aws_lambda": {"function": name, "parallel": False, **here}},
        {"mapping": "root = this.records"},
        {"unarchive": {"format": "json_array"}},
        {"mapping": document},
    ]
