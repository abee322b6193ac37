"""Progress and status on disk: each file is replaced whole, so that a reader or a crash never sees half of one."""

import fcntl
import hashlib
import socket
from pathlib import Path
from typing import IO, Any

import msgspec

from iot_stream.delivery.core.progress import DeliveryStatus, Progress
from iot_stream.delivery.errors import DeliveryError

__all__ = ["DeliveryStatus", "StateFolder", "claim", "read_status"]

_PROGRESS, _STATUS, _LOCK = "progress.json", "status.json", "lock"


def read_status(folder: Path) -> DeliveryStatus:
    """What the worker with this state folder last said of itself; zeros when none ever ran."""
    try:
        return msgspec.json.decode((folder / _STATUS).read_bytes(), type=DeliveryStatus)
    except FileNotFoundError:
        return DeliveryStatus(state="stopped")


def claim(stream: str, endpoint_url: str) -> socket.socket:
    """Hold a delivery stream on this machine, whatever the state folder, until it is closed or the process ends.

    Args:
        stream: its ARN.
        endpoint_url: where AWS's APIs are; the same ARN at another fake of AWS is another delivery stream.

    Raises:
        DeliveryError: another worker holds it.
    """
    where = endpoint_url.rstrip("/").replace("//localhost", "//127.0.0.1")
    name = hashlib.sha256(f"{where} {stream}".encode()).hexdigest()
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0iot-stream {name}")  # Linux's abstract names leave no file behind
    except OSError as error:
        held.close()
        raise DeliveryError(
            f"a delivery worker is at work already on {stream}, with another --state: stop it first"
        ) from error
    return held


class StateFolder:
    """A state folder, held by one worker at a time.

    Raises:
        DeliveryError: another worker holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock: IO[Any] = (folder / _LOCK).open("w")
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DeliveryError(
                f"a delivery worker is at work already on {folder}: stop it first, or name another --state"
            ) from error

    def load(self, stream: str, created: float) -> Progress:
        """Where an earlier worker on this delivery stream stopped, or a beginning.

        Raises:
            DeliveryError: the file is damaged.
        """
        path = self._folder / _PROGRESS
        try:
            progress = msgspec.json.decode(path.read_bytes(), type=Progress)
        except FileNotFoundError:
            return Progress(stream, created)
        except msgspec.DecodeError as error:
            raise DeliveryError(f"{path} is damaged ({error}): remove it to begin anew") from error
        # A delivery stream of the same name that was created later has another stream, or none of the old positions.
        return progress if (progress.stream, progress.created) == (stream, created) else Progress(stream, created)

    def save(self, progress: Progress) -> None:
        """Keep the progress.

        It outlives the process, whatever ends it. It does not wait for the disk: twice a second that would make
        delivery as slow as the disk is at its worst, and after a power cut an older position only repeats deliveries.
        """
        self._replace(_PROGRESS, msgspec.json.encode(progress))

    def show(self, status: DeliveryStatus) -> None:
        """Show the status."""
        self._replace(_STATUS, msgspec.json.encode(status))

    def close(self) -> None:
        """Let another worker have the folder."""
        self._lock.close()

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self._folder / f".{name}.new"
        fresh.write_bytes(content)
        fresh.replace(self._folder / name)
