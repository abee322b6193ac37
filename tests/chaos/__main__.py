"""`make chaos`: play a siege, or one outage, against neighbours of its own; print and write what came of it.

`--outage SECONDS` plays one trouble alone: the domain away for so long. What the worker, the local AWS and the live
page use is sampled every second, and has a bound. JSON and a picture go to build/chaos/.
"""

import argparse
import importlib.util
import io
import json
import os
import random
import shutil
import sys
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from iot_stream.local import opensearch as local_opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.local_stack import LocalStack, Ports
from iot_stream.paths import PROJECT
from tests.chaos import page, report
from tests.chaos.plan import SHORTEST, Lane, outage, plan
from tests.chaos.siege import SETTINGS, Siege
from tests.chaos.troubles import Troubles
from tests.delivery import World
from tests.outages import Outages
from tests.ports import free_port
from tests.samples import Sampler, draw

__all__ = ["parse"]


def main() -> int:
    """Return 0 when nothing is wrong."""
    arguments = parse(sys.argv[1:])
    seconds = arguments.outage + 60 if arguments.outage else arguments.seconds
    lanes = outage(arguments.outage) if arguments.outage else plan(arguments.seed, seconds)
    print(f"seed {arguments.seed}, {seconds:g} s, {arguments.rate:g} readings a second", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    ports = Ports(free_port(), free_port(), free_port(), free_port())
    local_stack = LocalStack(folder, ports, assemble(), "chaos")
    try:
        return _besiege(local_stack, lanes, arguments, seconds)
    finally:
        local_stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def parse(given: list[str]) -> argparse.Namespace:
    """Return the options; end with what is wrong where a siege would prove nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="seconds", type=float, default=300, help="seconds to send for")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**16))
    parser.add_argument("--rate", type=float, default=300, help="readings a second")
    parser.add_argument("--outage", type=float, metavar="SECONDS", help="only one trouble: the domain away for so long")
    arguments = parser.parse_args(given)
    seconds = arguments.seconds if arguments.outage is None else arguments.outage
    if not seconds >= SHORTEST:  # nor where it is not a number
        parser.error(f"less than {SHORTEST:g} seconds prove nothing: give it more (make chaos FOR=120)")
    if not arguments.rate > 0:
        parser.error("without readings there is nothing to account for: give it a --rate above 0")
    return arguments


def _besiege(local_stack: LocalStack, lanes: list[Lane], arguments: argparse.Namespace, seconds: float) -> int:
    folder, ports = local_stack.folder, local_stack.ports
    server = local_opensearch.prepare(folder / "opensearch", local_stack.home, ports.opensearch)
    domain = Outages(server, server.launch(), local_stack.add)
    local_stack.add(domain.process)
    server.wait(domain.process)
    aws = local_stack.aws.start(domain_endpoint=f"127.0.0.1:{ports.opensearch}", ca_file=server.ca_file)
    local_stack.add(aws)
    # As `local_stack` says: its state folder has this name, and its ledger is where a siege has one.
    world = World(local_stack.aws, server, folder, local_stack.delivery_state.name)
    page.put_index_template(world)
    world.make(shards=2, code=_enrichment(), handler="enrichment.handler.lambda_handler", timeout=60, **SETTINGS)
    page.describe_as_stack(world, local_stack)
    live = page.serve(local_stack)
    siege = Siege(world, Troubles(world, aws.pid, domain), say=lambda line: print(line, flush=True))
    viewer = page.Viewer(f"http://127.0.0.1:{ports.live}", Path(live.log))
    logs = {"worker": world.log, "ministack": Path(aws.log), "live-page": Path(live.log)}
    logs["opensearch"] = Path(domain.process.log)
    sampler = Sampler(
        {
            "worker": lambda: world.workers[-1].pid if world.workers else 0,
            "ministack": lambda: aws.pid,
            "live page": lambda: live.pid,
        },
        {part.replace("-", " "): log for part, log in logs.items()},
        lambda: {"backlog": max(0, siege.ledger.sent - siege.done)},
    )
    target = (
        PROJECT / "build" / "chaos" / (f"outage-{arguments.outage:g}" if arguments.outage else f"seed-{arguments.seed}")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        result = siege.play(lanes, seed=arguments.seed, rate=arguments.rate, seconds=seconds)
    finally:
        sampler.stop()
        viewer.stop()
        for worker in world.workers:
            worker.kill()
            worker.wait()
        for part, log in logs.items():
            shutil.copyfile(log, target.with_name(f"{target.name}-{part}.log"))
    lasted = max(row["at"] for row in sampler.rows)  # with what was waited for at the end
    used, limits = sampler.summary(), report.bounds(result.sent, lasted)
    faults = report.siege_faults(lanes, siege.played, result, arguments.rate * seconds)
    faults += report.usage_faults(used, limits) + viewer.faults()
    played = sorted(siege.played, key=lambda each: each.at)
    told = {
        "seed": arguments.seed,
        "seconds": seconds,
        "rate": arguments.rate,
        "faults": faults,
        "troubles": [asdict(each) for each in played],
        "readings": asdict(result) | {"deleted with an index": len(siege.troubles.deleted)},
        "used": used,
        "bounds": limits,
        "live page": viewer.responses,
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "memory": psutil.virtual_memory().total},
    }
    _write(target, told, sampler)
    print(f"\n{report.trouble_table(lanes, played)}\n\n{report.usage_table(used, limits)}\n")
    print(json.dumps({"readings": told["readings"], "live page": told["live page"]}))
    print("\n".join(faults) or "every reading has its place, and every part kept its bounds")
    return 1 if faults else 0


def _write(target: Path, told: dict[str, Any], sampler: Sampler) -> None:
    file = target.with_name(f"{target.name}.json")
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    spans = [
        {"from": each["at"], "to": each["at"] + each["seconds"], "what": f"{each['lane']}: {each['kind']}"}
        for each in told["troubles"]
        if not each["skipped"]
    ]
    picture = target.with_name(f"{target.name}.svg")
    draw(sampler.rows, spans, picture)
    print(f"{file}, {picture}")


def _enrichment() -> bytes:
    """Return the enrichment function as it is here, with what it needs, zipped as Lambda takes it."""
    function = PROJECT / "functions" / "enrichment"
    found = [importlib.util.find_spec(name) for name in ("msgspec", "tzdata")]
    packages = [Path(spec.origin).parent for spec in found if spec is not None and spec.origin is not None]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.write(function / "readings.toml", "readings.toml")
        for package in (function / "enrichment", *packages):
            for path in sorted(package.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    file.write(path, path.relative_to(package.parent))
    return archive.getvalue()


if __name__ == "__main__":
    sys.exit(main())
