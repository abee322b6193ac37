"""Processes of the local stack: detached from the terminal, identified by pid and creation time, stopped by SIGTERM.

The system reuses pids, so a pid alone may belong to another program later; with its creation time it can't. Only
processes recorded here are ever stopped.
"""

import atexit
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil
import requests

from iot_stream.errors import SetupError

__all__ = [
    "STOP_SECONDS",
    "Process",
    "claim_port",
    "clean_environment",
    "responds",
    "signals_ignored",
    "start",
    "wait_until",
]

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "PYTHONDONTWRITEBYTECODE")

# From the most telling to the least. OpenSearch's launcher writes "Likely root cause" (StartupException); the JVM's
# words for memory are those of os_linux.cpp and of OutOfMemoryError, those for options of arguments.cpp.
_CAUSES = [
    re.compile(words)
    for words in (
        r"[Aa]ddress already in use",
        r"insufficient memory|OutOfMemoryError|Could not reserve enough space|Cannot allocate memory",
        r"No space left on device",
        r"Likely root cause",
        r"Unrecognized (VM )?option|Invalid (maximum|initial) heap size",
        r"\bERROR\b|\bFATAL\b",
    )
]

STOP_SECONDS = 20.0
"""How long a process has to end after SIGTERM, if nothing else is said."""

_children: list[subprocess.Popen[bytes]] = []  # kept: Python warns of a running child without a reference


@atexit.register
def _release_children() -> None:
    """Leave running children to whoever stops them by pid, as `iot-stream down` does; Python would warn of them."""
    for child in _children:
        if child.poll() is None:
            child.returncode = 0


@dataclass(frozen=True)
class Process:
    """A process of the local stack: its name for messages, pid, creation time (epoch seconds) and log file."""

    name: str
    pid: int
    created: float
    log: str

    @property
    def alive(self) -> bool:
        """Whether this process, not another with its pid, is running (a zombie is not)."""
        process = self._find()
        return process is not None and process.status() != psutil.STATUS_ZOMBIE

    def stop(self, *, grace: float = STOP_SECONDS) -> bool:
        """Send SIGTERM, then SIGKILL after `grace` seconds; kill the children that it leaves behind too.

        Do nothing if it has ended already. Return whether it ended by itself.
        """
        ended = True
        process = self._find()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                leads = os.getpgid(self.pid) == self.pid  # true for everything that `start` started
                process.terminate()
                ended = self._gone(grace)
                if not ended:
                    process.kill()
                    self._gone(5)
                if leads:
                    os.killpg(self.pid, signal.SIGKILL)
        for child in [child for child in _children if child.pid == self.pid]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
            _children.remove(child)
        return ended

    def _gone(self, seconds: float) -> bool:
        """Return whether it ended within `seconds`."""
        deadline = monotonic() + seconds
        while self.alive:
            if monotonic() > deadline:
                return False
            sleep(0.05)
        return True

    def exit_code(self) -> int | None:
        """Return the exit code of a process that this one started, None while it is running."""
        return next((child.poll() for child in _children if child.pid == self.pid), None)

    def log_tail(self, lines: int = 1) -> str:
        """Return the last lines of its log that are neither blank nor a stack frame."""
        with contextlib.suppress(OSError):
            text = Path(self.log).read_text(encoding="utf-8", errors="replace")
            return "\n".join(
                [line for line in text.splitlines() if line.strip() and not line.startswith("\t")][-lines:]
            )
        return ""

    def log_cause(self) -> str:
        """Return the line of its log that names the cause of its end, else the last line.

        A JVM's last lines are often noise of its shutdown; what it could not bind, find or allocate stands before.
        """
        with contextlib.suppress(OSError):
            lines = Path(self.log).read_text(encoding="utf-8", errors="replace").splitlines()
            for pattern in _CAUSES:
                for line in lines:
                    if pattern.search(line):
                        return line.strip()
        return self.log_tail()

    def _find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            return process if abs(process.create_time() - self.created) < 1 else None
        except psutil.NoSuchProcess:
            return None


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM inside the `with` block, so that stopping is not interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clean_environment(**extra: str) -> dict[str, str]:
    """Return `extra` plus only those of the caller's variables that every program needs.

    The caller's proxies, certificate bundles and AWS profile must not reach the local servers.
    """
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | extra


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    cwd: Path | None = None,
    umask: int = 0o077,
) -> Process:
    """Start `command` in its own session, so that Ctrl-C reaches only this process, which stops it in order.

    Other users can't read the files that it makes, unless `umask` lets them. Its command line, which they can read,
    must hold no secret.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
                umask=umask,
            )
        except OSError as error:
            raise SetupError(f"{name} could not be started: {error}") from error
    _children.append(child)
    return Process(name, child.pid, psutil.Process(child.pid).create_time(), str(log))


def wait_until(ready: Callable[[], bool], process: Process, *, seconds: float, what: str) -> None:
    """Return once `ready()` is true; stop the process if it does not get there.

    Raises:
        SetupError: the process ended, or the deadline passed; names its log.
    """
    deadline = monotonic() + seconds
    try:
        while process.alive and monotonic() < deadline:
            if ready():
                return
            sleep(0.1)
        if process.alive:
            reason = f"{process.name}: {what} did not arrive within {seconds:.0f} s"
        else:
            reason = f"{process.name} ended before it was ready: {process.log_cause()}"
    except BaseException:
        process.stop()
        raise
    process.stop()
    raise SetupError(f"{reason} (whole log: {process.log})")


def responds(url: str) -> bool:
    """Return whether a GET of `url` succeeds; ignores the caller's proxies."""
    with contextlib.suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=5).ok
    return False


def claim_port(port: int, *, what: str, option: str) -> None:
    """Check that `port` of 127.0.0.1 is free.

    Raises:
        SetupError: it is in use; names the option that chooses another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SetupError(
                f"port {port}, which {what} needs, is in use: free it, or choose another with {option}"
            ) from error
