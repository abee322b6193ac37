"""The live page in a real browser over a real OpenSearch: what people see and can do."""

import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from device_alerts.documents import Alert, Device, device_document_id
from device_alerts.rules import parse as parse_rules
from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.search import SearchError
from iot_stream.description import Description, Type, parse
from iot_stream.description import load as load_description
from iot_stream.live.reader import Reader, connect
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from iot_stream.readings.alert_files import alert_rules
from tests.enrichers import COLD_STORE, VENDOR
from tests.live_page import COUNTS, Open, barriers, looking
from tests.polling import until
from tests.readings import described, make_index, readings

pytestmark = [pytest.mark.chromium, pytest.mark.steady]

HOSTILE = '<img src=x onerror="console.error(1)">'
RULES = parse_rules(alert_rules(load_description()))


@pytest.fixture(scope="module")
def search(opensearch: OpenSearch) -> Reader:
    """A reader of this module's indices."""
    create_reader_role(opensearch, "browsed-*", "device-alerts-browsed-*")
    return Reader(connect(opensearch))


@pytest.fixture
def look(browser: Browser, vega: Path, search: Reader) -> Iterator[Open]:
    """Open the page on an index of OpenSearch."""
    with looking(browser, vega, search) as open_page:
        yield open_page


def fill(server: OpenSearch, index: str, count: int, *, minutes: float = 10, **changes: Any) -> None:
    """Put readings of the last minutes into an index."""
    documents = readings(count, end=datetime.now(UTC), over=timedelta(minutes=minutes))
    make_index(server, index, [document | changes for document in documents])


def rows(page: Page, panel: str) -> list[str]:
    """Return the labels of a panel's rows from top to bottom; the document has them in the order in which they came."""
    labels = f"[data-name={panel}] g[aria-label^='Y-axis'] .role-axis-label text"
    top = "node => node.getBoundingClientRect().y"
    texts = f"nodes => nodes.sort((a, b) => ({top})(a) - ({top})(b)).map((node) => node.textContent)"
    found: list[str] = page.eval_on_selector_all(labels, texts)
    return found


def test_figures_equal_those_of_opensearch(opensearch: OpenSearch, look: Open) -> None:
    """What a person reads on the page is what an aggregation asked directly says."""
    fill(opensearch, "browsed-figures", 1_234)
    looked = look("browsed-figures")
    body = {
        "size": 0,
        "aggs": {"mean": {"avg": {"field": "temp_celsius"}}, "who": {"cardinality": {"field": "device_id"}}},
    }
    with opensearch.admin_session() as session:
        direct = session.post(f"{opensearch.url}/browsed-figures/_search", json=body).json()["aggregations"]
    expect(looked.figure("Records")).to_have_text("1,234")
    expect(looked.figure("Devices")).to_have_text(str(direct["who"]["value"]))
    expect(looked.figure("Average")).to_have_text(f"{direct['mean']['value']:.1f} °C")
    expect(looked.figure("Maximum")).to_have_text("▲ 40.0 °C")


def test_new_readings_appear_without_a_reload(opensearch: OpenSearch, look: Open) -> None:
    """The page asks again every second when told so, and keeps its pictures."""
    fill(opensearch, "browsed-growing", 10)
    looked = look("browsed-growing")
    looked.page.select_option("#refresh", "1000")
    expect(looked.figure("Records")).to_have_text("10")
    fill(opensearch, "browsed-growing", 5, activity_type="Swimming", device_id=99, temp_celsius=60)
    expect(looked.figure("Records")).to_have_text("15")
    expect(looked.page.locator("#latest-body tr").first).to_contain_text("Swimming")
    expect(looked.page.locator("[data-name=activity-mix] .role-legend-label")).to_contain_text(["Swimming"])
    until(
        lambda: rows(looked.page, "devices-by-temperature")[:1] == ["99"], seconds=30, what="the new order of the list"
    )


