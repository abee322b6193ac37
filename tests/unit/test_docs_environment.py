"""docs/environment.md names every environment variable that the code reads or passes on, and no other."""

import re

import pytest

from iot_stream.local import deployment, processes
from iot_stream.paths import PROJECT
from role_mapper import settings as role_mapper_settings
from tests.environment_reads import reads_of
from tests.template import load_template

PAGE = (PROJECT / "docs" / "environment.md").read_text(encoding="utf-8")
COMMANDS, FUNCTIONS = PAGE.split("## The functions")
NAME = re.compile(r"`([A-Z][A-Z0-9_]*)`")

# Read by boto3 and botocore, by requests and by pip: the page's links and those tools' manuals say what for.
READ_BY_OTHERS = {"AWS_PROFILE", "HTTPS_PROXY", "SSL_CERT_FILE", "PIP_INDEX_URL"}
# Set by Lambda's runtime, or in its place by the local stack.
RUNTIME = {"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_REGION", "AWS_ENDPOINT_URL"}
# Reads whose names are worked out, by file.
UNCLEAR = {
    "functions/role_mapper/role_mapper/settings.py": ("name.upper()",),  # of _GRANTS
    "tests/hostile.py": ("name",),  # what it sets, to put it back
}


def _read(*folders: str, parameters: bool = False) -> set[str]:
    """Return the variables that the modules of folders read by name."""
    names: set[str] = set()
    for folder in folders:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            found = reads_of(path.read_text(encoding="utf-8"), parameters=parameters)
            relative = str(path.relative_to(PROJECT))
            assert found.unclear == UNCLEAR.get(relative, ()), f"{relative}: write the names where they are read"
            names |= found.names
    return names


def test_the_page_has_what_the_commands_and_tests_read() -> None:
    """Each variable is in the first part of the page, which has only those, and those of AWS, pip and proxies."""
    named = set(NAME.findall(COMMANDS))
    not_for_build = {name for name in deployment._NOT_FOR_BUILD if not name.endswith("_")}
    assert named == _read("iot_stream", "tests", "benchmarks") | READ_BY_OTHERS | not_for_build


def test_the_page_has_what_the_local_stack_inherits() -> None:
    """One sentence has them, in the code's order."""
    sentence = re.search(r"processes inherit only (.*?)\.\n", COMMANDS, re.DOTALL)
    assert sentence
    assert tuple(NAME.findall(sentence[1])) == processes._INHERITED


def test_the_page_has_what_the_functions_read() -> None:
    """The template sets each variable that they read, or Lambda does; the second part of the page has these."""
    resources = load_template()["Resources"].values()
    environments = [resource.get("Properties", {}).get("Environment", {}) for resource in resources]
    given = {name for environment in environments for name in environment.get("Variables", {})}
    granted = {name.upper() for name in role_mapper_settings._GRANTS.values()}
    assert set(NAME.findall(FUNCTIONS)) - {"UTC"} == given | RUNTIME
    assert _read("functions", parameters=True) | granted == given | RUNTIME


@pytest.mark.parametrize(
    "source",
    [
        'os.environ["A_1"]',
        'os.environ.get("A_1") or "x"',
        'os.environ.pop("A_1", None)',
        'os.getenv("A_1", "x")',
        'os.getenv(key="A_1")',
        '"A_1" in os.environ',
        '"A_1" not in os.environ',
        'from os import environ\nenviron["A_1"]',
        'from os import getenv\ngetenv("A_1")',
        'mine = os.environ\nmine.get("A_1")',
        'NAME: Final = "A_1"\ndef read():\n    return os.environ[NAME]',
        '[os.environ[name] for name in ("A_1",)]',
        'NAMES = ("A_1",)\nfor name in NAMES:\n    os.environ[name]',
        'def read(name):\n    return os.environ.get(name)\nread("A_1")',
        'def read(*, first=1):\n    return os.getenv("A_1")',
        'click.option("--a", envvar="A_1")',
        'click.option("--a", envvar=["A_1"])',
    ],
)
def test_a_read_is_found_however_it_is_written(source: str) -> None:
    """By each way that Python and click have."""
    assert reads_of(source) == (frozenset({"A_1"}), ())


def test_a_name_that_is_worked_out_is_reported() -> None:
    """A name that can't be seen is no reason to say that nothing is read; and to set a variable is not to read it."""
    assert reads_of('os.environ["A_" + part]\nos.environ["B"] = "1"\ndel os.environ["C"]').unclear == ("'A_' + part",)
    assert reads_of("from elsewhere import NAME\nos.environ[NAME]").unclear == ("NAME",)
