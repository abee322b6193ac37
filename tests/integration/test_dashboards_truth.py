"""The panels' figures equal a brute-force computation, for fleets over several indices and shards."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import Responses, terms_filter
from iot_stream.dashboards.snapshot import panel_svg
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from tests.dashboard_responses import responses_of
from tests.readings import ACTIVITIES, make_index

pytestmark = pytest.mark.steady

DEVICES = 3_000
SEED = random.randrange(2**32)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")[:23]


def _fleet(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield three readings of each device, of the last ten minutes, except for ten devices that fell silent."""
    now = datetime.now(UTC)  # not when this file is imported: a whole run takes minutes to come here
    silent = set(chance.sample(range(DEVICES), 10))
    for device in range(DEVICES):
        for _ in range(3):
            age = timedelta(minutes=chance.uniform(60, 600) if device in silent else chance.uniform(0.1, 10))
            celsius = round(chance.gauss(20, 5), 2)
            yield {
                "uuid": f"{chance.getrandbits(64):016x}",
                "timestamp": _text(now - age),
                "ingested_at": _text(now - age + timedelta(seconds=1)),
                "device_id": device,
                "temp_celsius": celsius,
                "temp_fahrenheit": round(celsius * 1.8 + 32, 1),
                "track_id": 1,
                "activity_type": chance.choice(ACTIVITIES),
            }


@pytest.fixture(scope="module")
def fleet(opensearch: OpenSearch) -> list[dict[str, Any]]:
    """All documents, over several daily indices as rotation makes them, of random sizes."""
    chance = random.Random(SEED)
    documents = list(_fleet(chance))
    chance.shuffle(documents)
    ends = sorted(chance.sample(range(1, len(documents)), chance.randint(1, 3)))
    for number, (start, end) in enumerate(pairwise([0, *ends, len(documents)])):
        make_index(opensearch, f"truth-fleet-{number}", documents[start:end])
    return documents


@pytest.fixture(scope="module")
def search(opensearch: OpenSearch) -> Reader:
    """A reader of this module's indices."""
    create_reader_role(opensearch, "truth-*")
    return Reader(connect(opensearch))


def ranked(buckets: list[dict[str, Any]], name: str) -> list[tuple[str, float]]:
    """Device and figure of each bucket."""
    return [(bucket["key_as_string"], bucket[name]["value"]) for bucket in buckets]


def silence(responses: Responses) -> list[str]:
    """The devices of the panel of silent devices, in order."""
    buckets = responses.panels["silent-devices"]["aggregations"]["day"]["devices"]["buckets"]
    return [device for device, _ in ranked(buckets, "latest")]


def longest_silent(documents: list[dict[str, Any]]) -> list[str]:
    """The ten devices whose latest arrival is the oldest, by brute force."""
    latest: dict[int, str] = defaultdict(str)
    for document in documents:
        latest[document["device_id"]] = max(latest[document["device_id"]], document["ingested_at"])
    return [str(device) for device, _ in sorted(latest.items(), key=lambda item: (item[1], item[0]))[:10]]


def test_the_hottest_of_thousands_of_devices_on_several_shards(fleet: list[dict[str, Any]], search: Reader) -> None:
    """All ten are right, with their exact averages; ordering by an average needs every device of every shard.

    Devices with the same average may change places: which of them is first is nobody's promise.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for document in fleet:
        if document["timestamp"] >= _text(datetime.now(UTC) - timedelta(minutes=14)):
            values[str(document["device_id"])].append(document["temp_celsius"])
    averages = {device: mean(each) for device, each in values.items()}
    buckets = responses_of(search, "truth-fleet").panels["devices-by-temperature"]["aggregations"]["devices"]["buckets"]
    found = ranked(buckets, "average")
    assert dict(found) == pytest.approx({device: averages[device] for device, _ in found}), f"seed {SEED}"
    hottest = sorted(averages.values(), reverse=True)[:10]
    assert [value for _, value in found] == pytest.approx(hottest), f"seed {SEED}"


def test_who_is_silent_does_not_depend_on_shards_or_filters(fleet: list[dict[str, Any]], search: Reader) -> None:
    """A filter by category left out every reading of another activity, so that healthy devices looked silent."""
    expected = longest_silent(fleet)
    assert silence(responses_of(search, "truth-fleet")) == expected, f"seed {SEED}"
    filtered = responses_of(search, "truth-fleet", terms_filter("activity_type", ["Running"]))
    assert silence(filtered) == expected
    figures = filtered.panels["key-figures"]["aggregations"]
    newest = max(document["ingested_at"] for document in fleet)
    assert figures["delivered"]["day"]["until"]["value_as_string"][:23] == newest


def test_late_delivery_makes_no_device_silent(opensearch: OpenSearch, search: Reader) -> None:
    """What is drawn is each device's silence up to the latest arrival that was delivered, of any device."""
    chance = random.Random(SEED)
    delivered = datetime.now(UTC) - timedelta(minutes=chance.uniform(20, 300))
    silences = sorted(
        (chance.choice((chance.uniform(0, 110), chance.uniform(300, 7000))) for _ in range(7)), reverse=True
    )
    silences[-1] = 0
    base = {"temp_celsius": 20, "temp_fahrenheit": 68, "track_id": 1, "activity_type": "Running"}
    documents = []
    for device, seconds in enumerate(silences):
        at = _text(delivered - timedelta(seconds=seconds))
        documents.append(base | {"uuid": str(device), "device_id": device, "timestamp": at, "ingested_at": at})
    chance.shuffle(documents)
    make_index(opensearch, "truth-pipeline-1", documents[:3])
    make_index(opensearch, "truth-pipeline-2", documents[3:])
    responses = responses_of(search, "truth-pipeline")
    assert silence(responses) == [str(device) for device in range(7)], f"seed {SEED}"
    (panel,) = [panel for panel in load().panels if panel.name == "silent-devices"]
    drawn = panel_svg(panel, responses.panels[panel.name], width=500, height=260)
    shown = [float(text) for text in re.findall(r'aria-label="Silent for, [^:"]*: ([\d.]+); Device', drawn)]
    assert shown == pytest.approx(silences, abs=0.01), f"seed {SEED}"


