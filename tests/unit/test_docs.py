"""The documents: links resolve, and what a user can set, read or run is described somewhere."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from tests.pages import PAGES, tokens
from tests.template import load_template


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


def _outline(page: str) -> list[tuple[str, ...]]:
    """Return what must be alike in two languages, part by part: kind, numbers, code words and links."""
    outline: list[tuple[str, ...]] = []
    for token in tokens(PROJECT / page):
        if token.type in {"fence", "code_block"}:
            outline.append((token.type, token.info, re.sub(r" +#.*", "", token.content)))
        elif token.type == "inline":
            parts = token.children or []
            prose = " ".join(part.content for part in parts if part.type == "text")
            links = {str(part.attrs["href"]) for part in parts if part.type == "link_open"}
            outline[-1] += (
                *sorted(number.replace(",", "") for number in re.findall(r"\d+(?:[.,]\d+)*", prose)),
                *sorted(part.content for part in parts if part.type == "code_inline"),
                *sorted(links - {"README.md", "README.ko.md"}),
            )
        elif token.nesting == 1:  # a heading, paragraph, item or cell begins
            outline.append((token.type, token.tag, token.info))
    return outline


def test_the_korean_readme_keeps_step() -> None:
    """README.ko.md has the parts of README.md: the same headings, commands, diagrams, items, rows, numbers, links."""
    assert _outline("README.ko.md") == _outline("README.md")


def test_what_the_pages_have_one_write_into_the_clone_is_not_committed() -> None:
    """Each file that a command of theirs writes or reads in the project's folder has a line in .gitignore."""
    ignored = [line.removeprefix("/") for line in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    code = "\n".join(
        part.content
        for page in PAGES
        for token in tokens(page)
        for part in [token, *(token.children or [])]
        if part.type in {"fence", "code_block", "code_inline"}
    )
    option = r"(?:> |file://|--template |--readings |readings init )"
    named = set(re.findall(rf"{option}([a-z-]+(?:\.[a-z]+)?)(?=[\s)]|$)", code))
    assert {"secret.json", "parameters.json", "sample.json", "cold-stores.template", "password"} <= named
    assert {name for name in named if not any(fnmatch(name, each) for each in ignored)} == set()


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
