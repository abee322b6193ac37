"""What each kind of trouble does to the worker, to the local AWS and to the domain."""

import math
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from opensearchpy.helpers import scan

from tests.delivery import World
from tests.outages import Outages
from tests.polling import until

__all__ = ["DAMAGES", "SkippedError", "Troubles", "in_force_since"]

DAMAGES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "cut": lambda content: content[: len(content) // 2],
    "garbage": lambda content: random.Random(len(content)).randbytes(len(content)),
    "empty": lambda _: b"",
    "changed": lambda content: content.replace(b'"outcomes":', b'"outcomes" :', 1),
    "of another shape": lambda _: b"[]",
}
"""What a progress file can become; each is used in turn."""
_VERSION: Final = re.compile(r"^(\S+ \S+) INFO .*version (\w+)(?:\)| is in force)$", re.MULTILINE)
_BEGUN: Final = "delivering from "
_PATIENCE_SECONDS, _START_SECONDS = 20.0, 180.0


class SkippedError(Exception):
    """A trouble could not be played at this moment; says why."""


@dataclass
class Troubles:
    """The troubles of one world: each is a method that begins it, yields while it lasts, and mends it.

    Args:
        world: the delivery stream, its neighbours and workers.
        aws_pid: ministack's process.
        domain: OpenSearch's process.
        deleted: the ids of the documents that were in deleted indices, for the account.
    """

    world: World
    aws_pid: int
    domain: Outages
    deleted: set[str] = field(default_factory=set)
    _saved: dict[str, bytes] = field(default_factory=dict)
    _damages: int = 0
    # The settings must not change while a worker takes the copy of its progress: which index a record was meant for
    # in its last half second is lost with the damaged file (docs/delivery.md, "One index for each record").
    _index_fixed: threading.Lock = field(default_factory=threading.Lock)

    # ---- worker ----------------------------------------------------------------------------------------------

    def worker_kill(self, _: float) -> Iterator[None]:
        """Kill it; start another, and have it deliver before the next trouble of its lane."""
        self._kill_worker()
        yield
        self._start_worker()

    def worker_freeze(self, _: float) -> Iterator[None]:
        """Freeze it."""
        self.check_worker()
        yield from _frozen(self.world.workers[-1].pid)

    def worker_damage(self, _: float) -> Iterator[None]:
        """Kill it and damage its progress file: the next one must say so, and continue with the copy."""
        with self._index_fixed:
            self._wait_for_a_copy_by_these_settings()
            self._kill_worker()
            name, damage = list(DAMAGES.items())[self._damages % len(DAMAGES)]
            progress = self.world.state / "progress.json"
            if not progress.exists():  # it was killed between two renames: the copy alone is there
                progress.touch()
            progress.write_bytes(damage(progress.read_bytes()))
            self._damages += 1
            yield
            noticed = self._logged("continuing with its copy")
            self._start_worker()
            assert self._logged("continuing with its copy") == noticed + 1, f"nobody noticed a progress file: {name}"

    def _wait_for_a_copy_by_these_settings(self) -> None:
        """Return when the copy of the progress is younger than the worker's knowledge of the settings in force."""
        version = str(self._describe()["VersionId"])
        copy = self.world.state / "progress.copy.json"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not copy.exists() or copy.stat().st_mtime <= in_force_since(self._log(), version):
            self.check_worker()
            if time.monotonic() > deadline:
                raise SkippedError("the worker has not saved its progress since it has these settings")
            time.sleep(0.05)

    def _logged(self, words: str) -> int:
        return self._log().count(words)

    def _log(self) -> str:
        return self.world.log.read_text(encoding="utf-8", errors="replace")

    def check_worker(self) -> None:
        """Raise RuntimeError if the worker has ended: nobody but this class may end it."""
        code = self.world.workers[-1].poll()
        if code is not None:
            raise RuntimeError(f"the worker has ended by itself, with {code}: {self._log()[-2000:]}")

    def _kill_worker(self) -> None:
        self.check_worker()
        self.world.workers[-1].kill()
        self.world.workers[-1].wait()

    def _start_worker(self) -> None:
        """Start another, and return once it reads: it has the settings then."""
        begun = self._logged(_BEGUN)
        self.world.start()
        until(lambda: self._logged(_BEGUN) > begun, seconds=_START_SECONDS, what="the worker's first line")

    # ---- aws -------------------------------------------------------------------------------------------------

    def aws_freeze(self, _: float) -> Iterator[None]:
        """Freeze ministack."""
        yield from _frozen(self.aws_pid)

    def aws_settings(self, seconds: float) -> Iterator[None]:
        """Change buffers, retries, rotation and index name at once; later the rotation again."""
        self._update(
            IndexName=f"{self.world.name}-{int(seconds * 10) % 3}",
            IndexRotationPeriod="OneDay",
            BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": int(seconds)},
            RetryOptions={"DurationInSeconds": 7200 - int(seconds)},
        )
        yield
        self._update(IndexRotationPeriod="NoRotation")

    def _describe(self) -> dict[str, Any]:
        firehose = self.world.aws.client("firehose")
        response: dict[str, dict[str, Any]] = firehose.describe_delivery_stream(DeliveryStreamName=self.world.name)
        return response["DeliveryStreamDescription"]

    def _update(self, **changes: Any) -> None:
        with self._index_fixed:
            described = self._describe()
            self.world.aws.client("firehose").update_destination(
                DeliveryStreamName=self.world.name,
                CurrentDeliveryStreamVersionId=described["VersionId"],
                DestinationId=described["Destinations"][0]["DestinationId"],
                AmazonopensearchserviceDestinationUpdate=changes,
            )

    def aws_bucket(self, _: float) -> Iterator[None]:
        """Delete the bucket; make it again, with what was in it, for the account at the end needs that."""
        s3, name = self.world.aws.client("s3"), self.world.name
        self._saved = self.world.objects()
        while self._written_meanwhile():
            self._saved |= self.world.objects()
        yield
        s3.create_bucket(Bucket=name)
        for key, body in self._saved.items():
            s3.put_object(Bucket=name, Key=key, Body=body)

    def _written_meanwhile(self) -> bool:
        """Delete the saved objects, then the bucket; return whether it had others by then."""
        s3, name = self.world.aws.client("s3"), self.world.name
        for key in self._saved:
            s3.delete_object(Bucket=name, Key=key)
        try:
            s3.delete_bucket(Bucket=name)
        except s3.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "BucketNotEmpty")
        return False

    # ---- domain ----------------------------------------------------------------------------------------------

    def domain_kill(self, _: float) -> Iterator[None]:
        """Kill OpenSearch; start it again."""
        os.kill(self.domain.process.pid, signal.SIGKILL)
        until(lambda: not self.domain.process.alive, what="the end of OpenSearch")
        yield
        self.domain.start()

    def domain_freeze(self, _: float) -> Iterator[None]:
        """Freeze OpenSearch."""
        yield from _frozen(self.domain.process.pid)

    def domain_close(self, _: float) -> Iterator[None]:
        """Close the indices that are there: what is sent to them is refused for good and must reach the bucket."""
        closed = self._indices()
        for index in closed:
            self._call("post", f"{index}/_close")
        yield
        for index in closed:
            self._call("post", f"{index}/_open")

    def domain_delete(self, _: float) -> Iterator[None]:
        """Delete the indices under the worker's hands; it makes them again with its next request.

        What was in them is gone by nature, so their ids are taken down before: writes are blocked first, and OpenSearch
        responds to that when those under way have ended ("Index blocks" in its API), so that no document is forgotten.
        """
        for index in self._indices():
            self._call("put", f"{index}/_block/write")
            self._call("post", f"{index}/_refresh")
            client = self.world.opensearch.admin_client()
            self.deleted |= {hit["_id"] for hit in scan(client, index=index, _source=False, size=5_000)}
            self._call("delete", index)
        yield

    def domain_unmap(self, _: float) -> Iterator[None]:
        """Remove the role's mapping."""
        self.world.unmap_role()
        yield
        self.world.map_role()

    def _indices(self) -> set[str]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (indices := self.world.indices()):
            if time.monotonic() > deadline:
                raise SkippedError("there is no index yet")
            time.sleep(0.05)
        return indices

    def _call(self, method: str, path: str) -> None:
        with self.world.opensearch.admin_session() as session:
            session.request(method, f"{self.world.opensearch.url}/{path}", timeout=60).raise_for_status()


def in_force_since(log: str, version: str) -> float:
    """Return since when workers act by a version of the settings, as their log says; infinity where they don't yet."""
    since, before = math.inf, ""
    for time_of_day, named in _VERSION.findall(log):
        if named != before:
            moment = datetime.strptime(time_of_day, "%Y-%m-%d %H:%M:%S,%f").astimezone()
            since, before = moment.timestamp(), named
    return since if before == version else math.inf


def _frozen(pid: int) -> Iterator[None]:
    """Freeze a process; that it is not there is an error, for who else should have ended it?"""
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)
