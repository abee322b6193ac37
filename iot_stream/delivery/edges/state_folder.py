"""Keep progress and status on disk. Each file is replaced atomically, so that no partial file is ever read."""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import msgspec

from iot_stream.delivery.core.progress import Progress, decode_progress, encode_progress
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.errors import DECODE_ERRORS, DeliveryError

__all__ = ["StateFolder", "claim", "read_status"]

_PROGRESS, _COPY, _DAMAGED = "progress.json", "progress.copy.json", "progress.damaged.json"
_STATUS, _LOCK = "status.json", "lock"

_log = logging.getLogger(__name__)


def read_status(folder: Path) -> DeliveryStatus:
    """Return the last status of the worker with this state folder; zeros when none has ever run.

    Raises:
        DeliveryError: the file is damaged or can't be read.
    """
    try:
        return msgspec.json.decode((folder / _STATUS).read_bytes(), type=DeliveryStatus)
    except FileNotFoundError:
        return DeliveryStatus(state="stopped")
    except (*DECODE_ERRORS, OSError) as error:
        raise DeliveryError(f"{folder / _STATUS} is damaged ({error}): a running worker writes it anew") from error


def claim(stream: str, endpoint_url: str) -> socket.socket | IO[bytes]:
    """Claim a delivery stream on this machine, independent of the state folder.

    The claim is held until what is returned is closed or the process ends. On Linux it holds against the workers of all
    users, elsewhere against those of this user.

    Args:
        stream: its ARN.
        endpoint_url: the endpoint of AWS's APIs; the same ARN at another fake AWS is another delivery stream.

    Raises:
        DeliveryError: another worker holds the claim.
    """
    where = endpoint_url.rstrip("/").replace("//localhost", "//127.0.0.1")
    name = hashlib.sha256(f"{where} {stream}".encode()).hexdigest()
    try:
        return _bound(name) if sys.platform == "linux" else _locked(name)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EWOULDBLOCK}:
            raise DeliveryError(f"{stream} can't be claimed for this worker: {error}") from error
        raise DeliveryError(
            f"a delivery worker is already running for {stream}, with another --state: stop it first "
            "(if you run none, another user of this machine holds its name)"
        ) from error


def _bound(name: str) -> socket.socket:
    """Return a socket with an abstract name, which leaves no file behind; only Linux has them (unix(7))."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0iot-stream {name}")
    except OSError:
        held.close()
        raise
    return held


def _locked(name: str) -> IO[bytes]:
    """Return an open file of the user's temporary folder that is locked as long as it is open."""
    held = (Path(tempfile.gettempdir()) / f"iot-stream-{os.getuid()}-{name}").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        raise
    return held


class StateFolder:
    """A state folder, used by one worker at a time.

    Raises:
        DeliveryError: another worker uses it, or it can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[Any] = (folder / _LOCK).open("w")
        except OSError as error:
            raise DeliveryError(
                f"the state folder {folder} can't be written: {error}. Choose another with --state"
            ) from error
        try:
            # The kernel releases it when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DeliveryError(
                f"a delivery worker is already running with {folder}: stop it first, or pass another --state"
            ) from error

    def load(self, stream: str, created: float) -> Progress:
        """Return where an earlier worker of this delivery stream stopped, or empty progress.

        When the progress file is missing or damaged, it is set aside and the copy beside it, which is at most one save
        older, takes its place; deliveries since then are repeated. Each such decision is one line in the log.

        Raises:
            DeliveryError: both are damaged, or the only one there is.
        """
        damaged: list[str] = []
        reason = f"{_PROGRESS} is missing"
        for name in (_PROGRESS, _COPY):
            path = self._folder / name
            try:
                progress = decode_progress(path.read_bytes())
            except FileNotFoundError:
                continue
            except (*DECODE_ERRORS, OSError) as error:
                damaged.append(f"{path} is damaged ({error})")
                continue
            if (progress.stream, progress.created) != (stream, created):
                # A delivery stream of the same name that was created later: its source may be another, too.
                _log.warning("%s is of another delivery stream, or of one that was created again: not used", path)
                reason = f"{_PROGRESS} is of another delivery stream"
                continue
            if damaged or name == _COPY:
                _log.warning("%s: continuing with its copy", damaged[0] if damaged else reason)
                self._set_aside()
            return progress
        if damaged:
            raise DeliveryError(f"{', and '.join(damaged)}: remove it to start over, which repeats deliveries")
        return Progress(stream, created)

    def save_progress(self, progress: Progress) -> None:
        """Save the progress.

        It survives the end of the process, however it ends. It is not synced to the disk: twice a second, that would
        make delivery as slow as the disk at its worst; after a power failure, an older position only repeats
        deliveries. The file before it is kept as a copy, in case this one is damaged later.

        Raises:
            OSError: it can't be written (a full disk); the last good file or its copy is still there.
        """
        with contextlib.suppress(FileNotFoundError):
            (self._folder / _PROGRESS).replace(self._folder / _COPY)
        self._replace(_PROGRESS, encode_progress(progress))

    def save_status(self, status: DeliveryStatus) -> None:
        """Save the status (raises OSError)."""
        self._replace(_STATUS, msgspec.json.encode(status))

    def close(self) -> None:
        """Release the folder to another worker."""
        self._lock.close()

    def _set_aside(self) -> None:
        """Keep a damaged progress file for inspection, so that the next save does not make it the copy."""
        try:
            (self._folder / _PROGRESS).replace(self._folder / _DAMAGED)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DeliveryError(
                f"the damaged {self._folder / _PROGRESS} can't be set aside ({error}): remove it, and the copy is taken"
            ) from error

    def _replace(self, name: str, content: bytes) -> None:
        new = self._folder / f".{name}.new"
        new.write_bytes(content)
        new.replace(self._folder / name)
