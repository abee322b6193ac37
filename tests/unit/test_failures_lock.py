"""Only one replay runs on a bucket, and a dead one does not keep the others out.

moto's S3 has the conditional writes of the API reference (PutObject, If-None-Match and If-Match);
tests/e2e/test_failures.py runs the command against ministack's.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from moto import mock_aws

from iot_stream.failures.lock import Holder, ReplayLock
from iot_stream.failures.progress import REPLAYED, ProgressError
from tests.aws_clients import aws_client

BUCKET, KEY = "backup", f"{REPLAYED}lock.json"
OTHER_MACHINE = Holder("another-machine.invalid", 1, 1.0)
DEAD_HERE = replace(Holder.me(), pid=2**22 + 1)  # beyond the largest pid of Linux and macOS


@pytest.fixture
def s3() -> Iterator[Any]:
    """A bucket."""
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def lock(s3: Any, holder: Holder | None = None, now: float = 1000.0) -> ReplayLock:
    """A lock at a moment."""
    return ReplayLock(s3, BUCKET, lambda: now, holder)


def exists(s3: Any) -> bool:
    """Whether somebody holds it."""
    return bool(s3.list_objects_v2(Bucket=BUCKET, Prefix=KEY).get("Contents"))


@pytest.mark.parametrize("holder", [Holder.me(), OTHER_MACHINE], ids=["on this machine", "elsewhere"])
def test_a_second_replay_is_refused_while_the_first_one_runs(s3: Any, holder: Holder) -> None:
    """It says whose turn it is; afterwards the bucket is free, and the lock is gone."""
    with lock(s3, holder):
        with pytest.raises(ProgressError, match=rf"another replay is under way \(process {holder.pid} on"), lock(s3):
            pass
        assert exists(s3)
    assert not exists(s3)
    with lock(s3):
        assert exists(s3)


def test_a_replay_that_fails_gives_its_turn_back(s3: Any) -> None:
    """Whatever ended it."""
    with pytest.raises(KeyboardInterrupt), lock(s3):
        raise KeyboardInterrupt
    assert not exists(s3)


def test_a_replay_that_was_killed_here_loses_its_turn_at_once(s3: Any) -> None:
    """Its process is gone, or its pid belongs to a process that began at another time."""
    for holder in (DEAD_HERE, replace(Holder.me(), created=1.0)):
        lock(s3, holder).__enter__()
        with lock(s3):
            assert json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())["pid"] == Holder.me().pid
        assert not exists(s3)


def test_one_that_is_silent_elsewhere_loses_it_after_ten_minutes(s3: Any) -> None:
    """Not before; and it notices when it wakes up, and leaves the other one's lock alone."""
    sleeper = lock(s3, OTHER_MACHINE, now=1000)
    sleeper.__enter__()
    with pytest.raises(ProgressError, match="under way"), lock(s3, now=1600):
        pass
    taker = lock(s3, now=1601)
    taker.__enter__()
    sleeper._clock = lambda: 1602.0
    with pytest.raises(ProgressError, match="another replay has taken over"):
        sleeper.renew()
    sleeper.__exit__(None, None, None)
    assert exists(s3)
    taker.__exit__(None, None, None)
    assert not exists(s3)


def test_a_living_replay_keeps_its_turn_by_renewing(s3: Any) -> None:
    """Once a minute, however often it is asked."""
    now = [1000.0]
    held = ReplayLock(s3, BUCKET, lambda: now[0], OTHER_MACHINE)
    held.__enter__()
    before = s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    now[0] = 1059
    held.renew()
    assert s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"] == before
    now[0] = 1500
    held.renew()
    with pytest.raises(ProgressError, match="under way"), lock(s3, now=2000):
        pass


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"host": "x"}', b"\xff"])
def test_a_damaged_lock_is_held_by_somebody_until_it_is_old(s3: Any, body: bytes) -> None:
    """By the time at which S3 wrote it."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)
    written = s3.head_object(Bucket=BUCKET, Key=KEY)["LastModified"].timestamp()
    with pytest.raises(ProgressError, match=r"under way \(somebody\)"), lock(s3, now=written + 600):
        pass
    with lock(s3, now=written + 601):
        assert exists(s3)


def test_a_bucket_that_refuses_is_one_clear_error(s3: Any) -> None:
    """Nothing has been replayed by then."""
    with pytest.raises(ProgressError, match="the lock of replays can't be"), ReplayLock(s3, "nosuch", lambda: 0.0):
        pass


def test_botocore_knows_the_conditions() -> None:
    """The members of PutObject that decide who gets the lock."""
    model = botocore.session.get_session().get_service_model("s3").operation_model("PutObject")
    assert {"IfMatch", "IfNoneMatch"} <= set(model.input_shape.members)
