"""Every panel's figures equal a brute-force computation over all documents, or stay within the bound that it states.

A random fleet of each of two descriptions lies over several indices and shards: some clocks are wrong, some devices are
silent or gone, optional fields are missing, and there are more categories than a panel shows. What is sent are the
queries in the saved objects, as OpenSearch Dashboards sends them.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from statistics import mean
from typing import Any

import pytest

from iot_stream.dashboards.context import Context, TimeRange, resolve
from iot_stream.dashboards.definition import Dashboard, Panel, Query, load
from iot_stream.dashboards.saved_objects import build
from iot_stream.dashboards.snapshot import panel_svg
from iot_stream.description import Description, Field, Role, Type
from iot_stream.description import load as load_description
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from tests.readings import make_index
from tests.walkthrough import WALKTHROUGH_FILE

pytestmark = pytest.mark.steady

type Document = Mapping[str, Any]
type Found = Mapping[str, Any]

SEED = random.randrange(2**32)
DEVICES, READINGS, KINDS = 1_200, 5, 45
QUARTILES_OFF = 0.02  # as measure-by-category.json says
SAME = 1e-9
HOURS, DAY = timedelta(hours=4), timedelta(days=1)
NEARLY_AN_HOUR, MORE_THAN_AN_HOUR = timedelta(minutes=53), timedelta(minutes=62)
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
DESCRIPTIONS = {
    "walkthrough": WALKTHROUGH_FILE,
    "cold-store": WALKTHROUGH_FILE.with_name("cold-store.toml"),
}


def milliseconds(text: str) -> int:
    """Return a document's time as epoch milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def in_words(at: datetime) -> str:
    """Return a time as the function writes it."""
    return at.isoformat(timespec="milliseconds")[:23]


def make_fleet(reading: Description, chance: random.Random, now: datetime) -> list[dict[str, Any]]:
    """Return all documents of a fleet; no time is so near an end of a query's range that the clock would decide."""
    documents = []
    offsets = [timedelta(minutes=minutes) for minutes in (365 * 1440, 60, 10, 4, -60, -14_400)]
    for number in chance.sample(range(10 * DEVICES), DEVICES):
        wide = 2**53 if number % 7 == 0 else 0
        device = number + wide if reading.device.type is Type.LONG else f"sensor-{number}"
        ages = chance.choices(((0.006, 4), (6, 20), (26, 40)), (94, 4, 2))[0]
        offset = chance.choice(offsets) if chance.random() < 0.03 else -timedelta(seconds=1)
        usual = chance.gauss(20, 5)
        for _ in range(READINGS):
            arrival = now - timedelta(hours=chance.uniform(*ages))
            at = arrival + offset
            age = (now - arrival) / HOURS
            if timedelta() <= at - now <= timedelta(minutes=10) or NEARLY_AN_HOUR < now - arrival < MORE_THAN_AN_HOUR:
                continue
            documents.append(
                {reading.device.name: device, reading.time.name: in_words(at), "ingested_at": in_words(arrival)}
                | {field.name: value(field, chance, usual, age) for field in (*reading.measures, *reading.categories)
                   if not field.optional or chance.random() < 0.8}
            )  # fmt: skip
    chance.shuffle(documents)
    return documents


def value(field: Field, chance: random.Random, usual: float, age: float) -> Any:
    """Return a measure about what is usual for the device, or a category: some are frequent, and they change."""
    if field.role is Role.MEASURE:
        number = chance.gauss(usual, 2)
        return round(number * 100) if field.type is Type.LONG else round(number, field.decimals)
    return f"kind {int(min(chance.expovariate(0.1), KINDS - 1) + 10 * age) % KINDS:02}"