def test_a_panel_that_can_t_be_drawn_fails_alone(opensearch: OpenSearch, look: Open) -> None:
    """By its name, with the reason; all others are drawn and updated."""
    fill(opensearch, "browsed-broken", 7)
    looked = look("browsed-broken")

    def broken(route: Route) -> None:
        dashboard = route.fetch().json()
        [panel] = [each for each in dashboard["panels"] if each["name"] == "activity-mix"]
        panel["spec"]["transform"] = [{"calculate": "isValid(", "as": "x"}]
        route.fulfill(json=dashboard)

    looked.page.route("**/api/dashboard", broken)
    looked.page.reload()
    expect(looked.page.locator("[data-name=activity-mix] .view")).to_contain_text(
        "This panel can't be drawn: Unexpected end of input. `iot-stream readings build` says more."
    )
    expect(looked.figure("Records")).to_have_text("7")
    expect(looked.page.locator("#state")).to_have_text("Live")


def test_pause_asks_nothing_until_it_goes_on(opensearch: OpenSearch, look: Open) -> None:
    """A picture can be read in peace, however long."""
    fill(opensearch, "browsed-paused", 10)
    looked = look("browsed-paused")
    looked.page.clock.install()
    looked.page.reload()
    looked.page.locator("#state[data-state=live]").wait_for()
    looked.page.click("#pause")
    expect(looked.page.locator("#state")).to_have_text("Paused")
    asked = looked.count("/api/")
    looked.page.clock.run_for(60_000)
    assert looked.count("/api/") == asked
    looked.page.click("#pause")
    expect(looked.page.locator("#state")).to_have_text("Live")
    assert looked.count("/api/data") > 0


def test_a_click_filters_and_a_second_one_stops(opensearch: OpenSearch, look: Open) -> None:
    """Clicking a device in the picture narrows everything; the address keeps it over a reload."""
    fill(opensearch, "browsed-clicked", 300)
    looked = look("browsed-clicked")
    mark = looked.page.locator(
        "[data-name=devices-by-temperature] [role=graphics-symbol][aria-roledescription=point]"
    ).first
    device = re.search(r"Device: (\d+)", mark.get_attribute("aria-label") or "")
    assert device
    mark.click()
    chip = looked.page.get_by_role("button", name=f"Remove filter Device {device[1]}")
    expect(chip).to_be_visible()
    expect(looked.figure("Devices")).to_have_text("1")
    looked.page.reload()
    expect(chip).to_be_visible()
    mark.click()
    expect(chip).to_have_count(0)
    expect(looked.figure("Devices")).to_have_text("51")


def test_an_activity_filters_too(opensearch: OpenSearch, look: Open) -> None:
    """The same from a box of the temperature's spread."""
    fill(opensearch, "browsed-activity", 200)
    looked = look("browsed-activity")
    box = looked.page.locator('[data-name=temperature-by-activity] [aria-roledescription=bar][aria-label*="Running"]')
    box.click()
    expect(looked.page.locator("#chips button")).to_contain_text(["Activity Running"])
    expect(looked.page.locator("#latest-body td:nth-child(6)")).to_have_text(["Running"] * 12)


