"""One run: claim it, judge the fleet page by page, write what changed, publish it, and remember how far it came.

Guarantees, even if a run is missed, killed, or started twice:

- A change is published after its alert is in the index, at the latest by the next run that completes.
- It is published once, with one exception: if a run is killed after SNS accepted the message and before this is
  recorded, the next run publishes it again, with the same id and a note that it may be a duplicate.
- Two runs never work at the same time: the second finds the first one's lease, which ends with the function's timeout.
- While SNS fails, the fleet is still evaluated: publishing comes last, and its error ends the run.
- While CloudWatch fails, everything but silence is evaluated, and the error ends the run.

Each step leaves the index in a state from which the next run can continue; `tests/unit/test_device_alerts_run.py` ends
runs between any two steps.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from device_alerts import queries
from device_alerts.decide import Moment, Observation, decide, decide_pipeline
from device_alerts.documents import RUN_ID, Alert, Device, DeviceId, alert_of, device_document_id, device_of
from device_alerts.forget import forget_alerts, forget_devices
from device_alerts.memory import Memory, memory_of
from device_alerts.message import Message, message, repeated
from device_alerts.missed import Missed
from device_alerts.progress import Progress
from device_alerts.rules import Rules

__all__ = ["ConflictError", "Index", "Run", "RunSettings", "Summary", "Version"]

_FIRST_LOOK = 24 * 3600 * 1000  # how far back the first run looks for devices, and any run at most
_MARGIN = 60_000  # that a window reaches back beyond the grace: what is written late is seen once more


class ConflictError(Exception):
    """The document has changed since it was read."""


@dataclass(frozen=True)
class Version:
    """The place of a document's last change ("Optimistic concurrency control" of OpenSearch)."""

    seq_no: int
    primary_term: int


