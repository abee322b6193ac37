"""Processes of the local stack: started apart from the terminal, known by pid and birth, ended politely.

A pid alone can come back as somebody else's process after a reboot or a long night; a pid together with its
creation time can't. Only processes recorded here are ever ended.
"""

import contextlib
import os
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
    "Process",
    "answers",
    "claim_port",
    "clean_environment",
    "free_port",
    "signals_ignored",
    "start",
    "wait_until",
]

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "PYTHONDONTWRITEBYTECODE")

_children: list[subprocess.Popen[bytes]] = []  # kept, for Python warns of a running child that nobody holds


@dataclass(frozen=True)
class Process:
    """A process of ours: its name for people, its pid, when it was born (epoch seconds) and its log file."""

    name: str
    pid: int
    born: float
    log: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        process = self._find()
        return process is not None and process.status() != psutil.STATUS_ZOMBIE

    def stop(self, *, grace: float = 20) -> None:
        """End the process: SIGTERM, then SIGKILL after `grace` seconds, and to what it leaves behind of its own.

        A process already gone is fine.
        """
        process = self._find()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                leads = os.getpgid(self.pid) == self.pid  # as everything does that `start` started
                process.terminate()
                if not self._gone(grace):
                    process.kill()
                    self._gone(5)
                if leads:
                    os.killpg(self.pid, signal.SIGKILL)
        for child in [child for child in _children if child.pid == self.pid]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
            _children.remove(child)

    def _gone(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        deadline = monotonic() + seconds
        while self.alive:
            if monotonic() > deadline:
                return False
            sleep(0.05)
        return True

    def exit_code(self) -> int | None:
        """The exit code of a process this one started, None while it runs."""
        return next((child.poll() for child in _children if child.pid == self.pid), None)

    def log_tail(self, lines: int = 1) -> str:
        """The last lines of its log that are neither blank nor a frame of a stack trace."""
        with contextlib.suppress(OSError):
            text = Path(self.log).read_text(encoding="utf-8", errors="replace")
            return "\n".join(
                [line for line in text.splitlines() if line.strip() and not line.startswith("\t")][-lines:]
            )
        return ""

    def _find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            return process if abs(process.create_time() - self.born) < 1 else None
        except psutil.NoSuchProcess:
            return None


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Let no Ctrl-C and no SIGTERM come between: what has to be ended is ended to the last."""
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
    """An environment with nothing of the caller's but what every program needs, and `extra`.

    The caller's proxies, certificate bundles and AWS profile would otherwise reach the local servers.
    """
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | extra


def start(
    name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], cwd: Path | None = None
) -> Process:
    """Start `command` apart from this terminal, so that Ctrl-C reaches only the one who can stop it in order."""
    log.parent.mkdir(parents=True, exist_ok=True)
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
            )
        except OSError as error:
            raise SetupError(f"{name} could not be started: {error}") from error
    _children.append(child)
    return Process(name, child.pid, psutil.Process(child.pid).create_time(), str(log))


def wait_until(ready: Callable[[], bool], process: Process, *, seconds: float, what: str) -> None:
    """Return once `ready()` is true; a process that does not get there is stopped.

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
            reason = f"{process.name}: {what} did not come within {seconds:.0f} s"
        else:
            reason = f"{process.name} ended before it was ready: {process.log_tail()}"
    except BaseException:
        process.stop()
        raise
    process.stop()
    raise SetupError(f"{reason} (whole log: {process.log})")


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with success; the caller's proxies are not asked."""
    with contextlib.suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=5).ok
    return False


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def claim_port(port: int, *, what: str, option: str) -> None:
    """Return if `port` of 127.0.0.1 is free.

    Raises:
        SetupError: it is in use; says how to choose another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SetupError(
                f"port {port}, which {what} needs, is in use: free it, or choose another with {option}"
            ) from error
