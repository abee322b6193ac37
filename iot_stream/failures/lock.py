"""One replay at a time for each bucket: a lock object that only one can create, and that a dead replay does not keep.

S3's conditional writes decide who gets it ("How to prevent object overwrites with conditional writes", Amazon S3 user
guide): `If-None-Match: *` creates it, `If-Match` renews it or takes it over. A killed replay is
detected by its process if it ran on this machine, else by a lock that is no longer renewed.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.failures.progress import REPLAYED, ProgressError

__all__ = ["Holder", "ReplayLock"]

_KEY: Final = f"{REPLAYED}lock.json"
_RENEW_SECONDS: Final = 60.0
_SILENT_SECONDS: Final = 600.0
_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_GONE: Final = {"NoSuchKey", "404"}


@dataclass(frozen=True)
class Holder:
    """A process: its machine, pid and creation time (epoch seconds)."""

    host: str
    pid: int
    created: float

    @classmethod
    def me(cls) -> "Holder":
        """Return this process."""
        return cls(platform.node(), os.getpid(), psutil.Process().create_time())

    def ended_here(self) -> bool:
        """Return whether the process ran on this machine and has ended; False if unknown."""
        if self.host != platform.node():
            return False
        try:
            found = psutil.Process(self.pid)
            return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - self.created) >= 1
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


class ReplayLock:
    """Held while the `with` block runs; call `renew` regularly inside it.

    Args:
        s3: a boto3 S3 client.
        bucket: the backup bucket.
        clock: seconds since the epoch.
        holder: the process that takes the lock.
    """

    def __init__(self, s3: Any, bucket: str, clock: Callable[[], float], holder: Holder | None = None) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock
        self._holder = holder or Holder.me()
        self._etag = ""
        self._renewed = 0.0

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            ProgressError: another replay holds the lock, or the bucket can't be written.
        """
        if not self._put(IfNoneMatch="*"):
            found = self._read()
            if found is None:  # released a moment ago
                taken = self._put(IfNoneMatch="*")
            else:
                holder, since, etag = found
                free = (holder is not None and holder.ended_here()) or self._clock() - since > _SILENT_SECONDS
                taken = free and self._put(IfMatch=etag)
            if not taken:
                raise ProgressError(self._in_use(found and found[0]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock, unless another process has taken it over."""
        try:
            found = self._read()
            if found is not None and found[2] == self._etag:
                self._s3.delete_object(Bucket=self._bucket, Key=_KEY)
        except (ClientError, BotoCoreError, ProgressError):
            pass  # it is free once this process has ended

    def taken_at(self) -> datetime:
        """Return when the lock was taken or last renewed, by S3's clock.

        Raises:
            ProgressError: it can't be read.
        """
        try:
            found: datetime = self._s3.head_object(Bucket=self._bucket, Key=_KEY)["LastModified"]
        except (ClientError, BotoCoreError) as error:
            raise ProgressError(f"the lock of replays can't be read: {error}") from error
        return found

    def renew(self) -> None:
        """Renew the lock, at most once a minute.

        Raises:
            ProgressError: another replay has taken it over, after ten silent minutes.
        """
        if self._clock() - self._renewed >= _RENEW_SECONDS and not self._put(IfMatch=self._etag):
            raise ProgressError("another replay has taken over, because this one did not renew its lock: run it again")

    def _put(self, **condition: str) -> bool:
        now = self._clock()
        body = json.dumps(asdict(self._holder) | {"renewed": now}).encode()
        try:
            response = self._s3.put_object(Bucket=self._bucket, Key=_KEY, Body=body, **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _TAKEN | _GONE:
                return False
            raise ProgressError(f"the lock of replays can't be written to {self._bucket}: {error}") from error
        except BotoCoreError as error:
            raise ProgressError(f"the lock of replays can't be written to {self._bucket}: {error}") from error
        self._etag, self._renewed = str(response["ETag"]), now
        return True

    def _read(self) -> tuple[Holder | None, float, str] | None:
        """Return the lock's holder, renewal time and ETag, or None if it is not held."""
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=_KEY)
            body = response["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return None
            raise ProgressError(f"the lock of replays can't be read: {error}") from error
        except BotoCoreError as error:
            raise ProgressError(f"the lock of replays can't be read: {error}") from error
        etag = str(response["ETag"])
        try:
            held = json.loads(body)
            return Holder(str(held["host"]), int(held["pid"]), float(held["created"])), float(held["renewed"]), etag
        except (ValueError, KeyError, TypeError):
            return None, response["LastModified"].timestamp(), etag

    def _in_use(self, holder: Holder | None) -> str:
        who = f"process {holder.pid} on {holder.host}" if holder else "somebody"
        return (
            f"another replay is under way ({who}): wait for it. If it has died on another machine, its lock is free "
            f"ten minutes later, or delete s3://{self._bucket}/{_KEY}"
        )
