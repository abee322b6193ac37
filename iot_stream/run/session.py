"""One run of `iot-stream run`: send, wait until everything has arrived, and reconcile every reading."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from opensearchpy.exceptions import OpenSearchException

from iot_stream.errors import SetupError
from iot_stream.failure_objects import FailureObjects
from iot_stream.generator.job import CLIENT_CONFIG, send_readings
from iot_stream.generator.ledger import Ledger
from iot_stream.generator.rates import Due
from iot_stream.generator.send import Sent
from iot_stream.generator.series import Readings
from iot_stream.local.local_stack import LocalStack
from iot_stream.run.counts import Counts, read_counts
from iot_stream.run.reconciliation import Reconciliation, reconcile
from iot_stream.stack import Stack

__all__ = ["check_parameters", "drain", "send_and_watch"]

_INTERVAL_SECONDS = 1.0
_GRACE_SECONDS = 60.0  # without progress, beyond what the stack's buffers and retries allow


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Check that a run with these parameters of the template can be accounted for.

    Raises:
        SetupError: documents would have no ids to find them by.
    """
    if parameters.get("DocumentIdFormat") == "NO_DOCUMENT_ID":
        raise SetupError(
            "`run` finds every reading by its document id, and DocumentIdFormat=NO_DOCUMENT_ID leaves none: "
            "use `iot-stream up` and `iot-stream send`, which don't account for readings one by one"
        )


def send_and_watch(
    local_stack: LocalStack,
    stack: Stack,
    readings: Readings,
    *,
    due: Due,
    seconds: float | None,
    stop: Callable[[], bool],
    show: Callable[[Counts], None],
) -> Sent:
    """Send readings and show the counts about once per second, until all are sent or `stop()` returns true.

    Returns:
        What was sent.

    Raises:
        SendError: the stream refused records.
    """
    client, index = local_stack.opensearch.admin_client(), stack.output("IndexName")
    abandon = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(
            send_readings,
            local_stack.aws.client("kinesis", config=CLIENT_CONFIG),
            stack.output("StreamName"),
            readings,
            due=due,
            seconds=seconds,
            ledger=Ledger(local_stack.ledger_folder),
            stop=lambda: stop() or abandon.is_set(),
        )
        try:
            while not sending.done():
                show(read_counts(local_stack, client, index))
                wait([sending], timeout=_INTERVAL_SECONDS)
        finally:
            abandon.set()
        return sending.result()


def drain(
    local_stack: LocalStack, stack: Stack, show: Callable[[Counts], None], stop: Callable[[], bool] = lambda: False
) -> Reconciliation:
    """Wait until every record sent is searchable or a failure object, progress has ceased, or `stop()` returns true.

    Returns:
        Where every reading ended.

    Raises:
        SetupError: OpenSearch does not respond, so nothing can be reconciled.
    """
    client, index = local_stack.opensearch.admin_client(), stack.output("IndexName")
    before: tuple[int | None, ...] = ()
    since = time.monotonic()
    while True:
        now = read_counts(local_stack, client, index)
        show(now)
        moved = (now.transformed, now.delivered, now.failed, now.searchable, now.pending)
        if moved != before:
            since = time.monotonic()
        grace = _GRACE_SECONDS + (_longest_wait(stack) if now.pending and now.delivering else 0)
        over = stop() or time.monotonic() - since > grace
        if over or ((now.searchable or 0) + now.failed >= now.sent and not now.pending):
            try:
                client.indices.refresh(index=f"{index}*", params={"ignore_unavailable": "true"})
                result = _reconcile_now(local_stack, stack)
            except OpenSearchException as error:
                raise SetupError(
                    f"OpenSearch does not respond ({type(error).__name__}), so the readings can't be accounted for: "
                    f"look at its log in {local_stack.opensearch.folder / 'logs'}"
                ) from error
            if result.complete or over:
                return result
        before = moved
        time.sleep(_INTERVAL_SECONDS)


def _longest_wait(stack: Stack) -> float:
    """Return the longest time in seconds without progress that the stack's buffers and retries allow."""
    transform = int(stack.parameter("TransformBufferIntervalInSeconds"))
    destination = int(stack.parameter("DeliveryBufferIntervalInSeconds"))  # the bucket's too
    return transform + 2 * destination + int(stack.parameter("DeliveryRetrySeconds"))


def _reconcile_now(local_stack: LocalStack, stack: Stack) -> Reconciliation:
    """Match every record that the stream accepted with what OpenSearch and S3 hold."""
    failures = FailureObjects.of(stack, local_stack.aws.client("s3"))
    records, failed = Ledger(local_stack.ledger_folder).records(), failures.records_of(failures.objects())
    return reconcile(records, local_stack.opensearch.admin_client(), f"{stack.output('IndexName')}*", failed)
