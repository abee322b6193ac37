"""Which environment variables a module reads by name, found in its syntax tree."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Reads", "reads_of"]

_MENTION = re.compile("environ|getenv|envvar")  # no read is without one of these
_METHODS = {"get", "pop", "setdefault", "__getitem__", "__contains__"}


class Reads(NamedTuple):
    """What a module reads from the environment.

    Attributes:
        names: variables that it reads, by their names.
        unclear: source text of each read whose names can't be found.
    """

    names: frozenset[str]
    unclear: tuple[str, ...]


def reads_of(source: str, *, parameters: bool = False) -> Reads:
    """Return what a module reads: from `os.environ`, by `os.getenv`, and as click's `envvar`.

    Args:
        source: the module's text.
        parameters: whether a variable named `environment` holds the process's environment, as in the functions.
    """
    if not _MENTION.search(source):  # most modules: a search of the text takes a hundredth of the time
        return Reads(frozenset(), ())
    module = _Module(ast.parse(source), parameters)
    names: set[str] = set()
    unclear = []
    for key in module.name_expressions():
        found = module.texts(key)
        names |= found or set()
        if found is None:
            unclear.append(ast.unparse(key))
    return Reads(frozenset(names), tuple(unclear))


class _Module:
    def __init__(self, tree: ast.Module, parameters: bool) -> None:
        self._nodes = list(ast.walk(tree))
        self._parents = {inner: node for node in self._nodes for inner in ast.iter_child_nodes(node)}
        self._environments = {"environ", "environb"} | ({"environment"} if parameters else set())
        self._values: dict[str, list[ast.expr]] = {}
        for node in self._nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        self._values.setdefault(target.id, []).append(node.value)
        self._environments |= {
            name for name, values in self._values.items() if any(self._is_environment(value) for value in values)
        }

    def _is_environment(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in {"environ", "environb"} and isinstance(node.value, ast.Name) and node.value.id == "os"
        return isinstance(node, ast.Name) and node.id in self._environments

    def name_expressions(self) -> Iterator[ast.expr]:
        """Yield the expression of the name in every read."""
        for node in self._nodes:
            if isinstance(node, ast.Call):
                yield from (word.value for word in node.keywords if word.arg == "envvar")
                called = node.func
                if isinstance(called, ast.Attribute) and called.attr in _METHODS and self._is_environment(called.value):
                    yield from node.args[:1]
                elif ast.unparse(called) in {"os.getenv", "getenv", "os.getenvb", "getenvb"}:
                    yield from (*node.args[:1], *(word.value for word in node.keywords if word.arg == "key"))
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                if self._is_environment(node.value):
                    yield node.slice
            elif isinstance(node, ast.Compare) and self._is_environment(node.comparators[0]):
                yield node.left

    def texts(self, node: ast.expr) -> set[str] | None:
        """Return the texts that an expression can be, None where that can't be seen."""
        if isinstance(node, ast.Constant):
            return {node.value.decode() if isinstance(node.value, bytes) else str(node.value)}
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return self._all(node.elts)
        if isinstance(node, ast.IfExp):
            return self._all([node.body, node.orelse])
        return self._all(self._origins(node)) if isinstance(node, ast.Name) else None

    def _all(self, nodes: list[ast.expr]) -> set[str] | None:
        found = [self.texts(node) for node in nodes]
        return set().union(*filter(None, found)) if nodes and None not in found else None

    def _origins(self, name: ast.Name) -> list[ast.expr]:
        """Return where the value of a name comes from: a loop, the calls with this parameter, or an assignment."""
        node: ast.AST | None = name
        while node := self._parents.get(node) if node else None:
            if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
                for loop in node.generators:
                    if isinstance(loop.target, ast.Name) and loop.target.id == name.id:
                        return [loop.iter]
            elif isinstance(node, ast.For) and isinstance(node.target, ast.Name) and node.target.id == name.id:
                return [node.iter]
            elif isinstance(node, ast.FunctionDef):
                parameters = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
                if name.id in parameters:
                    return self._arguments(node.name, parameters.index(name.id), name.id)
        return self._values.get(name.id, [])

    def _arguments(self, function: str, place: int, keyword: str) -> list[ast.expr]:
        calls = [node for node in self._nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == function]
        given = [next((word.value for word in call.keywords if word.arg == keyword), None) for call in calls]
        return [
            argument or call.args[place]
            for call, argument in zip(calls, given, strict=True)
            if argument or len(call.args) > place
        ]
