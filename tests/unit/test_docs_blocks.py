"""Each block of code in a page is in a known language, and right in it.

A fenced block names its language: `text` marks output and what no tool can read. An indented one is of shell commands,
whose subcommands and options test_docs_commands.py looks up.
"""

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable

import pytest
import yaml
from markdown_it.token import Token

from iot_stream.paths import PROJECT
from tests.pages import PAGES, tokens

PROGRAMS = {"iot-stream", "sam", "aws", "make", "git", "curl", "jq", "python", "export", "echo", "rm", "umask"}
METHODS = {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"}
DIAGRAMS = {"flowchart", "sequenceDiagram", "stateDiagram-v2"}
BLOCKS = [
    pytest.param(token, id=f"{page.relative_to(PROJECT)}:{token.map[0] + 1}")
    for page in PAGES
    for token in tokens(page)
    if token.type in {"fence", "code_block"} and token.map
]


def _shell(code: str) -> None:
    """Have the shell read it without running it, and look at the program of each of its commands."""
    parsed = subprocess.run(["sh", "-n"], input=code, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr
    for line in re.sub(r"\\\n", " ", code).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        starts = True
        for word in lexer:
            if starts and not re.fullmatch(r"\(+|[A-Z_]+=.*", word):
                assert word.removeprefix(".venv/bin/") in PROGRAMS, f"{word}: no command; output needs ```text"
                starts = False
            starts = starts or word in {"&&", "||", "|", ";"}


def _python(code: str) -> None:
    """Run it: an example defines functions, and imports what it uses."""
    exec(compile(code, "block", "exec"), {"__name__": "block"})  # noqa: S102


def _json(code: str) -> None:
    """Parse one document, or one on each line."""
    try:
        json.loads(code)
    except json.JSONDecodeError:
        for line in code.splitlines():
            json.loads(line)


def _yaml(code: str) -> None:
    yaml.safe_load(code)


def _toml(code: str) -> None:
    tomllib.loads(code)


def _http(code: str) -> None:
    """Look at a request as Dashboards' Dev Tools take it: method and path, then a body."""
    request, _, body = code.partition("\n")
    method, _, path = request.partition(" ")
    assert method in METHODS
    assert re.fullmatch(r"[^\s]+", path)
    if body:
        _json(body)


def _mermaid(code: str) -> None:
    """Look at the type of the diagram, its quotation marks and its brackets."""
    assert code.split(maxsplit=1)[0] in DIAGRAMS
    pairs, open_ = {")": "(", "]": "[", "}": "{"}, []
    assert all(line.count('"') % 2 == 0 for line in code.splitlines())
    for mark in re.sub(r'"[^"\n]*"', "", code):
        if mark in pairs.values():
            open_.append(mark)
        elif mark in pairs:
            assert open_[-1:] == [pairs[mark]], mark
            open_.pop()
    assert not open_


def _text(code: str) -> None:
    """Nothing can be checked."""


CHECKS: dict[str, Callable[[str], None]] = {
    "sh": _shell,
    "python": _python,
    "json": _json,
    "yaml": _yaml,
    "toml": _toml,
    "http": _http,
    "mermaid": _mermaid,
    "text": _text,
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_right_in_its_language(block: Token) -> None:
    """It parses, or runs; what neither can is marked as text."""
    language = "sh" if block.type == "code_block" else block.info
    assert language in CHECKS, f"begin this block with ``` and one of {sorted(CHECKS)}; output is text"
    CHECKS[language](block.content)


def test_a_module_that_is_run_exists() -> None:
    """Each `python -m MODULE` of a page can be started."""
    named = {(m, p) for p in PAGES for m in re.findall(r"python3? -m ([\w.]+)", p.read_text(encoding="utf-8"))}
    assert named
    for module, page in sorted(named):
        assert importlib.util.find_spec(module), f"{page}: no module {module}"