@dataclass(frozen=True)
class View:
    """What one person looks at: a time range, filters, and the response that each panel of the saved objects gets."""

    reading: Description
    dashboard: Dashboard
    documents: list[dict[str, Any]]
    context: Context
    asked: Mapping[str, Mapping[str, Any]]
    responses: Mapping[str, Mapping[str, Any]]

    @cached_property
    def in_range(self) -> list[dict[str, Any]]:
        """The documents whose device time is in the range."""
        start, end = (round(at.timestamp() * 1000) for at in (self.context.time.start, self.context.time.end))
        return [each for each in self.documents if start <= milliseconds(each[self.reading.time.name]) <= end]

    @cached_property
    def shown(self) -> list[dict[str, Any]]:
        """The documents that are in the range and pass the filters."""
        wanted = [clause["match_phrase"] for clause in self.context.filters]
        return [each for each in self.in_range if all(each.get(k) == v for clause in wanted for k, v in clause.items())]

    @cached_property
    def of_the_day(self) -> list[dict[str, Any]]:
        """The documents that arrived in the last day, whatever is chosen."""
        begin = in_words(datetime.now(UTC) - DAY)
        return [each for each in self.documents if each["ingested_at"] >= begin]

    @cached_property
    def of_the_hour(self) -> list[dict[str, Any]]:
        """The documents that arrived in the last hour, whatever is chosen."""
        begin = in_words(datetime.now(UTC) - timedelta(hours=1))
        return [each for each in self.documents if each["ingested_at"] >= begin]

    def panels(self, kind: str) -> list[tuple[Panel, Found]]:
        """Return the panels of a kind with their aggregations."""
        found = [
            (panel, self.responses[panel.name]["aggregations"]) for panel in self.dashboard.panels if panel.kind == kind
        ]
        assert found, kind
        return found

    def by_time(self, panel: Panel) -> dict[int, list[dict[str, Any]]]:
        """Return the documents of each of a panel's intervals by its beginning, intervals without documents too."""
        width = self.asked[panel.name]["aggs"]["time"]["date_histogram"]["interval"]
        amount, unit = re.fullmatch(r"(\d+)([a-z]+)", width).groups()  # type: ignore[union-attr]
        step = int(amount) * UNITS[unit]
        start, end = (round(at.timestamp() * 1000) // step for at in (self.context.time.start, self.context.time.end))
        buckets: dict[int, list[dict[str, Any]]] = {number * step: [] for number in range(start, end + 1)}
        for each in self.shown:
            buckets[milliseconds(each[self.reading.time.name]) // step * step].append(each)
        return buckets


def saved_queries(dashboard: Dashboard) -> dict[str, Query]:
    """Return the query of each Vega panel, out of the saved objects."""
    queries = {}
    for item in build(dashboard):
        state = json.loads(item["attributes"].get("visState", "{}"))
        if state.get("type") == "vega":
            url = json.loads(state["params"]["spec"])["data"]["url"]
            name = item["id"].removeprefix("iot-stream-")
            queries[name] = Query(url["index"], url["body"], bool(url.get("%context%")), url.get("%timefield%"))
    assert set(queries) == {panel.name for panel in dashboard.panels}
    return queries


@pytest.fixture(scope="module")
def fleets(opensearch: OpenSearch) -> dict[str, tuple[Dashboard, list[dict[str, Any]]]]:
    """A fleet of each description, in the indices that rotation makes, each with some shards."""
    chance = random.Random(SEED)
    fleets = {}
    for name, file in DESCRIPTIONS.items():
        reading = load_description(file)
        documents = sorted(make_fleet(reading, chance, datetime.now(UTC)), key=lambda each: str(each["ingested_at"]))
        indices = chance.randint(2, 3)
        size = -(-len(documents) // indices)
        for number in range(indices):
            part, shards = documents[number * size : (number + 1) * size], chance.randint(1, 3)
            make_index(opensearch, f"figures-{name}-{number}", part, reading, shards)
        fleets[name] = (load(reading=reading).for_index(f"figures-{name}"), documents)
    return fleets


@pytest.fixture(scope="module")
def views(opensearch: OpenSearch, fleets: dict[str, tuple[Dashboard, list[dict[str, Any]]]]) -> list[View]:
    """Each fleet as it is looked at: the latest hours, and a random range with a category and with a device chosen."""
    create_reader_role(opensearch, "figures-*")
    search, chance, now = Reader(connect(opensearch)), random.Random(SEED), datetime.now(UTC)
    views = []
    for dashboard, documents in fleets.values():
        reading, queries = dashboard.reading, saved_queries(dashboard)
        start = now - timedelta(minutes=chance.uniform(60, 230))
        chosen = TimeRange(start, start + timedelta(minutes=chance.uniform(15, 50)))
        category = {reading.categories[0].name: f"kind {chance.randrange(10):02}"}
        device = {reading.device.name: chance.choice(documents)[reading.device.name]}
        for context in (
            Context(TimeRange(now - HOURS, now)),
            Context(chosen, [{"match_phrase": category}]),
            Context(TimeRange(now - HOURS, now), [{"match_phrase": device}]),
        ):
            asked = {name: resolve(query, context) for name, query in queries.items()}
            responses = search([(queries[name].index, body) for name, body in asked.items()])
            found = dict(zip(asked, responses, strict=True))
            views.append(View(reading, dashboard, documents, context, asked, found))
    return views


def test_the_fleets_are_random_and_large_enough(views: list[View]) -> None:
    """Else the figures below would be right by themselves."""
    for view in views[::3]:
        kinds = {each.get(view.reading.categories[0].name) for each in view.shown}
        assert len(view.shown) > DEVICES, f"seed {SEED}"
        assert len(kinds) > 25 + 10, "more than a shard's own list of ten, by default"
        assert len(view.documents) > len(view.of_the_day) > len(view.in_range)


def near(found: Any, expected: Any) -> bool:
    """Whether two figures are equal but for the order of a sum; None is a figure that there is not."""
    return found == pytest.approx(expected, rel=1e-9, abs=1e-9) if expected is not None else found is None


def figures(documents: Iterable[Document], field: str) -> list[float]:
    """Return a field's values."""
    return [each[field] for each in documents if field in each]


def average(values: list[float]) -> float | None:
    """Return the average, or None."""
    return mean(values) if values else None


def grouped(documents: Iterable[Document], field: str) -> dict[Any, list[Document]]:
    """Return the documents of each value of a field."""
    groups: dict[Any, list[Document]] = defaultdict(list)
    for each in documents:
        if field in each:
            groups[each[field]].append(each)
    return groups


def most_frequent(documents: Iterable[Document], field: str, size: int) -> list[tuple[Any, int]]:
    """Return the most frequent values and their counts, as OpenSearch orders them: equal ones by the value."""
    counts = Counter(each[field] for each in documents if field in each)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]


def counted(buckets: Iterable[Found]) -> list[tuple[Any, int]]:
    """Return the value and the count of each bucket."""
    return [(bucket["key"], bucket["doc_count"]) for bucket in buckets]


def extreme_of(measure: Field) -> Callable[[list[float]], float]:
    """Return what stands out: the least where only too low is wrong."""
    return min if measure.alert_below is not None and measure.alert_above is None else max


def measure_of(view: View, panel: Panel) -> Field:
    """Return the measure that a panel is about, by the text of its query."""
    text = json.dumps(panel.query.body)
    [field] = [each for each in view.reading.measures if f'"{each.name}"' in text]
    return field


def category_of(view: View, panel: Panel) -> str:
    """Return the category that a panel is about, by the text of its query."""
    text = json.dumps(panel.query.body)
    [name] = [each.name for each in view.reading.categories if f'"{each.name}"' in text]
    return name


def test_key_figures(views: list[View]) -> None:
    """Records, devices, averages and extremes of what is chosen; the latest arrival, and clocks ahead, of all."""
    for view in views:
        [(panel, found)] = view.panels("key-figures")
        devices = grouped(view.shown, view.reading.device.name)
        assert found["records"]["value"] == len(view.shown), f"seed {SEED}"
        assert "off by at most 0.1 %" in panel.description
        assert abs(found["devices"]["value"] - len(devices)) <= max(1, len(devices) // 1000), f"seed {SEED}"
        for measure in view.reading.measures[:3]:
            values = figures(view.shown, measure.name)
            assert near(found[f"{measure.name}_average"]["value"], average(values)), SEED
            assert near(found[f"{measure.name}_extreme"]["value"], extreme_of(measure)(values) if values else None)
        day = found["delivered"]["day"]
        assert day["until"]["value"] == max(milliseconds(each["ingested_at"]) for each in view.of_the_day)
        clock = view.reading.time.name
        ahead = [
            each
            for each in view.of_the_hour
            if milliseconds(each[clock]) - milliseconds(each["ingested_at"]) > view.reading.clock_ahead * 1000
        ]
        assert found["delivered"]["hour"]["ahead"]["doc_count"] == len(ahead) > 0, f"seed {SEED}"
        drawn = panel_svg(panel, view.responses[panel.name], width=900, height=200)
        assert f'"label: Records; text: {len(view.shown):,}"' in drawn
        assert f's; text: {"≈ " if len(devices) > 1000 else ""}{found["devices"]["value"]:,}"' in drawn


def test_measures_and_rates_over_time(views: list[View]) -> None:
    """Each interval's count, minimum, average and maximum; and the bars that are drawn are those of whole intervals."""
    for view in views:
        for panel, found in view.panels("measure-over-time"):
            name, expected = measure_of(view, panel).name, view.by_time(panel)
            buckets = found["time"]["buckets"]
            assert counted(buckets) == [(key, len(documents)) for key, documents in expected.items()], SEED
            for bucket, values in zip(buckets, (figures(each, name) for each in expected.values()), strict=True):
                for figure, right in (("min", min), ("avg", mean), ("max", max)):
                    assert near(bucket["measure"][figure], right(values) if values else None), SEED
        [(panel, found)] = view.panels("records-per-second")
        expected = view.by_time(panel)
        assert counted(found["time"]["buckets"]) == [(key, len(documents)) for key, documents in expected.items()]
        (first, second), until = list(expected)[:2], found["delivered"]["day"]["until"]["value"]
        whole = [key for key in list(expected)[1:-1] if key + second - first <= until]
        drawn = panel_svg(panel, view.responses[panel.name], width=900, height=260)
        rates = re.findall(r"Records per second: ([\d.,]+)[^\"]*; Records: ([\d,]+)", drawn)
        assert [int(count.replace(",", "")) for _, count in rates] == [len(expected[key]) for key in whole], SEED


def test_devices_by_measure(views: list[View]) -> None:
    """The ten devices that stand out, with their averages and extremes."""
    for view in views:
        for panel, found in view.panels("devices-by-measure"):
            measure = measure_of(view, panel)
            by_device = {
                str(device): values
                for device, documents in grouped(view.shown, view.reading.device.name).items()
                if (values := figures(documents, measure.name))
            }
            lowest = extreme_of(measure) is min
            expected = sorted((mean(values) for values in by_device.values()), reverse=not lowest)[:10]
            buckets = [each for each in found["devices"]["buckets"] if each["average"]["value"] is not None]
            assert [each["average"]["value"] for each in buckets] == pytest.approx(expected), f"seed {SEED}"
            for bucket in buckets:
                values = by_device[bucket.get("key_as_string", bucket["key"])]
                assert near(bucket["average"]["value"], mean(values))
                assert near(bucket["extreme"]["value"], extreme_of(measure)(values))


def test_silent_devices(views: list[View]) -> None:
    """The ten whose latest arrival of the last day is the oldest; those that are gone are not shown."""
    for view in views:
        [(_, found)] = view.panels("silent-devices")
        latest = {
            str(device): max(milliseconds(each["ingested_at"]) for each in documents)
            for device, documents in grouped(view.of_the_day, view.reading.device.name).items()
        }
        buckets = found["day"]["devices"]["buckets"]
        shown = [(bucket.get("key_as_string", bucket["key"]), bucket["latest"]["value"]) for bucket in buckets]
        assert [at for _, at in shown] == sorted(latest.values())[:10], f"seed {SEED}"
        assert all(latest[device] == at for device, at in shown)


def test_measure_by_category(views: list[View]) -> None:
    """The ten most frequent values: minimum and maximum are exact, quartiles within the bound that the panel states.

    A reading of 14.6 in a scaled_float comes back as 146 times 0.1, a little more: it counts as the same value.
    """
    for view in views:
        for panel, found in view.panels("measure-by-category"):
            assert f"off by at most {QUARTILES_OFF:.0%}".replace("%", " %") in panel.description
            measure, category = measure_of(view, panel).name, category_of(view, panel)
            buckets = found["categories"]["buckets"]
            assert counted(buckets) == most_frequent(view.shown, category, 10), f"seed {SEED}"
            groups = grouped(view.shown, category)
            for bucket in buckets:
                values = sorted(figures(groups[bucket["key"]], measure))
                estimates = [each["value"] for each in bucket["quartiles"]["values"]]
                if not values:
                    assert estimates == [None] * 5
                    continue
                assert (estimates[0], estimates[4]) == pytest.approx((values[0], values[-1]))
                for share, estimate in zip((0.25, 0.5, 0.75), estimates[1:4], strict=True):
                    off = QUARTILES_OFF * len(values) + 1  # between two readings is no estimate
                    below = sum(each < estimate - SAME for each in values)
                    within = sum(each <= estimate + SAME for each in values)
                    assert below - off <= share * len(values) <= within + off, f"seed {SEED}: {panel.name}"


def test_category_mix(views: list[View]) -> None:
    """The six most frequent values are those of the range, whatever is filtered; each interval's counts are exact."""
    for view in views:
        for panel, found in view.panels("category-mix"):
            category = category_of(view, panel)
            named = most_frequent(view.in_range, category, 6)
            assert counted(found["all"]["range"]["categories"]["buckets"]) == named, f"seed {SEED}"
            for bucket, documents in zip(found["time"]["buckets"], view.by_time(panel).values(), strict=True):
                assert bucket["doc_count"] == len(documents)
                assert counted(bucket["categories"]["buckets"]) == most_frequent(documents, category, 50)
            drawn = panel_svg(panel, view.responses[panel.name], width=900, height=260)
            records = [int(text.replace(",", "")) for text in re.findall(r"; Records: ([\d,]+)", drawn)]
            assert sum(records) == len(view.shown), "the shares of the six and of all others make a whole"


def test_measure_by_category_over_time(views: list[View]) -> None:
    """The averages of each interval's ten most frequent values."""
    for view in views:
        for panel, found in view.panels("measure-by-category-over-time"):
            measure, category = measure_of(view, panel).name, category_of(view, panel)
            assert near(found["overall"]["value"], average(figures(view.shown, measure))), f"seed {SEED}"
            for bucket, documents in zip(found["time"]["buckets"], view.by_time(panel).values(), strict=True):
                buckets, groups = bucket["categories"]["buckets"], grouped(documents, category)
                assert counted(buckets) == most_frequent(documents, category, 10), f"seed {SEED}"
                for each in buckets:
                    assert near(each["average"]["value"], average(figures(groups[each["key"]], measure)))
