"""docs/your-own-data.md is tested as it is written: its sample, its edits, its commands and what they print."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from enrichment import description_file
from iot_stream import description as command_description
from iot_stream.cli import cli
from iot_stream.cli import readings as commands
from iot_stream.dashboards.definition import load as load_dashboard
from iot_stream.description import load, parse
from iot_stream.paths import PROJECT
from iot_stream.readings import built_files
from tests.walkthrough import WALKTHROUGH_FILE

PAGE = (PROJECT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
BUILT = ("SAMPLE", "INDEX_TEMPLATE", "RULES", "ALERTS_TEMPLATE", "FILE", "DOCUMENT")
COMMAND = ".venv/bin/iot-stream"


def blocks() -> Iterator[tuple[str, str]]:
    """Yield language and text of each block of code, in order."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def edited(description: str, change: str) -> str:
    """Return a description with keys and tables put in the place of those of the same name, or added."""
    top, *tables = re.split(r"^(?=\[fields\.)", change, flags=re.MULTILINE)
    for line in top.strip().splitlines():
        key = line.partition(" ")[0]
        description, count = re.subn(rf"^{key} = .*$", line, description, count=1, flags=re.MULTILINE)
        assert count == 1, line
    for table in tables:
        name = table.partition("\n")[0]
        old = re.search(rf"^{re.escape(name)}\n(?:(?!^\[fields\.).*\n?)*", description, re.MULTILINE)
        description = description.replace(old[0], f"{table.rstrip()}\n\n") if old else f"{description}\n{table}"
    return description


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the walkthrough's description and what is built from it, without touching this one."""
    mine = tmp_path / command_description.FILE.relative_to(PROJECT)
    mine.parent.mkdir(parents=True)
    mine.write_text(WALKTHROUGH_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    for module in (command_description, description_file):
        monkeypatch.setattr(module, "FILE", mine)
    for name in BUILT:
        path = getattr(built_files, name)
        copy = tmp_path / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setattr(built_files, name, copy)
    built_files.write(load(WALKTHROUGH_FILE))
    for module in (commands, built_files):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return mine


def run(line: str) -> str:
    """Run a command line of the page and return what it prints; a target of make only has to be there."""
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), line
        return ""
    given, target = "", None
    if "|" in words:
        assert words[0] == "echo"
        given, words = words[1], words[words.index("|") + 1 :]
    if ">" in words:
        words, target = words[: words.index(">")], Path(words[-1])
    assert words[0] == COMMAND
    result = CliRunner().invoke(cli, words[1:], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.exception)
    if target:
        target.write_text(result.output, encoding="utf-8")
    return "" if target else result.output


def test_the_page_leads_from_a_sample_to_a_dashboard(project: Path) -> None:
    """Every block does what the page says of it, in its order."""
    printed, commands_run = "", []
    for language, text in blocks():
        match language:
            case "json":
                Path("sample.json").write_text(text, encoding="utf-8")
            case "sh":
                printed = "".join(map(run, text.splitlines()))
                commands_run += text.splitlines()
            case "text":
                assert re.fullmatch(re.escape(text).replace("…", ".+"), printed), printed
            case "toml" if "# guess" in text:
                assert text in project.read_text(encoding="utf-8"), project.read_text(encoding="utf-8")
            case "toml":
                project.write_text(edited(project.read_text(encoding="utf-8"), text), encoding="utf-8")
            case _:
                raise AssertionError(f"the page has a block of {language}")
    assert [line.rpartition(COMMAND)[2].split()[:2] for line in commands_run if COMMAND in line] == [
        ["readings", "init"], ["readings", "try"], ["readings", "try"], ["readings", "build"], ["readings", "template"],
    ]  # fmt: skip
    made = load(project)
    assert [field.name for field in made.measures] == ["temp_c", "humidity", "battery_mv"]
    template = Path("cold-stores.template").read_text(encoding="utf-8")
    assert '"sensor": "{{random.arrayElement(["F-0042", "F-0043"])}}"' in template
    titles = [panel.title for panel in load_dashboard(reading=made).panels]
    assert "Ten devices with the lowest battery" in titles
    assert built_files.outdated(made) == []


def test_files_that_are_out_of_date_are_refused_before_anything_starts(project: Path) -> None:
    """By the check, by `run` and by `up`: one line with the files and the command."""
    project.write_text(project.read_text(encoding="utf-8").replace("decimals = 2", "decimals = 3"), encoding="utf-8")
    for command in (["readings", "build", "--check"], ["run"], ["up"]):
        error = str(CliRunner().invoke(cli, command).exception)
        assert error.startswith("not up to date with readings.toml: functions/role_mapper/opensearch/index-")
        assert error.endswith("Run `iot-stream readings build`")


def test_an_edit_takes_the_place_of_what_has_its_name() -> None:
    """The test's own tool: keys at the top, tables that are there, tables that are new."""
    before = 'title = "a"\n[fields.x]\ntype = "long"\n# last\n[fields.y]\ntype = "date"\n'
    after = edited(before, 'title = "b"\n\n[fields.x]\ntype = "double"\n\n[fields.z]\ntype = "ip"\n')
    assert after == 'title = "b"\n[fields.x]\ntype = "double"\n\n[fields.y]\ntype = "date"\n\n[fields.z]\ntype = "ip"\n'
    assert parse(edited(WALKTHROUGH_FILE.read_text(encoding="utf-8"), 'title = "b"')).title == "b"


def test_make_build_checks_the_description_before_it_packs_it():
    """`sam build` packs what it finds: a description that the function refuses would be deployed."""
    recipe = re.search(r"^build:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    check, pack = recipe[1].splitlines()
    assert check.endswith("iot-stream readings build --check")
    assert pack.endswith("sam build")
