"""The rules of CONTRIBUTING.md and docs/architecture.md hold: import directions, purity, `__all__`, words, paths."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT

PACKAGE = PROJECT / "iot_stream"
CORE = PACKAGE / "delivery" / "core"
# Each room may import those to its right, never those to its left; rooms on one level don't know each other.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"display", "live", "doctor"},
    {"target", "run"},
    {"local", "failures", "readings"},
    {"generator", "dashboards", "delivery", "domain_objects", "failure_objects", "alarms", "plan"},
    {"description"},
    {"stack", "paths", "compression", "log_file", "role_token"},
    {"caller"},
    {"errors"},
]
PURE_IMPORTS = {
    "base64", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "heapq", "itertools",
    "operator", "re", "typing",
    "msgspec", "iot_stream.delivery.errors",
}  # fmt: skip
READS_THE_CLOCK = re.compile(r"\.(now|today|utcnow)\(")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _statements(path: Path) -> list[ast.AST]:
    """Return every statement of a file, without the expressions in it, which are most of its nodes."""
    return [_tree(path), *_within(_tree(path))]


def _within(node: ast.AST, *, run_time_only: bool = False) -> Iterator[ast.AST]:
    """Yield every statement within a node, or only those that are ever executed: not what only a type checker reads."""
    for block in ("body", "handlers", "cases", "orelse", "finalbody"):
        if run_time_only and block == "body" and isinstance(node, ast.If) and _is_for_types(node.test):
            continue
        for inner in getattr(node, block, ()):
            yield inner
            yield from _within(inner, run_time_only=run_time_only)


def _is_for_types(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


@pytest.fixture(scope="module", autouse=True)
def _trees_are_freed() -> Iterator[None]:
    """Free a million objects after these tests: each search for cycles would look at them until the run ends."""
    yield
    _tree.cache_clear()
    _statements.cache_clear()


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the full name of every module that a statement imports: `from iot_stream import paths` too names one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: relative imports hide where a name comes from"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in MODULES else node.module or ""


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module that the file imports, also inside its functions."""
    for node in _statements(path):
        yield from _imported(node)


def _room(module: str) -> str:
    """Return the room of a module of the package: its first folder or file."""
    return module.split(".")[1] if "." in module else ""


def _level(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_imports_go_one_way() -> None:
    """A room imports only rooms below its own."""
    upwards = []
    for path in _modules():
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        others = {name for name in _imports(path) if name.startswith("iot_stream.") and _room(name) != room}
        upwards += [f"{path} must not import {name}" for name in others if _level(_room(name)) <= _level(room)]
    assert not upwards


def test_no_modules_import_each_other() -> None:
    """Imports make no circle, in the command, functions, tests and benchmarks; an import within a function counts."""
    graph = {
        module: {
            name for node in _within(_tree(path), run_time_only=True) for name in _imported(node) if name in MODULES
        }
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"each of these is imported by the next: {error.args[1]}")


def test_the_delivery_core_is_pure() -> None:
    """No boto3, clock, environment, logger, thread or randomness: only data, and other modules of the core."""
    modules = sorted(CORE.glob("*.py"))
    impure = [
        f"{path.name} must not import {module}"
        for path in modules
        for module in _imports(path)
        if not module.startswith("iot_stream.delivery.core") and PURE_IMPORTS.isdisjoint({module, module.split(".")[0]})
    ]
    impure += [f"{path.name} reads the clock" for path in modules if READS_THE_CLOCK.search(path.read_text("utf-8"))]
    assert not impure


def test_one_module_alone_knows_the_enrichment_function() -> None:
    """The command shares the description of a reading with the function through one door (docs/adr/0009)."""
    importers = {path for path in _modules() if any(module.split(".")[0] == "enrichment" for module in _imports(path))}
    assert importers == {PACKAGE / "description.py"}


@pytest.mark.parametrize("function", ["device_alerts", "enrichment", "role_mapper"])
def test_functions_import_nothing_of_the_command(function: str) -> None:
    """What is deployed travels alone."""
    for path in (PROJECT / "functions" / function).rglob("*.py"):
        assert not any(module.startswith("iot_stream") for module in _imports(path)), path


# ---- what a module makes public ----------------------------------------------------------------------------------

SOURCES = {
    ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
    for root, package in (
        (PROJECT, "iot_stream"),
        (PROJECT / "functions" / "device_alerts", "device_alerts"),
        (PROJECT / "functions" / "enrichment", "enrichment"),
        (PROJECT / "functions" / "role_mapper", "role_mapper"),
    )
    for path in (root / package).rglob("*.py")
}
BENCHMARKS = sorted((PROJECT / "benchmarks").glob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
MODULES = SOURCES | {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (*BENCHMARKS, *TESTS)
}


@cache
def _exported(module: str) -> list[str]:
    """Return the names in `__all__` of a module, none where it has no `__all__`."""
    for node in _tree(SOURCES[module]).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@cache
def _used_names(path: Path) -> set[tuple[str, str]]:
    """Return (module, name) for each name of our modules that the file imports or takes from an imported module."""
    used: set[tuple[str, str]] = set()
    modules: dict[str, str] = {}
    for node in _statements(path):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if f"{node.module}.{alias.name}" in SOURCES:
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                elif node.module in SOURCES:
                    used.add((node.module, alias.name))
    for node in ast.walk(_tree(path)) if modules else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            if f"{module}.{node.attr}" not in SOURCES:
                used.add((module, node.attr))
    return used


def _names_of_contracts(module: str) -> set[str]:
    """Return the names that annotations, bases and `raise` of a module use: types that its callers meet."""
    found: set[str] = set()
    for node in _statements(SOURCES[module]):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            parts = [node.returns, *(argument.annotation for argument in every)]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.Raise):
            parts = [node.exc]
        elif isinstance(node, ast.ClassDef):
            parts = list(node.bases)
        for part in filter(None, parts):
            found |= {inner.id for inner in ast.walk(part) if isinstance(inner, ast.Name)}
    return found


def test_a_module_with_public_names_says_which() -> None:
    """`__all__` stands in every module that is more than a package's docstring and is not run as a program."""
    for module, path in ((module, path) for module, path in SOURCES.items() if path.name != "__main__.py"):
        says = any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign) for node in _tree(path).body)
        assert _exported(module) or not says, f"{module} has no __all__"


