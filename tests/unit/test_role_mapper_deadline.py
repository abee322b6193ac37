"""Deadline: what is tried again, how long, and how often."""

import pytest

from role_mapper.deadline import Deadline
from role_mapper.errors import DeadlineExceededError, OwnershipError, ResponseError
from tests.fake_domain import Clock

pytestmark = pytest.mark.secrets


def deadline(seconds: float, clock: Clock) -> Deadline:
    """Return a deadline that waits its longest each time."""
    return Deadline(seconds, clock=clock, wait=clock.wait, jitter=lambda _, longest: longest)


class Step:
    """A step that fails with `error` until its `successes_at`-th try."""

    def __init__(self, error: Exception, successes_at: int = 1_000_000) -> None:
        self.error, self.successes_at, self.tries = error, successes_at, 0

    def __call__(self) -> str:
        """Try."""
        self.tries += 1
        if self.tries < self.successes_at:
            raise self.error
        return "done"


def test_a_retryable_error_is_retried_with_growing_waits() -> None:
    """0.25 s, 0.5 s, 1 s …, at most 10 s."""
    clock = Clock()
    step = Step(ResponseError("GET /", 503, "starting"), successes_at=9)
    assert deadline(600, clock).retry(step) == "done"
    assert clock.now == 0.25 + 0.5 + 1 + 2 + 4 + 8 + 10 + 10


@pytest.mark.parametrize("status", [400, 404, 405, 413, 200])
def test_a_refusal_that_time_does_not_heal_is_raised_at_once(status: int) -> None:
    """A 400 is never tried again."""
    step = Step(ResponseError("PUT /", status, "no"))
    with pytest.raises(ResponseError, match="no"):
        deadline(600, Clock()).retry(step)
    assert step.tries == 1


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 502, 503, 504])
def test_every_status_that_a_young_or_busy_domain_returns_is_tried_again(status: int) -> None:
    """They pass, on a domain that is all right."""
    assert deadline(600, Clock()).retry(Step(ResponseError("PUT /", status, "wait"), successes_at=4)) == "done"


def test_an_ownership_error_is_not_retryable() -> None:
    """What is somebody else's stays so."""
    step = Step(OwnershipError("not yours"))
    with pytest.raises(OwnershipError):
        deadline(600, Clock()).retry(step)
    assert step.tries == 1


def test_when_the_time_is_up_the_reason_says_what_and_after_how_long() -> None:
    """The last error and the seconds since the work began, whatever step it was."""
    clock = Clock()
    trying = deadline(30, clock)
    clock.wait(3)
    with pytest.raises(DeadlineExceededError, match=r"GET / returned 503: starting \(gave up after 30 s\)"):
        trying.retry(Step(ResponseError("GET /", 503, "starting")))


def test_a_time_that_ends_between_two_calls_hides_neither_the_error_nor_the_seconds() -> None:
    """The domain's last words are the reason, not that there was no time to hear them again; late is not longer."""
    clock = Clock()
    trying = deadline(30, clock)
    tries = iter(range(100))

    def step() -> None:
        if next(tries) == 0:
            raise ResponseError("GET /", 503, "starting")
        clock.wait(31.6)  # a machine that stalled
        raise DeadlineExceededError("no time was left for GET /")

    with pytest.raises(DeadlineExceededError, match=r"^GET / returned 503: starting \(gave up after 30 s\)$"):
        trying.retry(step)


def test_a_step_within_a_step_is_told_once() -> None:
    """What gave up inside has said after how long already."""
    trying = deadline(30, Clock())

    def step() -> None:
        trying.retry(Step(ResponseError("GET /", 503, "starting")))

    with pytest.raises(DeadlineExceededError, match=r"^GET / returned 503: starting \(gave up after 30 s\)$"):
        trying.retry(step)


def test_a_step_that_begins_after_the_end_says_what_was_left_undone() -> None:
    """Steps before it took all the time, and nothing went wrong."""
    clock = Clock()
    trying = deadline(30, clock)
    clock.wait(31)
    with pytest.raises(DeadlineExceededError, match=r"^no time was left for PUT /x \(gave up after 30 s\)$"):
        trying.retry(Step(DeadlineExceededError("no time was left for PUT /x")))


def test_no_step_is_tried_after_the_end() -> None:
    """The guard has responded by then: nothing may change on the domain any more."""
    trying = deadline(30, Clock())
    step = Step(ResponseError("GET /", 503, "starting"))

    def end() -> str:
        if step.tries == 2:
            trying.end()
        return step()

    with pytest.raises(DeadlineExceededError):
        trying.retry(end)
    assert step.tries == 3
    assert trying.remaining == 0


def test_a_waiting_step_wakes_up_when_the_deadline_is_ended() -> None:
    """With the real clock: no wait outlives the guard's response."""
    trying = Deadline(3600, jitter=lambda *_: 3600)

    def step() -> None:
        trying.end()
        raise ResponseError("GET /", 503, "starting")

    with pytest.raises(DeadlineExceededError, match="gave up after 0 s"):
        trying.retry(step)


def test_waits_are_spread_so_that_writers_in_conflict_do_not_meet_again() -> None:
    """Jitter chooses between half of the wait and all of it."""
    bounds: list[tuple[float, float]] = []

    def jitter(least: float, most: float) -> float:
        bounds.append((least, most))
        return most

    clock = Clock()
    Deadline(60, clock=clock, wait=clock.wait, jitter=jitter).retry(Step(ResponseError("PUT /", 409, "x"), 4))
    assert bounds == [(0.125, 0.25), (0.25, 0.5), (0.5, 1.0)]


def test_a_part_has_its_own_end_but_never_a_later_one() -> None:
    """One question may not use up more than its share, nor more than there is."""
    clock = Clock()
    whole = deadline(100, clock)
    assert whole.part(30).remaining == 30
    clock.wait(90)
    assert whole.part(30).remaining == pytest.approx(10)
