"""The end of a run: how long it waits for what is under way, and what it says when nothing responds."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as NoResponse

from iot_stream.errors import SetupError
from iot_stream.run import session
from iot_stream.run.counts import Counts
from iot_stream.run.reconciliation import Reconciliation
from iot_stream.stack import Stack

COUNTS = Counts(100, 100, 0, 0, 0, 100, 5, delivering=True, last_error=None)
PARAMETERS = {
    "TransformBufferIntervalInSeconds": "0",
    "DeliveryBufferIntervalInSeconds": "120",
    "DeliveryRetrySeconds": "0",
}


class Day:
    """A clock, and a pipeline whose records become searchable `at` that second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: float) -> None:
        self.now = 0.0
        self.at = at
        client = SimpleNamespace(indices=SimpleNamespace(refresh=lambda **_: None))
        self.indices = client.indices
        server = SimpleNamespace(folder=Path("/folder"), admin_client=lambda: client)
        self.local_stack: Any = SimpleNamespace(opensearch=server)
        self.stack = Stack("s", "arn", {"IndexName": "i"}, PARAMETERS)
        monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))
        monkeypatch.setattr(session, "read_counts", lambda *_: self._status())
        monkeypatch.setattr(session, "_reconcile_now", lambda *_: self._result())

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _status(self) -> Counts:
        return Counts(100, 100, 100, 0, 100, 0, 0, delivering=True, last_error=None) if self.now > self.at else COUNTS

    def _result(self) -> Reconciliation:
        return Reconciliation(100, 100, 0, 0, 0) if self.now > self.at else Reconciliation(100, 0, 0, 100, 0)


def test_records_that_wait_their_time_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer of two minutes is two minutes without any movement, and nothing is missing."""
    day = Day(monkeypatch, at=125)
    assert session.drain(day.local_stack, day.stack, lambda _: None).complete


def test_records_that_never_come_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once every wait that is configured is over, and a minute more."""
    day = Day(monkeypatch, at=1e9)
    assert session.drain(day.local_stack, day.stack, lambda _: None).missing == 100
    assert 300 < day.now < 305


def test_nobody_waits_for_a_worker_that_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had under way stays where it is."""
    day = Day(monkeypatch, at=1e9)
    monkeypatch.setattr(session, "read_counts", lambda *_: replace(COUNTS, delivering=False))
    assert session.drain(day.local_stack, day.stack, lambda _: None).missing == 100
    assert day.now < 65


def test_an_interrupt_has_the_account_taken_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not want to wait is told what is there."""
    day = Day(monkeypatch, at=1e9)
    assert session.drain(day.local_stack, day.stack, lambda _: None, stop=lambda: day.now > 3).missing == 100
    assert day.now < 10


def test_without_opensearch_there_is_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the place of its log, no traceback."""
    day = Day(monkeypatch, at=-1)

    def refuse(**_: Any) -> None:
        raise NoResponse("N/A", "refused", OSError())

    day.indices.refresh = refuse
    with pytest.raises(SetupError, match=r"does not respond \(ConnectionError\).* log in /folder/logs"):
        session.drain(day.local_stack, day.stack, lambda _: None)
