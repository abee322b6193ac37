"""The table of the fleet and the alerts: what is asked of the domain, and what people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_alerts.documents import Alert, Device
from device_alerts.rules import parse as parse_rules
from iot_stream.dashboards.fleet import (
    FLEET_PAGE,
    alert_counts,
    alert_rows,
    alerts_body,
    device_id,
    fleet_body,
    fleet_page,
)
from iot_stream.dashboards.search import BadQueryError
from iot_stream.description import load, parse
from iot_stream.readings.alert_files import alert_rules
from tests.alerts_index import Killer, MemoryIndex

READING = load()
RULES = parse_rules(alert_rules(READING))
TEXT_IDS = parse('[fields.who]\ntype = "keyword"\nrole = "device"\n[fields.at]\ntype = "date"\nrole = "time"\n')
NOW = 1_795_342_500_000


def index_of(count: int) -> MemoryIndex:
    """Return an index with devices 0 to `count`: every third is out of bounds, every fifth silent."""
    index = MemoryIndex(lambda: NOW, Killer())
    for number in range(count):
        alerts = (["too_high:temp_celsius"] if number % 3 == 0 else []) + (["silent"] if number % 5 == 0 else [])
        values = {"temp_celsius": float(number % 7)}
        device = Device(number, NOW - number * 1000, values, {"temp_celsius": NOW}, alerts=tuple(alerts))
        index.put_many({f"device:{number}": device.document(RULES)})
    index.refresh()
    return index


@pytest.mark.parametrize("sort", ["", "temp_celsius", "device_id", "last_seen"])
def test_pages_hold_every_device_once_in_order(sort: str) -> None:
    """By the cursor of the page before, whatever they are sorted by; the worst first by default."""
    index, rows, after = index_of(103), [], ""
    for _ in range(10):
        body = fleet_body(READING, sort=sort, descending=sort != "device_id", after=after)
        page = fleet_page(index.search_alerts(body), READING)
        rows += page["rows"]
        assert (page["total"], sum(page["states"].values())) == (103, 103)
        if page["next"] is None:
            break
        after = page["next"]
    assert sorted(row["device"] for row in rows) == list(range(103))
    if sort == "":
        grades = ["out of bounds", "silent", "ok"]
        assert [row["state"] for row in rows] == sorted((row["state"] for row in rows), key=grades.index)
    if sort == "temp_celsius":
        values = [row["values"]["temp_celsius"] for row in rows]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("count", [0, 1, FLEET_PAGE - 1, FLEET_PAGE, FLEET_PAGE + 1, 2 * FLEET_PAGE])
def test_no_page_but_the_first_is_empty(count: int) -> None:
    """A full page that is the last one leads nowhere."""
    index, sizes, after = index_of(count), [], ""
    while after is not None:
        page = fleet_page(index.search_alerts(fleet_body(READING, after=after)), READING)
        sizes.append(len(page["rows"]))
        after = page["next"]
    full, rest = divmod(count, FLEET_PAGE)
    assert sizes == [FLEET_PAGE] * full + ([rest] if rest or not full else [])


def test_a_device_is_found_by_its_id() -> None:
    """A number as it is; what can't be one finds nothing and is no error; nothing at all is every device."""
    index = index_of(50)
    found = fleet_page(index.search_alerts(fleet_body(READING, search="17")), READING)
    assert [row["device"] for row in found["rows"]] == [17]
    assert fleet_body(READING, search=str(2**53 + 1))["query"]["bool"]["filter"][1] == {
        "term": {"device_id": 2**53 + 1}
    }
    nothing = {"bool": {"must_not": [{"match_all": {}}]}}
    for text in ("cold", "1e3", str(2**63), "1" * 30):
        assert fleet_body(READING, search=text)["query"]["bool"]["filter"][1] == nothing
    for text in (" 17 ", "  "):
        assert fleet_body(READING, search=text) == fleet_body(READING, search=text.strip())


@pytest.mark.parametrize(
    ("text", "beginnings"), [("cold", ["cold"]), (" ", [" "]), (" cold ", [" cold ", "cold"]), ("a b", ["a b"])]
)
def test_a_text_is_found_by_its_beginning(text: str, beginnings: list[str]) -> None:
    """With the blanks around it, which an id can have, and without them, which people paste."""
    prefixes = [{"prefix": {"who": {"value": each}}} for each in beginnings]
    assert fleet_body(TEXT_IDS, search=text)["query"]["bool"]["filter"][1] == {"bool": {"should": prefixes}}


def test_every_text_is_an_id_where_ids_are_texts() -> None:
    """The enrichment function takes an empty one too, so it has a chart."""
    assert [device_id(TEXT_IDS, text) for text in ("", " ", "a'b")] == ["", " ", "a'b"]
    assert [device_id(READING, text) for text in ("", " ", "17 ", "17")] == [None, None, None, 17]


@given(text=st.text(max_size=40))
def test_no_cursor_from_an_address_is_a_traceback(text: str) -> None:
    """It comes from whoever writes the address."""
    try:
        body = fleet_body(READING, after=text)
    except BadQueryError:
        return
    assert "search_after" not in body or len(body["search_after"]) == len(body["sort"])


def test_only_what_the_table_shows_can_be_sorted_by() -> None:
    """The error says what can."""
    with pytest.raises(BadQueryError, match="choose one of last_seen, device_id, temp_celsius"):
        fleet_body(READING, sort="memory")


def test_an_alert_s_row_has_its_text_and_times() -> None:
    """As the function wrote it."""
    alert = Alert("too_high:temp_celsius", 7, NOW, NOW - 60_000, 41.5, "Device 7: Temperature 41.5 °C", 3)
    response = {
        "hits": {"total": {"value": 1}, "hits": [{"_source": alert.document(RULES)}]},
        "aggregations": {"rules": {"buckets": [{"key": "too_high", "doc_count": 1}]}},
    }
    [row] = alert_rows(response, READING)
    assert (row["device"], row["rule"], row["text"], row["closed_at"]) == (7, "too_high", alert.text, None)
    assert alert_counts(response) == {"too_high": 1}
    assert alerts_body("open", 5)["size"] == 5
