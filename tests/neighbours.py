"""A run's neighbours, which all of its processes share (pytest-xdist): one OpenSearch, one local AWS, one build.

Whichever process needs one first starts it; whoever began the run stops them all. Tests of different processes meet in
them, so that a test which stops OpenSearch has it alone, and one that freezes it has no sensitive test beside it.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import pytest

from iot_stream.local.processes import Process
from tests.hostile import FOLDER

__all__ = ["Neighbours"]


class Neighbours:
    """What the processes of a run have in common, in a folder: locks, and a list of what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "neighbours.jsonl"

    @classmethod
    def of(cls, config: pytest.Config) -> "Neighbours":
        """Return the neighbours of this run; a process of pytest-xdist has a folder of its own inside the run's."""
        own: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # as pytest-xdist takes it
        return cls(own.parent if hasattr(config, "workerinput") else own)

    def add(self, process: Process) -> Process:
        """Record a process at once, so that it is stopped whatever happens next."""
        with self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(process)) + "\n")
        return process

    def processes(self) -> dict[str, Process]:
        """Return the latest process of each name."""
        lines = self._record.read_text(encoding="utf-8").splitlines() if self._record.exists() else []
        return {process.name: process for process in (Process(**json.loads(line)) for line in lines)}

    def stop(self) -> None:
        """Stop all of them, last started first, and before them what the run's local stack has started."""
        found = list(self.processes().values())
        if found:
            from iot_stream.local.local_stack import read  # noqa: PLC0415 - a second, for a run that has neighbours only

            local_stack = read(self.folder / FOLDER)
            found += local_stack.running if local_stack is not None else []
        for process in reversed(found):
            process.stop()

    @contextmanager
    def one_at_a_time(self, what: str) -> Iterator[None]:
        """Let one process at a time do this."""
        with self._open(what) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def quiet(self, *, stops: bool, freezes: bool, steady: bool) -> Iterator[None]:
        """Run a test beside those that it bears with.

        Args:
            stops: it stops OpenSearch: it runs alone.
            freezes: it freezes neighbours for some seconds: no steady test runs beside it.
            steady: it does not bear with that.
        """
        with ExitStack() as held:
            held.enter_context(self._shared("stopped", exclusive=stops))
            if freezes or steady:
                held.enter_context(self._shared("frozen", exclusive=freezes))
            yield

    @contextmanager
    def _shared(self, what: str, *, exclusive: bool) -> Iterator[None]:
        """Hold a lock, alone or with others; who waits for it alone is not overtaken by newcomers."""
        with self._open(what) as file:
            with self.one_at_a_time(f"{what}-gate"):
                fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield

    def _open(self, what: str) -> IO[str]:
        return (self.folder / f"{what}.lock").open("w")
