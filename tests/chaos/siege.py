"""Play the lanes of a plan while readings flow, and account for every reading."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC
from itertools import chain
from typing import Any

from iot_stream.description import load
from iot_stream.failure_objects import BackupLocation, FailedRecord, FailureKind, FailureObjects
from iot_stream.generator.job import send_readings
from iot_stream.generator.ledger import Ledger
from iot_stream.generator.rates import constant
from iot_stream.generator.sources import Choice, open_readings
from iot_stream.run.reconciliation import Reconciliation, reconcile
from tests.chaos.plan import QUIET, Lane, Trouble
from tests.chaos.report import Played
from tests.chaos.troubles import SkippedError, Troubles
from tests.delivery import World

__all__ = ["SETTINGS", "Siege"]

SETTINGS: dict[str, Any] = {"retries": 3, "RetryOptions": {"DurationInSeconds": 7200}}
_STILL_SECONDS = 90.0  # without progress, then what is left counts as missing
_ROUNDS = 3  # in which each kind has to be played


@dataclass
class Siege:
    """A world under siege, and what is known of what was sent.

    `played` are the troubles as they were: when each began, and how long it was until it was mended or why it was not
    played.
    """

    world: World
    troubles: Troubles
    say: Callable[[str], None] = lambda _: None
    over: threading.Event = field(default_factory=threading.Event)
    played: list[Played] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """Return the ledger of what the stream accepted."""
        return Ledger(self.world.folder / "sent")

    @property
    def done(self) -> int:
        """Return how many readings have their outcome, as the worker says."""
        status = self.world.status
        return status.delivered + status.failed

    def play(self, lanes: list[Lane], *, seed: int, rate: float, seconds: float) -> Reconciliation:
        """Send while the troubles come and go, and account for every reading at the end.

        Both last for `seconds`, and longer only where a kind of trouble has not been played by then.
        """
        self.world.start()
        kinesis = self.world.aws.client("kinesis")
        began = time.monotonic()
        with ThreadPoolExecutor(1 + len(lanes)) as pool:
            playing = [pool.submit(self._play_lane, lane, began, seconds) for lane in lanes]

            def enough() -> bool:
                lasted = time.monotonic() - began >= seconds and all(lane.done() for lane in playing)
                return lasted or self.over.is_set()

            sending = pool.submit(
                send_readings,
                kinesis,
                self.world.name,
                open_readings(Choice(), load(), seed=seed, zone=UTC),
                due=constant(rate),
                ledger=self.ledger,
                stop=enough,
            )
            try:
                # A trouble that can't be mended ends the siege: without its neighbour the others prove nothing.
                under_way: list[Future[Any]] = [sending, *playing]
                for each in as_completed(under_way):
                    each.result()
            finally:
                self.over.set()
        return self.account()

    def account(self) -> Reconciliation:
        """Wait until every reading has an outcome, and match each with its document or failed record.

        A document of a deleted index counts as a failed record, unless it is searchable because it was written again.
        """

        def settled() -> bool:
            return self.done >= self.ledger.sent and self.world.status.pending == 0

        done, deadline = -1, 0.0
        while not settled():
            self.troubles.check_worker()
            if self.done != done:  # a busy machine takes minutes for what an hour of trouble has left behind
                done, deadline = self.done, time.monotonic() + _STILL_SECONDS
            elif time.monotonic() > deadline:
                break
            time.sleep(0.5)
        world = self.world
        with world.opensearch.admin_session() as session:
            session.post(f"{world.opensearch.url}/{world.name}*/_refresh")
        objects = FailureObjects(world.aws.client("s3"), BackupLocation(world.name, "backup/", "backup/"))
        gone = (FailedRecord("", 0, FailureKind.DOCUMENT, document_id=name) for name in self.troubles.deleted)
        records = chain(objects.records_of(objects.objects()), gone)
        return reconcile(self.ledger.records(), world.opensearch.admin_client(), f"{world.name}*", records)

    def _play_lane(self, lane: Lane, began: float, end: float) -> None:
        """Play troubles one after the other until there is no time for another and every kind has been played."""
        missing = set(lane.kinds)
        if self.over.wait(QUIET):
            return
        for number, trouble in enumerate(lane.troubles):
            at = time.monotonic() - began + trouble.pause
            if at + trouble.seconds > end - QUIET:
                if not missing or number >= _ROUNDS * len(lane.kinds):
                    return
                if trouble.kind not in missing:
                    continue
            if self.over.wait(trouble.pause):
                return
            played = self._play(trouble, began)
            self.played.append(played)
            if not played.skipped:
                missing.discard(trouble.kind)

    def _play(self, trouble: Trouble, began: float) -> Played:
        at = time.monotonic() - began
        self.say(f"{at:6.1f} s  {trouble.lane}: {trouble.kind} for {trouble.seconds} s")
        method: Callable[[float], Iterator[None]] = getattr(self.troubles, f"{trouble.lane}_{trouble.kind}")
        steps = method(trouble.seconds)
        skipped = ""
        try:
            next(steps)
            self.over.wait(trouble.seconds)
            next(steps, None)  # mended also when the siege is over
        except SkippedError as error:
            skipped = str(error)
            self.say(f"          {trouble.lane}: {trouble.kind} skipped: {skipped}")
        lasted = time.monotonic() - began - at
        return Played(trouble.lane, trouble.kind, round(at, 2), round(lasted, 2), skipped)
