"""Silence is counted to what has been delivered of every shard, by the delivery stream's metrics."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from device_alerts.documents import RUN_ID
from device_alerts.progress import CloudWatch, Progress, progress_of
from tests.examples import examples
from tests.unit.test_device_alerts_run import MINUTE, START, World

STEP = 10_000
BEHIND, FRESHNESS = "KinesisMillisBehindLatest", "DeliveryToAmazonOpenSearchService.DataFreshness"


@dataclass
class Stream:
    """Two shards that are read one by one, a buffer, and the metrics that CloudWatch shows some time later.

    Attributes:
        world: the fleet; devices with an odd id send to shard 1, the others to shard 0.
        buffer: how long a record that was read is held.
        shown_after: how long a point takes to be there once it is published.
        published_every: how often points are published: Firehose does so every five minutes.
        stuck: the shards that are not read now.
    """

    world: World = field(default_factory=World)
    buffer: int = 0
    shown_after: int = 120_000
    published_every: int = 300_000
    stuck: set[int] = field(default_factory=set)
    unread: list[tuple[int, int, float]] = field(default_factory=list)
    held: list[tuple[int, int, int, float]] = field(default_factory=list)
    points: dict[str, dict[int, float]] = field(default_factory=lambda: {BEHIND: {}, FRESHNESS: {}})

    def __post_init__(self) -> None:
        """Let the world's function ask this for its metrics."""
        self.world.progress = CloudWatch(self, "stream", self.world.settings.grace)

    def minute(self, devices: dict[int, float]) -> None:
        """Let a minute go by in which devices send every ten seconds, and run the function."""
        for _ in range(MINUTE // STEP):
            self.world.now += STEP
            now = self.world.now
            self.unread += [(now, device, celsius) for device, celsius in devices.items()]
            oldest = min((arrived for arrived, device, _ in self.unread if device % 2 in self.stuck), default=now)
            self._point(BEHIND, now - oldest)
            self.held += [(now, *each) for each in self.unread if each[1] % 2 not in self.stuck]
            self.unread = [each for each in self.unread if each[1] % 2 in self.stuck]
            ripe = [each for each in self.held if now - each[0] >= self.buffer]
            if ripe:
                self._point(FRESHNESS, (now - min(read for read, *_ in self.held)) / 1000)
            for _, arrived, device, celsius in ripe:
                self.world.send(device, celsius, at=arrived)
            self.held = [each for each in self.held if now - each[0] < self.buffer]
        self.world.run()

    def _point(self, metric: str, value: float) -> None:
        period = self.world.now // MINUTE * MINUTE
        self.points[metric][period] = max(value, self.points[metric].get(period, 0.0))

    def get_metric_statistics(self, **asked: Any) -> dict[str, Any]:
        """Return the points of a metric, the latest first, as CloudWatch returns them in no order."""
        start, end = (asked[name].timestamp() * 1000 for name in ("StartTime", "EndTime"))
        shown = (self.world.now - self.shown_after) // self.published_every * self.published_every
        found = [
            {"Timestamp": datetime.fromtimestamp(at / 1000, UTC), "Maximum": value}
            for at, value in self.points[asked["MetricName"]].items()
            if start <= at < min(end, shown)
        ]
        return {"Datapoints": found[::-1]}


@pytest.mark.parametrize("minutes", [4, 8, 30])
def test_a_stuck_shard_makes_none_of_its_devices_silent(minutes: int) -> None:
    """Two of four devices go on sending and nothing of it is delivered; late for ten minutes, it is told."""
    stream = Stream()
    world, fleet = stream.world, dict.fromkeys(range(4), 20.0)
    for _ in range(10):
        stream.minute(fleet)
    stream.stuck = {1}
    for _ in range(minutes):
        stream.minute(fleet)
    assert world.named("open") == ([("pipeline_late", None)] if minutes > 12 else [])
    stream.stuck = set()
    for _ in range(30):
        stream.minute(fleet)
    assert world.named() == ([("pipeline_late", None)] if minutes > 12 else [])
    assert world.named("open") == []
    if world.alerts():
        assert "Some readings that arrived after" in world.alerts()[0]["alert"]["text"]


def test_what_was_too_high_in_a_stuck_shard_is_told_once_it_is_delivered() -> None:
    """Five minutes beyond the limit, delivered four minutes after they were over: outside an ordinary run's window."""
    stream = Stream()
    for _ in range(10):
        stream.minute({1: 20.0, 2: 20.0})
    stream.stuck = {1}
    for minute in range(9):
        stream.minute({1: 41.0 if minute < 5 else 20.0, 2: 20.0})
    stream.stuck = set()
    for _ in range(3):
        stream.minute({1: 20.0, 2: 20.0})
    assert stream.world.named("closed") == [("too_high", 1)]


@examples(8)
@given(
    stalls=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 14), st.sets(st.integers(0, 1))), max_size=3),
    buffer=st.sampled_from([0, 10_000, 20_000]),
    shown_after=st.sampled_from([60_000, 120_000, 180_000]),
    published_every=st.sampled_from([60_000, 300_000]),
)
def test_whatever_shard_is_stuck_for_how_long_only_the_silent_device_is_silent(
    stalls: list[tuple[int, int, set[int]]], buffer: int, shown_after: int, published_every: int
) -> None:
    """Device 5 stops at the beginning; the others never do. One alert of silence, however delivery stumbles."""
    stream = Stream(buffer=buffer, shown_after=shown_after, published_every=published_every)
    fleet = dict.fromkeys(range(2), 20.0)
    for _ in range(4):
        stream.minute({**fleet, 5: 20.0})
    for calm, minutes, stuck in stalls:
        for count, shards in ((calm, set[int]()), (minutes, stuck)):
            stream.stuck = shards
            for _ in range(count):
                stream.minute(fleet)
    stream.stuck = set()
    for _ in range(25):
        stream.minute(fleet)
    assert [each for each in stream.world.named() if each[0] == "silent"] == [("silent", 5)]
    assert stream.world.named("open") == [("silent", 5)]


