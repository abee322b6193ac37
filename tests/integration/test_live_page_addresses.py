"""The live page in a real browser without an OpenSearch: what an address brings, odd ids, and where numbers stand."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from device_alerts.documents import Device
from device_alerts.rules import parse as parse_rules
from iot_stream.description import Description, load, parse
from iot_stream.readings.alert_files import alert_rules
from tests.enrichers import COLD_STORE
from tests.live_page import Open, barriers, looking

pytestmark = [pytest.mark.chromium, pytest.mark.steady]

TEXT_IDS = parse(COLD_STORE)


@dataclass(frozen=True)
class Domain:
    """A domain that has devices and choices, and no readings; an `iot_stream.dashboards.search.Search`."""

    reading: Description
    devices: Mapping[int | str, Mapping[str, float]]
    suggested: Sequence[str] = ()

    def __call__(self, searches: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Respond as an index pattern without any index does, but for the devices and the choices."""
        return [self._respond(body) for _, body in searches]

    def _respond(self, body: Mapping[str, Any]) -> dict[str, Any]:
        hits: list[dict[str, Any]] = []
        aggregations: dict[str, Any] = {}
        if "states" in body.get("aggs", {}):
            rules, now = parse_rules(alert_rules(self.reading)), time.time_ns() // 1_000_000
            documents = [Device(each, now, dict(values)).document(rules) for each, values in self.devices.items()]
            hits = [{"_source": document, "sort": []} for document in documents]
        filters = [self.reading.device.name, *(each.name for each in self.reading.categories)]
        if [*body.get("aggs", {})] == filters:
            aggregations = {name: {"buckets": []} for name in filters}
            aggregations[filters[0]]["buckets"] = [{"key": each} for each in self.suggested]
        found = {"hits": {"total": {"value": len(hits)}, "hits": hits}}
        return found | {"aggregations": aggregations} if aggregations else found


@pytest.fixture
def look(browser: Browser, vega: Path) -> Iterator[Open]:
    """Open the page on a domain without devices."""
    with looking(browser, vega, Domain(load(), {})) as open_page:
        yield open_page


def test_a_refresh_that_makes_no_sense_is_the_default(look: Open) -> None:
    """Fractions, less than a second, and what the server or the browser's timer can't take: asked for for ever."""
    looked = look("addresses-refresh")
    refresh = looked.page.locator("#refresh")
    for text, value in (("0.5", "5000"), ("999", "5000"), ("1000000000", "5000"), ("1000", "1000")):
        looked.page.goto(f"{looked.url}/?from=&refresh={text}", wait_until="commit")
        looked.page.locator("#flow .name").first.wait_for()  # the address has been read, and nothing is drawn yet
        expect(refresh).to_have_value(value)
    expect(looked.page.locator("#range")).to_have_value("now-15m")


def test_an_empty_filter_is_dropped_where_no_value_can_be_empty(look: Open) -> None:
    """A text can be, and the page writes such an address itself after a click: the chip then says that it is."""
    looked = look("addresses-empty", "?device_id=&device_id=%20&device_id=7&activity_type=")
    expect(looked.page.locator("#chips button")).to_contain_text(["Device 7 ", 'Activity "" '])
    [asked] = [url for url in looked.asked if "/api/data" in url]
    assert asked.endswith("?from=now-15m&device_id=7&activity_type=&refresh=5000")


def test_a_device_whose_id_is_blank_can_be_read_chosen_and_filtered(look: Open) -> None:
    """Ids are accepted as they come, so the page has a name for each, and takes each as it is."""
    domain = Domain(TEXT_IDS, {"": {}, " ": {}, "plain": {}}, suggested=["", " ", " left"])
    looked = look("addresses-blank", reading=TEXT_IDS, searching=domain)
    page = looked.page
    buttons = page.locator("#fleet-body button")
    assert buttons.all_text_contents() == ['""', '" "', "plain"]
    assert barriers(page) == []
    buttons.nth(0).click()
    buttons.nth(1).click()
    expect(page.locator(".chart figcaption").first).to_contain_text('"" and " "')
    assert any(url.endswith("&device=&device=+") for url in looked.asked)
    expect(page.locator("#fleet-empty")).to_be_hidden()  # where an id that was refused would be said
    chooser = page.locator(f"#choose-{TEXT_IDS.device.name}")
    assert json.loads(chooser.get_attribute("data-options") or "") == [" ", " left"]
    for typed in (" ", " left", " right "):
        chooser.fill(typed)
        chooser.press("Enter")
    values = page.evaluate(f"new URLSearchParams(location.search).getAll('{TEXT_IDS.device.name}')")
    assert values == [" ", " left", "right"]


# Where the text of a cell begins and ends, head first, for each column.
EDGES = """() => {
  const edges = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const { left, right } = range.getBoundingClientRect();
    return [left, right];
  };
  const rows = [...document.querySelectorAll("#fleet-body tr")];
  return [...document.querySelectorAll("#fleet-head th")].map((head, place) => ({
    number: head.classList.contains("number"),
    head: edges(head.querySelector("button")),
    cells: rows.map((row) => edges(row.cells[place])),
  }));
}"""


@pytest.mark.parametrize("width", [390, 1440])
def test_numbers_end_below_the_end_of_their_head_and_all_else_begins_below_its_begin(look: Open, width: int) -> None:
    """On a phone, where heads have several lines, and sorted, with an arrow; decimal points stand below each other."""
    domain = Domain(load(), {1: {"temp_celsius": 45.5}, 20: {"temp_celsius": 120}, 300: {"temp_celsius": 8.25}, 4: {}})
    page = look("addresses-edges", searching=domain, viewport={"width": width, "height": 800}).page
    assert page.locator("#fleet-body td.number").all_text_contents() == ["▲ 45.50", "▲ 120.00", "8.25", ""]
    assert_aligned(page)
    for name in ("Temperature", "Device"):
        page.locator("#fleet-head button", has_text=name).click()
        expect(page.locator("#fleet-head [aria-sort]")).to_contain_text(name)
        assert_aligned(page)


def assert_aligned(page: Page) -> None:
    """The head and the cells of each column have one edge in common."""
    columns = page.evaluate(EDGES)
    assert [column["number"] for column in columns] == [False, False, False, True]
    for column in columns:
        edge = int(column["number"])
        for cell in column["cells"]:
            if cell[0] != cell[1]:
                assert cell[edge] == pytest.approx(column["head"][edge], abs=1), column
