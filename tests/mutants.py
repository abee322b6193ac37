"""Mutation testing: change the code in one place, run its tests, and report every change that no test notices.

    python tests/mutants.py [--sample N] [--seed N] [PACKAGE ...]

Cosmic Ray's operators make the mutants. They are applied to a copy of the project, one at a time, and the package's
own tests run against each: a mutant is killed if a test fails or the run exceeds its time limit. A sample takes places
in the code first and then one operator for each, so that lines with many possible operators don't crowd out the others.
The diffs of the survivors are written to build/mutants/. It takes minutes to hours, so CI does not run it.
"""

import argparse
import ast
import difflib
import os
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from iot_stream.paths import PROJECT

__all__ = ["PACKAGES", "Mutant", "mutants_of", "sample_of"]

PACKAGES = {
    "delivery/edges": ("unit/test_delivery_[!r]*.py",),  # without the random days, which take long and test the core
    "live": ("unit/test_live_*.py",),
    "local": (
        "unit/test_cli.py",
        "unit/test_distribution.py",
        "unit/test_gateway_*.py",
        "unit/test_local_*.py",
        "unit/test_master_user.py",
        "integration/test_processes.py",  # needs processes of its own, and no server
    ),
    "generator": ("unit/test_generator*.py", "unit/test_reconciliation.py"),
    "dashboards": ("unit/test_dashboards_*.py",),
}
"""Folders of iot_stream/ and the tests, below tests/, that have to notice changes there."""

_SLOWER = 5  # times the duration without a mutant, then the run counts as hanging
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly")


@dataclass(frozen=True)
class Mutant:
    """One change: a module (relative to the project), an operator of Cosmic Ray, its occurrence, and the line."""

    module: Path
    operator: str
    occurrence: int
    line: int
    column: int

    def code(self) -> str:
        """Return the module's code with the change."""
        source = (PROJECT / self.module).read_text(encoding="utf-8")
        return mutate_code(source.encode(), get_operator(self.operator)(), self.occurrence)

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before = (PROJECT / self.module).read_text(encoding="utf-8").splitlines()
        lines = difflib.unified_diff(before, self.code().splitlines(), str(self.module), self.operator, "", "", 1, "")
        return "\n".join(lines)


def mutants_of(package: str) -> Iterator[Mutant]:
    """Yield every mutant of a package, but for those inside annotations, which no behaviour depends on."""
    for path in sorted((PROJECT / "iot_stream" / package).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        annotations = list(_annotations(source))
        tree = get_ast(source)
        for name in operator_names():
            operator_class = get_operator(name)
            if operator_class.arguments():
                continue
            operator = operator_class()
            positions = (start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node))
            for occurrence, start in enumerate(positions):
                if not any(first <= start <= last for first, last in annotations):
                    yield Mutant(path.relative_to(PROJECT), name, occurrence, *start)


def sample_of(mutants: list[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """Return `size` mutants, each at a place of its own; all mutants if `size` is None."""
    if size is None:
        return mutants
    places: dict[tuple[Path, int, int], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        places[mutant.module, mutant.line, mutant.column].append(mutant)
    chosen = random.Random(seed)
    taken = chosen.sample(sorted(places), min(size, len(places)))
    return [chosen.choice(places[place]) for place in taken]


def _annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield first and last position of every annotation and type alias."""
    for node in ast.walk(ast.parse(source)):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            found = [node.annotation]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = [node.returns]
        elif isinstance(node, ast.TypeAlias):
            found = [node.value]
        for part in filter(None, found):
            yield (part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0)


def _copy_project(target: Path) -> None:
    """Copy what git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=PROJECT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


def _passes(copy: Path, tests: list[str], seconds: float) -> bool:
    """Run the tests in the copy and return whether they pass in time."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    process = subprocess.Popen(
        [*_PYTEST, *tests],
        cwd=copy,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return False


def _run(package: str, sample: list[Mutant], copy: Path) -> list[Mutant]:
    """Return the mutants that survive; print a line for each 20."""
    tests = sorted(str(path.relative_to(copy)) for glob in PACKAGES[package] for path in (copy / "tests").glob(glob))
    begun = time.monotonic()
    if not _passes(copy, tests, 600):
        sys.exit(f"{package}: its tests fail without any mutant: {' '.join(tests)}")
    limit = 10 + _SLOWER * (time.monotonic() - begun)
    survivors = []
    for number, mutant in enumerate(sample, 1):
        file = copy / mutant.module
        original = file.read_text(encoding="utf-8")
        try:
            file.write_text(mutant.code(), encoding="utf-8")
            if _passes(copy, tests, limit):
                survivors.append(mutant)
        finally:
            file.write_text(original, encoding="utf-8")
        if number % 20 == 0:
            print(f"{package}: {number} of {len(sample)}, {len(survivors)} survive", file=sys.stderr)
    return survivors


def main() -> None:
    """Run the sample of each package and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="mutants of each package (all of them without it)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)} (default: all)")
    given = parser.parse_args()
    if unknown := set(given.packages) - set(PACKAGES):
        parser.error(f"{', '.join(unknown)} is not one of {', '.join(PACKAGES)}")
    out = PROJECT / "build" / "mutants"
    out.mkdir(parents=True, exist_ok=True)
    for package in given.packages or PACKAGES:
        every = list(mutants_of(package))
        sample = sample_of(every, given.sample, given.seed)
        with TemporaryDirectory(prefix="mutants-") as folder:
            _copy_project(Path(folder))
            survivors = _run(package, sample, Path(folder))
        report = out / f"{package.replace('/', '-')}.diff"
        report.write_text("\n\n".join(mutant.diff() for mutant in survivors) + "\n", encoding="utf-8")
        killed = len(sample) - len(survivors)
        share = 100 * killed / len(sample)
        print(f"{package:<15} {killed:4} of {len(sample):4} killed ({share:3.0f} %), of {len(every)} mutants in all")
    print(f"survivors: {out.relative_to(PROJECT)}/")


if __name__ == "__main__":
    main()
