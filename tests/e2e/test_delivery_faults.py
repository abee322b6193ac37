"""Real faults: after each one, sent = searchable + failure objects, and nothing is repeated.

`test_outage.py` has one more: OpenSearch is away.
"""

import time

import pytest

from tests.delivery import FUNCTION, World
from tests.polling import until


def _is_in_flight(world: World, since: float) -> bool:
    """Return whether the worker started at `since` (epoch ms) has delivered some records and has more pending."""
    status = world.status
    return status.updated_at > since and status.delivered > 0 and status.pending > 0


def test_killed_in_the_middle_of_batches(world: World) -> None:
    """SIGKILL while batches are in flight, twice, with failures among the records; another worker takes over."""
    # Slow enough that the status, written twice a second, shows a batch in flight before the last one is delivered.
    world.make(shards=2, code=FUNCTION.replace("    out = []", "    out = []\n    time.sleep(1.5)"))
    padding = "x" * 400
    wishes = dict.fromkeys(range(7, 6000, 100), "ProcessingFailed")
    world.send([{"n": n, "wish": wishes.get(n, "Ok"), "padding": padding} for n in range(6000)])
    for _ in range(2):
        started = time.time() * 1000
        worker = world.start()
        until(lambda: _is_in_flight(world, since=started), what="a batch in flight")  # noqa: B023 - called at once
        world.sigkill(worker)
    world.start()
    world.accounted(6000)
    assert world.status.failed == len(wishes)


def test_the_role_mapping_is_removed_and_restored(world: World) -> None:
    """Without the mapping the domain returns 403 and nothing is lost; once it is back, everything arrives."""
    world.make()
    world.unmap_role()
    world.start()
    world.send([{"n": n} for n in range(20)])
    until(lambda: "OS.BulkWritePermissionDenied" in (world.status.last_error or ""), what="the error")
    assert world.status.delivered == 0
    assert world.status.pending == 20
    world.map_role()
    world.accounted(20)
    assert not world.failures()


@pytest.mark.steady
@pytest.mark.parametrize(
    ("code", "error", "attempts"),
    [
        ("def lambda_handler(event, context):\n    raise ValueError('always')\n", "Lambda.FunctionError", 2),
        ("import time\ndef lambda_handler(event, context):\n    time.sleep(30)\n", "Lambda.FunctionTimedOut", 2),
        ("def lambda_handler(event, context):\n    return 'garbage'\n", "Lambda.JsonProcessingException", 1),
    ],
    ids=["failing", "timing-out", "garbage"],
)
def test_the_function_breaks(world: World, code: str, error: str, attempts: int) -> None:
    """Records that a broken function got are in failure objects with AWS's code; a fixed one processes the rest."""
    world.make(code=code, timeout=1)
    world.start()
    world.send([{"n": n} for n in range(10)])
    until(lambda: world.status.failed == 10, what="the failure object")
    assert {(line["errorCode"], line["attemptsMade"]) for line in world.failures()} == {(error, attempts)}
    world.change_function(FUNCTION)
    world.send([{"n": n} for n in range(10, 20)])
    world.accounted(20)
    assert world.status.delivered == 10


def test_the_bucket_refuses(world: World) -> None:
    """Failures that S3 rejects wait, even through a SIGKILL, and are written once when it accepts them."""
    world.make()
    world.allow_backup(allowed=False)
    worker = world.start()
    world.send([{"n": n, "wish": "ProcessingFailed" if n < 3 else "Ok"} for n in range(10)])
    until(lambda: "S3.AccessDenied" in (world.status.last_error or ""), what="the error")
    until(lambda: world.status.delivered == 7, what="the others")
    assert world.status.pending == 3
    assert not world.objects()
    world.sigkill(worker)
    world.start()
    until(lambda: "S3.AccessDenied" in (world.status.last_error or ""), what="the error")
    world.allow_backup()
    world.accounted(10)
    assert world.status.failed == 3


def test_a_shard_is_split(world: World) -> None:
    """After the closed shard, its children are read from their beginning."""
    world.make()
    world.start()
    world.send([{"n": n} for n in range(100)])
    # ministack forgets a split shard's records at once (AWS keeps them): they have to be read first.
    until(lambda: world.status.delivered == 100, what="the records of the first shard")
    world.aws.client("kinesis").split_shard(
        StreamName=world.name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
    )
    world.send([{"n": n} for n in range(100, 300)])
    world.accounted(300)
