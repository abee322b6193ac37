"""The project's Markdown pages, and their parts as Markdown reads them."""

from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from iot_stream.paths import PROJECT

_MADE = {".venv", ".local", "build", ".aws-sam", ".git"}  # tens of thousands of files: not even looked into
PAGES = sorted(
    page
    for place in PROJECT.iterdir()
    if place.name not in _MADE
    for page in ([place] if place.suffix == ".md" else place.rglob("*.md"))
)


def tokens(page: Path) -> list[Token]:
    """Return a page's parts, in order: headings, paragraphs, list items, table cells, blocks of code."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
