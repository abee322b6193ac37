"""Repeated errors: counted in the error log and in the worker's own log, which is rotated."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot_stream.delivery.core.commands import ErrorLogEntry
from iot_stream.delivery.core.error_log import ErrorLog
from iot_stream.delivery.edges.log import RepeatFilter, RotatingHandler

BUSY = ErrorLogEntry("OS.429", "busy")
MINUTE = 60_000


def test_the_first_error_is_reported_at_once_and_its_repeats_once_a_minute() -> None:
    """Repeats are counted, and the latest message is reported with the count."""
    errors = ErrorLog()
    errors.add(BUSY, 0)
    assert errors.due(0) == [BUSY]
    for _ in range(500):
        errors.add(BUSY, 0)
        assert errors.due(MINUTE - 1) == []
    assert [entry.message for entry in errors.due(MINUTE)] == ["busy (500 times in 60 s)"]
    assert errors.due(10 * MINUTE) == []


def test_errors_of_another_code_or_log_do_not_wait() -> None:
    """Each code is counted alone, and so is the same code in the log of the bucket."""
    errors = ErrorLog()
    others = [BUSY, ErrorLogEntry("OS.503", "down"), ErrorLogEntry("OS.429", "busy", of_bucket=True)]
    for entry in others:
        errors.add(entry, 0)
    assert errors.due(0) == others


def test_what_is_left_is_reported_at_the_end() -> None:
    """A worker that stops reports the repeats that were not due yet."""
    errors = ErrorLog()
    errors.add(BUSY, 0)
    assert errors.due(0) == [BUSY]
    errors.add(BUSY, 0)
    assert errors.due(1000, flush=True) == [BUSY]
    assert errors.due(1000, flush=True) == []


@given(st.lists(st.integers(0, 500), max_size=1000))
def test_the_number_of_entries_is_bounded(codes: list[int]) -> None:
    """However many codes there are, at most 100 are kept."""
    errors = ErrorLog()
    for code in codes:
        errors.add(ErrorLogEntry(f"Lambda.{code}", "?"), 0)
    assert len(errors.due(0)) == min(100, len(set(codes)))


def line(text: str) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("n", logging.WARNING, "p", 1, "%s", (text,), None)


def test_a_repeated_line_is_logged_once_a_minute() -> None:
    """The next one tells how many were suppressed; other lines are not affected."""
    now = [0.0]
    repeats = RepeatFilter(lambda: now[0])
    assert repeats.filter(line("down"))
    assert not any(repeats.filter(line("down")) for _ in range(99))
    assert repeats.filter(line("other"))
    now[0] = 61
    record = line("down")
    assert repeats.filter(record)
    assert record.getMessage() == "down (99 more times before)"


def test_the_end_of_the_log_has_what_no_later_line_counted(tmp_path: Path) -> None:
    """`logging` closes its handlers when the process ends: what was suppressed until then is a line, once."""
    path = tmp_path / "deliver.log"
    with path.open("a", encoding="utf-8") as stream:
        handler = RotatingHandler(stream)
        for text in ("down", "down", "other", "down"):
            handler.handle(line(text))
        handler.close()
        handler.close()
    assert path.read_text("utf-8").splitlines() == ["down", "other", "down (2 more times)"]


def test_a_log_file_is_rotated(tmp_path: Path) -> None:
    """A file that the parent opened for appending is copied to FILE.1 and truncated; only the oldest lines are lost."""
    path = tmp_path / "deliver.log"
    with path.open("a", encoding="utf-8") as stream:
        handler = RotatingHandler(stream, path, max_size=1000)
        for number in range(60):
            handler.emit(line(f"{number:030d}"))
            assert path.stat().st_size <= 1000
    lines = [*(tmp_path / "deliver.log.1").read_text("utf-8").splitlines(), *path.read_text("utf-8").splitlines()]
    assert lines == [f"{number:030d}" for number in range(60)][-len(lines) :]
    assert len(lines) > 30


@pytest.mark.parametrize("own", [None, "another.log"])
def test_a_log_that_is_not_the_workers_own_is_never_truncated(tmp_path: Path, own: str | None) -> None:
    """Whatever else writes to the file keeps its lines, and so does the worker."""
    path = tmp_path / "ci.log"
    path.write_text("another job\n", "utf-8")
    (tmp_path / "another.log").touch()
    with path.open("a", encoding="utf-8") as stream:
        handler = RotatingHandler(stream, tmp_path / own if own else None, max_size=100)
        for number in range(60):
            handler.emit(line(f"{number:030d}"))
    assert path.read_text("utf-8").splitlines() == ["another job", *(f"{number:030d}" for number in range(60))]
    assert not (tmp_path / "ci.log.1").exists()


def test_a_file_that_is_not_appended_to_is_not_rotated(tmp_path: Path) -> None:
    """Its writer would go on behind a hole."""
    path = tmp_path / "deliver.log"
    with path.open("w", encoding="utf-8") as stream:
        handler = RotatingHandler(stream, path, max_size=100)
        for number in range(60):
            handler.emit(line(f"{number:030d}"))
    assert path.read_text("utf-8").splitlines() == [f"{number:030d}" for number in range(60)]
