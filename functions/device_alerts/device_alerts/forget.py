"""Delete the records of devices that have been silent for long, and of alerts that closed long ago.

A run deletes at most one page of each, so that alerts are not delayed when a whole fleet is replaced. The next run
continues, also after a run that was killed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from device_alerts import queries
from device_alerts.decide import Moment
from device_alerts.documents import Alert, alert_of
from device_alerts.rules import Rules

__all__ = ["Store", "forget_alerts", "forget_devices"]

_DAY = 86_400_000


class Store(Protocol):
    """The operations needed on the alerts index."""

    def search_alerts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the alerts index."""
        ...

    def delete_many(self, identities: list[str]) -> None:
        """Delete documents; documents that no longer exist are not an error."""
        ...


def forget_devices(rules: Rules, index: Store, write: Callable[[list[Alert]], None], moment: Moment, keep: int) -> int:
    """Delete the devices without an arrival for `keep` milliseconds before the horizon; return how many.

    Their open alerts are closed first, by `write`, and say why. A device that is heard of again is a new one.
    """
    hits = index.search_alerts(queries.devices_last_seen_before(rules, moment.horizon - keep))["hits"]["hits"]
    if not hits:
        return 0
    body = queries.alerts_of_devices(rules, [hit["_source"][rules.device] for hit in hits])
    still_open = [alert_of(hit["_source"], rules) for hit in index.search_alerts(body)["hits"]["hits"]]
    why = f"; forgotten after {keep // _DAY} days without a reading"
    write([replace(alert, text=alert.text + why, closed_at=moment.now, closed_run=moment.run) for alert in still_open])
    index.delete_many([hit["_id"] for hit in hits])
    return len(hits)


def forget_alerts(index: Store, announced: int, before: int) -> int:
    """Delete alerts that closed before a time, in a run whose message was sent; return how many."""
    hits = index.search_alerts(queries.alerts_closed_before(before, announced))["hits"]["hits"]
    if hits:
        index.delete_many([hit["_id"] for hit in hits])
    return len(hits)
