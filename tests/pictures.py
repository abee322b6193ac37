"""Take pictures of the live page and of the dashboard's panels for fleets of every kind, to be looked at.

Starts its own OpenSearch, fills an index for each kind of fleet, lets the alerts function run on it, and takes the page
in headless Chromium at four widths, light and dark, and the panels as `iot-stream dashboards snapshot` draws them.

    PYTHONPATH=.:functions/device_alerts python -m tests.pictures build/pictures [--fleets one fifty] [--widths 390]
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

import vl_convert

from device_alerts.progress import Progress
from device_alerts.rules import load as load_rules
from device_alerts.run import Run, RunSettings
from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.dashboards.context import Context, TimeRange
from iot_stream.dashboards.definition import load
from iot_stream.dashboards.fleet import alerts_index
from iot_stream.dashboards.search import fetch
from iot_stream.dashboards.snapshot import dashboard_svg
from iot_stream.description import load as load_description
from iot_stream.live.app import Sources
from iot_stream.live.reader import Reader, connect
from iot_stream.live.vega import bundle
from iot_stream.local import opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.reader_role import create_reader_role
from tests.alerts_function import administrators_domain
from tests.live_page import COUNTS, Failed, chromium, serving
from tests.ports import free_port
from tests.readings import ACTIVITIES, make_index

WIDTHS = {390: 844, 1024: 768, 1440: 900, 1920: 1080}
THEMES = ("light", "dark")


def _readings(
    devices: int, each: int, *, newest: float = 1, oldest: float = 840, celsius: float = 22, lively: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield `each` readings of every device between two ages in seconds; 3 gets too hot and 4 falls silent."""
    chance = random.Random(1)
    now = datetime.now(UTC)
    usual = [chance.gauss(celsius, 3) for _ in range(devices)]
    for number in range(each):
        for device in range(devices):
            share = (number + chance.random()) / each
            at = now - timedelta(seconds=oldest - (oldest - newest) * share)
            hot = lively and device == 3 and share > 0.6
            if lively and device == 4 and share > 0.5:
                continue
            value = round(43 + share if hot else usual[device] + chance.gauss(0, 0.6), 2)
            yield {
                "uuid": f"{device}-{number}",
                "timestamp": at.isoformat(timespec="milliseconds")[:23],
                "ingested_at": (at + timedelta(milliseconds=300)).isoformat(timespec="milliseconds")[:23],
                "device_id": device,
                "temp_celsius": value,
                "temp_fahrenheit": round(value * 1.8 + 32, 1),
                "track_id": chance.randint(0, 30),
                "activity_type": ACTIVITIES[device % len(ACTIVITIES)],
            }


FLEETS: Mapping[str, Any] = {
    "nothing": lambda: None,
    "one": lambda: _readings(1, 160, lively=False),
    "fifty": lambda: _readings(50, 100),
    "many": lambda: _readings(20_000, 3),
    "silent": lambda: _readings(50, 60, newest=2_400, oldest=3_300),
    "cold": lambda: _readings(50, 60, celsius=-30, lively=False),
    "buffers": lambda: _readings(50, 60, newest=118, oldest=900),
}


def main() -> None:
    """Take the pictures and print their files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fleets", nargs="+", choices=FLEETS, default=list(FLEETS))
    parser.add_argument("--widths", nargs="+", type=int, choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=list(THEMES))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = opensearch.prepare(Path(folder) / "opensearch", assemble(), free_port())
        process = server.start()
        try:
            create_reader_role(server, "pictured-*", "device-alerts-pictured-*")
            vega = bundle(Path(folder) / "vega")
            for fleet in arguments.fleets:
                take(server, fleet, arguments, vega)
        finally:
            process.stop()


def take(server: OpenSearch, fleet: str, arguments: argparse.Namespace, vega: Path) -> None:
    """Fill an index, let alerts be decided, and take its pictures."""
    index = f"pictured-{fleet}"
    documents = FLEETS[fleet]()
    if documents is not None:
        for batch in batched(documents, 20_000, strict=False):
            make_index(server, index, batch)
        decide_alerts(server, index)
    dashboard = load().for_index(index)
    search = Reader(connect(server))
    now = datetime.now(UTC)
    start = "now-1h" if fleet == "silent" else "now-15m"
    responses = fetch(search, dashboard, Context(TimeRange.parse(start, "now", now)))
    still = arguments.out / f"{fleet}-panels.png"
    still.write_bytes(bytes(vl_convert.svg_to_png(dashboard_svg(dashboard, responses))))
    print(still, flush=True)
    # For other renderers of the same panels, such as the Vega of one version of OpenSearch Dashboards.
    (arguments.out / f"{fleet}-responses.json").write_text(json.dumps(responses.panels), encoding="utf-8")
    counts = COUNTS if fleet != "nothing" else dict.fromkeys(COUNTS, 0)
    with serving(dashboard, Sources(search, lambda: counts, Failed()), vega) as url, chromium() as browser:
        for theme in arguments.themes:
            for width in arguments.widths:
                size = {"width": width, "height": WIDTHS[width]}
                page = browser.new_page(viewport=size, color_scheme=theme)
                page.goto(f"{url}/?from={start}")
                page.locator("#state[data-state=live]").wait_for()
                page.locator("#pause").click()
                if documents is not None:
                    for number in range(min(2, page.locator("#fleet-body button.device").count())):
                        page.locator("#fleet-body button.device").nth(number).click()
                        page.locator(".chart svg").first.wait_for()
                    page.locator("#alerts").evaluate("node => node.open = true")
                page.evaluate("scrollTo(0, 0)")  # the header stays where it belongs
                page.wait_for_timeout(300)
                file = arguments.out / f"{fleet}-{width}-{theme}.png"
                page.screenshot(path=file, full_page=True)
                wide = page.evaluate("document.scrollingElement.scrollWidth")
                page.close()
                print(file, "" if wide <= width else f"SCROLLS SIDEWAYS: {wide}", flush=True)


def decide_alerts(server: OpenSearch, index: str) -> None:
    """Create the alerts index and let the function run as it would, minute by minute."""
    now = time.time_ns() // 1_000_000
    with server.admin_session() as session:
        template = alerts_template(load_description())["template"]
        assert session.put(f"{server.url}/{alerts_index(index)}", json=template).ok
        domain = administrators_domain(server, session, index)
        settings = RunSettings(index, grace=120_000, late_after=600_000)
        for ago in (240_000, 0):
            Run(
                load_rules(),
                settings,
                domain,
                lambda _: None,
                lambda _: Progress(),
                clock=lambda ago=ago: now - ago,
                lease=1,
            ).go()


if __name__ == "__main__":
    main()