def test_everything_can_be_done_by_keyboard(opensearch: OpenSearch, look: Open) -> None:
    """Filters, range, pause, theme and the failures are reached by Tab and worked without a pointer."""
    fill(opensearch, "browsed-keys", 100)
    looked = look("browsed-keys")
    keys, seen = looked.page.keyboard, []
    for _ in range(12):
        keys.press("Tab")
        seen.append(looked.page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = ["range", "refresh", "pause", "theme", "failed", "choose-device_id", "choose-activity_type", "scroll"]
    assert [name for name in seen if name in wanted][: len(wanted)] == wanted
    looked.page.locator("#choose-activity_type").focus()
    keys.type("Walking")
    keys.press("Enter")
    expect(looked.page.locator("#chips button")).to_contain_text(["Activity Walking"])
    looked.page.locator("#chips button").focus()
    keys.press("Enter")
    expect(looked.page.locator("#chips button")).to_have_count(0)


def test_a_device_that_is_not_suggested_can_be_typed(opensearch: OpenSearch, look: Open) -> None:
    """Suggestions end somewhere; an id beyond what the browser's numbers can hold is shown and found exactly."""
    fill(opensearch, "browsed-typed", 20)
    fill(opensearch, "browsed-typed", 3, device_id=2**53 + 1)
    looked = look("browsed-typed")
    expect(looked.figure("Records")).to_have_text("23")
    expect(looked.page.locator("#latest-body")).to_contain_text(str(2**53 + 1))
    looked.page.locator("#choose-device_id").fill(str(2**53 + 1))
    looked.page.keyboard.press("Enter")
    expect(looked.page.locator("#chips button")).to_contain_text([f"Device {2**53 + 1}"])
    expect(looked.figure("Records")).to_have_text("3")
    looked.page.locator("#choose-device_id").fill("99999")
    looked.page.keyboard.press("Enter")
    expect(looked.page.locator("#chips button")).to_have_count(2)


def test_what_keeps_the_pipeline_from_flowing_is_said(opensearch: OpenSearch, look: Open) -> None:
    """Zeros beside a green light explain nothing."""
    fill(opensearch, "browsed-stuck", 1)
    counts = COUNTS | {"delivering": True, "last_error": None}
    looked = look("browsed-stuck", counts=lambda: counts)
    trouble = looked.page.locator("#trouble")
    expect(looked.page.locator("#flow")).to_contain_text("10 sent")
    expect(trouble).to_be_hidden()
    counts |= {"pending": 5, "lag_ms": 9_000, "last_error": "OS.403: no permissions"}
    expect(trouble).to_have_text("Delivery is waiting. Last error: OS.403: no permissions")
    counts["delivering"] = False
    expect(trouble).to_contain_text("The delivery worker is not running")


def test_the_range_narrows(opensearch: OpenSearch, look: Open) -> None:
    """Half of the readings are older than five minutes."""
    fill(opensearch, "browsed-range", 100)
    looked = look("browsed-range")
    expect(looked.figure("Records")).to_have_text("100")
    looked.page.select_option("#range", "now-5m")
    expect(looked.figure("Records")).to_have_text(re.compile(r"^([234]\d|50)$"))


def test_dark_and_light(opensearch: OpenSearch, look: Open) -> None:
    """It begins as the machine prefers, and a button switches it; text and ground are far apart in both."""
    fill(opensearch, "browsed-dark", 50)
    looked = look("browsed-dark", color_scheme="dark")
    label = looked.page.locator("[data-name=silent-devices] .role-axis-label text").first

    def brightness() -> tuple[int, int]:
        fill_, ground = (
            label.evaluate("node => getComputedStyle(node).fill"),
            looked.page.locator(".panel").first.evaluate("node => getComputedStyle(node).backgroundColor"),
        )
        text, behind = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (fill_, ground))
        return text, behind

    text, ground = brightness()
    assert text - ground > 350
    assert barriers(looked.page) == []
    looked.page.click("#theme")
    expect(looked.page.locator("html")).to_have_attribute("data-theme", "light")
    expect(looked.page.locator("#theme")).to_have_text("Dark")
    looked.page.wait_for_function("document.querySelectorAll('[data-name] .view svg').length === 8")
    text, ground = brightness()
    assert ground - text > 350
    assert barriers(looked.page) == []
    expect(looked.figure("Records")).to_have_text("50")


def test_a_phone_shows_all_without_sideways_scrolling(opensearch: OpenSearch, look: Open) -> None:
    """One column, no wider than the screen."""
    fill(opensearch, "browsed-phone", 100)
    many = COUNTS | dict.fromkeys(("sent", "transformed", "delivered", "searchable"), 1_233_422)
    looked = look("browsed-phone", viewport={"width": 360, "height": 740}, counts=lambda: many)
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    assert looked.page.locator(".step .more, .step .value").evaluate_all(cut) == [], "a count that is cut off"
    assert looked.page.evaluate("document.scrollingElement.scrollWidth") <= 360
    widths = [box["width"] for panel in looked.page.locator(".panel").all() if (box := panel.bounding_box())]
    assert len(widths) == 10
    assert all(300 < width <= 360 for width in widths)
    for screen in (800, 1024, 1440):
        looked.page.set_viewport_size({"width": screen, "height": 800})
        rows: dict[float, list[float]] = {}
        for panel in looked.page.locator("#panels .panel").all():
            if box := panel.bounding_box():
                rows.setdefault(box["y"], []).append(box["x"] + box["width"])
        assert len({round(max(ends)) for ends in rows.values()}) == 1, f"a hole at {screen} pixels"


