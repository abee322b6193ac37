"""One run of the generator: wait for the delivery stream, send, update the ledger."""

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from iot_stream.errors import StackError
from iot_stream.generator.ledger import Accepted, Ledger
from iot_stream.generator.rates import Due
from iot_stream.generator.send import Sent, send
from iot_stream.generator.series import Series

__all__ = ["CLIENT_CONFIG", "random_seed", "send_readings", "wait_until_active"]

CLIENT_CONFIG: Final = Config(
    parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20
)
"""Of the client that sends.

botocore would take half of its time to check the types of records that are made here, and its retries would put records
again that nobody counts.
"""

_ACTIVE_SECONDS = 300.0


def random_seed() -> int:
    """Return a seed for a run that was given none."""
    return secrets.randbelow(2**32)


def send_readings(
    kinesis: Any,
    stream: str,
    readings: Series,
    *,
    due: Due,
    count: int | None = None,
    seconds: float | None = None,
    ledger: Ledger | None = None,
    on_sent: Callable[[Sent], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Sent:
    """Send as `generator.send.send` does, and add what the stream accepts to `ledger`."""
    run = uuid.uuid4().hex

    def note(accepted: list[Accepted]) -> None:
        if ledger is not None:
            ledger.append(run, accepted)

    return send(
        kinesis,
        stream,
        readings,
        due=due,
        count=count,
        seconds=seconds,
        on_accepted=note,
        on_sent=on_sent,
        stop=stop,
    )


def wait_until_active(firehose: Any, name: str) -> None:
    """Return once delivery stream `name` is ACTIVE: Firehose reads from LATEST, so it never sees earlier records.

    Raises:
        StackError: it failed, is being deleted, or was not active within five minutes.
    """
    deadline = time.monotonic() + _ACTIVE_SECONDS
    while True:
        try:
            response = firehose.describe_delivery_stream(DeliveryStreamName=name)
        except (ClientError, BotoCoreError) as error:
            raise StackError(f"delivery stream {name} can't be described: {error}") from error
        state = response["DeliveryStreamDescription"]["DeliveryStreamStatus"]
        if state == "ACTIVE":
            return
        if state != "CREATING" or time.monotonic() > deadline:
            raise StackError(f"delivery stream {name} is {state}, not ACTIVE: deploy the stack again, then send")
        time.sleep(1)
