"""The rooms import one way only, and the delivery core stays pure: rules over folders (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT

PACKAGE = PROJECT / "iot_stream"
CORE = PACKAGE / "delivery" / "core"
# Each room may import those to its right, never those to its left; rooms on one level don't know each other.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"display", "live"},
    {"target", "run"},
    {"local"},
    {"generator", "dashboards", "delivery", "domain", "failure_objects", "plan"},
    {"stack", "paths"},
    {"errors"},
]
PURE_IMPORTS = {
    "base64", "collections", "dataclasses", "datetime", "enum", "hashlib", "heapq", "itertools", "re", "typing",
    "msgspec", "iot_stream.errors",
}  # fmt: skip
READS_THE_CLOCK = re.compile(r"\.(now|today|utcnow)\(")


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module that the file imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            yield node.module or ""


def _room(module: str) -> str:
    """Return the room of a module of the package: its first folder or file."""
    return module.split(".")[1] if "." in module else ""


def _level(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    """A room imports only rooms below its own."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in _imports(path):
        if module.startswith("iot_stream.") and _room(module) != room:
            assert _level(_room(module)) > _level(room), f"{room} must not import {module}"


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_the_delivery_core_is_pure(path: Path) -> None:
    """No boto3, clock, environment, logger, thread or randomness: only data, and other modules of the core."""
    for module in _imports(path):
        assert (
            module.startswith("iot_stream.delivery.core")
            or module in PURE_IMPORTS
            or (module.split(".")[0] in PURE_IMPORTS)
        ), f"{path.name} must not import {module}"
    assert not READS_THE_CLOCK.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("function", ["enrichment", "role_mapper"])
def test_functions_import_nothing_of_the_command(function: str) -> None:
    """What is deployed travels alone."""
    for path in (PROJECT / "functions" / function).rglob("*.py"):
        assert not any(module.startswith("iot_stream") for module in _imports(path)), path
