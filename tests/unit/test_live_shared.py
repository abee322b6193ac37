"""What many viewers ask for at about the same time is read once."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from iot_stream.live import shared
from iot_stream.live.shared import Shared
from tests.asgi import run


@dataclass
class Source:
    """A read that waits until it may go on."""

    go: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    error: Exception | None = None

    def read(self, question: str) -> str:
        """Return the question in capitals, or fail."""
        self.asked.append(question)
        assert self.go.wait(60)
        if self.error:
            raise self.error
        return question.upper()


@pytest.fixture
def source() -> Source:
    """A source that does not wait."""
    made = Source()
    made.go.set()
    return made


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the clock: what it says can be set."""
    clock = [0.0]
    monkeypatch.setattr(shared.time, "monotonic", lambda: clock[0])
    return clock


def test_what_is_under_way_is_waited_for() -> None:
    """Twenty viewers at the same moment, though nothing may be told again later; another question is another read."""
    source = Source()
    many = Shared(source.read, 0)

    async def ask() -> list[str]:
        waiting = [asyncio.ensure_future(many.get("a")) for _ in range(20)]
        waiting.append(asyncio.ensure_future(many.get("b")))
        await asyncio.sleep(0)
        source.go.set()
        return await asyncio.gather(*waiting)

    assert run(ask()) == ["A"] * 20 + ["B"]
    assert sorted(source.asked) == ["a", "b"]


def test_it_is_told_again_for_as_long_as_the_viewer_says(source: Source, now: list[float]) -> None:
    """Who refreshes every second gets something new each time, who does so every five gets what is there."""
    many = Shared(source.read, 2)
    run(many.get("a"))
    for at, seconds, reads in ((1.9, None, 1), (2.0, None, 2), (3.0, 5, 2), (3.1, 1, 3), (4.0, 1, 3), (4.2, 1, 4)):
        now[0] = at
        run(many.get("a", seconds))
        assert len(source.asked) == reads, at


def test_a_failure_is_told_to_everybody_who_waits_and_not_kept(source: Source) -> None:
    """Twenty time-outs one after the other would keep the twentieth viewer waiting for minutes."""
    source.error = OSError("no response")
    many = Shared(source.read, 60)

    async def ask() -> list[object]:
        return await asyncio.gather(*(many.get("a") for _ in range(20)), return_exceptions=True)

    assert {str(each) for each in run(ask())} == {"no response"}
    assert len(source.asked) == 1
    source.error = None
    assert run(many.get("a")) == "A"


def test_a_viewer_that_goes_away_ends_no_one_elses_read() -> None:
    """Closing one page is not closing all of them."""
    source = Source()
    many = Shared(source.read, 60)

    async def ask() -> str:
        first, second = (asyncio.ensure_future(many.get("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.go.set()
        assert first.cancelled()
        return await second

    assert run(ask()) == "A"


def test_only_so_many_questions_are_kept(source: Source) -> None:
    """Whoever asks for thousands of different filters does not fill the memory."""
    many = Shared(source.read, 60)
    for number in range(shared._MOST + 1):
        run(many.get(str(number)))
    run(many.get(str(shared._MOST)))
    assert len(source.asked) == shared._MOST + 1
    run(many.get("0"))
    assert len(source.asked) == shared._MOST + 2