class Index(Protocol):
    """The two indices, as `device_alerts.search.Domain` reaches them; every call may raise."""

    def search_readings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the readings."""
        ...

    def search_alerts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the alerts index."""
        ...

    def refresh(self) -> None:
        """Make everything that was written to the alerts index searchable."""
        ...

    def get(self, identity: str) -> tuple[dict[str, Any], Version] | None:
        """Return a document of the alerts index as it is now."""
        ...

    def get_many(self, identities: list[str]) -> list[dict[str, Any] | None]:
        """Return documents of the alerts index as they are now, in order."""
        ...

    def put(self, identity: str, document: Mapping[str, Any], version: Version | None) -> Version:
        """Write a document if it is unchanged since it was read (None: absent), else raise ConflictError."""
        ...

    def put_many(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Write documents by their ids; raise unless every one was written."""
        ...

    def delete_many(self, identities: list[str]) -> None:
        """Delete documents; documents that no longer exist are not an error."""
        ...


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        index_name: the stream's index, for messages.
        grace: milliseconds by which readings of one device may be delivered later than another's.
        late_after: milliseconds that the latest arrival, or the oldest undelivered one, may be old before the pipeline
            is late.
        keep: milliseconds to keep closed alerts and devices without readings; 0 keeps them without limit.
    """

    index_name: str
    grace: int
    late_after: int
    keep: int = 0


@dataclass
class Summary:
    """What a run did.

    Attributes:
        run: the run's number.
        skipped: why the run did nothing.
        devices: how many were judged, each as often as it was.
        not_looked_at: of these, whose readings were not read one by one though they may have been beyond a limit
            between two runs: they were judged by their latest values (`device_alerts.missed`).
        opened, closed: numbers of alerts.
        messages: number of published messages.
        forgotten: number of deleted devices and alerts.
    """

    run: int
    skipped: str = ""
    devices: int = 0
    not_looked_at: int = 0
    opened: int = 0
    closed: int = 0
    messages: int = 0
    forgotten: int = 0


class Run:
    """One run over the fleet.

    Args:
        rules: what is watched.
        settings: names and delays.
        index: the indices.
        publish: sends one message to the topic.
        progress: returns how far delivery has come at a time; may raise.
        clock: returns epoch milliseconds.
        lease: milliseconds until the function's timeout.
    """

    def __init__(
        self,
        rules: Rules,
        settings: RunSettings,
        index: Index,
        publish: Callable[[Message], None],
        progress: Callable[[int], Progress],
        *,
        clock: Callable[[], int],
        lease: int,
    ) -> None:
        self._rules = rules
        self._settings = settings
        self._index = index
        self._publish = publish
        self._progress = progress
        self._clock = clock
        self._lease = lease
        self._missed = Missed(rules, index.search_readings)
        self._memory = Memory()
        self._version: Version | None = None
        self._summary = Summary(0)

    def go(self) -> Summary:
        """Judge the whole fleet once, and publish what changed."""
        if not self._claim():
            return replace(self._summary, skipped="another run is at work")
        try:
            self._work()
        except Exception:
            with suppress(Exception):  # the error is what counts; without this write the lease ends by itself
                self._remember(lease_until=0)
            raise
        return self._summary

    def _work(self) -> None:
        self._index.refresh()
        found = queries.horizon_of(self._index.search_readings(queries.horizon(self._rules)))
        # Without the newest index, or any, the latest arrival is still known: time goes on, and delivery is late.
        horizon = max((each for each in (found, self._memory.horizon) if each is not None), default=None)
        unknown: Exception | None = None
        if horizon is not None:
            progress, unknown = self._progressed()
            moment = self._moment(horizon, progress)
            if progress is not None or self._nothing_delivered(moment.now, horizon):
                self._judge_pipeline(moment)
            for page in self._pages_of_readings(moment, progress):
                self._judge(page, moment)
            self._summary.not_looked_at = self._missed.not_looked_at
            if moment.judges_silence:
                self._index.refresh()  # a device may fall silent in the run that opened another alert of it
                for page in self._pages_of_silent_devices(moment):
                    self._judge(page, moment)
            if self._settings.keep:
                keep = self._settings.keep
                self._index.refresh()  # an alert that this run opened is closed with its device
                self._summary.forgotten += forget_devices(self._rules, self._index, self._write_known, moment, keep)
            self._index.refresh()
            self._remember(horizon=horizon)
        self._announce()
        if self._settings.keep:
            before = self._clock() - self._settings.keep
            self._summary.forgotten += forget_alerts(self._index, self._memory.announced, before)
        if unknown is not None:
            raise unknown
        self._remember(lease_until=0)

    # ---- memory ------------------------------------------------------------------------------------------------

    def _claim(self) -> bool:
        """Start a run with the next number, unless another run is active."""
        found = self._index.get(RUN_ID)
        before = memory_of(found[0]) if found else Memory()
        now = self._clock()
        self._summary = Summary(before.run)
        if now < before.lease_until:
            return False
        self._memory, self._version = before, found[1] if found else None
        try:
            self._remember(run=before.run + 1, lease_until=now + self._lease)
        except ConflictError:
            return False
        self._summary = Summary(self._memory.run)
        return True

    def _remember(self, **changes: Any) -> None:
        memory = replace(self._memory, **changes)
        self._version = self._index.put(RUN_ID, memory.document(), self._version)
        self._memory = memory

    def _progressed(self) -> tuple[Progress | None, Exception | None]:
        """Return how far delivery has come, or None if unknown, with the reason if a call failed.

        A new delivery stream has no metrics. If a stream had metrics and has none now, its progress is unknown.
        """
        try:
            progress = self._progress(self._clock())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once the fleet has been judged
            return None, error
        if progress.through is None:
            return None if self._memory.measured else progress, None
        if not self._memory.measured:
            self._remember(measured=True)
        return progress, None

    def _nothing_delivered(self, now: int, horizon: int) -> bool:
        return now - horizon > self._settings.late_after

    def _moment(self, horizon: int, progress: Progress | None) -> Moment:
        now, grace, known = self._clock(), self._settings.grace, progress or Progress()
        late = self._nothing_delivered(now, horizon) or known.age > self._settings.late_after
        on_time = self._memory.on_time_since if progress is None else self._memory.on_time_since or now
        since = None if late else on_time
        if since != self._memory.on_time_since:
            self._remember(on_time_since=since)
        settled = since is not None and now - since >= self._rules.silent_after * 1000
        delivered = horizon - grace if known.through is None else min(horizon - grace, known.through)
        return Moment(self._memory.run, now, horizon, grace, delivered, settled and progress is not None)

    # ---- the fleet, page by page -------------------------------------------------------------------------------

    def _pages_of_readings(
        self, moment: Moment, progress: Progress | None
    ) -> Iterable[dict[DeviceId, Observation | None]]:
        longest = max((rule.limit_of().after for rule in self._rules.limits), default=0)
        earliest = moment.horizon - _FIRST_LOOK
        if self._memory.horizon is not None:
            delay = max(moment.grace, min(progress.most if progress else 0, self._settings.late_after))
            overlap = delay + round(longest * 1000) + _MARGIN
            earliest = max(earliest, self._memory.horizon - overlap)
        after = None
        while True:
            body = queries.page_of_readings(self._rules, earliest, moment.horizon, after)
            response = self._index.search_readings(body)
            yield {seen.device: seen for seen in queries.observations(response, self._rules)}
            after = queries.next_page(response)
            if after is None:
                return

    def _pages_of_silent_devices(self, moment: Moment) -> Iterable[dict[DeviceId, Observation | None]]:
        before = moment.delivered - round(self._rules.silent_after * 1000)
        after = None
        while True:
            hits = self._index.search_alerts(queries.silent_devices(self._rules, before, after))["hits"]["hits"]
            yield {hit["_source"][self._rules.device]: None for hit in hits}
            if len(hits) < queries.page_size(self._rules):
                return
            after = hits[-1]["sort"]

    def _judge(self, page: Mapping[DeviceId, Observation | None], moment: Moment) -> None:
        """Decide about some devices; write alerts first, so that no device's document is ahead of its alerts."""
        if not page:
            return
        ids = [device_document_id(device) for device in page]
        known: dict[DeviceId, Device] = {}
        for document in self._index.get_many(ids):
            if document is not None:
                remembered = device_of(document, self._rules)
                known[remembered.id] = remembered
        open_alerts: dict[DeviceId, dict[str, Alert]] = {device: {} for device in page}
        for hit in self._index.search_alerts(queries.alerts_of_devices(self._rules, list(page)))["hits"]["hits"]:
            alert = alert_of(hit["_source"], self._rules)
            if alert.device is not None:
                open_alerts[alert.device][alert.rule] = alert
        alerts: list[Alert] = []
        devices: list[Device] = []
        if self._memory.horizon is not None:  # the first run does not tell what was over before it
            page = self._missed.added(page, known, open_alerts, moment.horizon)
        for device, seen in page.items():
            decision = decide(self._rules, known.get(device), seen, open_alerts[device], moment)
            alerts += decision.changed
            if decision.device != known.get(device):
                devices.append(decision.device)
        self._write(alerts)
        if devices:
            self._index.put_many({device_document_id(each.id): each.document(self._rules) for each in devices})
        self._summary.devices += len(page)

    def _judge_pipeline(self, moment: Moment) -> None:
        hits = self._index.search_alerts(queries.open_pipeline_alert())["hits"]["hits"]
        open_alert = alert_of(hits[0]["_source"], self._rules) if hits else None
        self._write(
            decide_pipeline(
                moment,
                late_after=self._settings.late_after,
                on_time_since=self._memory.on_time_since,
                open_alert=open_alert,
            )
        )

    def _write(self, alerts: list[Alert]) -> None:
        self._summary.opened += sum(alert.opened_run == self._memory.run for alert in alerts)
        self._write_known(alerts)

    def _write_known(self, alerts: list[Alert]) -> None:
        """Write alerts whose opening has been counted."""
        if alerts:
            self._index.put_many({alert.id: alert.document(self._rules) for alert in alerts})
        self._summary.closed += sum(alert.closed_at is not None for alert in alerts)

    # ---- the message -------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Publish what changed since the last message; record the message first, and then that it was sent.

        A message that an earlier run left is published first; later changes are in the next message.
        """
        if self._memory.outbox is not None:
            self._send(repeated(self._memory.outbox), self._memory.outbox_run)
        first, last = self._memory.announced + 1, self._memory.run
        opened, closed = (
            self._index.search_alerts(queries.announcement(field, first, last))
            for field in ("alert.opened_run", "alert.closed_run")
        )
        new = message(self._settings.index_name, first, last, opened, closed)
        if new is None:
            return
        self._remember(outbox=new, outbox_run=last)
        self._send(new, last)

    def _send(self, new: Message, last: int) -> None:
        self._publish(new)
        self._summary.messages += 1
        self._remember(outbox=None, outbox_run=0, announced=last)
