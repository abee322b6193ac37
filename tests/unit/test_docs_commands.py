"""Every command that a page or a message shows can be typed: the program has its subcommand and its options.

`iot-stream` and `sam` are held against their own click commands, `make` against the Makefile, and `aws` against
botocore's models, from which the AWS CLI makes its commands (https://github.com/aws/aws-cli, awscli/clidriver.py).
"""

import functools
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import click
import pytest
from botocore import xform_name

from iot_stream.cli import cli as iot_stream
from iot_stream.paths import PROJECT
from tests.pages import tokens

PAGES = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]
SOURCES = [
    PROJECT / "template.yaml",
    *(path for folder in ("iot_stream", "functions") for path in (PROJECT / folder).rglob("*.py")),
]
WRITTEN_BY_A_TEST = {"docs/commands.md"}  # `make docs`
# Of the AWS CLI's own options, in every command.
GLOBAL_OPTIONS = {"--query", "--output", "--region", "--profile", "--endpoint-url", "--cli-input-json"}
# Commands that no service's model has as they are typed, with the options the AWS CLI's reference gives them.
CLI_ONLY = {
    "configure": {"get": set(), "list-profiles": set(), "": set()},
    "sso": {"login": set()},
    "sns": {"subscribe": {"--topic-arn", "--protocol", "--notification-endpoint"}},  # the API's Endpoint, renamed
    "s3": {
        "mb": set(),
        "ls": {"--recursive", "--summarize"},
        "rm": {"--recursive"},
        "rb": {"--force"},
        "cp": {"--recursive"},
    },
    "deploy": {"list-deployments": {"--max-items"}},  # the service is codedeploy; the CLI pages
    "logs": {"tail": {"--since", "--follow", "--log-stream-names", "--filter-pattern"}},
}


def _lines(page: Path) -> Iterator[str]:
    """Yield each piece of code of a page: a line of a block, with its continuations, or what stands in backquotes."""
    for token in tokens(page):
        if token.type == "code_block" or (token.type == "fence" and token.info in {"sh", "text"}):
            yield from re.sub(r" *\\\n\s*", " ", token.content).splitlines()
        yield from (" ".join(part.content.split()) for part in token.children or [] if part.type == "code_inline")


def _commands() -> Iterator[tuple[str, str]]:
    """Yield where each command of a known program stands, and its words."""
    start = re.compile(r"\s*(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(?=(?:iot-stream|sam|aws|make) (?!it )[a-z])")
    for path in [*PAGES, *SOURCES]:
        name = str(path.relative_to(PROJECT))
        if name in WRITTEN_BY_A_TEST:
            continue
        for line in _lines(path) if path.suffix == ".md" else _messages(path.read_text(encoding="utf-8")):
            inner = re.findall(r"\$\(((?:aws|iot-stream) [^()]*)", line)
            outer = re.split(r" && |; |: |, (?:or|then) |\|(?!\|) |\$\(", line.partition("  #")[0])
            yield from ((name, start.sub("", each).strip()) for each in [*outer, *inner] if start.match(each))


def _messages(source: str) -> Iterator[str]:
    """Yield what stands in backquotes or is a whole string of a source; `X` is what is filled in."""
    source = re.sub(r"\$?\{[^{}\n]*\}", "X", source)
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", source)
    yield from re.findall(r"\"((?:iot-stream|sam|aws) [a-z][^\"\n]*)\"", source)


PLACES = {line: place for place, line in sorted(_commands())}


def _words(command: str) -> list[str]:
    """Split a command as a shell does; an open quotation is one that stood within another command."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.replace('"', " ").replace("'", " ").split()


@pytest.mark.parametrize("line", [pytest.param(line, id=f"{place}: {line}") for line, place in PLACES.items()])
def test_a_command_that_is_shown_can_be_typed(line: str) -> None:
    """Its subcommand exists, and each option that it is given."""
    program, *words = _words(line)
    if program == "iot-stream":
        _check_click(iot_stream, words)
    elif program == "sam":
        _check_click(_sam(words[0]), words[1:])
    elif program == "aws":
        _check_aws(words)
    else:
        _check_make(words)


@functools.cache
def _sam(name: str) -> click.Command:
    """Return a command of the SAM CLI, which loads them only when they run."""
    module = "validate" if name == "validate" else "command"  # where each command's module is in its folder
    command: click.Command = importlib.import_module(f"samcli.commands.{name}.{module}").cli
    return command


@functools.cache
def _operations(service: str) -> dict[str, set[str]]:
    """Return the options of each operation of a service, as the AWS CLI spells them."""
    assert service in boto3.session.Session().get_available_services()
    model = botocore.session.get_session().get_service_model(service)
    shapes = {xform_name(name, "-"): model.operation_model(name).input_shape for name in model.operation_names}
    return {
        name: {f"--{xform_name(m, '-')}" for m in shape.members} if shape else set() for name, shape in shapes.items()
    }


def _check_click(command: click.Command, words: list[str]) -> None:
    """Walk to the subcommand that the words name, and look for each of their options in it."""
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name in {"…", "COMMAND"}:
            return
        inner = command.get_command(context, name)
        assert inner is not None, f"{command.name} has no {name}"
        context = click.Context(inner, context, info_name=name)
        command = inner
    options = {"-h", "--help"}
    for parameter in command.params:
        options |= {*parameter.opts, *parameter.secondary_opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def _check_aws(words: list[str]) -> None:
    """Hold a command of the AWS CLI against the service's model."""
    service, operation = words[0], (words[1:] or [""])[0]
    options = {word for word in words if word.startswith("--")} - GLOBAL_OPTIONS
    if operation in CLI_ONLY.get(service, {}):
        assert options <= CLI_ONLY[service][operation]
        return
    operations = _operations(service)
    if operation == "wait":
        waiters = botocore.session.get_session().get_waiter_model(service).waiter_names
        assert words[2] in {xform_name(name, "-") for name in waiters}
    elif operation not in {"", "…"}:
        known = operations[operation]
        assert {option.replace("--no-", "--") for option in options} <= known | {
            o.replace("--no-", "--") for o in known
        }


def _check_make(words: list[str]) -> None:
    """Look for targets and variables in the Makefile."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for word in words:
        name, equals, _ = word.partition("=")
        if equals:
            assert re.search(rf"\b{name}\b", makefile), name
        elif re.fullmatch("[a-z]+", word):
            assert word in targets


def test_commands_are_found() -> None:
    """Of each program, in pages and in sources: an empty list would pass every test."""
    assert {line.split()[0] for line in PLACES} == {"iot-stream", "sam", "aws", "make"}
    assert {"README.md", "docs/operations.md", "iot_stream/target.py"} <= {place for place, _ in _commands()}