@pytest.mark.parametrize(("name", "text", "category"), [("cold", COLD_STORE, "door"), ("vendor", VENDOR, "motion")])
def test_any_description_has_a_page_that_people_can_read(
    opensearch: OpenSearch, look: Open, name: str, text: str, category: str
) -> None:
    """Points, booleans and what is absent are written as people do; ten key figures stand apart; a boolean filters."""
    reading = parse(text)
    documents = described(reading, 150, end=datetime.now(UTC), over=timedelta(minutes=10))
    make_index(opensearch, f"browsed-{name}", documents, reading)
    silent = Device("no-values", time.time_ns() // 1_000_000, {}).document(parse_rules(alert_rules(reading)))
    write_alerts(opensearch, f"browsed-{name}", reading, {"device:no-values": silent})
    looked = look(f"browsed-{name}", reading=reading, viewport={"width": 1280, "height": 900})
    page = looked.page
    expect(looked.figure("Records")).to_have_text("150")
    cells = page.locator("#latest-body td").all_inner_texts()
    for field in reading.fields:
        if field.type is Type.GEO_POINT:
            assert re.fullmatch(r"[\d.]+, [\d.]+", cells[[*load(reading=reading).latest_columns].index(field.name) + 1])
    assert not re.search(r"\[object|undefined|NaN|null", page.inner_text("body"))
    assert page.locator("#fleet-body td.number").all_inner_texts() == [""] * len(reading.measures)
    assert_apart(page)
    wanted = documents[0][category]
    word = {True: "true", False: "false"}.get(wanted, wanted)
    chooser = page.locator(f"#choose-{category}")
    assert word in json.loads(chooser.get_attribute("data-options") or "")
    chooser.fill(word)
    page.keyboard.press("Enter")
    expect(page.locator("#chips button")).to_contain_text(f"{category} {word} ")
    expect(looked.figure("Records")).to_have_text(str(sum(each[category] == wanted for each in documents)))
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("window.panels.view('key-figures').signal('rows') > 3")
    assert_apart(page)


def assert_apart(page: Page) -> None:
    """No text of the key figures touches another."""
    texts = page.locator("[data-name=key-figures] .view svg text")
    measure = "nodes => nodes.map(node => node.getBoundingClientRect().toJSON())"

    def measured() -> list[dict[str, float]]:
        boxes: list[dict[str, float]] = texts.evaluate_all(measure)  # at once: a refresh draws them anew
        return boxes if len(boxes) == 20 else []

    boxes = until(measured, seconds=30, what="ten figures with their labels")
    for one, other in itertools.combinations(boxes, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        below = one["y"] + one["height"] <= other["y"] + 3 or other["y"] + other["height"] <= one["y"] + 3
        assert beside or below, (one, other)


@pytest.mark.parametrize(
    ("index", "count", "words"),
    [("browsed-missing", None, "No readings yet"), ("browsed-empty", 0, "No readings"), ("browsed-one", 1, "")],
)
def test_no_index_nothing_and_one_record(
    opensearch: OpenSearch, look: Open, index: str, count: int | None, words: str
) -> None:
    """Each is shown calmly, with a hint where there is nothing to see."""
    if count is not None:
        make_index(opensearch, index, readings(count, end=datetime.now(UTC), over=timedelta(0)))
    looked = look(index)
    expect(looked.figure("Records")).to_have_text(str(count or 0))
    if words:
        expect(looked.page.locator("#notice")).to_contain_text(words)
    else:
        expect(looked.page.locator("#notice")).to_be_hidden()
    assert looked.page.locator("svg").evaluate_all("all => all.some(one => one.outerHTML.includes('NaN'))") is False


def test_failed_records_are_marked_until_all_are_replayed(opensearch: OpenSearch, look: Open) -> None:
    """How many there were stays; what is left to do is marked. Nothing is said before it is known."""
    fill(opensearch, "browsed-replayed", 1)
    counts = {name: value for name, value in COUNTS.items() if name != "failed"}
    page = look("browsed-replayed", counts=lambda: counts).page
    expect(page.locator("#flow")).to_contain_text("10 sent")
    expect(page.locator("#failed")).to_have_text(re.compile(r"^\s*Failed\s*\u2013\s*$"))
    counts |= {"failed": 3, "unresolved": True}
    failed = page.locator("#failed[data-some]")
    expect(failed).to_contain_text("see why")
    counts["unresolved"] = False
    replayed = failed.page.locator("#failed:not([data-some])")
    expect(replayed).to_contain_text("3")
    expect(replayed).to_contain_text("all resolved")


def test_what_failed_is_listed_and_a_record_is_fetched_only_when_asked_for(opensearch: OpenSearch, look: Open) -> None:
    """Opened and closed by keyboard."""
    fill(opensearch, "browsed-failures", 1)
    looked = look("browsed-failures")
    expect(looked.page.locator("#failed")).to_contain_text("see why")
    looked.page.locator("#failed").press("Enter")
    dialog = looked.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Lambda.ProcessingFailedStatus")
    assert looked.count("/api/failures/payload") == 0
    assert barriers(looked.page) == []
    dialog.get_by_role("button", name="Show").press("Enter")
    expect(dialog.locator("pre")).to_have_text("the record")
    expect(dialog.locator("code")).to_have_text("iot-stream failures replay")
    commands = looked.page.evaluate(
        """async (failures) => {
          const { filterFailures, showFailures } = await import("/static/strip.js");
          const list = document.createElement("div");
          showFailures(list, failures, null);
          return ["", "first", "second", "third", "no such text"].map((text) => filterFailures(list, text));
        }""",
        [
            {"code": "Lambda.FunctionError", "message": "the first", "step": "Transform", "arrived_ms": 1},
            {"code": "it's; odd", "message": "the second", "step": "Index", "arrived_ms": 1},
            {"code": "OS.400", "message": "the third", "step": "Index", "arrived_ms": 1},
        ],
    )
    replay = "iot-stream failures replay"
    codes = ("Lambda.FunctionError", "'it'\\''s; odd'", "OS.400")
    assert commands == [replay, *(f"{replay} --code {code}" for code in codes), replay]
    looked.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_failed_record_is_readable_on_a_phone(opensearch: OpenSearch, look: Open) -> None:
    """The button is on the screen and covers nothing, and the record has the whole width."""
    fill(opensearch, "browsed-phone-failures", 1)
    page = look("browsed-phone-failures", viewport={"width": 390, "height": 844}).page
    page.locator("#failed").click()
    dialog = page.get_by_role("dialog")
    show = dialog.get_by_role("button", name="Show", exact=True)
    why, button = dialog.locator("strong").bounding_box(), show.bounding_box()
    assert why is not None
    assert button is not None
    assert button["y"] >= why["y"] + why["height"]
    assert 0 <= button["x"] <= 390 - button["width"]
    show.click()
    expect(dialog.locator("pre")).to_have_text("the record")
    record = dialog.locator("pre").bounding_box()
    assert record is not None
    assert record["width"] > 250


def test_the_strip_shows_the_pipeline_in_flow_order(opensearch: OpenSearch, look: Open) -> None:
    """Send → Ingest → Transform → Deliver → Index → Watch, with the counts that were given."""
    fill(opensearch, "browsed-strip", 1)
    looked = look("browsed-strip")
    names = looked.page.locator("#flow .name")
    expect(names).to_have_text(["Send", "Ingest", "Transform", "Deliver", "Index", "Watch"])
    expect(looked.page.locator("#flow")).to_contain_text("10 sent")
    expect(looked.page.locator("#flow [data-step=Send] b")).to_have_text("0.0")


def test_what_a_device_sends_is_never_markup(opensearch: OpenSearch, look: Open) -> None:
    """A hostile activity is shown as the text that it is: in the table, as a choice, on a chip, in a tooltip."""
    fill(opensearch, "browsed-hostile", 20, activity_type=HOSTILE)
    looked = look("browsed-hostile")
    expect(looked.page.locator("#latest-body tr").first).to_contain_text(HOSTILE)
    box = looked.page.locator("[data-name=temperature-by-activity] [aria-roledescription=bar]").first
    box.hover()
    expect(looked.page.locator(".tip")).to_contain_text(HOSTILE)
    box.click()
    expect(looked.page.locator("#chips button")).to_contain_text([f"Activity {HOSTILE}"])
    assert looked.page.locator("img").count() == 0


def test_refreshing_leaves_nothing_behind(opensearch: OpenSearch, look: Open) -> None:
    """After a hundred refreshes the page has as many nodes as before, and next to no more memory."""
    fill(opensearch, "browsed-long", 200)
    looked = look("browsed-long")
    looked.page.click("#pause")
    session = looked.page.context.new_cdp_session(looked.page)
    session.send("Performance.enable")

    def held() -> tuple[float, float]:
        session.send("HeapProfiler.collectGarbage")
        metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
        return metrics["Nodes"], metrics["JSHeapUsedSize"] / 1e6

    def refresh(times: int) -> None:
        looked.page.evaluate(
            """async (times) => {
                 const response = await (await fetch("/api/data")).json();
                 for (let n = 0; n < times; n++) await window.panels.update(structuredClone(response.panels));
               }""",
            times,
        )

    refresh(30)
    nodes, megabytes = held()
    refresh(100)
    assert held()[0] <= nodes + 50
    assert held()[1] <= megabytes + 4


def fleet_of(server: OpenSearch, index: str, count: int) -> None:
    """Write what the alerts function knows of devices 1 to `count`: the first is hot, the second silent.

    The last is hot, and its alert has not opened yet.
    """
    now = time.time_ns() // 1_000_000
    written: dict[str, Any] = {}
    for number in range(1, count + 1):
        alerts = {1: ("too_high:temp_celsius",), 2: ("silent",)}.get(number, ())
        at = now - (600_000 if number == 2 else number)
        device = Device(number, at, {"temp_celsius": 45.5 if number in (1, count) else 20.0}, alerts=alerts)
        written[device_document_id(number)] = device.document(RULES)
    hot = Alert("too_high:temp_celsius", 1, now - 60_000, now - 120_000, 45.5, f"Device 1: {HOSTILE} 45.5 °C", 1)
    gone = Alert("silent", 2, now - 30_000, now - 600_000, None, "Device 2: no reading since 10:00", 1)
    over = Alert("silent", 3, now - 90_000, now - 600_000, None, "Device 3: no reading", 1, now - 20_000, 2)
    written |= {alert.id: alert.document(RULES) for alert in (hot, gone, over)}
    write_alerts(server, index, load_description(), written)


def write_alerts(server: OpenSearch, index: str, reading: Description, written: Mapping[str, Any]) -> None:
    """Put documents, by id, into the index of a stream's alerts."""
    body = "".join(f"{json.dumps({'index': {'_id': key}})}\n{json.dumps(each)}\n" for key, each in written.items())
    with server.admin_session() as session:
        url = f"{server.url}/device-alerts-{index}"
        assert session.put(url, json=alerts_template(reading)["template"]).ok
        response = session.post(
            f"{url}/_bulk?refresh=true", data=body.encode(), headers={"Content-Type": "application/x-ndjson"}
        )
        assert not response.json()["errors"], response.text[:500]


def test_alerts_are_in_a_strip_and_devices_in_a_table_the_worst_first(opensearch: OpenSearch, look: Open) -> None:
    """The domain pages, sorts and searches; one device and a second are shown over time, and the list stays."""
    fill(opensearch, "browsed-fleet", 300)
    fleet_of(opensearch, "browsed-fleet", 60)
    looked = look("browsed-fleet")
    page = looked.page
    expect(page.locator("#alerts-summary")).to_have_text("▲ Alerts: 1 silent, 1 too high · 1 closed")
    page.locator("#alerts-summary").click()
    expect(page.locator("#alerts-open li")).to_contain_text([HOSTILE, "Device 2: no reading since"])
    expect(page.locator("#alerts-closed li")).to_contain_text(["Device 3: no reading (closed"])
    rows = page.locator("#fleet-body tr")
    expect(rows).to_have_count(25)
    expect(rows.nth(0)).to_contain_text("▲ out of bounds")
    expect(rows.nth(1)).to_contain_text("▲ silent")
    expect(page.locator("#fleet-states")).to_have_text(re.compile("^60: "))
    page.locator("#fleet-next").click()
    expect(rows.nth(0)).not_to_contain_text("▲")  # the second page: a click before it is there asks for it again
    page.locator("#fleet-next").click()
    expect(rows).to_have_count(10)
    expect(page.locator("#fleet-next")).to_be_disabled()
    page.locator("#fleet-back").click()
    expect(rows).to_have_count(25)
    page.get_by_role("button", name="Device", exact=True).click()
    expect(rows.first).to_contain_text("60")
    expect(rows.first.locator("td")).to_contain_text(["ok", "60", "", "▲ 45.5"])  # too hot, and not yet for a minute
    expect(rows.nth(1).locator("td").last).to_have_text("20.0")  # its point stands below the other's
    page.locator("#fleet-search").fill("17")
    expect(rows).to_have_count(1)
    page.locator("#fleet-body button").click()
    expect(page.locator(".chart figcaption")).to_have_text("Temperature of device 17")
    page.locator("#fleet-search").fill("18")
    expect(page.locator("#fleet-body button")).to_have_text("18")
    page.locator("#fleet-body button").click()
    expect(page.locator(".chart figcaption")).to_have_text("Temperature of devices 17 and 18")
    expect(page.locator(".chart .role-legend-label")).to_have_text(["17", "18"])
    expect(page.locator(".chart .mark-line path")).to_have_count(2)
    assert barriers(page) == []
    page.locator("#fleet-search").fill("60")  # no reading is of this device
    page.locator("#fleet-body button[value='60']").click()
    page.locator("#fleet-search").fill("18")
    page.locator("#fleet-body button[value='18']").click()
    expect(page.locator(".chart figcaption")).to_have_text("Temperature of device 60: no readings in this range")
    assert page.locator("img").count() == 0


def test_a_server_that_is_gone_is_said_once(opensearch: OpenSearch, look: Open) -> None:
    """At the end of a run, between two requests: by the page, and the table of devices keeps what it has."""
    fill(opensearch, "browsed-gone", 5)
    fleet_of(opensearch, "browsed-gone", 3)
    looked = look("browsed-gone", "?refresh=1000")
    page = looked.page
    expect(page.locator("#fleet-body tr")).to_have_count(3)
    page.route(re.compile("/api/(fleet|alerts|devices)"), lambda route: route.abort())
    expect(page.locator("#notice")).to_contain_text("The live page's server does not respond")
    expect(page.locator("#fleet-empty")).to_be_hidden()
    expect(page.locator("#fleet-body tr")).to_have_count(3)
    page.unroute_all()
    expect(page.locator("#notice")).to_be_hidden()
    looked.wrong[:] = [line for line in looked.wrong if "ERR_FAILED" not in line]


class Interrupted:
    """A search that can be made to fail."""

    def __init__(self, search: Reader) -> None:
        self._search = search
        self.down = False

    def __call__(self, searches: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Respond, or not."""
        if self.down:
            raise SearchError("OpenSearch does not respond: is the local stack running?")
        return self._search(searches)


def test_an_interruption_is_said_and_passes(opensearch: OpenSearch, search: Reader, look: Open) -> None:
    """The pictures stay, the reason is shown, and the page goes on by itself."""
    fill(opensearch, "browsed-interrupted", 7)
    source = Interrupted(search)
    looked = look("browsed-interrupted", "?refresh=1000", searching=source)
    source.down = True
    said = looked.page.get_by_role("alert").filter(visible=True)  # by the strip or the panels, whichever asked first
    expect(said).to_have_text(["OpenSearch does not respond: is the local stack running?"])
    expect(looked.page.locator("#state")).to_have_text("No response")
    expect(looked.figure("Records")).to_have_text("7")
    source.down = False
    expect(looked.page.locator("#state")).to_have_text("Live")
    expect(said).to_have_count(0)
    # The browser itself notes each failed request; nothing else may have gone wrong.
    looked.wrong[:] = [line for line in looked.wrong if "503" not in line]
