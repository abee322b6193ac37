"""Find episodes beyond a limit that began and ended between two runs.

The aggregations of a page show only since when the latest value has been beyond a limit. If there may have been earlier
episodes, the device's readings are read one by one, for as many devices as the time of a run allows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from device_alerts import queries
from device_alerts.decide import Episode, Observation
from device_alerts.documents import Alert, Device, DeviceId, Timer
from device_alerts.rules import Rule, Rules

__all__ = ["Missed"]

_READINGS: Final = 9_000  # of one search; a day of one device with a reading every ten seconds has 8,640
_SEARCHES: Final = 30  # of one run: a fleet that flaps as a whole must not cost the run its time

type Page = Mapping[DeviceId, Observation | None]


class Missed:
    """Finds what the pages of one run do not show.

    Args:
        rules: the alert rules.
        search: searches the readings.
    """

    def __init__(self, rules: Rules, search: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self._rules = rules
        self._search = search
        self._searches_left = _SEARCHES
        self.not_looked_at = 0
        """How many devices were left to their latest values, for want of searches or for too many readings."""

    def added(
        self,
        page: Page,
        known: Mapping[DeviceId, Device],
        open_alerts: Mapping[DeviceId, Mapping[str, Alert]],
        horizon: int,
    ) -> Page:
        """Return the page with its completed episodes added.

        Args:
            page: the observation of each device.
            known: the devices' states after the last run.
            open_alerts: of each device, by the rule's name.
            horizon: the latest arrival to evaluate.
        """
        found = dict(page)
        suspects: list[Observation] = []
        for device, seen in page.items():
            # What an open alert is about needs no second one; nor does what a run closed that ended before it had
            # written so in the device's document.
            before = known.get(device)
            told = {*open_alerts[device], *(before.alerts if before is not None else ())}
            rules = [rule for rule in self._rules.limits if rule.name not in told]
            if seen is None or not any(_may_hide(rule, seen, before) for rule in rules):
                continue
            if seen.count <= _READINGS:
                suspects.append(seen)
            else:
                self.not_looked_at += 1
        for some in _chunks(suspects):
            if not self._searches_left:
                self.not_looked_at += len(some)
                continue
            self._searches_left -= 1
            firsts = [stretch.first for seen in some for stretch in seen.beyond.values() if stretch.first is not None]
            devices = [seen.device for seen in some]
            response = self._search(queries.readings_of_devices(self._rules, devices, min(firsts), horizon))
            readings = queries.values_of(response, self._rules)
            for seen in some:
                mine = readings.get(seen.device, [])
                found[seen.device] = self._looked_at(seen, known.get(seen.device), mine)
        return found

    def _looked_at(
        self, seen: Observation, before: Device | None, readings: Sequence[tuple[int, Mapping[str, float]]]
    ) -> Observation:
        over, within = {}, dict(seen.within)
        for rule in self._rules.limits:
            name = rule.limit_of().field
            judged, since = _left(rule, before)
            values = [(at, reading[name]) for at, reading in readings if at > judged and name in reading]
            found = episode(rule, values, since)
            if found is not None:
                over[rule.name] = found
                within[rule.name] = replace(within[rule.name], first=_within_since(rule, values))
        return replace(seen, over=over, within=within)


def episode(rule: Rule, values: Iterable[tuple[int, float]], since: int | None) -> Episode | None:
    """Return the first period in which a value was beyond a limit for long enough and then was not.

    Args:
        rule: the limit.
        values: the arrival and the value of each reading, in order.
        since: since when the value was beyond the limit before these readings, or None.
    """
    until, worst = None, 0.0
    for at, value in values:
        if rule.beyond(value):
            farther = max if rule.is_upper else min
            worst = value if until is None else farther(worst, value)
            since, until = at if since is None else since, at
        else:
            if since is not None and until is not None and until - since >= rule.limit_of().after * 1000:
                return Episode(since, until, worst)
            since = until = None
    return None


def _within_since(rule: Rule, values: Iterable[tuple[int, float]]) -> int | None:
    since = None
    for at, value in values:
        since = (at if since is None else since) if rule.within(value) else None
    return since


def _left(rule: Rule, before: Device | None) -> tuple[int, int | None]:
    """Return which arrival of a rule's measure the last run judged, and since when it was beyond the limit then."""
    if before is None:
        return -1, None
    return before.values_at.get(rule.limit_of().field, -1), before.timers.get(rule.name, Timer()).beyond_since


def _may_hide(rule: Rule, seen: Observation, before: Device | None) -> bool:
    """Return whether there may be an episode; there is none where the value has been beyond the limit throughout."""
    beyond = seen.beyond[rule.name]
    judged, since = _left(rule, before)
    if beyond.first is None or beyond.last is None or beyond.last <= judged:
        return False
    start = beyond.first if since is None else min(since, beyond.first)
    interrupted = beyond.interrupted is not None and beyond.interrupted > max(start, judged)
    return interrupted and beyond.last - start >= rule.limit_of().after * 1000


def _chunks(suspects: Iterable[Observation]) -> Iterator[list[Observation]]:
    """Yield them in groups whose readings fit into one response."""
    group: list[Observation] = []
    count = 0
    for seen in suspects:
        if group and count + seen.count > _READINGS:
            yield group
            group, count = [], 0
        group.append(seen)
        count += seen.count
    if group:
        yield group
