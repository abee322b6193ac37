"""The delivery worker's core stays pure: it does no I/O and knows no clock, so that random days can be played to it."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import iot_stream.local.firehose as package

FOLDER = Path(inspect.getfile(package)).parent
PURE = set(re.findall(r"\w+", (package.__doc__ or "").split("Pure:")[1].split("tests/")[0]))
ALLOWED = {
    "base64", "collections", "dataclasses", "datetime", "enum", "hashlib", "heapq", "itertools", "re", "typing",
    "msgspec", "iot_stream.errors",
}  # fmt: skip
READS_THE_CLOCK = re.compile(r"\.(now|today|utcnow)\(")


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_imports_nothing_that_does_anything(name: str) -> None:
    """No boto3, clock, environment, logger, thread or randomness: only data, and other pure modules."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            prefix = f"{package.__name__}."
            if names[0].startswith(prefix):
                assert names[0].removeprefix(prefix) in PURE
                continue
            if names[0] == package.__name__:
                assert {alias.name for alias in node.names} <= PURE
                continue
        assert {found if found in ALLOWED else found.split(".")[0] for found in names} <= ALLOWED
    assert not READS_THE_CLOCK.search(source)


def test_every_module_is_either_pure_or_an_edge() -> None:
    """The package's docstring names each module once."""
    edges = set(re.findall(r"\w+", (package.__doc__ or "").split("Edges:")[1]))
    assert PURE | edges == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert not PURE & edges