def test_while_cloudwatch_is_away_everything_but_silence_is_judged() -> None:
    """Each run does its work and ends with the error, so that an alarm rings; then silence is told."""
    world = World()
    world.minutes(5, {1: 20.0, 2: 20.0, 3: 20.0})
    working = world.progress
    world.progress = _away
    for _ in range(10):
        world.minutes(1, {1: 41.0, 2: 20.0}, runs=False)
        with pytest.raises(EndpointConnectionError):
            world.run()
    assert (world.named(), world.told()) == ([("too_high", 1)], (1, 0))
    world.progress = working
    world.minutes(1, {1: 41.0, 2: 20.0})
    assert world.named() == [("too_high", 1), ("silent", 3)]
    assert not world.run().skipped, "no lease was left behind"


def _away(_now: int) -> Progress:
    raise EndpointConnectionError(endpoint_url="https://monitoring")


@pytest.mark.parametrize("progress", [_away, lambda _now: Progress()], ids=["CloudWatch is away", "no points"])
def test_a_part_stays_late_while_nobody_knows(
    progress: Callable[[int], Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is called recovered, and nobody silent, because the metrics say nothing for six minutes."""
    stream = Stream()
    world, fleet = stream.world, dict.fromkeys(range(4), 20.0)
    for _ in range(10):
        stream.minute(fleet)
    stream.stuck = {1}
    for _ in range(22):
        stream.minute(fleet)
    assert world.named("open") == [("pipeline_late", None)]
    working, run = world.progress, world.run
    world.progress = progress
    with monkeypatch.context() as patched:
        patched.setattr(world, "run", lambda: suppressed(run))
        for _ in range(6):
            stream.minute(fleet)
    assert world.named() == world.named("open") == [("pipeline_late", None)]
    assert world.index.written[RUN_ID]["memory"]["on_time_since"] is None
    world.progress = working
    stream.stuck = set()
    for _ in range(30):
        stream.minute(fleet)
    assert world.named() == world.named("closed") == [("pipeline_late", None)]
    assert world.told() == (1, 1)


def test_a_first_run_without_cloudwatch_calls_nothing_late() -> None:
    """Readings have just been delivered; whether all were, nobody knows."""
    world = World(progress=_away)
    world.minutes(1, {1: 20.0}, runs=False)
    suppressed(world.run)
    assert world.named() == []


def suppressed(run: Callable[[], object]) -> None:
    """Run, and leave the error to the function's alarm."""
    with suppress(EndpointConnectionError):
        run()


@pytest.mark.parametrize(
    ("behind", "freshness", "expected"),
    [
        ([], [], Progress()),
        ([(START, 500)], [], Progress(START - 500, 500, 500)),
        ([(START, 500)], [(START - MINUTE, 9_000)], Progress(START - MINUTE - 9_500, 9_500, 9_500)),
        (
            [(START, 0), (START - MINUTE, 600_000)],
            [(START, 20_000), (START - MINUTE, 30_000)],
            Progress(START - 630_000, 20_000, 630_000),
        ),
    ],
    ids=["no metrics", "nothing delivered lately", "the older of both", "a backlog in the buffers"],
)
def test_what_metrics_say(behind: list[tuple[int, int]], freshness: list[tuple[int, int]], expected: Progress) -> None:
    """Nothing is called delivered that may be in a buffer or unread."""
    assert progress_of(behind, freshness) == expected


def test_it_asks_what_cloudwatch_takes() -> None:
    """By botocore's model of GetMetricStatistics: milliseconds of one metric, seconds of the other."""
    client: Any = boto3.client("cloudwatch", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    at = datetime.fromtimestamp(START // MINUTE * 60, UTC)

    def asked(metric: str) -> dict[str, Any]:
        return {
            "Namespace": "AWS/Firehose",
            "MetricName": metric,
            "Dimensions": [{"Name": "DeliveryStreamName", "Value": "stream"}],
            "StartTime": datetime.fromtimestamp((START - 1_020_000) / 1000, UTC),
            "EndTime": datetime.fromtimestamp(START / 1000, UTC),
            "Period": 60,
            "Statistics": ["Maximum"],
        }

    with Stubber(client) as stubber:
        for metric, unit, value in ((BEHIND, "Milliseconds", 1_500.0), (FRESHNESS, "Seconds", 62.5)):
            point = {"Timestamp": at, "Maximum": value, "Unit": unit}
            stubber.add_response("get_metric_statistics", {"Label": metric, "Datapoints": [point]}, asked(metric))
        progress = CloudWatch(client, "stream", 120_000)(START)
        stubber.assert_no_pending_responses()
    assert progress == Progress(START // MINUTE * MINUTE - 64_000, 64_000, 64_000)