def test_only_exported_names_are_used_by_other_modules() -> None:
    """A name that another module needs is public, and public names are in `__all__`."""
    past = [
        f"{path.relative_to(PROJECT)} uses {module}.{name}"
        for path in (*SOURCES.values(), *BENCHMARKS)
        for module, name in _used_names(path)
        if name not in _exported(module)
    ]
    assert not past, f"not in __all__: {past}"


def test_every_exported_name_is_used_elsewhere() -> None:
    """By another module, a benchmark or a test; or it is a type that callers of the module meet, or a re-export."""
    used = {pair for path in (*SOURCES.values(), *BENCHMARKS, *TESTS) for pair in _used_names(path)}
    unused = [
        f"{module}.{name}"
        for module in SOURCES
        for name in _exported(module)
        if (module, name) not in used
        and name not in _names_of_contracts(module) | {name for _, name in _used_names(SOURCES[module])}
    ]
    assert not unused


# ---- words and places ----------------------------------------------------------------------------------------------

FLOW = ("Send", "Ingest", "Transform", "Deliver", "Index", "Watch")


def test_the_flow_s_words_name_the_template_s_sections_in_order() -> None:
    """Send is outside the stack; Access stands beside the flow."""
    banners = re.findall(r"^  # ==== (\w+):", (PROJECT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert [word for word in banners if word in FLOW] == list(FLOW[1:])
    assert "Access" in banners


def test_the_rooms_table_names_every_folder_and_only_what_is_there() -> None:
    """docs/architecture.md: a row for each word of the flow, and every package of code in the text."""
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| ", text, re.MULTILINE)
    assert [word for word in rows if word in FLOW] == list(FLOW)
    named = re.findall(r"`((?:iot_stream|functions)/[\w/.]*)`", text)
    for path in named:
        assert (PROJECT / path).exists(), path
    rooms = [folder for root in ("iot_stream", "functions") for folder in (PROJECT / root).iterdir() if folder.is_dir()]
    for room in rooms:
        relative = f"{room.relative_to(PROJECT)}/"
        if any(room.glob("**/*.py")) and room.name != "__pycache__":
            assert any(path.startswith(relative) for path in named), f"{relative} is not in docs/architecture.md"


def test_the_project_s_path_is_worked_out_once() -> None:
    """iot_stream/paths.py has it; functions travel alone, and scripts that set the import path can't import it yet."""
    allowed = {"iot_stream/paths.py", "tests/fuzz/enrichment.py", "benchmarks/delivery.py"}
    allowed |= {"functions/enrichment/enrichment/description_file.py"}  # what is deployed travels alone
    places = {
        str(path.relative_to(PROJECT))
        for path in (*SOURCES.values(), *BENCHMARKS, *TESTS)
        if re.search(r"Path\(__file__\)[\w.()]*\.parents\[", path.read_text(encoding="utf-8"))
        and "functions" not in path.relative_to(PROJECT).parts
    }
    assert places <= allowed


def _code_lines(path: Path) -> set[int]:
    """Return the numbers of a file's lines on which code stands: no docstring, comment or blank line."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        node.body[0] for node in _statements(path) if isinstance(node, documented) and ast.get_docstring(node)
    ]
    inside = {line for node in docstrings for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {n for n, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")} - inside


def test_a_module_stays_small() -> None:
    """CONTRIBUTING.md's limit, counted in lines of code."""
    sizes = {str(path.relative_to(PROJECT)): len(_code_lines(path)) for path in SOURCES.values()}
    assert {path: size for path, size in sizes.items() if size > 280} == {}
