"""Decide what opens and what closes for one device, and for the pipeline (pure).

The result does not depend on how often this runs: a reading that was evaluated before changes nothing, and the next run
makes up for a missed one. Times are those of arrivals, not of the function's clock. Silence is measured up to the time
before which everything has been delivered, so that late delivery, even of a part, makes no device silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from device_alerts.documents import Alert, Device, DeviceId, Timer, iso
from device_alerts.rules import Kind, Rule, Rules

__all__ = ["Decision", "Episode", "Moment", "Observation", "Stretch", "decide", "decide_pipeline"]

_CLOCK_SECONDS = 60.0  # that a clock must be wrong, and later right
_TALKING_SECONDS = 60.0  # that a silent device must be heard of before it is no longer silent


@dataclass(frozen=True)
class Stretch:
    """How far back a condition held, according to the latest readings.

    Attributes:
        first: arrival of the first reading for which it held, or None.
        interrupted: arrival of the latest reading for which it did not hold, or None.
        last: arrival of the latest reading for which it held, or None.
    """

    first: int | None = None
    interrupted: int | None = None
    last: int | None = None

    def since(self, known: int | None, at: int) -> int:
        """Return since when it has held without an interruption.

        Args:
            known: since when it held according to the last run, or None.
            at: arrival of the latest reading, for which it held.
        """
        for candidate in (known, self.first):
            if candidate is not None and (self.interrupted is None or self.interrupted < candidate):
                return candidate
        return at  # it held, did not, and holds again: the readings say no more than that of the latest one


@dataclass(frozen=True)
class Episode:
    """A completed period beyond a limit: its first and last arrival, and the worst value."""

    since: int
    until: int
    worst: float


@dataclass(frozen=True)
class Observation:
    """What the latest readings show about one device.

    Attributes:
        device: the device's id.
        last_seen: arrival of the latest reading.
        clock: device time of the latest reading.
        values: the latest value of each measure that the readings have.
        values_at: the arrival of each of these values.
        beyond: since when readings may have been beyond a limit, by the rule's name.
        within: since when they may have been far enough within it.
        count: the number of these readings.
        over: episodes beyond a limit that were long enough and have ended, by the rule's name.
    """

    device: DeviceId
    last_seen: int
    clock: int | None
    values: Mapping[str, float] = field(default_factory=dict)
    values_at: Mapping[str, int] = field(default_factory=dict)
    beyond: Mapping[str, Stretch] = field(default_factory=dict)
    within: Mapping[str, Stretch] = field(default_factory=dict)
    count: int = 0
    over: Mapping[str, Episode] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """The time and the run of a decision.

    Attributes:
        run: the run's number.
        now: the function's clock.
        horizon: the latest arrival that has been delivered.
        grace: milliseconds by which one device's readings may be delivered later than another's.
        delivered: everything that arrived before this time has been delivered; silence is measured up to it.
        judges_silence: whether the pipeline has been on time for long enough.
    """

    run: int
    now: int
    horizon: int
    grace: int
    delivered: int
    judges_silence: bool


@dataclass(frozen=True)
class Decision:
    """The new state of a device, and the alerts that opened or closed."""

    device: Device
    changed: tuple[Alert, ...] = ()


def decide(
    rules: Rules, known: Device | None, seen: Observation | None, open_alerts: Mapping[str, Alert], moment: Moment
) -> Decision:
    """Return what to write about one device.

    Args:
        rules: the alert rules.
        known: the device's state after the last run; None for a new device.
        seen: the observation from its latest readings; None if there were none.
        open_alerts: its open alerts, by the rule's name. They take precedence over `known`.
        moment: the run.
    """
    if known is None and seen is None:
        raise ValueError("a device is known, or it was seen")
    before = known or Device(id=seen.device, last_seen=seen.last_seen)  # type: ignore[union-attr]  # seen, then
    after = _updated(before, seen)
    timers = dict(before.timers)
    changed: list[Alert] = []
    for name, rule in rules.by_name.items():
        alert = open_alerts.get(name)
        if rule.kind is Kind.SILENT:
            timer, opens, closes = _judge_silence(rules, (before, after), timers.get(name, Timer()), alert, moment)
        elif rule.kind is Kind.CLOCK_WRONG:
            fresh = known is None or (seen is not None and seen.last_seen > known.last_seen)
            timer, opens, closes = _judge_clock(rules, seen if fresh else None, timers.get(name, Timer()), alert)
        else:
            timer, opens, closes = _judge_limit(rule, before, seen, timers.get(name, Timer()), alert)
        timers[name] = timer
        if opens:
            changed.append(_opened(rules, rule, after, seen, (timer, moment)))
        elif alert is None and seen is not None and name in seen.over:
            late = _opened_late(rules, rule, after, seen.over[name], moment)
            changed.append(replace(late, closed_at=moment.now, closed_run=moment.run) if closes else late)
        elif alert is not None and closes:
            changed.append(replace(alert, closed_at=moment.now, closed_run=moment.run))
    # The alert of a rule that is no longer described can't be judged: nobody would ever close it.
    gone = [alert for name, alert in open_alerts.items() if name not in rules.by_name]
    changed += [replace(alert, closed_at=moment.now, closed_run=moment.run) for alert in gone]
    still_open = {name for name in open_alerts if name in rules.by_name}
    for alert in changed:
        (still_open.add if alert.closed_at is None else still_open.discard)(alert.rule)
    running = {name: timer for name, timer in timers.items() if timer != Timer()}
    return Decision(replace(after, timers=running, alerts=tuple(sorted(still_open))), tuple(changed))


def decide_pipeline(
    moment: Moment, *, late_after: int, on_time_since: int | None, open_alert: Alert | None
) -> list[Alert]:
    """Return the alert about the pipeline if one opened or closed.

    Args:
        moment: the run.
        late_after: highest acceptable age of the latest arrival, in milliseconds.
        on_time_since: since when it has not been exceeded; None if it is exceeded now.
        open_alert: the open alert about the pipeline, or None.
    """
    late = on_time_since is None
    if late and open_alert is None:
        everything = moment.now - moment.horizon > late_after
        last = moment.horizon if everything else moment.delivered
        ago = f"{iso(last)} ({(moment.now - last) // 60_000} min ago)"
        text = (
            f"No reading that arrived after {ago} has been delivered: delivery is late, or all devices have stopped "
            f"sending"
            if everything
            else f"Some readings that arrived after {ago} have not been delivered: a part of the stream is late"
        )
        text += ". Silent devices are not detected until delivery is on time again"
        return [Alert(str(Kind.PIPELINE_LATE), None, moment.now, last + late_after, None, text, moment.run)]
    recovered = on_time_since is not None and moment.now - on_time_since >= _TALKING_SECONDS * 1000
    if open_alert is not None and recovered:
        return [replace(open_alert, closed_at=moment.now, closed_run=moment.run)]
    return []


def _updated(before: Device, seen: Observation | None) -> Device:
    """Return the device updated with an observation; newer known values are kept."""
    if seen is None:
        return before
    newer = {name for name, at in seen.values_at.items() if at > before.values_at.get(name, -1)}
    return replace(
        before,
        last_seen=max(before.last_seen, seen.last_seen),
        values={**before.values, **{name: seen.values[name] for name in newer}},
        values_at={**before.values_at, **{name: seen.values_at[name] for name in newer}},
    )


def _judge_limit(
    rule: Rule, before: Device, seen: Observation | None, timer: Timer, alert: Alert | None
) -> tuple[Timer, bool, bool]:
    """Return the timer of a rule with a limit, and whether an alert opens or may close; the same for the next two."""
    if seen is None or rule.limit is None:
        return timer, False, False
    name = rule.limit.field
    at = seen.values_at.get(name)
    if at is None or at <= before.values_at.get(name, -1):
        return timer, False, False
    value = seen.values[name]
    timer = Timer(
        seen.beyond[rule.name].since(timer.beyond_since, at) if rule.beyond(value) else None,
        seen.within[rule.name].since(timer.within_since, at) if rule.within(value) else None,
    )
    return timer, *_ripe(timer, at, rule.limit.after, alert)


def _judge_clock(rules: Rules, seen: Observation | None, timer: Timer, alert: Alert | None) -> tuple[Timer, bool, bool]:
    if seen is None or seen.clock is None:
        return timer, False, False
    at = seen.last_seen
    wrong = not -rules.clock_behind * 1000 <= seen.clock - at <= rules.clock_ahead * 1000
    known = timer.beyond_since if wrong else timer.within_since
    since = at if known is None else known
    timer = Timer(since) if wrong else Timer(None, since)
    return timer, *_ripe(timer, at, _CLOCK_SECONDS, alert)


def _ripe(timer: Timer, at: int, seconds: float, alert: Alert | None) -> tuple[bool, bool]:
    opens = alert is None and timer.beyond_since is not None and at - timer.beyond_since >= seconds * 1000
    closes = timer.within_since is not None and at - timer.within_since >= seconds * 1000
    return opens, closes


def _judge_silence(
    rules: Rules, device: tuple[Device, Device], timer: Timer, alert: Alert | None, moment: Moment
) -> tuple[Timer, bool, bool]:
    before, after = device
    allowed = round(rules.silent_after * 1000)
    if alert is None:
        silent = moment.delivered - after.last_seen > allowed
        return Timer(), silent and moment.judges_silence, False
    if after.last_seen <= max(before.last_seen, alert.since):
        return timer, False, False
    # As long as it may be silent before an alert opens: one that pauses for less would never open another.
    paused = after.last_seen - max(before.last_seen, alert.since) > allowed + moment.grace
    since = after.last_seen if timer.within_since is None or paused else timer.within_since
    talking = after.last_seen - since >= min(_TALKING_SECONDS * 1000, allowed)
    return Timer(None, since), False, talking


def _number(value: float) -> str:
    """Return a readable number with at most nine digits: 1,013,250, not 1.01325e+06 as with `:g`."""
    return f"{value:,.9g}"


def _opened_late(rules: Rules, rule: Rule, device: Device, over: Episode, moment: Moment) -> Alert:
    """Return the alert about an episode that no run saw, opened at the time at which a run would have opened it."""
    limit = rule.limit_of()
    side = "above" if rule.kind is Kind.TOO_HIGH else "below"
    text = (
        f"{rules.device_label} {device.id}: {limit.label} was {_number(over.worst)}{limit.unit}, {side} "
        f"{_number(limit.value)}{limit.unit} from {iso(over.since)} to {iso(over.until)}"
    )
    opened_at = over.since + round(limit.after * 1000)
    return Alert(rule.name, device.id, opened_at, over.since, over.worst, text, moment.run)


def _opened(rules: Rules, rule: Rule, device: Device, seen: Observation | None, when: tuple[Timer, Moment]) -> Alert:
    timer, moment = when
    who = f"{rules.device_label} {device.id}"
    since, value = timer.beyond_since or device.last_seen, None
    if rule.limit is not None:
        limit, value = rule.limit, device.values[rule.limit.field]
        side = "above" if rule.kind is Kind.TOO_HIGH else "below"
        is_now, allowed = f"{_number(value)}{limit.unit}", f"{_number(limit.value)}{limit.unit}"
        text = f"{who}: {limit.label} {is_now}, {side} {allowed} since {iso(since)}"
    elif rule.kind is Kind.SILENT:
        text = f"{who}: no reading since {iso(device.last_seen)}"
    else:
        skew = (seen.clock - seen.last_seen) / 1000 if seen is not None and seen.clock is not None else 0.0
        value = skew
        text = f"{who}: its clock is {abs(skew):,.0f} s {'ahead' if skew > 0 else 'behind'}"
    return Alert(rule.name, device.id, moment.now, since, value, text, moment.run)
