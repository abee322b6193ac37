"""`iot-stream run`: the whole system for a while, and an account of every record at its end."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import chain

from opensearchpy.exceptions import OpenSearchException

from iot_stream.errors import SetupError
from iot_stream.generator.job import send_readings
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.reconciliation import Reconciliation, failed_uuids, reconcile
from iot_stream.local.status import Status, administrator, ledger, status
from iot_stream.stack import Stack

__all__ = ["drain", "reconcile_now", "send_and_watch"]

_EVERY = 1.0
_GRACE_SECONDS = 60.0  # without any progress, and with nothing that still waits its time


def send_and_watch(
    local_stack: LocalStack,
    stack: Stack,
    *,
    seed: int,
    rate: float,
    seconds: float | None,
    stop: Callable[[], bool],
    show: Callable[[Status], None],
) -> None:
    """Send readings and show the counts about once a second, until all are sent or `stop()` says so.

    Raises:
        SendError: the stream refused records.
    """
    client, index = administrator(local_stack), stack.output("IndexName")
    abandon = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(
            send_readings,
            local_stack.aws.client("kinesis"),
            stack.output("StreamName"),
            seed=seed,
            rate=rate,
            seconds=seconds,
            ledger=ledger(local_stack),
            stop=lambda: stop() or abandon.is_set(),
        )
        try:
            while not sending.done():
                show(status(local_stack, client, index))
                wait([sending], timeout=_EVERY)
        finally:
            abandon.set()
        sending.result()


def drain(
    local_stack: LocalStack, stack: Stack, show: Callable[[Status], None], stop: Callable[[], bool] = lambda: False
) -> Reconciliation:
    """Wait until every record sent is searchable or a failure object, nothing more is to be expected, or `stop()`.

    Raises:
        SetupError: OpenSearch does not answer, so there is no account.
    """
    client, index = administrator(local_stack), stack.output("IndexName")
    before: tuple[int | None, ...] = ()
    since = time.monotonic()
    while True:
        now = status(local_stack, client, index)
        show(now)
        moved = (now.transformed, now.delivered, now.failed, now.searchable, now.pending)
        if moved != before:
            since = time.monotonic()
        grace = _GRACE_SECONDS + (_waits(stack) if now.pending and now.delivering else 0)
        over = stop() or time.monotonic() - since > grace
        if over or ((now.searchable or 0) + now.failed >= now.sent and not now.pending):
            try:
                client.indices.refresh(index=f"{index}*", params={"ignore_unavailable": "true"})
                result = reconcile_now(local_stack, stack)
            except OpenSearchException as error:
                raise SetupError(
                    f"OpenSearch does not answer ({type(error).__name__}), so nobody knows what became of the "
                    f"readings: look at its log in {local_stack.opensearch.folder / 'logs'}"
                ) from error
            if result.complete or over:
                return result
        before = moved
        time.sleep(_EVERY)


def _waits(stack: Stack) -> float:
    """The longest that a record under way may be still by the stack's settings: every buffer, and all retries."""
    transform = int(stack.parameter("TransformBufferIntervalInSeconds"))
    destination = int(stack.parameter("DeliveryBufferIntervalInSeconds"))  # the bucket's too
    return transform + 2 * destination + int(stack.parameter("DeliveryRetrySeconds"))


def reconcile_now(local_stack: LocalStack, stack: Stack) -> Reconciliation:
    """Match every reading sent with what OpenSearch and S3 hold."""
    uuids = chain.from_iterable(entry.uuids() for entry in ledger(local_stack).entries())
    failures = failed_uuids(
        local_stack.aws.client("s3"), stack.output("BackupBucketName"), stack.output("BackupPrefix")
    )
    return reconcile(uuids, administrator(local_stack), f"{stack.output('IndexName')}*", failures)
