"""The state that the function keeps between runs, in one document of the alerts index (pure).

The document is changed only where it is still as it was read (`if_seq_no`): of two runs at the same time one goes on.
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
        run: number of the latest run that began.
        lease_until: until when it may be at work; no other run begins before. 0: it has ended.
        announced: every change up to this run has been published.
        horizon: the latest arrival that has been judged completely.
        on_time_since: since when the pipeline has been on time; None: it is late, or it is not known.
        measured: whether the delivery stream has had metrics: then their absence says nothing, and is no news.
        outbox: the message that is being published.
        outbox_run: every change up to this run is in it.
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
