"""The state that the function keeps between runs, in one document of the alerts index (pure).

The document is written only if it has not changed since it was read (`if_seq_no`), so only one of two concurrent runs
continues.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device_alerts.message import Message

__all__ = ["Memory", "memory_of"]


@dataclass(frozen=True)
class Memory:
    """The state that one run passes to the next.

    Attributes:
        run: number of the latest run that started.
        lease_until: end of that run's lease, before which no other run starts; 0 if the run has ended.
        announced: every change up to this run has been published.
        horizon: the latest arrival that has been evaluated completely.
        on_time_since: since when the pipeline has been on time; None if it is late or unknown.
        measured: whether the delivery stream has had metrics; if it has, missing metrics do not mean a new stream.
        outbox: the message to publish.
        outbox_run: the last run whose changes are in the message.
    """

    run: int = 0
    lease_until: int = 0
    announced: int = 0
    horizon: int | None = None
    on_time_since: int | None = None
    measured: bool = False
    outbox: Message | None = None
    outbox_run: int = 0

    def document(self) -> dict[str, Any]:
        """Return its document: nothing of it is searched."""
        return {"kind": "run", "memory": asdict(self)}


def memory_of(document: Mapping[str, Any]) -> Memory:
    """Return the state in a document; ignore fields that a later version added."""
    found = dict(document["memory"])
    outbox = found.get("outbox")
    found["outbox"] = Message(**outbox) if outbox else None
    return Memory(**{name: value for name, value in found.items() if name in Memory.__dataclass_fields__})