def test_a_clock_in_the_future_hides_no_device_and_shapes_no_panel(opensearch: OpenSearch, search: Reader) -> None:
    """A device whose clock is a year ahead counts as silent by its arrival, and its readings are counted."""
    base = {"temp_celsius": 20, "temp_fahrenheit": 68, "track_id": 1, "activity_type": "Running"}
    wrong = {"uuid": "a", "device_id": 1, "timestamp": _text(datetime.now(UTC) + timedelta(days=365))}
    right = {"uuid": "b", "device_id": 2, "timestamp": _text(datetime.now(UTC) - timedelta(seconds=30))}
    arrived = (
        {"ingested_at": _text(datetime.now(UTC) - timedelta(minutes=50))},
        {"ingested_at": _text(datetime.now(UTC) - timedelta(seconds=29))},
    )
    make_index(opensearch, "truth-clock", [base | wrong | arrived[0], base | right | arrived[1]])
    responses = responses_of(search, "truth-clock")
    assert silence(responses) == ["1", "2"]
    figures = responses.panels["key-figures"]["aggregations"]
    assert (figures["records"]["value"], figures["delivered"]["hour"]["ahead"]["doc_count"]) == (1, 1)
    assert [reading["device_id"] for reading in responses.latest] == [2]


def test_what_is_not_delivered_yet_is_shaded_and_not_counted(opensearch: OpenSearch, search: Reader) -> None:
    """With buffers of two minutes the newest bars are missing, not zero, and a grey band says why."""
    base = {"device_id": 1, "temp_celsius": 20, "temp_fahrenheit": 68, "track_id": 1, "activity_type": "Running"}
    now = datetime.now(UTC)
    times = [now - timedelta(seconds=120 + 5 * number) for number in range(100)]
    documents = [
        base | {"uuid": str(n), "timestamp": _text(at), "ingested_at": _text(at)} for n, at in enumerate(times)
    ]
    make_index(opensearch, "truth-late", documents)
    responses = responses_of(search, "truth-late")
    for name in ("records-per-second", "temperature-over-time"):
        (panel,) = [panel for panel in load().panels if panel.name == name]
        svg = panel_svg(panel, responses.panels[name], width=500, height=260)
        assert 'aria-label="Not delivered yet"' in svg, name
    (panel,) = [panel for panel in load().panels if panel.name == "records-per-second"]
    bars = panel_svg(panel, responses.panels[panel.name], width=500, height=260).count('aria-roledescription="bar"')
    buckets = responses.panels[panel.name]["aggregations"]["time"]["buckets"]
    assert bars <= len(buckets) - 10


def test_an_id_beyond_what_a_browser_can_hold_is_exact(opensearch: OpenSearch, search: Reader) -> None:
    """Vega reads JSON numbers as doubles, so panels take the id's text."""
    base = {"temp_celsius": 20, "temp_fahrenheit": 68, "track_id": 1, "activity_type": "Running"}
    times = {"timestamp": _text(datetime.now(UTC)), "ingested_at": _text(datetime.now(UTC))}
    make_index(opensearch, "truth-ids", [base | times | {"uuid": "a", "device_id": 2**53 + 1}])
    responses = responses_of(search, "truth-ids")
    assert silence(responses) == [str(2**53 + 1)]
    (panel,) = [panel for panel in load().panels if panel.name == "silent-devices"]
    assert str(2**53 + 1) in panel_svg(panel, responses.panels[panel.name], width=500, height=260)


def test_shares_make_a_whole_and_colours_stay(opensearch: OpenSearch, search: Reader) -> None:
    """More categories than colours: the rest is one part; and a filter changes no colour."""
    base = {"temp_celsius": 20, "temp_fahrenheit": 68, "track_id": 1, "device_id": 1}
    times = {"timestamp": _text(datetime.now(UTC) - timedelta(seconds=60)), "ingested_at": _text(datetime.now(UTC))}
    documents = [
        base | times | {"uuid": f"{kind}-{number}", "activity_type": f"kind {kind:02}"}
        for kind in range(12)
        for number in range(30 - kind)
    ]
    make_index(opensearch, "truth-kinds", documents)
    (panel,) = [panel for panel in load().panels if panel.name == "activity-mix"]
    legends = []
    for filters in ((), (terms_filter("activity_type", ["kind 03"]),)):
        svg = panel_svg(panel, responses_of(search, "truth-kinds", *filters).panels[panel.name], width=500, height=260)
        assert ("(others)" in svg) is (not filters)
        legends.append([name for name in ("kind 00", "kind 03", "kind 05") if name in svg])
    assert legends == [["kind 00", "kind 03", "kind 05"]] * 2
