"""The documents: links resolve, and what a user can set, read or run is described somewhere."""

import re
import tomllib
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from tests.template import load_template

_MADE = {".venv", ".local", "build", ".aws-sam", ".git"}  # tens of thousands of files: not even looked into
PAGES = sorted(
    page
    for place in PROJECT.iterdir()
    if place.name not in _MADE
    for page in ([place] if place.suffix == ".md" else place.rglob("*.md"))
)


def text(page: Path) -> str:
    """Return a page without its code blocks, in which brackets are no links."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, spelled as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_resolve(page: Path) -> None:
    """Each relative link names a file of the project, and each anchor a heading of it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_output_is_described() -> None:
    """Each output of the template stands in operations.md; test_template.py looks for the parameters."""
    named = set(re.findall(r"`(\w+)`", (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")))
    assert set(load_template()["Outputs"]) - named == set()


def _read_in(path: Path) -> set[str]:
    """Return the environment variables that a module reads by name."""
    source = path.read_text(encoding="utf-8")
    return set(re.findall(r"environ(?:ment)?(?:\.get\(|\[)\"([A-Z_]+)\"", source))


def test_every_environment_variable_is_described() -> None:
    """What the code reads and what the template sets stands in environment.md, which names nothing else of ours."""
    page = (PROJECT / "docs" / "environment.md").read_text(encoding="utf-8")
    commands, functions = (set(re.findall(r"`([A-Z_]+)`", part)) for part in page.split("## The functions"))
    resources = load_template()["Resources"].values()
    environments = [resource.get("Properties", {}).get("Environment", {}) for resource in resources]
    given = {name for environment in environments for name in environment.get("Variables", {})}
    runtime = {"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_REGION", "AWS_ENDPOINT_URL", "UTC"}
    assert functions - runtime == given
    for folder, named in (("functions", functions), ("iot_stream", commands)):
        for path in (PROJECT / folder).rglob("*.py"):
            assert _read_in(path) <= named, path


def _skeleton(page: str) -> dict[str, list[str]]:
    """Return what must be alike in two languages: heading levels, commands, diagrams, code words, links, rows."""
    source = (PROJECT / page).read_text(encoding="utf-8")
    prose = text(PROJECT / page)
    return {
        "headings": re.findall(r"^#+", prose, re.MULTILINE),
        "commands": [line.partition("  #")[0].rstrip() for line in re.findall(r"^    (.+)$", prose, re.MULTILINE)],
        "diagrams": re.findall(r"```.*?```", source, re.DOTALL),
        "code": sorted(re.findall(r"`([^`\n]+)`", prose)),
        "links": sorted(set(re.findall(r"\]\(([^)\s]+)\)", prose)) - {"README.md", "README.ko.md"}),
        "rows": [str(line.count("|")) for line in prose.splitlines() if line.startswith("|")],
    }


def test_the_korean_readme_keeps_step() -> None:
    """README.ko.md has the headings, commands, code words, links and table rows of README.md."""
    english, korean = _skeleton("README.md"), _skeleton("README.ko.md")
    for part, expected in english.items():
        assert korean[part] == expected, part


def test_the_latest_release_is_the_version() -> None:
    """pyproject.toml has the number, once; the newest release of CHANGELOG.md is that one."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    releases = re.findall(
        r"^## (\d\S*) - \d{4}-\d\d-\d\d$", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert releases[:1] == [version]


def test_every_environment_of_python_is_listed() -> None:
    """Each requirements/NAME.in stands in the README beside it."""
    folder = PROJECT / "requirements"
    named = set(re.findall(r"`(\w+)`", (folder / "README.md").read_text(encoding="utf-8")))
    assert {path.stem for path in folder.glob("*.in")} - named == set()
