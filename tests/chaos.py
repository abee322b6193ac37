"""Trouble from one seed while readings flow, and an account of every reading: `make chaos [FOR=seconds] [SEED=n]`.

Real neighbours: OpenSearch, ministack with a function, the delivery worker. Three lanes of trouble run side by side:

    worker   killed (SIGKILL) and started again; frozen (SIGSTOP)
    aws      ministack frozen; settings of the delivery stream changed; bucket deleted, later made again
    domain   OpenSearch killed and started again; frozen; its index closed; the role's mapping removed

`--outage SECONDS` plays one trouble alone: the domain away for so long, with samples of what the worker and its
neighbours use. Both write JSON and a picture into build/chaos/.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import psutil

from iot_stream.description import load
from iot_stream.failure_objects import BackupLocation, FailureObjects
from iot_stream.generator.job import send_readings
from iot_stream.generator.ledger import Ledger
from iot_stream.generator.rates import constant
from iot_stream.generator.sources import Choice, open_readings
from iot_stream.local import opensearch as local_opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.ministack import Ministack
from iot_stream.local.processes import free_port
from iot_stream.paths import PROJECT
from iot_stream.run.reconciliation import Reconciliation, reconcile
from tests.delivery import World
from tests.outages import Outages
from tests.polling import until
from tests.samples import Sampler, draw

__all__ = ["LANES", "SETTINGS", "SHORT", "Siege", "Trouble", "plan"]

LANES = {
    "worker": ("kill", "freeze"),
    "aws": ("freeze", "settings", "bucket"),
    "domain": ("kill", "freeze", "close", "unmap"),
}
# Without what takes a minute on a busy machine: the start of OpenSearch, which tests/e2e/test_outage.py has.
SHORT = LANES | {"domain": ("freeze", "close", "unmap")}
SETTINGS: dict[str, Any] = {"retries": 3, "RetryOptions": {"DurationInSeconds": 7200}}
_QUIET = 5.0  # seconds without trouble at the beginning and the end, and about as many between two troubles of a lane
_LONGEST = 6.0
_STILL_SECONDS = 90.0  # without progress, then what is left counts as missing


@dataclass(frozen=True)
class Trouble:
    """One trouble: its lane and kind, and from when on (seconds after the start) it lasts for how long."""

    at: float
    lane: str
    kind: str
    seconds: float


def plan(seed: int, seconds: float, lanes: Mapping[str, tuple[str, ...]] = LANES) -> dict[str, list[Trouble]]:
    """Return the troubles of each lane, in order and one after the other; the same for the same arguments."""
    troubles: dict[str, list[Trouble]] = {}
    for lane, kinds in lanes.items():
        chance = random.Random(f"{seed} {lane}")
        troubles[lane], at, turn = [], _QUIET, list[str]()
        while at + _LONGEST + _QUIET <= seconds:
            turn = turn or chance.sample(kinds, len(kinds))  # every kind has its turn
            trouble = Trouble(round(at, 2), lane, turn.pop(), round(chance.uniform(0.5, _LONGEST), 2))
            troubles[lane].append(trouble)
            at += trouble.seconds + chance.uniform(1, _QUIET)
    return troubles


@dataclass
class Siege:
    """A world under siege, the processes that carry it, and what is known of what was sent.

    `played` are the troubles as they were: when each began, and how long it was until it was mended.
    """

    world: World
    aws_pid: int
    domain: Outages
    say: Callable[[str], None] = lambda _: None
    over: threading.Event = field(default_factory=threading.Event)
    saved: dict[str, bytes] = field(default_factory=dict)
    played: list[Trouble] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """Return the ledger of what the stream accepted."""
        return Ledger(self.world.folder / "sent")

    @property
    def _done(self) -> int:
        """Return how many readings have their outcome, as the worker says."""
        status = self.world.status
        return status.delivered + status.failed

    def play(self, lanes: dict[str, list[Trouble]], *, seed: int, rate: float, seconds: float) -> Reconciliation:
        """Send for `seconds` while the troubles come and go, and account for every reading at the end."""
        self.world.start()
        kinesis = self.world.aws.client("kinesis")
        with ThreadPoolExecutor(1 + len(lanes)) as pool:
            readings = open_readings(Choice(), load(), seed=seed, zone=UTC)
            sending = pool.submit(
                send_readings,
                kinesis,
                self.world.name,
                readings,
                due=constant(rate),
                seconds=seconds,
                ledger=self.ledger,
                stop=self.over.is_set,
            )
            playing = [pool.submit(self._play_lane, lane, time.monotonic(), seconds) for lane in lanes.values()]
            try:
                # A trouble that can't be mended ends the siege: without its neighbour the others prove nothing.
                under_way: list[Future[Any]] = [sending, *playing]
                for each in as_completed(under_way):
                    each.result()
            finally:
                self.over.set()
        return self.account()

    def account(self) -> Reconciliation:
        """Wait until every reading has an outcome, and match each with its document or failed record."""
        world = self.world
        location = BackupLocation(world.name, "backup/", "backup/")

        def now() -> Reconciliation:
            with world.opensearch.admin_session() as session:
                session.post(f"{world.opensearch.url}/{world.name}*/_refresh")
            objects = FailureObjects(world.aws.client("s3"), location)
            failed = objects.records_of(objects.objects())
            client = world.opensearch.admin_client()
            return reconcile(self.ledger.records(), client, f"{world.name}*", failed)

        def settled() -> bool:
            return self._done >= self.ledger.sent and world.status.pending == 0

        done, deadline = -1, 0.0
        while not settled():
            if self._done != done:  # a busy machine takes minutes for what an hour of trouble has left behind
                done, deadline = self._done, time.monotonic() + _STILL_SECONDS
            elif time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return now()

    def _play_lane(self, troubles: list[Trouble], began: float, end: float) -> None:
        """Play the troubles one after the other; one that takes long (the start of a server) delays those after it."""
        late = 0.0
        for trouble in troubles:
            if self.over.wait(max(0.0, began + late + trouble.at - time.monotonic())):
                return
            at = time.monotonic() - began
            if at + trouble.seconds > end - _QUIET:
                return
            self.say(f"{at:6.1f} s  {trouble.lane}: {trouble.kind} for {trouble.seconds} s")
            method: Callable[[float], Iterator[None]] = getattr(self, f"_{trouble.lane}_{trouble.kind}")
            steps = method(trouble.seconds)
            next(steps)
            self.over.wait(trouble.seconds)
            next(steps, None)  # mended also when the siege is over
            lasted = time.monotonic() - began - at
            self.played.append(replace(trouble, at=round(at, 2), seconds=round(lasted, 2)))
            late = max(late, at + lasted - trouble.at - trouble.seconds)

    # ---- troubles: each begins, yields while it lasts, and is mended -------------------------------------------

    def _worker_kill(self, _: float) -> Iterator[None]:
        self.world.workers[-1].kill()
        self.world.workers[-1].wait()
        yield
        self.world.start()

    def _worker_freeze(self, _: float) -> Iterator[None]:
        yield from _frozen(self.world.workers[-1].pid)

    def _aws_freeze(self, _: float) -> Iterator[None]:
        yield from _frozen(self.aws_pid)

    def _aws_settings(self, seconds: float) -> Iterator[None]:
        """Change buffer, rotation and index name at once; later the rotation again."""
        update: dict[str, Any] = {
            "IndexName": f"{self.world.name}-{int(seconds * 10) % 3}",
            "IndexRotationPeriod": "OneDay",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": int(seconds)},
        }
        self._update(update)
        yield
        self._update({"IndexRotationPeriod": "NoRotation"})

    def _update(self, update: dict[str, Any]) -> None:
        firehose = self.world.aws.client("firehose")
        described = firehose.describe_delivery_stream(DeliveryStreamName=self.world.name)["DeliveryStreamDescription"]
        firehose.update_destination(
            DeliveryStreamName=self.world.name,
            CurrentDeliveryStreamVersionId=described["VersionId"],
            DestinationId=described["Destinations"][0]["DestinationId"],
            AmazonopensearchserviceDestinationUpdate=update,
        )

    def _aws_bucket(self, _: float) -> Iterator[None]:
        """Delete the bucket; make it again, with what was in it, for the account at the end needs that."""
        s3, name = self.world.aws.client("s3"), self.world.name
        self.saved = self.world.objects()
        while self._written_meanwhile():
            self.saved |= self.world.objects()
        yield
        s3.create_bucket(Bucket=name)
        for key, body in self.saved.items():
            s3.put_object(Bucket=name, Key=key, Body=body)

    def _written_meanwhile(self) -> bool:
        """Delete the saved objects, then the bucket; return whether it had others by then."""
        s3, name = self.world.aws.client("s3"), self.world.name
        for key in self.saved:
            s3.delete_object(Bucket=name, Key=key)
        try:
            s3.delete_bucket(Bucket=name)
        except s3.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "BucketNotEmpty")
        return False

    def _domain_kill(self, _: float) -> Iterator[None]:
        os.kill(self.domain.process.pid, signal.SIGKILL)
        until(lambda: not self.domain.process.alive, what="the end of OpenSearch")
        yield
        self.domain.start()

    def _domain_freeze(self, _: float) -> Iterator[None]:
        yield from _frozen(self.domain.process.pid)

    def _domain_close(self, _: float) -> Iterator[None]:
        """Close the indices that are there: what is sent to them is refused for good and must reach the bucket."""
        closed = self.world.indices()
        self._post(closed, "_close")
        yield
        self._post(closed, "_open")

    def _post(self, indices: set[str], action: str) -> None:
        with self.world.opensearch.admin_session() as session:
            for index in indices:
                session.post(f"{self.world.opensearch.url}/{index}/{action}", timeout=60).raise_for_status()

    def _domain_unmap(self, _: float) -> Iterator[None]:
        self.world.unmap_role()
        yield
        self.world.map_role()


def _frozen(pid: int) -> Iterator[None]:
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        yield
        return
    yield
    os.kill(pid, signal.SIGCONT)


def outage(seconds: float) -> dict[str, list[Trouble]]:
    """Return the plan of one outage of the domain."""
    return {"domain": [Trouble(20.0, "domain", "kill", seconds)]}


def main() -> int:
    """Play, print, write; return 1 when a reading is missing or in two indices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="seconds", type=float, default=300, help="seconds to send for")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**16))
    parser.add_argument("--rate", type=float, default=300, help="readings a second")
    parser.add_argument("--outage", type=float, metavar="SECONDS", help="only one trouble: the domain away for so long")
    arguments = parser.parse_args()
    seconds = arguments.outage + 60 if arguments.outage else arguments.seconds
    lanes = outage(arguments.outage) if arguments.outage else plan(arguments.seed, seconds)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    server = local_opensearch.prepare(folder / "opensearch", assemble(), free_port())
    domain = Outages(server, server.start())
    aws = Ministack(folder / "aws", free_port())
    process = None
    try:
        process = aws.start(domain_endpoint=f"127.0.0.1:{server.port}", ca_file=server.ca_file)
        world = World(aws, server, folder)
        world.make(shards=2, **SETTINGS)
        siege = Siege(world, process.pid, domain, say=lambda line: print(line, flush=True))
        sampler = Sampler(
            {"worker": lambda: world.workers[-1].pid if world.workers else 0, "ministack": lambda: siege.aws_pid},
            {"worker": world.log, "ministack": Path(process.log)},
            lambda: {"backlog": max(0, siege.ledger.sent - world.status.delivered - world.status.failed)},
        )
        print(f"seed {arguments.seed}, {seconds:g} s, {arguments.rate:g} readings a second", flush=True)
        try:
            result = siege.play(lanes, seed=arguments.seed, rate=arguments.rate, seconds=seconds)
        finally:
            sampler.stop()
            world.close()
        return _report(arguments, seconds, siege.played, result, sampler)
    finally:
        for started in (process, domain):
            if started is not None:
                started.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _report(
    arguments: argparse.Namespace,
    seconds: float,
    troubles: list[Trouble],
    result: Reconciliation,
    sampler: Sampler,
) -> int:
    name = f"outage-{arguments.outage:g}" if arguments.outage else f"seed-{arguments.seed}"
    report = {
        "seed": arguments.seed,
        "seconds": seconds,
        "rate": arguments.rate,
        "troubles": [asdict(trouble) for trouble in sorted(troubles, key=lambda trouble: trouble.at)],
        "readings": asdict(result),
        "used": sampler.summary(),
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "memory": psutil.virtual_memory().total},
    }
    target = PROJECT / "build" / "chaos"
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    spans = [{"from": each.at, "to": each.at + each.seconds, "what": f"{each.lane}: {each.kind}"} for each in troubles]
    draw(sampler.rows, spans, target / f"{name}.svg")
    counts = Counter(f"{trouble.lane}: {trouble.kind}" for trouble in troubles)
    print(json.dumps({"troubles": counts, "readings": report["readings"], "used": report["used"]}, indent=1))
    print(f"{target / name}.json and .svg")
    return 0 if result.complete and not result.duplicates else 1


if __name__ == "__main__":
    sys.exit(main())
