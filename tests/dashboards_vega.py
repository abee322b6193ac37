"""Render the panels with the Vega that OpenSearch Dashboards bundles: 2.19, 3.1 and 3.6, expressions interpreted.

By hand, in Chromium under a policy without `eval`, from the responses that `python -m tests.pictures` writes. The
packages come from npm, each under two names: `npm install --legacy-peer-deps` of what `--packages` prints.

    python -m tests.dashboards_vega build/pictures node_modules [--versions 3.6]

Exits with 1 where a panel fails or has NaN in it; prints warnings, and writes pictures beside the responses.
"""

import argparse
import itertools
import json
import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

from iot_stream.dashboards.definition import Dashboard, Panel, load
from tests.chromium import chromium_path

VERSIONS = {  # of OpenSearch Dashboards: of vega, vega-lite, vega-interpreter, in the order in which they are loaded
    "2.19": {"vega": "5.23.0", "vega-lite": "5.6.0", "vega-interpreter": "1.0.5"},
    "3.1": {"vega": "5.32.0", "vega-lite": "5.23.0", "vega-interpreter": "1.2.0"},
    "3.6": {"vega": "6.2.0", "vega-lite": "6.4.0", "vega-interpreter": "2.2.1"},
}
WIDTHS = (390, 1024, 1440, 1920)
THEMES = {"light": ("#ffffff", "#343741"), "dark": ("#1d1e24", "#dfe5ef")}
ADDRESS = "http://panels.test"
POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'"
COLUMNS = 48
ROW = 20  # pixels
PHONE = 768  # pixels: below it Dashboards puts panels below each other
EXPECTED = re.compile(r"Infinite extent")  # axes without data; hidden by config.kibana.hideWarnings
BAD = re.compile(r"NaN|undefined|Infinity")
PAGE = "<!doctype html><meta charset=utf-8><body></body>" + "".join(
    f'<script src="/{name}.js"></script>' for name in (*VERSIONS["2.19"], "draw")
)
# Dashboards fits a panel into its place, interprets expressions, and has this function for clicks.
DRAW = """
vega.expressionFunction("opensearchDashboardsAddFilter", () => null);
window.draw = async ({spec, width, height, ground, ink}) => {
  const notes = [];
  const quiet = () => logger;
  const note = (...texts) => { notes.push(texts.join(" ")); return logger; };
  const logger = {level: quiet, debug: quiet, info: quiet, warn: note, error: note};
  const config = {axis: {labelColor: ink, titleColor: ink}, legend: {labelColor: ink, titleColor: ink}};
  const whole = {...spec, width, height, autosize: {type: "fit", contains: "padding"}, background: ground};
  const compiled = vegaLite.compile(whole, {config, logger}).spec;
  const container = document.body.appendChild(document.createElement("div"));
  const expr = vega.expressionInterpreter;
  const view = new vega.View(vega.parse(compiled, null, {ast: true}), {expr, renderer: "svg", container, logger});
  await view.runAsync();
  return {svg: await view.toSVG(), notes};
};
"""


def main() -> None:
    """Render everything, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("modules", type=Path, nargs="?")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=list(VERSIONS))
    parser.add_argument("--packages", action="store_true", help="print what to install")
    arguments = parser.parse_args()
    if arguments.packages or arguments.modules is None:
        names = [
            f"{name}-{version}@npm:{name}@{number}"
            for version in VERSIONS
            for name, number in VERSIONS[version].items()
        ]
        print(*names)
        return
    dashboard, wrong = load(), 0
    files = sorted(arguments.pictures.glob("*-responses.json"))
    fleets = {file.name.removesuffix("-responses.json"): json.loads(file.read_text(encoding="utf-8")) for file in files}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        for version, width, theme in itertools.product(arguments.versions, WIDTHS, THEMES):
            page = browser.new_page(viewport={"width": width, "height": 900})
            problems = open_page(page, scripts_of(arguments.modules, version))
            for fleet, responses in fleets.items():
                page.evaluate("document.body.replaceChildren()")
                problems += render(page, dashboard, responses, theme)
                page.screenshot(path=arguments.pictures / f"{fleet}-vega-{version}-{width}-{theme}.png", full_page=True)
                for text in problems:
                    print(f"{version} {fleet} {width} {theme}: {text}", flush=True)
                wrong += len(problems)
                problems.clear()
            page.close()
            print(f"{version} {width} {theme}: {len(fleets) * len(dashboard.panels)} panels drawn", flush=True)
        browser.close()
    sys.exit(wrong > 0)


def scripts_of(modules: Path, version: str) -> dict[str, str]:
    """Return the text of each script: npm's own, the interpreter of version 2 as a script in place of a module."""
    texts = {"draw": DRAW}
    for name in VERSIONS[version]:
        file = f"{name}.js" if name == "vega-interpreter" else f"{name}.min.js"
        texts[name] = (modules / f"{name}-{version}" / "build" / file).read_text(encoding="utf-8")
    module = texts["vega-interpreter"]
    if match := re.match(r"import (\{[^}]*\}) from 'vega-util';", module):
        body, _, exported = module[match.end() :].rpartition("export {")
        name = exported.split()[0]
        texts["vega-interpreter"] = (
            f"(() => {{ const {match[1]} = vega; {body} vega.expressionInterpreter = {name}; }})();"
        )
    return texts


def open_page(page: Page, scripts: Mapping[str, str]) -> list[str]:
    """Open a page with these scripts, and return the list to which its errors are added."""
    problems: list[str] = []

    def fulfil(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/").removesuffix(".js")
        if not name:
            route.fulfill(content_type="text/html", body=PAGE, headers={"Content-Security-Policy": POLICY})
        elif name in scripts:
            route.fulfill(content_type="text/javascript", body=scripts[name])
        else:
            route.fulfill(status=HTTPStatus.NO_CONTENT)

    page.on("pageerror", lambda error: problems.append(f"page: {error}"))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.route("**/*", fulfil)
    page.goto(f"{ADDRESS}/")
    return problems


def render(page: Page, dashboard: Dashboard, responses: Mapping[str, Any], theme: str) -> list[str]:
    """Draw every panel on a page, and return what is wrong."""
    problems = []
    assert page.viewport_size is not None
    ground, ink = THEMES[theme]
    for panel in dashboard.panels:
        width = _width(panel, page.viewport_size["width"])
        asked = {"width": width, "height": panel.grid.h * ROW - 60, "ground": ground, "ink": ink}
        drawn = page.evaluate("draw", asked | {"spec": panel.spec_with(responses[panel.name])})
        problems += [f"{panel.name}: {note}" for note in drawn["notes"] if not EXPECTED.search(note)]
        problems += [f"{panel.name}: {text} in the picture" for text in sorted(set(BAD.findall(drawn["svg"])))]
    return problems


def _width(panel: Panel, width: int) -> int:
    return width - 60 if width < PHONE else panel.grid.w * (width - 40) // COLUMNS - 30


if __name__ == "__main__":
    main()
